//! One server as its client sees it.

mod backoff;
mod breaker;
mod buffer;
mod completions;
mod homing;
mod inquiry;
mod life;
mod log;
mod pipeline;
mod scout;
mod talk;

pub use completions::{Addition, Completions, Ended, Lookup, Unavailable};
pub use inquiry::{Answer, Inquiry, InquiryError, Question};
pub use life::{Action, Counts, Loss, Server, Settings, State, MAX_WAITING};
pub use log::Line;
pub use scout::{Scout, Unusable};
pub use talk::Talk;
