//! What operators are told: the numbers of the status page and their names, as JSON and for
//! Prometheus.

mod names;
mod snapshot;

pub mod json;
pub mod prometheus;

pub use self::names::{EarlyData, Event, Frontend, LookupResult, Outcome};
pub use self::snapshot::{Counts, SealingKey, Server, Snapshot, Store, Tickets, Worker, BOUNDS};
