//! The SSL of a connection.

use core::ffi::{c_int, c_long};
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use nginx_sys::{
    SSL_ctrl, SSL_get_client_random, SSL_get_finished, SSL_get_options, SSL_get_session,
    SSL_get_shutdown, SSL_get_verify_mode, SSL_in_before, SSL_is_init_finished, SSL_session_reused,
    SSL_set_options, SSL_version, SSL, SSL_CTRL_CLEAR_MODE, SSL_CTRL_MODE, SSL_MODE_ASYNC,
    SSL_VERIFY_NONE, TLS1_3_VERSION,
};
use ssl_session_cache_core::session::sealed::HELLO_RANDOM_LEN;

use crate::openssl::{SessionRef, SSL_OP_NO_TICKET};

/// As `SSL_OP_NO_TICKET`.
const SSL_OP_NO_EXTENDED_MASTER_SECRET: u64 = 1;

/// The SSL of a connection, borrowed for a callback of OpenSSL's. What outlives that has a
/// [`Bound`](crate::openssl::Bound) in its place.
#[derive(Clone, Copy)]
pub(crate) struct Ssl<'a>(NonNull<SSL>, PhantomData<&'a ()>);

impl<'a> Ssl<'a> {
    /// # Safety
    ///
    /// The SSL must be valid for `'a`, and be one that nginx made for a connection.
    pub(crate) unsafe fn from_ptr(ssl: *const SSL) -> Option<Self> {
        NonNull::new(ssl.cast_mut()).map(|ssl| Self(ssl, PhantomData))
    }

    pub(crate) fn as_ptr(self) -> *mut SSL {
        self.0.as_ptr()
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

    /// Whether the server has made its Finished.
    pub(crate) fn has_finished(self) -> bool {
        let mut room = [0u8; 1];
        // SAFETY: the SSL is valid, and nothing is written where there is room for nothing.
        unsafe { SSL_get_finished(self.as_ptr(), room.as_mut_ptr().cast(), 0) != 0 }
    }

    /// Whether the client is asked for a certificate.
    pub(crate) fn verifies_client(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_get_verify_mode(self.as_ptr()) != SSL_VERIFY_NONE as c_int }
    }

    /// The session in use.
    pub(crate) fn session(self) -> Option<SessionRef<'a>> {
        // SAFETY: the SSL is valid, and keeps its session until the next step of a handshake.
        unsafe { SessionRef::from_ptr(SSL_get_session(self.as_ptr())) }
    }

    /// The version of TLS, as soon as it is agreed upon.
    pub(crate) fn version(self) -> c_int {
        // SAFETY: the SSL is valid.
        unsafe { SSL_version(self.as_ptr()) }
    }

    /// Whether the server takes no notice of a client that can do extended master secrets
    /// (RFC 7627).
    pub(crate) fn ignores_extended_master_secret(self) -> bool {
        // SAFETY: the SSL is valid.
        unsafe { SSL_get_options(self.as_ptr()) & SSL_OP_NO_EXTENDED_MASTER_SECRET != 0 }
    }

    /// Whether the client is given stateless tickets: then what OpenSSL offers to the cache after a
    /// TLS 1.3 handshake is only told, never asked for again (as in nginx's ngx_ssl_new_session()).
    pub(crate) fn gives_stateless_tickets(self) -> bool {
        // SAFETY: the SSL is valid.
        let tickets = unsafe { SSL_get_options(self.as_ptr()) & SSL_OP_NO_TICKET == 0 };
        self.speaks_tls13() && tickets
    }

    /// Gives the client no stateless tickets: with TLS 1.3 stateful ones.
    pub(crate) fn disable_tickets(self) {
        // SAFETY: the SSL is valid.
        unsafe { SSL_set_options(self.as_ptr(), SSL_OP_NO_TICKET) };
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
