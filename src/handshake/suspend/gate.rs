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
use core::mem::MaybeUninit;

use ssl_session_cache_core::hello::{ClientHello, Opening, OpeningReader};

use crate::handshake::suspend::hold::{Held, Hold};
use crate::nginx::{Connection, Received};
use crate::openssl::{fill, Filter, Filters, Given, Ssl};

/// So many bytes are held for one client: a ClientHello, and early data behind it, of which nginx allows
/// 16 KB. Where there is more, the handshake goes on without what was not found by then.
const MAX_HELD: usize = 32 * 1024;

/// What of a client's bytes is held back, as long as there is a gate in front of the socket.
#[derive(Default)]
pub(in crate::handshake) struct Gate(RefCell<Bytes>);

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

impl Hold for Gate {
    fn begin<F: Filter>(&self, ssl: Ssl<'_>) {
        // Over QUIC, OpenSSL reads from no socket.
        if Connection::of(ssl).is_some_and(Connection::is_tcp) {
            F::with_filters(|filters: &Filters<F>| filters.insert(ssl));
        }
    }
}

impl Gate {
    /// OpenSSL reads.
    pub(in crate::handshake) fn read(
        &self,
        ssl: Ssl<'_>,
        of: &impl Held,
        room: &mut [MaybeUninit<u8>],
    ) -> Given {
        let Some(client) = Connection::of(ssl) else { return Given::Socket };
        self.0.borrow_mut().read(ssl, client, of, room)
    }
}

impl Bytes {
    fn read(
        &mut self,
        ssl: Ssl<'_>,
        client: Connection<'_>,
        of: &impl Held,
        room: &mut [MaybeUninit<u8>],
    ) -> Given {
        if of.is_held() {
            if let Err(given) = self.hold(ssl, client, of, room) {
                return given;
            }
        }
        let left = &self.held[self.supplied..];
        if left.is_empty() {
            *self = Self::default();
            return Given::Socket;
        }
        let count = fill(room, left);
        if count < left.len() {
            // OpenSSL may stop in the midst of them, and the socket says nothing of what is here.
            client.post_read_event();
        }
        self.supplied += count;
        Given::Held(count)
    }

    /// Reads until there is nothing to read now, or nothing to wait for any more.
    fn hold(
        &mut self,
        ssl: Ssl<'_>,
        client: Connection<'_>,
        of: &impl Held,
        room: &mut [MaybeUninit<u8>],
    ) -> Result<(), Given> {
        loop {
            if (self.is_complete && !of.waits()) || self.held.len() >= MAX_HELD {
                of.pass();
                return Ok(());
            }
            // Also while lookups are under way: what is left in the socket would wake a
            // level-triggered event method again and again, and the client's end goes unseen.
            let len = room.len().min(MAX_HELD - self.held.len());
            match client.receive(&mut room[..len]) {
                Received::Bytes(bytes) => self.held.extend_from_slice(bytes),
                Received::Nothing => return Err(Given::Nothing),
                // OpenSSL finds it there as well.
                Received::End => return Err(Given::Socket),
            }
            if !self.is_complete && self.held.len() >= self.until {
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
