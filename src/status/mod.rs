//! What operators see: counters in shared memory, the variables of a connection, and the status
//! page.
//!
//! The other parts call small functions of this one, which know nothing of them.

mod json;
mod page;
mod prometheus;
mod report;
mod snapshot;
mod stats;
mod variables;
mod zone;

pub(crate) use self::page::COMMAND;
pub(crate) use self::report::{finished, note, Outcome};
pub(crate) use self::stats::{Event, LookupResult, StoreState, StoreStats};
pub(crate) use self::variables::add_variables;
pub(crate) use self::zone::{add_zone, configure, enter, is_counting, leave, Counted};
