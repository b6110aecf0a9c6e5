//! What the core's sealed records need of OpenSSL.
//!
//! The construction is described at the top of `core/src/session/sealed.rs`.

use ssl_session_cache_core::session::sealed;

pub(crate) use self::cipher::{Aes, Gcm};
pub(crate) use self::random::{randomise, Random};

mod cipher;
mod random;

/// Mints session ids, and seals and opens the records of the sessions that have them.
pub(crate) type Sealer = record::Sealer<Aes, Gcm>;
