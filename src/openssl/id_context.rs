//! nginx's session id context: what sessions must not cross.
//!
//! nginx makes it from the certificates and the client CAs of a server
//! (ngx_ssl_session_id_context() in ngx_event_openssl.c), and OpenSSL resumes a session only in the
//! context that it was made in, which is a part of the session. Before nginx 1.29.2 the name that
//! the client asks for is not known when a session is looked up, and the context is that of the
//! listening socket's default server; since then it is of the server that was asked for.
//!
//! What nginx makes says nothing of the servers behind a default server, and of the certificates
//! that a server trusts it knows the names at most. Where client certificates are asked for, the
//! context is narrowed by both (see `attach::client_certificates`): otherwise a client that one server trusts
//! would be let in by another that does not.

use nginx_sys::{
    BIO_new, BIO_s_null, SSL_CTX_set_session_id_context, SSL_do_handshake, SSL_free,
    SSL_get_session, SSL_new, SSL_set_bio, SSL_set_connect_state,
};

use crate::openssl::trust::sha256;
use crate::openssl::{clear_errors, SessionRef, SslCtx};

/// Why a session id context was not narrowed.
#[derive(Debug)]
pub(crate) enum NarrowError {
    /// OpenSSL cannot begin a handshake with this SSL_CTX, by which its context is learnt.
    NoHandshake,
    /// OpenSSL has no SHA-256, or no memory.
    NoDigest,
}

/// Narrows the session id context of an SSL_CTX: sessions do not cross to one that is narrowed by
/// something else. For the time when the configuration is read.
pub(crate) fn narrow_id_context(ctx: SslCtx, by: &[u8]) -> Result<(), NarrowError> {
    let mut context = id_context(ctx).ok_or(NarrowError::NoHandshake)?;
    context.extend_from_slice(by);
    let context = sha256(&context).ok_or(NarrowError::NoDigest)?;
    // SAFETY: the SSL_CTX is valid; a digest of 32 bytes is as long as a context may be.
    let result = unsafe {
        SSL_CTX_set_session_id_context(ctx.as_ptr(), context.as_ptr(), context.len() as u32)
    };
    if result == 1 {
        Ok(())
    } else {
        Err(NarrowError::NoDigest)
    }
}

/// The session id context of an SSL_CTX. For the time when the configuration is read.
///
/// OpenSSL has no function that tells it. But every new session takes it over, so a handshake is
/// begun as a client's, which makes one, and given up after its first message.
pub(crate) fn id_context(ctx: SslCtx) -> Option<Vec<u8>> {
    // SAFETY: the SSL_CTX is valid; the SSL made of it is freed here, and with it the BIO and the
    // session.
    unsafe {
        let ssl = SSL_new(ctx.as_ptr());
        if ssl.is_null() {
            return None;
        }
        let bio = BIO_new(BIO_s_null());
        SSL_set_bio(ssl, bio, bio);
        SSL_set_connect_state(ssl);
        SSL_do_handshake(ssl);
        let context =
            SessionRef::from_ptr(SSL_get_session(ssl)).map(|session| session.id_context().to_vec());
        SSL_free(ssl);
        clear_errors();
        context
    }
}
