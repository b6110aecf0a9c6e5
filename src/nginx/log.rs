//! Messages in nginx's log, as "sslsessioncache: ...".

/// The directive's name, for messages.
pub(crate) const NAME: &str = "remote_ssl_session_cache";

/// Writes a message at a level of nginx's (`NGX_LOG_ERR`, ...).
///
/// Formats on the stack, 2 KB: not for a callback of OpenSSL's, which may run on a small stack of
/// its own (see `handshake::suspend`); `debug!` is.
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

/// Writes a message of a connection, if there is one, at nginx's debug level, formatted by nginx
/// (ngx_string.c).
///
/// Nothing is left of it where nginx was built without `--with-debug`: the connection is not even
/// asked for.
///
/// # Safety
///
/// The connection must be valid, and the arguments must be what the format takes.
macro_rules! debug {
    ($connection:expr, $format:literal $(, $arg:expr)* $(,)?) => {
        if cfg!(ngx_feature = "debug") {
            if let Some(connection) = $connection {
                let log = connection.as_ref().log;
                if (*log).log_level & nginx_sys::NGX_LOG_DEBUG_EVENT as usize != 0 {
                    nginx_sys::ngx_log_error_core(
                        nginx_sys::NGX_LOG_DEBUG as usize,
                        log,
                        0,
                        concat!("sslsessioncache: ", $format, "\0").as_ptr().cast()
                        $(, $arg)*
                    );
                }
            }
        }
    };
}

pub(crate) use {debug, log};
