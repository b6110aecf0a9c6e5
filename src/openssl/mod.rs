//! What this module uses of OpenSSL, made safe.
//!
//! The functions are nginx-sys's, generated from the headers that nginx itself is built with, and
//! found at run time in the libssl that nginx has loaded or holds: the module never brings a second
//! copy.

use core::ffi::{c_int, c_long, c_uint, c_void, CStr};
use core::ptr::{self, NonNull};
use core::slice;
use core::time::Duration;

use nginx_sys::{
    d2i_SSL_SESSION, i2d_SSL_SESSION, ngx_connection_t, ngx_current_msec, ngx_msec_int_t,
    ngx_post_event, ngx_posted_events, ngx_ssl_connection_index, ASYNC_get_current_job,
    CRYPTO_EX_dup, CRYPTO_EX_free, CRYPTO_get_ex_new_index, ERR_clear_error, ERR_peek_error,
    SSL_CTX_ctrl, SSL_CTX_get_options, SSL_CTX_set_options, SSL_SESSION_free,
    SSL_SESSION_get0_hostname, SSL_SESSION_get0_id_context, SSL_SESSION_get_compress_id,
    SSL_SESSION_get_id, SSL_SESSION_get_protocol_version, SSL_SESSION_get_time,
    SSL_SESSION_get_timeout, SSL_SESSION_new, SSL_SESSION_set1_id, SSL_SESSION_up_ref,
    SSL_client_hello_get0_ext, SSL_ctrl, SSL_get_client_random, SSL_get_ex_data, SSL_get_options,
    SSL_get_session, SSL_get_shutdown, SSL_get_verify_mode, SSL_in_before, SSL_is_init_finished,
    SSL_session_reused, SSL_version, SSL, SSL_CTRL_CLEAR_MODE, SSL_CTRL_GET_MAX_PROTO_VERSION,
    SSL_CTRL_MODE, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_CTX, SSL_MAX_SSL_SESSION_ID_LENGTH,
    SSL_MODE_ASYNC, SSL_SESSION, SSL_SESS_CACHE_NO_INTERNAL, SSL_SESS_CACHE_SERVER,
    SSL_VERIFY_NONE, TLS1_3_VERSION,
};
use ssl_session_cache_core::hello::ServerAbilities;
use ssl_session_cache_core::session::sealed::{self, HELLO_RANDOM_LEN};

use crate::nginx::debug;

mod bio;
mod cipher;
mod ciphers;
mod id_context;
mod random;
mod trust;

pub(crate) use self::bio::{Filter, Given, Method, Read, Room, Source};
pub(crate) use self::cipher::{Aes, Gcm};
pub(crate) use self::ciphers::Ciphers;
pub(crate) use self::id_context::{narrow_id_context, NarrowError};
pub(crate) use self::random::{randomise, Random};
pub(crate) use self::trust::{sha256, Digest};

/// Mints session ids, and seals and opens the records of the sessions that have them. The
/// construction is described at the top of `core/src/session/sealed.rs`.
pub(crate) type Sealer = sealed::Sealer<Aes, Gcm>;

/// Options of SSL_CTX_set_options(3); a cast in the header hides them from bindgen.
const SSL_OP_NO_EXTENDED_MASTER_SECRET: u64 = 1;
const SSL_OP_NO_TICKET: u64 = 1 << 14;
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

    fn control(self, command: u32, value: c_long) -> c_long {
        // SAFETY: the SSL_CTX is valid, and no command here reads the last argument.
        unsafe { SSL_CTX_ctrl(self.as_ptr(), command as c_int, value, ptr::null_mut()) }
    }
}

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

/// Whether the caller runs in a job, and so can be paused (ASYNC_get_current_job(3)).
pub(crate) fn in_job() -> bool {
    // SAFETY: has no requirements.
    unsafe { !ASYNC_get_current_job().is_null() }
}

/// Empties OpenSSL's error queue. What is left in it would fail another connection's handshake, and
/// before OpenSSL 4.0 turns a pause into an error (SSL_get_error(3)).
pub(crate) fn clear_errors() {
    // SAFETY: has no requirements; the queue is the thread's own.
    unsafe {
        if ERR_peek_error() != 0 {
            ERR_clear_error();
        }
    }
}

/// A reference to a session, which counts in its reference count.
#[derive(Debug)]
pub(crate) struct Session(NonNull<SSL_SESSION>);

impl Session {
    /// Reads a session's ASN.1 form; `None` if it is not one, and nothing else.
    pub(crate) fn decode(der: &[u8]) -> Option<Self> {
        let mut input = der.as_ptr();
        // SAFETY: `input` points to as many bytes as are told.
        let session = unsafe { d2i_SSL_SESSION(ptr::null_mut(), &mut input, der.len() as c_long) };
        let session = NonNull::new(session).map(Self);
        if session.is_none() {
            clear_errors();
        }
        session.filter(|_| input == der.as_ptr_range().end)
    }

    /// A session that has an id and nothing else; `None` without memory.
    pub(crate) fn named(id: &[u8]) -> Option<Self> {
        // SAFETY: the session is valid, and the id has as many bytes as are told.
        unsafe {
            let session = Self(NonNull::new(SSL_SESSION_new())?);
            let result = SSL_SESSION_set1_id(session.0.as_ptr(), id.as_ptr(), id.len() as c_uint);
            (result == 1).then_some(session)
        }
    }

    /// Takes a reference over, or one more of a session that its giver shares; `None` for a null
    /// pointer.
    ///
    /// # Safety
    ///
    /// The session must be valid.
    pub(crate) unsafe fn from_ptr(session: *mut SSL_SESSION, is_shared: bool) -> Option<Self> {
        let session = NonNull::new(session)?;
        if is_shared {
            // SAFETY: as the caller promises.
            unsafe { SSL_SESSION_up_ref(session.as_ptr()) };
        }
        Some(Self(session))
    }

    /// The session, with the reference that the caller must give on or free.
    pub(crate) fn into_ptr(self) -> *mut SSL_SESSION {
        let session = self.0.as_ptr();
        core::mem::forget(self);
        session
    }

    /// The session, borrowed.
    pub(crate) fn as_ref(&self) -> SessionRef<'_> {
        SessionRef(self.0, core::marker::PhantomData)
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        // SAFETY: the session is valid, being referenced.
        unsafe { SSL_SESSION_up_ref(self.0.as_ptr()) };
        Self(self.0)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the reference is this value's own.
        unsafe { SSL_SESSION_free(self.0.as_ptr()) };
    }
}

/// A session that somebody else holds.
#[derive(Clone, Copy)]
pub(crate) struct SessionRef<'a>(NonNull<SSL_SESSION>, core::marker::PhantomData<&'a Session>);

impl<'a> SessionRef<'a> {
    /// # Safety
    ///
    /// The session must stay valid for `'a`.
    pub(crate) unsafe fn from_ptr(session: *mut SSL_SESSION) -> Option<Self> {
        NonNull::new(session).map(|session| Self(session, core::marker::PhantomData))
    }

    pub(crate) fn as_ptr(self) -> *mut SSL_SESSION {
        self.0.as_ptr()
    }

    /// The session's id: the name that a client offers it by.
    pub(crate) fn id(self) -> &'a [u8] {
        let mut len: c_uint = 0;
        // SAFETY: the session is valid, and keeps its id for as long as it lives.
        unsafe {
            let id = SSL_SESSION_get_id(self.as_ptr(), &mut len);
            slice::from_raw_parts(id, (len as usize).min(MAX_ID))
        }
    }

    /// The context that the session was made in (SSL_CTX_set_session_id_context(3)).
    pub(crate) fn id_context(self) -> &'a [u8] {
        let mut len: c_uint = 0;
        // SAFETY: the session is valid, and keeps its context for as long as it lives, unless it is
        // given another, which nothing does meanwhile.
        unsafe {
            let context = SSL_SESSION_get0_id_context(self.as_ptr(), &mut len);
            slice::from_raw_parts(context, len as usize)
        }
    }

    /// The version of TLS that it was made with.
    pub(crate) fn version(self) -> c_int {
        // SAFETY: the session is valid.
        unsafe { SSL_SESSION_get_protocol_version(self.as_ptr()) }
    }

    /// Whether it was made with TLS 1.3.
    pub(crate) fn is_tls13(self) -> bool {
        self.version() == TLS1_3_VERSION as c_int
    }

    /// Whether its connections compress.
    pub(crate) fn compresses(self) -> bool {
        // SAFETY: the session is valid.
        unsafe { SSL_SESSION_get_compress_id(self.as_ptr()) != 0 }
    }

    /// The name of the server that the client asked for; empty without one.
    pub(crate) fn server_name(self) -> &'a [u8] {
        // SAFETY: the session is valid, and keeps its name, a C string, for as long as it lives.
        unsafe {
            let name = SSL_SESSION_get0_hostname(self.as_ptr());
            if name.is_null() {
                return &[];
            }
            CStr::from_ptr(name).to_bytes()
        }
    }

    /// The Unix time at which the session is no longer resumed, in seconds.
    pub(crate) fn expires(self) -> i64 {
        // SAFETY: the session is valid.
        unsafe {
            let start = SSL_SESSION_get_time(self.as_ptr()) as i64;
            start.saturating_add(SSL_SESSION_get_timeout(self.as_ptr()) as i64)
        }
    }

    /// Writes the ASN.1 form to the front of the buffer and returns its length; `None` where it
    /// does not fit.
    pub(crate) fn encode(self, buffer: &mut [u8]) -> Option<usize> {
        // SAFETY: the session is valid; without an output the length is told, and nothing written.
        let len = unsafe { i2d_SSL_SESSION(self.as_ptr(), ptr::null_mut()) };
        let len = usize::try_from(len).ok()?;
        let mut output = buffer.get_mut(..len)?.as_mut_ptr();
        // SAFETY: the output has room for the length just told.
        unsafe { i2d_SSL_SESSION(self.as_ptr(), &mut output) };
        Some(len)
    }
}

/// The longest session id, in bytes.
pub(crate) const MAX_ID: usize = SSL_MAX_SSL_SESSION_ID_LENGTH as usize;

/// Whether a pointer that OpenSSL keeps for us is there.
pub(crate) fn non_null<T>(pointer: *mut c_void) -> Option<NonNull<T>> {
    NonNull::new(pointer.cast())
}

/// An index for data of ours in OpenSSL's objects of one class (CRYPTO_get_ex_new_index(3)).
///
/// The functions stay where they are: the module is linked with `-z nodelete`, as OpenSSL keeps
/// their addresses for the life of the process, beyond a reload that drops the module.
pub(crate) fn new_index(class: u32, dup: CRYPTO_EX_dup, free: CRYPTO_EX_free) -> c_int {
    // SAFETY: as above.
    unsafe { CRYPTO_get_ex_new_index(class as c_int, 0, ptr::null_mut(), None, dup, free) }
}
