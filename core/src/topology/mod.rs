//! A store that is many servers: who is there, and who has a key.

mod cluster;
mod endpoint;
mod map;
mod rendezvous;
mod sentinel;
mod slots;

use slotmap::new_key_type;

pub use self::cluster::{Change, Cluster, Whom, MAX_NODES};
pub use self::endpoint::{Endpoint, Host};
pub use self::map::{Map, MapError, MAX_MASTERS};
pub use self::rendezvous::{word, Rendezvous};
pub use self::sentinel::{Next, Sentinels};
pub use self::slots::{hash_tag, slot_of, slot_of_bytes, SLOTS};

new_key_type! {
    /// What one of a store's servers is known by.
    pub struct ServerId;
}
