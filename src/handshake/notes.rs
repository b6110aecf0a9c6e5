//! What is known of a session beside what OpenSSL knows: kept with the SSL_SESSION.
//!
//! - A session is ours where a handshake has made it, or has resumed it from the cache to its end.
//!   No other is deleted when OpenSSL drops it: who has seen an id on the wire can offer it, or send
//!   it beside a ticket that holds a session of his own, and have his handshake fail.
//! - A handshake with TLS 1.3 makes several sessions, one for each ticket, of which OpenSSL knows
//!   the last one alone. Where nginx drops that, as it does with a client certificate that it
//!   refuses, the others are to go as well: each session keeps the ids of those made before it.

use core::ffi::{c_int, c_long, c_void};
use core::{mem, ptr};
use std::sync::OnceLock;

use nginx_sys::{
    CRYPTO_EX_dup, SSL_SESSION_get_ex_data, SSL_SESSION_set_ex_data, CRYPTO_EX_DATA,
    CRYPTO_EX_INDEX_SSL_SESSION,
};

use crate::handshake::lookup::SessionId;
use crate::openssl::{new_index, SessionRef};

/// What the index holds for a session that is ours and alone: the address of no list.
const OURS: *mut c_void = ptr::null_mut::<u8>().wrapping_add(1).cast();

/// The ids of the sessions that one handshake has resumed and made.
#[derive(Clone, Default)]
struct Made(Vec<SessionId>);

/// The session is ours.
pub(super) fn own(session: SessionRef<'_>) {
    if get(session).is_null() {
        set(session, OURS);
    }
}

/// The session is ours, and so are those that its handshake has made before it, and the one that it
/// has resumed.
pub(super) fn own_with_others(session: SessionRef<'_>, resumed: Option<SessionId>) {
    let mut made = list(session);
    if made.is_null() {
        made = Box::into_raw(Box::default());
        if !set(session, made.cast()) {
            // SAFETY: nothing else refers to the list.
            drop(unsafe { Box::from_raw(made) });
            return;
        }
    }
    // SAFETY: the list is this session's own, and nothing else uses it now.
    let ids = &mut unsafe { &mut *made }.0;
    if ids.is_empty() {
        ids.extend(resumed);
    }
    ids.push(SessionId::new(session.id()));
}

/// The ids of the sessions that go with this one; none where it is not ours.
pub(super) fn owned(session: SessionRef<'_>) -> Vec<SessionId> {
    if get(session) == OURS {
        return vec![SessionId::new(session.id())];
    }
    // SAFETY: the list is null or this session's own, and nothing writes to it now.
    unsafe { list(session).as_ref() }.map_or_else(Vec::new, |made| made.0.clone())
}

fn list(session: SessionRef<'_>) -> *mut Made {
    match get(session) {
        OURS => ptr::null_mut(),
        made => made.cast(),
    }
}

fn get(session: SessionRef<'_>) -> *mut c_void {
    // SAFETY: the session is valid.
    unsafe { SSL_SESSION_get_ex_data(session.as_ptr(), index()) }
}

/// False without memory.
fn set(session: SessionRef<'_>, note: *mut c_void) -> bool {
    // SAFETY: the session is valid, and the note is what dup() and free() expect.
    unsafe { SSL_SESSION_set_ex_data(session.as_ptr(), index(), note) != 0 }
}

/// The index of our data in an SSL_SESSION: null, `OURS`, or a box of `Made`.
fn index() -> c_int {
    static INDEX: OnceLock<c_int> = OnceLock::new();
    *INDEX.get_or_init(|| {
        // SAFETY: the types differ in how the headers of OpenSSL 1.1.1 and 3 declare the third
        // argument, a pointer to the data (CRYPTO_get_ex_new_index(3)).
        let dup = unsafe { mem::transmute::<DupData, CRYPTO_EX_dup>(dup) };
        new_index(CRYPTO_EX_INDEX_SSL_SESSION, dup, Some(free))
    })
}

type DupData = unsafe extern "C" fn(
    *mut CRYPTO_EX_DATA,
    *const CRYPTO_EX_DATA,
    *mut *mut c_void,
    c_int,
    c_long,
    *mut c_void,
) -> c_int;

/// OpenSSL copies a session, for the next ticket: the copy is not ours before it is made.
unsafe extern "C" fn dup(
    _to: *mut CRYPTO_EX_DATA,
    _from: *const CRYPTO_EX_DATA,
    note: *mut *mut c_void,
    _index: c_int,
    _argl: c_long,
    _argp: *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL passes a place with what the index holds, where the copy's is to be put.
    unsafe {
        *note = match *note {
            OURS => ptr::null_mut(),
            made => made
                .cast::<Made>()
                .as_ref()
                .map_or(ptr::null_mut(), |made| Box::into_raw(Box::new(made.clone())).cast()),
        };
    }
    1
}

unsafe extern "C" fn free(
    _session: *mut c_void,
    note: *mut c_void,
    _data: *mut CRYPTO_EX_DATA,
    _index: c_int,
    _argl: c_long,
    _argp: *mut c_void,
) {
    if !note.is_null() && note != OURS {
        // SAFETY: what else the index holds is a box that own_with_others() or dup() made.
        drop(unsafe { Box::from_raw(note.cast::<Made>()) });
    }
}
