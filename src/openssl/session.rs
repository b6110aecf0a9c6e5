//! Sessions: referenced, or borrowed.

use core::ffi::{c_int, c_long, c_uint, CStr};
use core::ptr::{self, NonNull};
use core::slice;

use nginx_sys::{
    d2i_SSL_SESSION, i2d_SSL_SESSION, SSL_SESSION_free, SSL_SESSION_get0_hostname,
    SSL_SESSION_get0_id_context, SSL_SESSION_get_compress_id, SSL_SESSION_get_id,
    SSL_SESSION_get_protocol_version, SSL_SESSION_get_time, SSL_SESSION_get_timeout,
    SSL_SESSION_new, SSL_SESSION_set1_id, SSL_SESSION_set_time, SSL_SESSION_set_timeout,
    SSL_SESSION_up_ref, SSL_MAX_SSL_SESSION_ID_LENGTH, SSL_SESSION, TLS1_3_VERSION,
};

use crate::openssl::clear_errors;

/// The longest session id, in bytes.
pub(crate) const MAX_ID: usize = SSL_MAX_SSL_SESSION_ID_LENGTH as usize;

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

/// When a session was made, as a Unix time, and for how long it can be resumed, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Lifetime {
    start: i64,
    timeout: i64,
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
        let Lifetime { start, timeout } = self.lifetime();
        start.saturating_add(timeout)
    }

    pub(crate) fn lifetime(self) -> Lifetime {
        // SAFETY: the session is valid.
        unsafe {
            Lifetime {
                start: SSL_SESSION_get_time(self.as_ptr()) as i64,
                timeout: SSL_SESSION_get_timeout(self.as_ptr()) as i64,
            }
        }
    }

    pub(crate) fn set_lifetime(self, Lifetime { start, timeout }: Lifetime) {
        // SAFETY: the session is valid, and used on this one thread.
        unsafe {
            SSL_SESSION_set_time(self.as_ptr(), start as c_long);
            SSL_SESSION_set_timeout(self.as_ptr(), timeout as c_long);
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
