//! Holds a ClientHello back until the session that it offers has been looked up.
//!
//! A stock nginx knows a handshake that waits for the client, and none that waits for anything
//! else. So that is what it sees: a filter between the socket and OpenSSL reads the ClientHello,
//! begins the lookups that OpenSSL is going to ask for, and has nothing to read until they have
//! ended. Then OpenSSL gets all bytes as they came, and the get callback has the answers at hand.
//!
//! What cannot be read as a ClientHello is none of the gate's business, and goes on as it is.

use std::sync::OnceLock;

use ssl_session_cache_core::{ClientHello, Opening};

use crate::handshake::bio::{Filter, Method, Read, Source, Supply};
use crate::handshake::lookup::Handshake;
use crate::handshake::openssl::Ssl;
use crate::handshake::SessionCache;

/// So many bytes are held for one client: a ClientHello, and early data behind it, of which nginx
/// allows 16 KB. Where there is more, the handshake goes on without what was not found by then.
const MAX_HELD: usize = 32 * 1024;

static METHOD: OnceLock<Option<Method<Gate>>> = OnceLock::new();

/// Prepares for gates, before the first handshake.
pub(super) fn prepare() {
    METHOD.get_or_init(|| Method::new(c"ClientHello gate"));
}

/// Puts a gate in front of an SSL's socket: its handshake starts.
pub(super) fn install(ssl: Ssl) {
    if let (Some(Some(method)), true) = (METHOD.get(), ssl.reads_a_stream()) {
        method.insert(ssl, Gate::new(ssl));
    }
}

/// Takes the gate away once it has let everything through: OpenSSL then reads from the socket
/// itself again. Not to be called while OpenSSL reads.
pub(super) fn uninstall_if_done(ssl: Ssl) {
    if let Some(Some(method)) = METHOD.get() {
        method.remove_if(ssl, Gate::is_done);
    }
}

struct Gate {
    /// Who reads through the gate, and owns it.
    ssl: Ssl,
    phase: Phase,
    held: Vec<u8>,
    /// How many bytes at the front of `held` OpenSSL has read.
    supplied: usize,
}

#[derive(PartialEq, Eq)]
enum Phase {
    /// The ClientHello is incomplete below so many bytes.
    Reading { until: usize },
    /// Lookups are under way.
    Waiting,
    /// Everything goes through.
    Open,
}

impl Gate {
    fn new(ssl: Ssl) -> Self {
        Self { ssl, phase: Phase::Reading { until: 1 }, held: Vec::new(), supplied: 0 }
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Open && self.supplied == self.held.len()
    }

    /// Looks at what has come, and begins the lookups of a complete ClientHello.
    fn examine(&self) -> Phase {
        let body = match Opening::of(&self.held) {
            Opening::Partial(until) if until <= MAX_HELD => return Phase::Reading { until },
            Opening::Partial(_) | Opening::Other => return Phase::Open,
            Opening::ClientHello(body) => body,
        };
        if let (Some(hello), Some(cache)) =
            (ClientHello::parse(&body), SessionCache::of_ssl(self.ssl))
        {
            cache.look_ahead(self.ssl, hello.session_ids(cache.abilities()));
        }
        if Handshake::waits(self.ssl) {
            Phase::Waiting
        } else {
            Phase::Open
        }
    }
}

impl Filter for Gate {
    fn supply(&mut self, source: Source<'_>) -> Supply<'_> {
        if self.phase == Phase::Waiting && !Handshake::waits(self.ssl) {
            self.phase = Phase::Open;
        }
        while self.phase != Phase::Open {
            if self.held.len() >= MAX_HELD {
                self.phase = Phase::Open;
                break;
            }
            // Also while lookups are under way: what is left in the socket would wake a
            // level-triggered event method again and again, and the client's end goes unseen.
            match source.read(&mut self.held, MAX_HELD) {
                Read::More => {}
                Read::Retry => return Supply::Retry,
                Read::End(result) => return Supply::End(result),
            }
            if matches!(self.phase, Phase::Reading { until } if self.held.len() >= until) {
                self.phase = self.examine();
                if self.phase == Phase::Waiting {
                    return Supply::Retry;
                }
            }
        }
        match &self.held[self.supplied..] {
            [] => Supply::Source,
            held => Supply::Held(held),
        }
    }

    fn supplied(&mut self, count: usize) {
        self.supplied += count;
    }
}
