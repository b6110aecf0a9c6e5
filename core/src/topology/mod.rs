//! A store that is many servers: who is there, and who has a key.

mod endpoint;

use slotmap::new_key_type;

pub use self::endpoint::{Endpoint, Host};

new_key_type! {
    /// What one of a store's servers is known by.
    pub struct ServerId;
}
