//! Counters in shared memory. The other parts call small functions of this one, which know nothing
//! of them.

mod outcome;
mod slots;
mod snapshot;
mod stats;
mod zone;

pub(crate) use self::outcome::Outcome;
pub(crate) use self::slots::{Event, LookupResult, StoreState, BOUNDS};
pub(crate) use self::snapshot::{Snapshot, Store, Worker};
pub(crate) use self::stats::{count_handshake, StoreStats};
pub(crate) use self::zone::{add_zone, configure, enter, is_counting, leave, Counted};
