//! Where sessions enter and leave a handshake.
//!
//! OpenSSL's session callbacks (`callbacks`) are set on the SSL_CTX of a server, in front of those
//! that nginx set for `ssl_session_cache shared:`. What a handshake looks up and waits for is the
//! business of one object (`first`), and how it waits of another (`suspend`). They queue commands
//! and look at results, and leave all else to the event loop.

use core::ptr::NonNull;

use nginx_sys::SSL;

use crate::openssl::Ssl;

use self::first::First;

pub(crate) use self::cache::SessionCache;
pub(crate) use self::first::Report;
pub(crate) use self::lookup::answered;
pub(crate) use self::suspend::Suspension;

mod cache;
mod callbacks;
mod first;
mod lookup;
mod notes;
mod records;
mod suspend;

/// What became of the handshake of a connection; `None` where there was none of ours.
///
/// # Safety
///
/// The SSL must be valid.
pub(crate) unsafe fn report(ssl: NonNull<SSL>) -> Option<Report> {
    // SAFETY: as the caller promises.
    let ssl = unsafe { Ssl::from_ptr(ssl.as_ptr()) };
    ssl.and_then(First::of).map(First::report)
}
