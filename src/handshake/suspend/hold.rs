//! What a way to hold handshakes back, and a handshake that is held, know of each other.

use ssl_session_cache_core::hello::ClientHello;

use crate::openssl::{Filter, Ssl};

/// A handshake that is held back.
pub(in crate::handshake) trait Held {
    /// The ClientHello is complete, and well-formed: begins the lookups of what it offers.
    fn offers(&self, ssl: Ssl<'_>, hello: ClientHello<'_>);

    /// Whether the ClientHello has not been let through.
    fn is_held(&self) -> bool;

    /// Whether a lookup is under way.
    fn waits(&self) -> bool;

    /// All goes through from now on.
    fn pass(&self);
}

/// A way to hold one handshake back: from its begin to its end, where it does not wait in vain.
///
/// One that sees the ClientHello first asks [`Held::offers`] for lookups and holds OpenSSL back
/// while it [waits](Held::waits); one that is asked in the get callback waits there.
pub(in crate::handshake) trait Hold {
    /// The handshake has begun. OpenSSL has read nothing of it.
    fn begin<F: Filter>(&self, _ssl: Ssl<'_>) {}

    /// Whether the get callback, which asks this, can wait.
    fn can_wait(&self) -> bool {
        false
    }

    /// The get callback, which cannot wait, asks for a session that was not looked up before.
    fn missed(&self, _ssl: Ssl<'_>) {}

    /// Waits in the get callback until it is over, and returns whether it is.
    fn wait(&self, _ssl: Ssl<'_>, _is_over: impl Fn() -> bool) -> bool {
        false
    }

    /// The server's part is done: nothing is waited for any more.
    fn end(&self, _ssl: Ssl<'_>) {}
}
