//! One server as its client sees it: a connection after the other, and whether it is of use.

mod backoff;
mod breaker;
mod buffer;
mod completions;
mod pipeline;

pub use backoff::Backoff;
pub use completions::{Completions, Lookup, Unavailable};
pub use pipeline::{Error, Pipeline, Received, Settings, MAX_WAITING};
