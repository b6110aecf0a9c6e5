//! The cipher suites that this OpenSSL has.
//!
//! It knows more of them than it has: those of algorithms that it was built without, or that its
//! providers lack, as under FIPS. A session with one of these can be read all the same.

use std::sync::OnceLock;

use nginx_sys::{
    OPENSSL_sk_num, OPENSSL_sk_value, SSL_CIPHER_get_id, SSL_CTX_free, SSL_CTX_get_ciphers,
    SSL_CTX_new, SSL_CTX_set_cipher_list, SSL_SESSION_get0_cipher, TLS_method,
};

use crate::openssl::{clear_errors, SessionRef};

/// The cipher suites up to TLS 1.2, by their numbers; `None` where OpenSSL does not tell.
pub(crate) struct Ciphers(Option<Vec<u32>>);

impl Ciphers {
    /// What OpenSSL has, asked once in the life of the process. For the time when the configuration
    /// is read.
    pub(crate) fn available() -> &'static Self {
        static AVAILABLE: OnceLock<Ciphers> = OnceLock::new();
        AVAILABLE.get_or_init(|| Self(list()))
    }

    /// Whether a session's is none of them.
    pub(crate) fn lack_that_of(&self, session: SessionRef<'_>) -> bool {
        // SAFETY: the session is valid, and its cipher null or one of OpenSSL's own.
        let id = unsafe {
            SSL_SESSION_get0_cipher(session.as_ptr())
                .as_ref()
                .map(|cipher| SSL_CIPHER_get_id(cipher))
        };
        self.0.as_ref().zip(id).is_some_and(|(ids, id)| !ids.contains(&id))
    }
}

/// All that can be asked for, whatever the level of security (SSL_CTX_set_cipher_list(3)).
fn list() -> Option<Vec<u32>> {
    // SAFETY: the SSL_CTX is freed here, and with it the list, which holds OpenSSL's own ciphers.
    unsafe {
        let ctx = SSL_CTX_new(TLS_method());
        if ctx.is_null() {
            clear_errors();
            return None;
        }
        let all = c"ALL:COMPLEMENTOFALL:@SECLEVEL=0".as_ptr();
        let ids = (SSL_CTX_set_cipher_list(ctx, all) == 1).then(|| {
            let ciphers = SSL_CTX_get_ciphers(ctx).cast();
            (0..OPENSSL_sk_num(ciphers))
                .map(|index| SSL_CIPHER_get_id(OPENSSL_sk_value(ciphers, index).cast()))
                .collect()
        });
        SSL_CTX_free(ctx);
        clear_errors();
        ids
    }
}
