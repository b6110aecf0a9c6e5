//! The connection of a scout, beside the one that is in use.

use core::cell::RefCell;
use core::ptr::NonNull;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::server::{self, Unusable};
use ssl_session_cache_core::session::Key;

use crate::net::{Address, Handler, Io, Link, LinkError, Peer};
use crate::nginx::now;
use crate::store::settings::Settings;

/// Finds out whether the server at an address could be used.
///
/// # Drop behaviour
///
/// An attempt under way is given up.
pub(super) struct Scout {
    settings: Rc<Settings>,
    /// Who is told.
    sender: Weak<dyn Sender>,
    link: Link,
    attempt: RefCell<Option<Attempt>>,
}

/// Who sends a scout, and is told what it has found.
pub(super) trait Sender {
    /// The attempt is over.
    fn scouted(&self, is_usable: bool);
}

struct Attempt {
    scout: server::Scout,
    is_connected: bool,
}

/// Whether the attempt goes on, or what it has found.
enum Found {
    Nothing,
    Usable,
    Unusable,
}

impl From<LinkError> for Found {
    fn from(_error: LinkError) -> Self {
        Self::Unusable
    }
}

impl Scout {
    pub(super) fn new(
        settings: Rc<Settings>,
        peer: Option<Peer>,
        sender: Weak<dyn Sender>,
    ) -> Self {
        let link = Link::new(settings.tls.clone(), peer);
        Self { settings, sender, link, attempt: RefCell::new(None) }
    }

    /// Sets nginx's log.
    ///
    /// # Safety
    ///
    /// The scout may not move from now on, and the log must live as long as it.
    pub(super) unsafe fn bind(&self, log: *mut ngx_log_t) {
        // SAFETY: as the caller promises; the link is a part of the scout.
        unsafe { self.link.bind(NonNull::from(self), log) };
    }

    /// Begins an attempt: [`Sender::scouted`] is called at its end, but not before this returns.
    pub(super) fn start(&self, address: &Address, key: Option<Key>) {
        self.stop();
        // An attempt that has failed already ends with the timer.
        let begun = self.link.connect(address.sockaddr(), address.name());
        let deadline = if begun.is_ok() { now() + self.settings.timeout } else { now() };
        let scout = server::Scout::new(self.settings.protocol(), key, deadline, now());
        self.attempt.replace(Some(Attempt { scout, is_connected: false }));
        self.link.wake_at(Some(deadline));
    }

    /// Gives the attempt up, if there is one; nobody is told.
    pub(super) fn stop(&self) {
        self.link.close();
        self.attempt.replace(None);
    }

    /// Goes on with the attempt, and tells of its end.
    fn step(&self) {
        let found = match &mut *self.attempt.borrow_mut() {
            Some(attempt) => self.go_on(attempt).unwrap_or_else(|found| found),
            None => return,
        };
        match found {
            Found::Nothing => {}
            Found::Usable => self.end(true),
            Found::Unusable => self.end(false),
        }
    }

    fn end(&self, is_usable: bool) {
        self.stop();
        if let Some(sender) = self.sender.upgrade() {
            sender.scouted(is_usable);
        }
    }

    fn go_on(&self, Attempt { scout, is_connected }: &mut Attempt) -> Result<Found, Found> {
        if self.link.is_close_requested() {
            return Ok(Found::Unusable);
        }
        if !*is_connected {
            *is_connected = self.link.established()?;
        }
        if !*is_connected {
            return Ok(Found::Nothing);
        }
        loop {
            while !scout.unsent().is_empty() {
                match self.link.send(scout.unsent())? {
                    Io::Done(count) => scout.sent(count),
                    Io::Again => break,
                }
            }
            let Io::Done(count) = self.link.receive(scout.spare())? else {
                return Ok(Found::Nothing);
            };
            match scout.received(count, now()) {
                Ok(true) => return Ok(Found::Usable),
                Ok(false) => {}
                Err(Unusable) => return Ok(Found::Unusable),
            }
        }
    }
}

impl Handler for Scout {
    fn readable(&self) {
        self.step();
    }

    fn writable(&self) {
        self.step();
    }

    fn timer(&self) {
        let deadline = self.attempt.borrow().as_ref().map(|attempt| attempt.scout.deadline());
        match deadline {
            Some(deadline) if deadline <= now() => self.end(false),
            later => self.link.wake_at(later),
        }
    }

    fn turn_end(&self) {}
}
