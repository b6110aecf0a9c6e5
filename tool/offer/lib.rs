//! The one thing of the tool that `openssl` does not let safe code do: to offer a session. It is a crate of
//! its own, so that the tool itself can forbid unsafe code.

use openssl::error::ErrorStack;
use openssl::ssl::{SslRef, SslSession};

/// Lets a client offer a session, in the form of i2d_SSL_SESSION(3), in the handshake that is to come.
/// It is read anew for each connection: OpenSSL notes in a session what becomes of one.
pub fn offer(ssl: &mut SslRef, session: &[u8]) -> Result<(), ErrorStack> {
    let session = SslSession::from_der(session)?;
    // SAFETY: a session that was just read belongs to no SSL_CTX, and to this connection alone.
    unsafe { ssl.set_session(&session) }
}
