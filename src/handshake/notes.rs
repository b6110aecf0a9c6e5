//! What is known of a session beside what OpenSSL knows: kept with the SSL_SESSION.
//!
//! - A session is ours where a handshake has made it, or has resumed it from the cache to its end.
//!   No other is deleted when OpenSSL drops it: who has seen an id on the wire can offer it, or send
//!   it beside a ticket that holds a session of his own, and have his handshake fail.
//! - A handshake with TLS 1.3 makes several sessions, one for each ticket, of which OpenSSL knows
//!   the last one alone. Where nginx drops that, as it does with a client certificate that it
//!   refuses, the others are to go as well: each session keeps the ids of those made before it.

use std::rc::Rc;

use nginx_sys::SSL_SESSION;

use crate::handshake::lookup::SessionId;
use crate::openssl::{Data, SessionRef, Slot};

/// The notes of sessions.
static NOTES: Slot<SSL_SESSION, Note> = Slot::new();

/// What is kept with a session that is ours.
enum Note {
    /// Nothing goes with it.
    Alone,
    /// The ids of the sessions that one handshake has resumed and made, its own among them.
    Among(Vec<SessionId>),
}

impl Data for Note {
    /// OpenSSL copies a session for the next ticket: the copy is not ours before it is made.
    fn copied(self: &Rc<Self>) -> Option<Rc<Self>> {
        match **self {
            Self::Alone => None,
            Self::Among(_) => Some(Rc::clone(self)),
        }
    }
}

/// The session is ours.
pub(super) fn own(session: SessionRef<'_>) {
    thread_local! {
        /// Mostly nothing goes with a session: all of those share one note.
        static ALONE: Rc<Note> = Rc::new(Note::Alone);
    }
    if NOTES.get(session).is_none() {
        NOTES.set(session, ALONE.with(Rc::clone));
    }
}

/// The session is ours, and so are those that its handshake has made before it, and the one that it
/// has resumed.
pub(super) fn own_with_others(session: SessionRef<'_>, resumed: Option<SessionId>) {
    let own = SessionId::new(session.id());
    let ids = match NOTES.get(session).as_deref() {
        Some(Note::Among(made)) => made.iter().copied().chain([own]).collect(),
        Some(Note::Alone) | None => resumed.into_iter().chain([own]).collect(),
    };
    NOTES.set(session, Rc::new(Note::Among(ids)));
}

/// The session is not ours any more: what becomes of its connection says nothing of it.
pub(super) fn disown(session: SessionRef<'_>) {
    NOTES.clear(session);
}

/// The ids of the sessions that go with this one; none where it is not ours.
pub(super) fn owned(session: SessionRef<'_>) -> Vec<SessionId> {
    match NOTES.get(session).as_deref() {
        Some(Note::Alone) => vec![SessionId::new(session.id())],
        Some(Note::Among(ids)) => ids.clone(),
        None => Vec::new(),
    }
}
