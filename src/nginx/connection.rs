//! nginx's connection of a client, found by its SSL.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;
use core::time::Duration;
use std::io;

use nginx_sys::{
    ngx_connection_t, ngx_current_msec, ngx_log_error_core, ngx_log_t, ngx_msec_int_t,
    ngx_post_event, ngx_posted_events, ngx_ssl_connection_index, SSL_get_ex_data, NGX_LOG_DEBUG,
    NGX_LOG_DEBUG_EVENT,
};

use crate::openssl::{Ssl, SslCtx};

/// The connection of a client, which lives longer than its SSL.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'a>(NonNull<ngx_connection_t>, PhantomData<Ssl<'a>>);

/// What reading from a socket came to.
pub(crate) enum Received<'a> {
    Bytes(&'a [u8]),
    /// Nothing now.
    Nothing,
    /// The end of the stream, or an error.
    End,
}

impl<'a> Connection<'a> {
    /// The connection of an SSL, as nginx's own ngx_ssl_get_connection() finds it.
    pub(crate) fn of(ssl: Ssl<'a>) -> Option<Self> {
        // SAFETY: nginx allocates the index before it reads its configuration.
        let connection = unsafe { SSL_get_ex_data(ssl.as_ptr(), ngx_ssl_connection_index) };
        NonNull::new(connection.cast()).map(|connection| Self(connection, PhantomData))
    }

    /// The SSL_CTX that the session callbacks belong to: that of the listening socket's default
    /// server, not the one that a name of the client's has switched to.
    pub(crate) fn session_ctx(self) -> Option<SslCtx> {
        // SAFETY: the connection is valid, and so is its `ssl` while there is an SSL.
        unsafe { SslCtx::from_ptr(self.0.as_ref().ssl.as_ref()?.session_ctx) }
    }

    /// nginx's log of the connection, whose lines tell the client and the socket.
    pub(crate) fn log(self) -> *mut ngx_log_t {
        // SAFETY: the connection is valid.
        unsafe { self.0.as_ref() }.log
    }

    /// The time until nginx's own timer of the connection runs out; `None` where it is not set.
    pub(crate) fn time_left(self) -> Option<Duration> {
        // SAFETY: the connection is valid, and has a read event; nginx writes to its clock on this
        // one thread.
        unsafe {
            let read = &*self.0.as_ref().read;
            let left = read.timer.key.wrapping_sub(ngx_current_msec) as ngx_msec_int_t;
            (read.timer_set() != 0).then(|| Duration::from_millis(left.max(0) as u64))
        }
    }

    /// Has nginx read from the connection in this turn of the event loop, or go on with its
    /// handshake.
    pub(crate) fn post_read_event(self) {
        // SAFETY: the connection is valid, and has a read event.
        unsafe { ngx_post_event(self.0.as_ref().read, &raw mut ngx_posted_events) };
    }

    /// Whether the client is reached over TCP, and not over QUIC.
    pub(crate) fn is_tcp(self) -> bool {
        // SAFETY: the connection is valid.
        unsafe { self.0.as_ref() }.type_ == libc::SOCK_STREAM
    }

    /// Reads from the socket, once, as much as there is room for.
    pub(crate) fn receive(self, room: &mut [MaybeUninit<u8>]) -> Received<'_> {
        // SAFETY: the connection is valid, and there is room for as many bytes as are told.
        let received = unsafe {
            libc::recv(self.0.as_ref().fd, room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT)
        };
        match usize::try_from(received) {
            Ok(count @ 1..) => {
                // SAFETY: so many bytes were written.
                Received::Bytes(unsafe { slice::from_raw_parts(room.as_ptr().cast(), count) })
            }
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock => {
                Received::Nothing
            }
            Ok(0) | Err(_) => Received::End,
        }
    }

    /// Writes two texts as one message at nginx's debug level, formatted by nginx (ngx_string.c).
    fn debug(self, before: &'static str, text: &'static str) {
        // SAFETY: the connection is valid, and has a log; the format takes two lengths and texts.
        unsafe {
            let log = self.0.as_ref().log;
            if (*log).log_level & NGX_LOG_DEBUG_EVENT as usize != 0 {
                ngx_log_error_core(
                    NGX_LOG_DEBUG as usize,
                    log,
                    0,
                    c"sslsessioncache: %*s%*s".as_ptr(),
                    before.len(),
                    before.as_ptr(),
                    text.len(),
                    text.as_ptr(),
                );
            }
        }
    }
}

/// Tells of a step of a handshake in the debug log. It takes little stack: OpenSSL's callbacks may
/// run on a small one of their own.
///
/// Nothing is left of it where nginx was built without `--with-debug`: the connection is not even
/// asked for.
pub(crate) fn debug(ssl: Ssl<'_>, step: &'static str) {
    debug_detail(ssl, "", step);
}

/// Tells of a step, and of what became of it.
pub(crate) fn debug_detail(ssl: Ssl<'_>, step: &'static str, detail: &'static str) {
    if cfg!(ngx_feature = "debug") {
        if let Some(connection) = Connection::of(ssl) {
            connection.debug(step, detail);
        }
    }
}
