//! What OpenSSL calls: each function here says in our own terms what has happened, and decides
//! nothing.
//!
//! They run inside a handshake, mostly on the small stack of an OpenSSL job (see `suspend`).

use core::ffi::{c_int, c_uchar, c_uint};
use core::{ptr, slice};
use std::sync::OnceLock;

use nginx_sys::{
    SSL_CTX_get_info_callback, SSL_CTX_sess_get_get_cb, SSL_CTX_sess_get_new_cb,
    SSL_CTX_sess_get_remove_cb, SSL_CTX_sess_set_get_cb, SSL_CTX_sess_set_new_cb,
    SSL_CTX_sess_set_remove_cb, SSL_CTX_set_generate_session_id, SSL_CTX_set_info_callback,
    SSL_set_info_callback, SSL, SSL_CB_HANDSHAKE_DONE, SSL_CB_HANDSHAKE_START, SSL_CTX,
    SSL_SESSION,
};

use crate::handshake::first::First;
use crate::handshake::{SessionCache, Suspension};
use crate::openssl::randomise;
use crate::openssl::{Session, SessionRef, Ssl, SslCtx};

/// The callbacks that were on an SSL_CTX before ours: nginx's, for `ssl_session_cache shared:`.
/// They stay in use as the tier of this machine.
pub(super) struct NginxCallbacks {
    new: Option<unsafe extern "C" fn(*mut SSL, *mut SSL_SESSION) -> c_int>,
    get: Option<
        unsafe extern "C" fn(*mut SSL, *const c_uchar, c_int, *mut c_int) -> *mut SSL_SESSION,
    >,
    remove: Option<unsafe extern "C" fn(*mut SSL_CTX, *mut SSL_SESSION)>,
}

/// The info callback that nginx sets, the same on every SSL_CTX of its servers.
static NGINX_INFO: OnceLock<Option<unsafe extern "C" fn(*const SSL, c_int, c_int)>> =
    OnceLock::new();

impl NginxCallbacks {
    pub(super) fn of(ctx: SslCtx) -> Self {
        // SAFETY: the SSL_CTX is valid.
        unsafe {
            Self {
                new: SSL_CTX_sess_get_new_cb(ctx.as_ptr()),
                get: SSL_CTX_sess_get_get_cb(ctx.as_ptr()),
                remove: SSL_CTX_sess_get_remove_cb(ctx.as_ptr()),
            }
        }
    }

    /// Puts a session into the tier of this machine; true where nginx took over a reference.
    pub(super) fn put(&self, ssl: Ssl, session: SessionRef<'_>) -> bool {
        // SAFETY: the SSL and the session are valid.
        self.new.is_some_and(|new| unsafe { new(ssl.as_ptr(), session.as_ptr()) } != 0)
    }

    /// Looks a session up in the tier of this machine.
    pub(super) fn get(&self, ssl: Ssl, id: &[u8]) -> Option<Session> {
        let get = self.get?;
        let mut is_shared = 1;
        // SAFETY: the SSL is valid, and so is the id. The session is ours unless the callback says
        // that it keeps it.
        unsafe {
            let session = get(ssl.as_ptr(), id.as_ptr(), id.len() as c_int, &mut is_shared);
            Session::from_ptr(session, is_shared != 0)
        }
    }

    /// Removes a session from the tier of this machine.
    pub(super) fn remove(&self, ctx: SslCtx, session: SessionRef<'_>) {
        if let Some(remove) = self.remove {
            // SAFETY: the SSL_CTX and the session are valid.
            unsafe { remove(ctx.as_ptr(), session.as_ptr()) };
        }
    }
}

/// Has OpenSSL call the functions here for an SSL_CTX (SSL_CTX_sess_set_get_cb(3)).
pub(super) fn set(ctx: SslCtx, mints_ids: bool) {
    let ctx = ctx.as_ptr();
    // SAFETY: the SSL_CTX is valid; the functions have the types that OpenSSL asks for.
    unsafe {
        SSL_CTX_sess_set_new_cb(ctx, Some(new_session));
        SSL_CTX_sess_set_get_cb(ctx, Some(get_session));
        SSL_CTX_sess_set_remove_cb(ctx, Some(remove_session));
        NGINX_INFO.get_or_init(|| SSL_CTX_get_info_callback(ctx));
        SSL_CTX_set_info_callback(ctx, Some(info));
        if mints_ids {
            SSL_CTX_set_generate_session_id(ctx, Some(mint_session_id));
        }
    }
}

/// A session was made.
///
/// Returns 1 only if nginx's callback took over the reference (SSL_CTX_sess_set_new_cb(3)).
unsafe extern "C" fn new_session(ssl: *mut SSL, session: *mut SSL_SESSION) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL and session.
    let (Some(ssl), Some(session)) =
        (unsafe { Ssl::from_ptr(ssl) }, unsafe { SessionRef::from_ptr(session) })
    else {
        return 0;
    };
    let Some(cache) = SessionCache::of_ssl(ssl) else { return 0 };
    cache.session_made(ssl, session);
    cache.nginx.put(ssl, session).into()
}

/// A client offers a session.
unsafe extern "C" fn get_session(
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
    let find = || First::of(ssl)?.find(SessionCache::of_ssl(ssl)?, id);
    find().map_or(ptr::null_mut(), Session::into_ptr)
}

/// OpenSSL drops a session, for its age or for an error.
unsafe extern "C" fn remove_session(ctx: *mut SSL_CTX, session: *mut SSL_SESSION) {
    // SAFETY: OpenSSL passes a valid SSL_CTX and session.
    let (Some(ctx), Some(session)) =
        (unsafe { SslCtx::from_ptr(ctx) }, unsafe { SessionRef::from_ptr(session) })
    else {
        return;
    };
    let Some(cache) = SessionCache::of(ctx) else { return };
    cache.session_dropped(session);
}

/// A session needs an id: one that any machine with the key knows for ours.
///
/// OpenSSL looks for the callback on the SSL, which has it from the SSL_CTX that it was made of:
/// that of the listening socket's default server, whatever name the client asks for. It compares
/// the id with its internal cache alone, which is empty here.
unsafe extern "C" fn mint_session_id(ssl: *mut SSL, id: *mut c_uchar, len: *mut c_uint) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL, and room for as many bytes as `len` says.
    let (ssl, id) = unsafe { (Ssl::from_ptr(ssl), slice::from_raw_parts_mut(id, (*len) as usize)) };
    match ssl.and_then(|ssl| SessionCache::of_ssl(ssl)?.records.mint(ssl)) {
        Some(minted) if minted.len() == id.len() => {
            id.copy_from_slice(&minted);
            1
        }
        // As OpenSSL does by itself. Such a session is not stored.
        _ => randomise(id).into(),
    }
}

/// A handshake starts, ends, or takes a step (SSL_CTX_set_info_callback(3)).
///
/// OpenSSL tells of a start for each renegotiation that a client asks for as well, also where it
/// then refuses it, and at the end of early data.
unsafe extern "C" fn info(ssl: *const SSL, event: c_int, value: c_int) {
    // SAFETY: OpenSSL passes a valid SSL.
    let Some(ssl) = (unsafe { Ssl::from_ptr(ssl) }) else { return };
    let is = |kind: u32| event & kind as c_int != 0;

    if is(SSL_CB_HANDSHAKE_START) && ssl.is_before_handshake() {
        if let Some(cache) = SessionCache::of_ssl(ssl) {
            // Kept on the SSL: a name of the client's may switch to an SSL_CTX without this one.
            // SAFETY: the SSL is valid.
            unsafe { SSL_set_info_callback(ssl.as_ptr(), Some(info)) };
            First::begin(ssl, cache);
        }
    } else if let Some(first) = First::of(ssl) {
        Suspension::stepped(first);
        if is(SSL_CB_HANDSHAKE_DONE) {
            if let Some(cache) = SessionCache::of_ssl(ssl) {
                first.finished(cache);
            }
        }
    }
    let nginx = NGINX_INFO.get().copied().flatten();
    if is(SSL_CB_HANDSHAKE_DONE) && ssl.is_established() {
        // Nothing that comes later is any concern of ours.
        // SAFETY: the SSL is valid.
        unsafe { SSL_set_info_callback(ssl.as_ptr(), nginx) };
    }
    if let Some(nginx) = nginx {
        // SAFETY: the arguments are OpenSSL's own.
        unsafe { nginx(ssl.as_ptr(), event, value) };
    }
}
