//! Holds a ClientHello back until the session that it offers has been looked up.
//!
//! A stock nginx knows a handshake that waits for the client, and none that waits for anything
//! else. So that is what it sees: a filter between the socket and OpenSSL reads the ClientHello,
//! has the lookups begun that OpenSSL is going to ask for, and gives nothing to read until they
//! have ended. Then OpenSSL gets all bytes as they came, and the get callback has the answers at
//! hand.
//!
//! What cannot be read as a ClientHello is none of the gate's business, and goes on as it is.

use core::cell::RefCell;
use std::rc::Rc;

use ssl_session_cache_core::hello::{ClientHello, Opening, OpeningReader};

use crate::handshake::suspend::hold::{Held, Hold};
use crate::nginx::Connection;
use crate::openssl::{Bound, Filter, Given, Method, Read, Room, Source, Ssl};

/// So many bytes are held for one client: a ClientHello, and early data behind it, of which nginx
/// allows 16 KB. Where there is more, the handshake goes on without what was not found by then.
const MAX_HELD: usize = 32 * 1024;

/// What of a client's bytes is held back, as long as there is a gate in front of the socket.
#[derive(Default)]
pub(in crate::handshake) struct Gate(RefCell<Option<Bytes>>);

/// A handshake that a gate may hold back.
pub(in crate::handshake) trait Gated: Held + Sized + 'static {
    /// What puts gates in front of sockets; `None` without memory.
    fn gates() -> Option<&'static Method<Bound<Self>>>;

    /// The gate that holds the handshake back, if that is the way.
    fn gate(&self) -> Option<&Gate>;
}

/// What a gate holds of the client's bytes.
#[derive(Default)]
struct Bytes {
    held: Vec<u8>,
    /// How many bytes at the front of `held` OpenSSL has read.
    supplied: usize,
    reader: OpeningReader,
    /// The ClientHello is incomplete below so many bytes.
    until: usize,
    /// Whether it is complete.
    is_complete: bool,
}

impl<H: Gated> Hold<H> for Gate {
    fn begin(&self, ssl: Ssl<'_>, handshake: &Rc<Bound<H>>) {
        // Over QUIC, OpenSSL reads from no BIO.
        let is_tcp = Connection::of(ssl).is_some_and(Connection::is_tcp);
        if let (Some(method), true) = (H::gates(), is_tcp) {
            self.0.replace(Some(Bytes::default()));
            method.insert(ssl, handshake);
        }
    }

    /// A gate that has let everything through goes, and OpenSSL reads from the socket itself again.
    fn stepped(&self, ssl: Ssl<'_>, handshake: &H) -> bool {
        let is_through = |bytes: &Bytes| !handshake.is_held() && bytes.is_empty();
        if self.0.borrow().as_ref().is_some_and(is_through) {
            if let Some(method) = H::gates() {
                method.remove(ssl);
                self.0.take();
            }
        }
        self.0.borrow().is_none()
    }
}

impl<H: Gated> Filter for Bound<H> {
    fn read(&self, source: Source<'_>, room: Room<'_>) -> Given {
        let Some(gate) = self.gate() else { return Given::Source };
        let read = |ssl: Ssl<'_>| match &mut *gate.0.borrow_mut() {
            Some(bytes) => bytes.read(ssl, &**self, &source, room),
            None => Given::Source,
        };
        self.with_ssl(read).unwrap_or(Given::Source)
    }
}

impl Bytes {
    /// Whether OpenSSL has read all that was held.
    fn is_empty(&self) -> bool {
        self.supplied == self.held.len()
    }

    /// OpenSSL reads.
    fn read(&mut self, ssl: Ssl<'_>, of: &impl Held, source: &Source<'_>, room: Room<'_>) -> Given {
        if of.is_held() {
            if let Err(given) = self.hold(ssl, of, source) {
                return given;
            }
        }
        let held = &self.held[self.supplied..];
        if held.is_empty() {
            *self = Self::default();
            return Given::Source;
        }
        let count = room.fill(held);
        if count < held.len() {
            // OpenSSL may stop in the midst of them, and the socket says nothing of what is here.
            if let Some(connection) = Connection::of(ssl) {
                connection.post_read_event();
            }
        }
        self.supplied += count;
        Given::Held(count)
    }

    /// Reads until there is nothing to read now, or nothing to wait for any more.
    fn hold(&mut self, ssl: Ssl<'_>, of: &impl Held, source: &Source<'_>) -> Result<(), Given> {
        loop {
            if (self.is_complete && !of.waits()) || self.held.len() >= MAX_HELD {
                of.pass();
                return Ok(());
            }
            // Also while lookups are under way: what is left in the socket would wake a
            // level-triggered event method again and again, and the client's end goes unseen.
            match source.read(&mut self.held, MAX_HELD) {
                Read::More => {}
                Read::Retry => return Err(Given::Nothing),
                Read::End(result) => return Err(Given::End(result)),
            }
            if !self.is_complete && self.held.len() >= self.until.max(1) {
                self.examine(ssl, of);
                if self.is_complete && of.waits() {
                    return Err(Given::Nothing);
                }
            }
        }
    }

    /// Looks at what has come.
    fn examine(&mut self, ssl: Ssl<'_>, of: &impl Held) {
        self.is_complete = true;
        match self.reader.read(&self.held, MAX_HELD) {
            Opening::Partial(until) => {
                self.until = until;
                self.is_complete = false;
            }
            Opening::ClientHello(body) => {
                if let Some(hello) = ClientHello::parse(body) {
                    of.offers(ssl, hello);
                }
            }
            Opening::Other => {}
        }
    }
}
