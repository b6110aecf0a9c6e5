//! One server as its client sees it: a connection after the other, and whether it is of use.

mod backoff;
mod breaker;
mod buffer;
mod pipeline;

pub use backoff::Backoff;
pub use pipeline::{Error, Lookup, Pipeline, Received, Settings, Unavailable, Waiter, MAX_WAITING};
