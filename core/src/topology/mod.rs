//! A store that is many servers: who is there, and who has a key.
//!
//! [`Router`] has a store's requests go to the right ones of its servers: `spread` where they know
//! nothing of each other, by [`Rendezvous`]; `redirects` where they are a Redis Cluster, by what
//! [`Cluster`] knows of it. [`Sentinels`] is who tells where the one server is.

mod cluster;
mod endpoint;
mod id;
mod map;
mod redirects;
mod rendezvous;
mod route;
mod router;
mod sentinel;
mod slots;
mod spread;

pub use self::cluster::{Change, Cluster, Whom, MAX_NODES};
pub use self::endpoint::{Endpoint, Host};
pub use self::id::ServerId;
pub use self::map::{Map, MapError, MAX_MASTERS};
pub use self::rendezvous::Rendezvous;
pub use self::route::{Asking, Routed, Servers, Told};
pub use self::router::Router;
pub use self::sentinel::{Next, Sentinels};
pub use self::slots::{slot_of, slot_of_bytes, SLOTS};
