//! What a store's servers are known by.

use slotmap::new_key_type;

new_key_type! {
    /// What one of a store's servers is known by.
    pub struct ServerId;
}
