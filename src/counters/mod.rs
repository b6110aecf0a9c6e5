//! Counters in shared memory. The other parts call small functions of this one, which know nothing
//! of them.

mod list;
mod outage;
mod slots;
mod snapshot;
mod stats;
mod stores;
mod zone;

pub(crate) use self::outage::{Begin, End, Outage};
pub(crate) use self::snapshot::take;
pub(crate) use self::stats::{count_early_data, count_handshake, StoreStats};
pub(crate) use self::stores::Counted;
pub(crate) use self::zone::{add_zone, configure, enter, is_counting, leave};
