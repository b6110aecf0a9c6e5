//! What operators see: counters in shared memory, and the status page.
//!
//! The other parts call small functions of this one, which know nothing of them.

mod json;
mod outcome;
mod page;
mod prometheus;
mod slots;
mod snapshot;
mod stats;
mod zone;

pub(crate) use self::outcome::Outcome;
pub(crate) use self::page::COMMAND;
pub(crate) use self::slots::{Event, LookupResult, StoreState};
pub(crate) use self::stats::{count_handshake, StoreStats};
pub(crate) use self::zone::{add_zone, configure, enter, is_counting, leave, Counted};
