//! Messages in nginx's log, as "sslsessioncache: ...".

use core::ptr::NonNull;

use nginx_sys::ngx_log_t;

/// The directive's name, for messages.
pub(crate) const NAME: &str = "remote_ssl_session_cache";

/// The directive of ticket keys.
pub(crate) const TICKETS_NAME: &str = "remote_ssl_session_tickets";

/// The name of a store's block, for messages.
pub(crate) const BLOCK_NAME: &str = "remote_ssl_session_store";

/// A log of nginx's.
#[derive(Clone, Copy)]
pub(crate) struct Log(NonNull<ngx_log_t>);

impl Log {
    /// # Safety
    ///
    /// The log must be valid for as long as the value, and what is made with it, is used.
    pub(crate) unsafe fn new(log: *mut ngx_log_t) -> Self {
        Self(NonNull::new(log).expect("nginx has a log"))
    }

    pub(super) fn as_ptr(self) -> *mut ngx_log_t {
        self.0.as_ptr()
    }
}

/// Writes a message at a level of nginx's (`NGX_LOG_ERR`, ...).
///
/// Formats on the stack, 2 KB: not for a callback of OpenSSL's, which may run on a small stack of
/// its own (see `handshake::suspend`); [`debug`](crate::nginx::debug) is.
macro_rules! log {
    ($level:ident, $log:expr, $format:literal $($args:tt)*) => {
        ngx::ngx_log_error!(
            nginx_sys::$level,
            $log,
            "sslsessioncache: {}",
            format_args!($format $($args)*)
        )
    };
}

pub(crate) use log;
