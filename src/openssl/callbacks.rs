//! What OpenSSL calls for the sessions of an SSL_CTX: who is called is a type of this module's, in
//! front of what was there before.

use core::ffi::{c_int, c_uchar, c_uint};
use core::{ptr, slice};

use nginx_sys::{
    SSL_CTX_get_info_callback, SSL_CTX_sess_get_get_cb, SSL_CTX_sess_get_new_cb,
    SSL_CTX_sess_get_remove_cb, SSL_CTX_sess_set_get_cb, SSL_CTX_sess_set_new_cb,
    SSL_CTX_sess_set_remove_cb, SSL_CTX_set_generate_session_id, SSL_CTX_set_info_callback,
    SSL_set_info_callback, SSL, SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY, SSL_CB_ALERT, SSL_CB_EXIT,
    SSL_CB_HANDSHAKE_DONE, SSL_CB_HANDSHAKE_START, SSL_CB_WRITE, SSL_CTX, SSL_SESSION,
};

use crate::openssl::{clear_errors, Session, SessionRef, Ssl, SslCtx};

/// Who is called.
pub(crate) trait Callbacks: Steps {
    /// A session was made; true where a reference to it was taken over, which only a callback that
    /// was there before can do (SSL_CTX_sess_set_new_cb(3)).
    fn session_made(ssl: Ssl<'_>, session: SessionRef<'_>) -> bool;

    /// A client offers a session.
    fn session_offered(ssl: Ssl<'_>, id: &[u8]) -> Option<Session>;

    /// OpenSSL drops a session, for its age or for an error.
    fn session_dropped(ctx: SslCtx, session: SessionRef<'_>);

    /// A session needs an id, which fills the room; false where there is none.
    fn session_id(ssl: Ssl<'_>, room: &mut [u8]) -> bool;
}

/// Who is told of steps.
pub(crate) trait Steps {
    /// A handshake starts, ends, or takes a step.
    fn stepped(ssl: Ssl<'_>, step: Step);
}

/// What the info callback tells (SSL_CTX_set_info_callback(3)).
#[derive(Clone, Copy)]
pub(crate) struct Step {
    event: c_int,
    value: c_int,
}

impl Step {
    pub(crate) fn is_start(self) -> bool {
        self.is(SSL_CB_HANDSHAKE_START)
    }

    pub(crate) fn is_end(self) -> bool {
        self.is(SSL_CB_HANDSHAKE_DONE)
    }

    /// OpenSSL can do no more for now, or has done all.
    pub(crate) fn is_exit(self) -> bool {
        self.is(SSL_CB_EXIT)
    }

    /// Our close_notify has been written.
    pub(crate) fn is_close_notify(self) -> bool {
        let written = (SSL_CB_ALERT | SSL_CB_WRITE) as c_int;
        self.event & written == written
            && self.value == ((SSL3_AL_WARNING << 8) | SSL_AD_CLOSE_NOTIFY) as c_int
    }

    fn is(self, kind: u32) -> bool {
        self.event & kind as c_int != 0
    }
}

/// The callbacks of an SSL_CTX before ours.
pub(crate) struct SessionCallbacks {
    new: Option<unsafe extern "C" fn(*mut SSL, *mut SSL_SESSION) -> c_int>,
    get: Option<
        unsafe extern "C" fn(*mut SSL, *const c_uchar, c_int, *mut c_int) -> *mut SSL_SESSION,
    >,
    remove: Option<unsafe extern "C" fn(*mut SSL_CTX, *mut SSL_SESSION)>,
}

impl SessionCallbacks {
    /// Those of an SSL_CTX now.
    pub(crate) fn of(ctx: SslCtx) -> Self {
        // SAFETY: the SSL_CTX is valid.
        unsafe {
            Self {
                new: SSL_CTX_sess_get_new_cb(ctx.as_ptr()),
                get: SSL_CTX_sess_get_get_cb(ctx.as_ptr()),
                remove: SSL_CTX_sess_get_remove_cb(ctx.as_ptr()),
            }
        }
    }

    /// Whether anybody is told of sessions that are made.
    pub(crate) fn take_sessions(&self) -> bool {
        self.new.is_some()
    }

    /// A session was made; true where a reference to it was taken over.
    pub(crate) fn put(&self, ssl: Ssl<'_>, session: SessionRef<'_>) -> bool {
        // SAFETY: the SSL and the session are valid.
        self.new.is_some_and(|new| unsafe { new(ssl.as_ptr(), session.as_ptr()) } != 0)
    }

    /// Looks a session up.
    pub(crate) fn get(&self, ssl: Ssl<'_>, id: &[u8]) -> Option<Session> {
        let get = self.get?;
        let mut is_shared = 1;
        // SAFETY: the SSL is valid, and so is the id. The session is ours unless the callback says
        // that it keeps it.
        let session = unsafe {
            let session = get(ssl.as_ptr(), id.as_ptr(), id.len() as c_int, &mut is_shared);
            Session::from_ptr(session, is_shared != 0)
        };
        if session.is_none() {
            // What failed to decode must not be taken for an error of this handshake.
            clear_errors();
        }
        session
    }

    /// A session was dropped.
    pub(crate) fn remove(&self, ctx: SslCtx, session: SessionRef<'_>) {
        if let Some(remove) = self.remove {
            // SAFETY: the SSL_CTX and the session are valid.
            unsafe { remove(ctx.as_ptr(), session.as_ptr()) };
        }
    }
}

/// An info callback, or none.
#[derive(Clone, Copy)]
pub(crate) struct InfoCallback(Option<unsafe extern "C" fn(*const SSL, c_int, c_int)>);

impl InfoCallback {
    /// Ours.
    pub(crate) fn ours<S: Steps>() -> Self {
        Self(Some(info::<S>))
    }

    /// That of an SSL_CTX now.
    pub(crate) fn of(ctx: SslCtx) -> Self {
        // SAFETY: the SSL_CTX is valid.
        Self(unsafe { SSL_CTX_get_info_callback(ctx.as_ptr()) })
    }

    /// Has an SSL call it, whatever its SSL_CTX says.
    pub(crate) fn set(self, ssl: Ssl<'_>) {
        // SAFETY: the SSL is valid, and the function has the type that OpenSSL asks for.
        unsafe { SSL_set_info_callback(ssl.as_ptr(), self.0) };
    }

    /// Calls it, if there is one.
    pub(crate) fn call(self, ssl: Ssl<'_>, step: Step) {
        if let Some(callback) = self.0 {
            // SAFETY: the SSL is valid, and the arguments are OpenSSL's own.
            unsafe { callback(ssl.as_ptr(), step.event, step.value) };
        }
    }
}

impl SslCtx {
    /// Has OpenSSL call a type of ours (SSL_CTX_sess_set_get_cb(3)); for ids only where it mints
    /// them.
    pub(crate) fn set_callbacks<C: Callbacks>(self, mints_ids: bool) {
        let ctx = self.as_ptr();
        // SAFETY: the SSL_CTX is valid; the functions have the types that OpenSSL asks for.
        unsafe {
            SSL_CTX_sess_set_new_cb(ctx, Some(new_session::<C>));
            SSL_CTX_sess_set_get_cb(ctx, Some(get_session::<C>));
            SSL_CTX_sess_set_remove_cb(ctx, Some(remove_session::<C>));
            SSL_CTX_set_info_callback(ctx, Some(info::<C>));
            if mints_ids {
                SSL_CTX_set_generate_session_id(ctx, Some(generate_session_id::<C>));
            }
        }
    }
}

unsafe extern "C" fn new_session<C: Callbacks>(ssl: *mut SSL, session: *mut SSL_SESSION) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL and session.
    let (Some(ssl), Some(session)) =
        (unsafe { Ssl::from_ptr(ssl) }, unsafe { SessionRef::from_ptr(session) })
    else {
        return 0;
    };
    C::session_made(ssl, session).into()
}

unsafe extern "C" fn get_session<C: Callbacks>(
    ssl: *mut SSL,
    id: *const c_uchar,
    len: c_int,
    copy: *mut c_int,
) -> *mut SSL_SESSION {
    // SAFETY: OpenSSL passes a valid SSL, an id of `len` bytes, and a place for a flag: zero, as
    // the reference returned here is the caller's.
    let (ssl, id) = unsafe {
        *copy = 0;
        let id = slice::from_raw_parts(id, usize::try_from(len).unwrap_or(0));
        let Some(ssl) = Ssl::from_ptr(ssl) else { return ptr::null_mut() };
        (ssl, id)
    };
    C::session_offered(ssl, id).map_or(ptr::null_mut(), Session::into_ptr)
}

unsafe extern "C" fn remove_session<C: Callbacks>(ctx: *mut SSL_CTX, session: *mut SSL_SESSION) {
    // SAFETY: OpenSSL passes a valid SSL_CTX and session.
    let (Some(ctx), Some(session)) =
        (unsafe { SslCtx::from_ptr(ctx) }, unsafe { SessionRef::from_ptr(session) })
    else {
        return;
    };
    C::session_dropped(ctx, session);
}

unsafe extern "C" fn generate_session_id<C: Callbacks>(
    ssl: *mut SSL,
    id: *mut c_uchar,
    len: *mut c_uint,
) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL, and room for as many bytes as `len` says.
    let (ssl, id) = unsafe { (Ssl::from_ptr(ssl), slice::from_raw_parts_mut(id, (*len) as usize)) };
    ssl.is_some_and(|ssl| C::session_id(ssl, id)).into()
}

unsafe extern "C" fn info<S: Steps>(ssl: *const SSL, event: c_int, value: c_int) {
    // SAFETY: OpenSSL passes a valid SSL.
    if let Some(ssl) = unsafe { Ssl::from_ptr(ssl) } {
        S::stepped(ssl, Step { event, value });
    }
}
