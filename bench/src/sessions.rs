//! The sessions that wait to be offered.

use std::collections::VecDeque;

use openssl::ssl::{SslSession, SslSessionRef};

/// A queue of sessions; the one that was used longest ago is offered next.
pub struct Sessions {
    waiting: VecDeque<SslSession>,
    reuse: bool,
}

impl Sessions {
    /// An empty queue. With `reuse` a session stays in it when it is offered.
    pub fn new(reuse: bool) -> Self {
        Self { waiting: VecDeque::new(), reuse }
    }

    /// Adds a session that a full handshake has made.
    pub fn add(&mut self, session: SslSession) {
        self.waiting.push_back(session);
    }

    /// Adds a session in place of one that was taken, if that did not stay.
    pub fn replace(&mut self, session: SslSession) {
        if !self.reuse {
            self.waiting.push_back(session);
        }
    }

    /// The next session to offer.
    pub fn take(&mut self) -> Option<SslSession> {
        let session = self.waiting.pop_front()?;
        if self.reuse {
            self.waiting.push_back(session.clone());
        }
        Some(session)
    }

    /// Gives up a session whose connection failed: after a fatal alert TLS wants that, and OpenSSL
    /// has marked it as not resumable.
    pub fn forget(&mut self, failed: &SslSessionRef) {
        self.waiting.retain(|session| session.id() != failed.id());
    }
}
