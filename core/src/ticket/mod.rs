//! The ticket keys of the fleet: seeds that all machines share, and the keys that are derived of them.
//!
//! Time is cut into epochs (`epoch`). Each has a seed, which lies in the store as a sealed record
//! (`record`) and on each machine among those of others (`ring`); the keys of tickets are derived of it
//! (`keys`). Who asks the store for the seeds is the keeper (`keeper`).

mod epoch;
mod keeper;
mod keys;
mod record;
mod ring;

pub use self::epoch::{Epoch, Rotation, RotationError};
pub use self::keeper::{Answer, Keeper, Notice, Question};
pub use self::keys::{Hmac, Seed, TicketKey, NAME_LEN, SEED_LEN};
pub use self::record::RECORD_LEN;
pub use self::ring::{Family, Origin, Ring, Status};
