//! Holds a ClientHello back until the session that it offers has been looked up.
//!
//! A stock nginx knows a handshake that waits for the client, and none that waits for anything
//! else. So that is what it sees: a filter between the socket and OpenSSL reads the ClientHello,
//! has the lookups begun that OpenSSL is going to ask for, and gives nothing to read until they
//! have ended. Then OpenSSL gets all bytes as they came, and the get callback has the answers at
//! hand.
//!
//! What cannot be read as a ClientHello is none of the gate's business, and goes on as it is.

use ssl_session_cache_core::hello::{ClientHello, Opening, OpeningReader};

use crate::openssl::{Given, Read, Room, Source};

/// So many bytes are held for one client: a ClientHello, and early data behind it, of which nginx
/// allows 16 KB. Where there is more, the handshake goes on without what was not found by then.
const MAX_HELD: usize = 32 * 1024;

/// The handshake that a gate holds back.
pub(in crate::handshake) trait Held {
    /// The ClientHello is complete, and well-formed: begins the lookups of what it offers.
    fn offers(&self, hello: ClientHello<'_>);

    /// Whether the ClientHello has not been let through.
    fn is_held(&self) -> bool;

    /// Whether a lookup is under way.
    fn waits(&self) -> bool;

    /// All goes through from now on.
    fn pass(&self);

    /// Has nginx go on with the handshake in this turn of the event loop.
    fn wake(&self);
}

/// What a gate holds of the client's bytes.
#[derive(Default)]
pub(in crate::handshake) struct Gate {
    held: Vec<u8>,
    /// How many bytes at the front of `held` OpenSSL has read.
    supplied: usize,
    reader: OpeningReader,
    /// The ClientHello is incomplete below so many bytes.
    until: usize,
    /// Whether it is complete.
    is_complete: bool,
}

impl Gate {
    /// Whether OpenSSL has read all that was held.
    pub(in crate::handshake) fn is_empty(&self) -> bool {
        self.supplied == self.held.len()
    }

    /// OpenSSL reads.
    pub(in crate::handshake) fn read(
        &mut self,
        of: &impl Held,
        source: &Source<'_>,
        room: Room<'_>,
    ) -> Given {
        if of.is_held() {
            if let Err(given) = self.hold(of, source) {
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
            of.wake();
        }
        self.supplied += count;
        Given::Held(count)
    }

    /// Reads until there is nothing to read now, or nothing to wait for any more.
    fn hold(&mut self, of: &impl Held, source: &Source<'_>) -> Result<(), Given> {
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
                self.examine(of);
                if self.is_complete && of.waits() {
                    return Err(Given::Nothing);
                }
            }
        }
    }

    /// Looks at what has come.
    fn examine(&mut self, of: &impl Held) {
        self.is_complete = true;
        match self.reader.read(&self.held, MAX_HELD) {
            Opening::Partial(until) => {
                self.until = until;
                self.is_complete = false;
            }
            Opening::ClientHello(body) => {
                if let Some(hello) = ClientHello::parse(body) {
                    of.offers(hello);
                }
            }
            Opening::Other => {}
        }
    }
}
