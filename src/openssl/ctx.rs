//! An SSL_CTX, and what a server is made to do with it.

use core::ffi::{c_int, c_long};
use core::ptr::{self, NonNull};

use nginx_sys::{
    SSL_CTX_ctrl, SSL_CTX_get_options, SSL_CTX_get_timeout, SSL_CTX_set_options,
    SSL_CTRL_GET_MAX_PROTO_VERSION, SSL_CTRL_MODE, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_CTX,
    SSL_MODE_ASYNC, SSL_SESS_CACHE_NO_INTERNAL, SSL_SESS_CACHE_SERVER, TLS1_3_VERSION,
};
use ssl_session_cache_core::hello::ServerAbilities;

use crate::openssl::SSL_OP_NO_TICKET;

/// As `SSL_OP_NO_TICKET`.
const SSL_OP_NO_ANTI_REPLAY: u64 = 1 << 24;
const SSL_OP_NO_TLSV1_3: u64 = 1 << 29;

/// An SSL_CTX of nginx's, which lives as long as the configuration that made it.
#[derive(Clone, Copy)]
pub(crate) struct SslCtx(NonNull<SSL_CTX>);

impl SslCtx {
    /// `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// The SSL_CTX must stay valid for as long as the value is used.
    pub(crate) unsafe fn from_ptr(ctx: *mut SSL_CTX) -> Option<Self> {
        NonNull::new(ctx).map(Self)
    }

    pub(crate) fn as_ptr(self) -> *mut SSL_CTX {
        self.0.as_ptr()
    }

    /// Makes TLS 1.2 use session ids and TLS 1.3 stateful tickets.
    pub(crate) fn disable_tickets(self) {
        // SAFETY: the SSL_CTX is valid.
        unsafe { SSL_CTX_set_options(self.as_ptr(), SSL_OP_NO_TICKET) };
    }

    /// Whether early data is protected from replay, where there is any: by taking a session out of
    /// OpenSSL's own cache before it is resumed (SSL_CTX_set_options(3)).
    pub(crate) fn prevents_replay(self) -> bool {
        // SAFETY: the SSL_CTX is valid.
        unsafe { SSL_CTX_get_options(self.as_ptr()) & SSL_OP_NO_ANTI_REPLAY == 0 }
    }

    /// For how long sessions that are made can be resumed, in seconds.
    pub(crate) fn session_timeout(self) -> i64 {
        // SAFETY: the SSL_CTX is valid.
        unsafe { SSL_CTX_get_timeout(self.as_ptr()) }
    }

    /// What a server makes of what its client offers.
    pub(crate) fn abilities(self) -> ServerAbilities {
        // SAFETY: the SSL_CTX is valid.
        let options = unsafe { SSL_CTX_get_options(self.as_ptr()) };
        let max_version = self.control(SSL_CTRL_GET_MAX_PROTO_VERSION, 0);
        ServerAbilities {
            tls13: options & SSL_OP_NO_TLSV1_3 == 0
                && (max_version == 0 || max_version >= TLS1_3_VERSION.into()),
            stateless_tickets: options & SSL_OP_NO_TICKET == 0,
        }
    }

    /// Leaves caching to the callbacks alone (SSL_CTX_set_session_cache_mode(3)).
    pub(crate) fn cache_externally(self) {
        let mode = SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL;
        self.control(SSL_CTRL_SET_SESS_CACHE_MODE, mode.into());
    }

    /// Runs the handshakes of this SSL_CTX as jobs (SSL_MODE_ASYNC in SSL_CTX_set_mode(3)).
    pub(crate) fn run_as_jobs(self) {
        self.control(SSL_CTRL_MODE, SSL_MODE_ASYNC.into());
    }

    pub(super) fn control(self, command: u32, value: c_long) -> c_long {
        // SAFETY: the SSL_CTX is valid, and no command here reads the last argument.
        unsafe { SSL_CTX_ctrl(self.as_ptr(), command as c_int, value, ptr::null_mut()) }
    }
}
