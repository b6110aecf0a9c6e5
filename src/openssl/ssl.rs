//! The SSL of a connection.

use core::ffi::{c_int, c_long, c_uint};
use core::ptr::{self, NonNull};
use core::slice;
use core::time::Duration;

use nginx_sys::{
    ngx_connection_t, ngx_current_msec, ngx_msec_int_t, ngx_post_event, ngx_posted_events,
    ngx_ssl_connection_index, SSL_client_hello_get0_ext, SSL_ctrl, SSL_get_client_random,
    SSL_get_ex_data, SSL_get_options, SSL_get_session, SSL_get_shutdown, SSL_get_verify_mode,
    SSL_in_before, SSL_is_init_finished, SSL_session_reused, SSL_version, SSL, SSL_CTRL_CLEAR_MODE,
    SSL_CTRL_MODE, SSL_MODE_ASYNC, SSL_VERIFY_NONE, TLS1_3_VERSION,
};
use ssl_session_cache_core::session::sealed::HELLO_RANDOM_LEN;

use crate::nginx::debug;
use crate::openssl::{SessionRef, SslCtx, SSL_OP_NO_TICKET};

/// As `SSL_OP_NO_TICKET`.
const SSL_OP_NO_EXTENDED_MASTER_SECRET: u64 = 1;

/// The SSL of a connection, borrowed for a callback of OpenSSL's.
#[derive(Clone, Copy)]
pub(crate) struct Ssl(NonNull<SSL>);

impl Ssl {
    /// # Safety
    ///
    /// The SSL must be valid, and be one that nginx made for a connection, for as long as the value
    /// is used.
    pub(crate) unsafe fn from_ptr(ssl: *const SSL) -> Option<Self> {
        NonNull::new(ssl.cast_mut()).map(Self)
    }

    pub(crate) fn as_ptr(self) -> *mut SSL {
        self.0.as_ptr()
    }

    /// Tells of a step in the debug log.
    pub(crate) fn debug(self, step: &'static str) {
        // SAFETY: the connection is valid; the format takes a length and a text.
        unsafe { debug!(self.connection(), "%*s", step.len(), step.as_ptr()) };
    }

    /// Tells in the debug log what became of a session that the client offers.
    pub(crate) fn debug_offered(self, outcome: &'static str) {
        // SAFETY: as above.
        unsafe {
            debug!(self.connection(), "offered session: %*s", outcome.len(), outcome.as_ptr());
        }
    }

    /// Whether no handshake has begun yet: false at the start of a renegotiation, and where early
    /// data ends.
    pub(crate) fn is_before_handshake(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_in_before(self.as_ptr()) != 0 }
    }

    /// Whether the handshake is over on both sides.
    pub(crate) fn is_established(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_is_init_finished(self.as_ptr()) != 0 }
    }

    /// Whether the handshake resumes a session.
    pub(crate) fn has_resumed(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_session_reused(self.as_ptr()) != 0 }
    }

    /// Whether the client is asked for a certificate.
    pub(crate) fn verifies_client(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_get_verify_mode(self.as_ptr()) != SSL_VERIFY_NONE as c_int }
    }

    /// The session in use.
    pub(crate) fn session<'a>(self) -> Option<SessionRef<'a>> {
        // SAFETY: the SSL is valid, and keeps its session until the next step of a handshake.
        unsafe { SessionRef::from_ptr(SSL_get_session(self.as_ptr())) }
    }

    /// The version of TLS, as soon as it is agreed upon.
    pub(crate) fn version(self) -> c_int {
        // SAFETY: the SSL is valid.
        unsafe { SSL_version(self.as_ptr()) }
    }

    /// An extension of the ClientHello (SSL_client_hello_get0_ext(3)). For the get callback, in
    /// which OpenSSL still has the message.
    pub(crate) fn hello_extension<'a>(self, kind: c_uint) -> Option<&'a [u8]> {
        let (mut data, mut len) = (ptr::null(), 0);
        // SAFETY: the SSL is valid, and keeps the message until it has been read to its end.
        unsafe {
            let is_there = SSL_client_hello_get0_ext(self.as_ptr(), kind, &mut data, &mut len) != 0;
            is_there.then(|| slice::from_raw_parts(data, len))
        }
    }

    /// Whether the server takes no notice of a client that can do extended master secrets
    /// (RFC 7627).
    pub(crate) fn ignores_extended_master_secret(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_get_options(self.as_ptr()) & SSL_OP_NO_EXTENDED_MASTER_SECRET != 0 }
    }

    /// The time until nginx's own timer of the connection runs out; `None` where it is not set.
    pub(crate) fn time_left(self) -> Option<Duration> {
        let connection = self.connection()?;
        // SAFETY: the connection is valid, and has a read event; nginx writes to its clock on this
        // one thread.
        unsafe {
            let read = &*connection.as_ref().read;
            let left = read.timer.key.wrapping_sub(ngx_current_msec) as ngx_msec_int_t;
            (read.timer_set() != 0).then(|| Duration::from_millis(left.max(0) as u64))
        }
    }

    /// nginx's connection, as its own ngx_ssl_get_connection() finds it.
    pub(crate) fn connection(self) -> Option<NonNull<ngx_connection_t>> {
        // SAFETY: nginx allocates the index before it reads its configuration, and the connection
        // lives longer than its SSL.
        unsafe { NonNull::new(SSL_get_ex_data(self.as_ptr(), ngx_ssl_connection_index).cast()) }
    }

    /// The SSL_CTX that the session callbacks belong to: that of the listening socket's default
    /// server, not the one that a name of the client's has switched to.
    pub(crate) fn session_ctx(self) -> Option<SslCtx> {
        let connection = self.connection()?;
        // SAFETY: the connection is valid, and so is its `ssl` while there is an SSL.
        unsafe {
            let ssl = connection.as_ref().ssl.as_ref()?;
            SslCtx::from_ptr(ssl.session_ctx)
        }
    }

    /// Whether the client is given stateless tickets: then what OpenSSL offers to the cache after a
    /// TLS 1.3 handshake is only told, never asked for again (as in nginx's ngx_ssl_new_session()).
    pub(crate) fn gives_stateless_tickets(self) -> bool {
        // SAFETY: the SSL is valid.
        let tickets = unsafe { SSL_get_options(self.as_ptr()) & SSL_OP_NO_TICKET == 0 };
        self.speaks_tls13() && tickets
    }

    /// Whether the version of TLS is 1.3.
    pub(crate) fn speaks_tls13(self) -> bool {
        self.version() == TLS1_3_VERSION as c_int
    }

    /// The random of the ClientHello.
    pub(crate) fn client_random(self) -> [u8; HELLO_RANDOM_LEN] {
        let mut random = [0; HELLO_RANDOM_LEN];
        // SAFETY: the SSL is valid, and there is room for as many bytes as are told.
        unsafe { SSL_get_client_random(self.as_ptr(), random.as_mut_ptr(), random.len()) };
        random
    }

    /// Has nginx read from the connection in this turn of the event loop, or go on with its
    /// handshake.
    pub(crate) fn post_read_event(self) {
        if let Some(connection) = self.connection() {
            // SAFETY: the connection is valid, and has a read event.
            unsafe { ngx_post_event(connection.as_ref().read, &raw mut ngx_posted_events) };
        }
    }

    /// Whether the client is reached over TCP, and not over QUIC.
    pub(crate) fn reads_a_stream(self) -> bool {
        // SAFETY: the connection is valid.
        self.connection().is_some_and(|c| unsafe { c.as_ref() }.type_ == libc::SOCK_STREAM)
    }

    /// Whether the connection is being torn down: the patched nginx marks it so before it runs a
    /// suspended handshake to its end (see patches/README.md).
    pub(crate) fn is_shut_down(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_get_shutdown(self.as_ptr()) != 0 }
    }

    /// Runs what follows as jobs.
    pub(crate) fn run_as_jobs(self) {
        self.control(SSL_CTRL_MODE, SSL_MODE_ASYNC.into());
    }

    /// Runs what follows as ordinary calls: where nothing waits, a job is cost without use.
    pub(crate) fn stop_running_as_jobs(self) {
        self.control(SSL_CTRL_CLEAR_MODE, SSL_MODE_ASYNC.into());
    }

    fn control(self, command: u32, value: c_long) {
        // SAFETY: the SSL is valid, and neither command reads the last argument.
        unsafe { SSL_ctrl(self.as_ptr(), command as c_int, value, ptr::null_mut()) };
    }
}
