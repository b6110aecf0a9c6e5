//! Early data (SSL_read_early_data(3)): whether it is accepted.

use core::ffi::{c_int, c_uint, c_void};
use core::ptr;

use nginx_sys::{SSL_CTX_set_allow_early_data_cb, SSL_get_max_early_data, SSL};

use crate::openssl::{Ssl, SslCtx};

/// The extension of a ClientHello with which early data comes.
const EARLY_DATA: c_uint = 42;

/// Who is asked.
pub(crate) trait EarlyDataGate {
    /// Early data has come with the session that is resumed, of which the client has proved that it has
    /// the secret. Where it is not accepted, the handshake goes on without.
    fn allows(ssl: Ssl<'_>) -> bool;
}

impl SslCtx {
    /// Has OpenSSL ask a type of ours before it accepts early data (SSL_CTX_set_allow_early_data_cb(3)).
    pub(crate) fn ask_about_early_data<G: EarlyDataGate>(self) {
        // SAFETY: the SSL_CTX is valid, and the function has the type that OpenSSL asks for, and uses no
        // argument.
        unsafe {
            SSL_CTX_set_allow_early_data_cb(self.as_ptr(), Some(allow::<G>), ptr::null_mut());
        }
    }
}

impl Ssl<'_> {
    /// Whether the client announces early data (RFC 8446, section 4.2.10). As
    /// [`hello_extension`](Self::hello_extension).
    pub(crate) fn offers_early_data(self) -> bool {
        self.hello_extension(EARLY_DATA).is_some()
    }

    /// Whether early data is accepted at all.
    pub(crate) fn takes_early_data(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_get_max_early_data(self.as_ptr()) != 0 }
    }
}

unsafe extern "C" fn allow<G: EarlyDataGate>(ssl: *mut SSL, _arg: *mut c_void) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL.
    unsafe { Ssl::from_ptr(ssl) }.is_some_and(G::allows).into()
}
