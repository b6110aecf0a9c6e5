//! Holds a ClientHello back until the session that it offers has been looked up.
//!
//! A stock nginx knows a handshake that waits for the client, and none that waits for anything
//! else. So that is what it sees: a filter between the socket and OpenSSL reads the ClientHello,
//! begins the lookups that OpenSSL is going to ask for, and has nothing to read until they have
//! ended. Then OpenSSL gets all bytes as they came, and the get callback has the answers at hand.
//!
//! What cannot be read as a ClientHello is none of the gate's business, and goes on as it is.

use std::rc::Rc;
use std::sync::OnceLock;

use ssl_session_cache_core::{ClientHello, Opening, OpeningReader};

use crate::handshake::bio::{Filter, Given, Method, Read, Room, Source};
use crate::handshake::first::{First, State};
use crate::handshake::SessionCache;

/// So many bytes are held for one client: a ClientHello, and early data behind it, of which nginx
/// allows 16 KB. Where there is more, the handshake goes on without what was not found by then.
const MAX_HELD: usize = 32 * 1024;

static METHOD: OnceLock<Option<Method<First>>> = OnceLock::new();

/// Prepares for gates, before the first handshake.
pub(super) fn prepare() {
    METHOD.get_or_init(|| Method::new(c"ClientHello gate"));
}

/// What a gate holds of the client's bytes.
#[derive(Default)]
pub(super) struct Gate {
    held: Vec<u8>,
    /// How many bytes at the front of `held` OpenSSL has read.
    supplied: usize,
    reader: OpeningReader,
    /// The ClientHello is incomplete below so many bytes.
    until: usize,
}

impl Gate {
    /// Puts a gate in front of the socket: a handshake begins.
    pub(super) fn install(first: &Rc<First>) {
        if let (Some(Some(method)), true) = (METHOD.get(), first.ssl().reads_a_stream()) {
            method.insert(first.ssl(), first);
        }
    }

    /// Takes the gate away once it has let everything through: OpenSSL then reads from the socket
    /// itself again. Not to be called while OpenSSL reads.
    pub(super) fn remove_if_empty(first: &First) {
        if let (Some(Some(method)), true) = (METHOD.get(), first.gate.borrow().is_empty(first)) {
            method.remove(first.ssl());
        }
    }

    fn is_empty(&self, first: &First) -> bool {
        matches!(first.state(), State::Passed | State::Done) && self.supplied == self.held.len()
    }

    /// Looks at what has come, and begins the lookups of a complete ClientHello.
    fn examine(&mut self, first: &First) {
        let body = match self.reader.read(&self.held, MAX_HELD) {
            Opening::Partial(until) => {
                self.until = until;
                return;
            }
            Opening::Other => return first.pass(),
            Opening::ClientHello(body) => body,
        };
        if let (Some(hello), Some(cache)) =
            (ClientHello::parse(body), SessionCache::of_ssl(first.ssl()))
        {
            first.look_ahead(cache, hello.session_ids(cache.abilities()));
        }
        if !first.waits() {
            first.pass();
        }
    }

    /// Reads until there is nothing to read now, or nothing to wait for any more.
    fn hold(&mut self, first: &First, source: &Source<'_>) -> Result<(), Given> {
        loop {
            let is_answered = first.state() == State::Waiting && !first.waits();
            if is_answered || self.held.len() >= MAX_HELD {
                first.pass();
            }
            if matches!(first.state(), State::Passed | State::Done) {
                return Ok(());
            }
            // Also while lookups are under way: what is left in the socket would wake a
            // level-triggered event method again and again, and the client's end goes unseen.
            match source.read(&mut self.held, MAX_HELD) {
                Read::More => {}
                Read::Retry => return Err(Given::Nothing),
                Read::End(result) => return Err(Given::End(result)),
            }
            if first.state() == State::Begun && self.held.len() >= self.until.max(1) {
                self.examine(first);
            }
        }
    }
}

impl Filter for First {
    fn read(&self, source: Source<'_>, room: Room<'_>) -> Given {
        let gate = &mut *self.gate.borrow_mut();
        if let Err(given) = gate.hold(self, &source) {
            return given;
        }
        let held = &gate.held[gate.supplied..];
        if held.is_empty() {
            *gate = Gate::default();
            return Given::Source;
        }
        let count = room.fill(held);
        if count < held.len() {
            // OpenSSL may stop in the midst of them, and the socket says nothing of what is here.
            self.ssl().post_read_event();
        }
        gate.supplied += count;
        Given::Held(count)
    }
}
