//! What the core's sealed records need of OpenSSL, and the key files.
//!
//! The construction is described at the top of `core/src/record.rs`.

use nginx_sys::RAND_bytes;
use ssl_session_cache_core::record;

pub(crate) use self::cipher::{Aes, Gcm};

mod cipher;
pub(crate) mod key_file;

/// Mints session ids, and seals and opens the records of the sessions that have them.
pub(crate) type Sealer = record::Sealer<Aes, Gcm>;

/// Fills a buffer from OpenSSL's random generator (RAND_bytes(3)); false where that failed.
pub(crate) fn randomise(buffer: &mut [u8]) -> bool {
    // SAFETY: the buffer has room for as many bytes as are told; all are far below an int's range.
    unsafe { RAND_bytes(buffer.as_mut_ptr(), buffer.len() as i32) == 1 }
}

/// So many random bytes.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    randomise(&mut bytes).then_some(bytes)
}
