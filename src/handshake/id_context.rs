//! nginx's session id context: what sessions must not cross.
//!
//! nginx makes it from the certificates and the client CAs of a server
//! (ngx_ssl_session_id_context() in ngx_event_openssl.c), and OpenSSL resumes a session only in the
//! context that it was made in. A sealed record is bound to the context that the session carries,
//! and opened in that of the SSL_CTX in use when the session is looked up: the two that OpenSSL
//! itself compares once it has the session. Before nginx 1.29.2 the name that the client asks for
//! is not known at that time, and both are of the listening socket's default server; since then
//! both are of the server that was asked for. So nothing is resumed that stock nginx does not
//! resume, and nothing else is even opened.
//!
//! What nginx makes says nothing of the servers behind a default server, and of the certificates
//! that a server trusts it knows the names at most. Where client certificates are asked for, the
//! context is narrowed by both (see `conf::sockets`): otherwise a client that one server trusts
//! would be let in by another that does not.

use core::ffi::{c_int, c_long, c_void};
use std::sync::OnceLock;

use nginx_sys::{
    BIO_new, BIO_s_null, SSL_CTX_get_ex_data, SSL_CTX_set_ex_data, SSL_CTX_set_session_id_context,
    SSL_do_handshake, SSL_free, SSL_get_SSL_CTX, SSL_get_session, SSL_new, SSL_set_bio,
    SSL_set_connect_state, CRYPTO_EX_DATA, CRYPTO_EX_INDEX_SSL_CTX,
};
use ssl_session_cache_core::record::MAX_CONTEXT;

use crate::handshake::new_index;
use crate::handshake::openssl::{clear_errors, non_null, SessionRef, Ssl, SslCtx};
use crate::handshake::trust::sha256;

/// A session id context (SSL_CTX_set_session_id_context(3)).
#[derive(Clone, Copy)]
pub(crate) struct IdContext {
    bytes: [u8; MAX_CONTEXT],
    len: u8,
}

impl IdContext {
    fn new(context: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_CONTEXT];
        bytes.get_mut(..context.len())?.copy_from_slice(context);
        Some(Self { bytes, len: context.len() as u8 })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The context of the SSL_CTX that an SSL uses now, as far as it was learnt.
    pub(super) fn of(ssl: Ssl) -> Option<Self> {
        // SAFETY: the SSL is valid, and has an SSL_CTX; the index is ours: what it holds is null or
        // what learn() set, which lives as long as the SSL_CTX.
        unsafe {
            let ctx = SSL_get_SSL_CTX(ssl.as_ptr());
            non_null::<Self>(SSL_CTX_get_ex_data(ctx, index())).map(|context| *context.as_ref())
        }
    }

    /// Whether the context of an SSL_CTX has been learnt.
    pub(crate) fn is_learnt(ctx: SslCtx) -> bool {
        // SAFETY: the SSL_CTX is valid.
        unsafe { !SSL_CTX_get_ex_data(ctx.as_ptr(), index()).is_null() }
    }

    /// Narrows the context of an SSL_CTX, which has been learnt: sessions do not cross to one that
    /// is narrowed by something else. `None` without memory.
    pub(crate) fn narrow(ctx: SslCtx, by: &[u8]) -> Option<()> {
        // SAFETY: the SSL_CTX is valid; the index is ours: what it holds is null or what learn()
        // set, which lives as long as the SSL_CTX, and nothing else refers to it now.
        unsafe {
            let mut context = non_null::<Self>(SSL_CTX_get_ex_data(ctx.as_ptr(), index()))?;
            let context = context.as_mut();
            *context = Self::new(&sha256(&[context.as_bytes(), by].concat())?)?;
            let len = context.len.into();
            (SSL_CTX_set_session_id_context(ctx.as_ptr(), context.bytes.as_ptr(), len) == 1)
                .then_some(())
        }
    }

    /// Learns the context of an SSL_CTX, and keeps it there; false where that failed.
    ///
    /// OpenSSL has no function that tells it. But every new session takes it over, so a handshake
    /// is begun as a client's, which makes one, and given up after its first message. For the time
    /// when the configuration is read.
    pub(crate) fn learn(ctx: SslCtx) -> bool {
        // SAFETY: the SSL_CTX is valid; the SSL made of it is freed here, and with it the BIO and
        // the session. What is set at the index is freed with the SSL_CTX.
        unsafe {
            let ssl = SSL_new(ctx.as_ptr());
            if ssl.is_null() {
                return false;
            }
            let bio = BIO_new(BIO_s_null());
            SSL_set_bio(ssl, bio, bio);
            SSL_set_connect_state(ssl);
            SSL_do_handshake(ssl);
            let context = SessionRef::from_ptr(SSL_get_session(ssl))
                .and_then(|session| Self::new(session.id_context()));
            SSL_free(ssl);
            clear_errors();

            let Some(context) = context else { return false };
            let context = Box::into_raw(Box::new(context));
            if SSL_CTX_set_ex_data(ctx.as_ptr(), index(), context.cast()) == 0 {
                drop(Box::from_raw(context));
                return false;
            }
            true
        }
    }
}

/// The index of our data in an SSL_CTX: an `IdContext`, freed with it.
fn index() -> c_int {
    static INDEX: OnceLock<c_int> = OnceLock::new();
    *INDEX.get_or_init(|| new_index(CRYPTO_EX_INDEX_SSL_CTX, Some(free_context)))
}

unsafe extern "C" fn free_context(
    _ctx: *mut c_void,
    context: *mut c_void,
    _data: *mut CRYPTO_EX_DATA,
    _index: c_int,
    _argl: c_long,
    _argp: *mut c_void,
) {
    if let Some(context) = non_null::<IdContext>(context) {
        // SAFETY: what the index holds was made by IdContext::learn().
        drop(unsafe { Box::from_raw(context.as_ptr()) });
    }
}
