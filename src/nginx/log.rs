//! Messages in nginx's log, as "sslsessioncache: ...".

/// The directive's name, for messages.
pub(crate) const NAME: &str = "remote_ssl_session_cache";

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
