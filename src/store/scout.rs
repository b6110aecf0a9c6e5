//! Finds out whether a server could be used, beside the connection that is in use.

use core::cell::RefCell;
use core::ptr::NonNull;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::server::{Lookup, Pipeline, Settings as Limits};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::Instant;

use crate::net::{Address, Handler, Io, Link};
use crate::nginx::now;
use crate::store::Settings;

/// Connects to a server, is greeted, and has it delete and look up what is not there: a server that
/// is usable takes writes and answers lookups, and when they greet, replicas and proxies do not tell.
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
    pipeline: Pipeline<()>,
    deadline: Instant,
    /// The key to delete and look up.
    key: Option<Key>,
}

/// The server cannot be used.
struct Unusable;

impl<E: core::error::Error> From<E> for Unusable {
    fn from(_error: E) -> Self {
        Self
    }
}

impl Scout {
    pub(super) fn new(settings: Rc<Settings>, sender: Weak<dyn Sender>) -> Self {
        let link = Link::new(settings.tls.clone());
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
        // It sends two requests at once, whatever the limit is.
        let limits = Limits { max_requests: None, ..self.settings.limits() };
        let pipeline = Pipeline::new(self.settings.protocol(), limits);
        self.attempt.replace(Some(Attempt { pipeline, deadline, key }));
        self.link.wake_at(Some(deadline));
    }

    /// Gives the attempt up, if there is one; nobody is told.
    pub(super) fn stop(&self) {
        self.link.close();
        self.attempt.replace(None);
    }

    /// Goes on with the attempt, and tells of its end.
    fn step(&self) {
        let result = match &mut *self.attempt.borrow_mut() {
            Some(attempt) => self.go_on(attempt),
            None => return,
        };
        match result {
            Ok(false) => {}
            Ok(true) => self.end(true),
            Err(Unusable) => self.end(false),
        }
    }

    fn end(&self, is_usable: bool) {
        self.stop();
        if let Some(sender) = self.sender.upgrade() {
            sender.scouted(is_usable);
        }
    }

    /// True when the server is known to be usable.
    fn go_on(&self, attempt: &mut Attempt) -> Result<bool, Unusable> {
        if self.link.is_close_requested() {
            return Err(Unusable);
        }
        let pipeline = &mut attempt.pipeline;
        if !pipeline.is_greeting() && !pipeline.is_ready() {
            if !self.link.established()? {
                return Ok(false);
            }
            pipeline.connected(now());
        }
        while let Io::Done(count) = self.send_and_receive(pipeline)? {
            let received = pipeline.received(count, now())?;
            // Who may not delete can still be let look up and store.
            if received.refusal.is_some_and(|refusal| !refusal.starts_with("NOPERM")) {
                return Err(Unusable);
            }
            match attempt.key.take() {
                Some(key) if pipeline.is_ready() => {
                    pipeline.delete(&key, now()).or(Err(Unusable))?;
                    pipeline.get(&key, attempt.deadline, now(), ()).or(Err(Unusable))?;
                }
                key => attempt.key = key,
            }
        }
        let mut is_unanswered = false;
        pipeline.completions().drain(|(), lookup| {
            is_unanswered |= matches!(lookup, Lookup::Unavailable(_));
        });
        if is_unanswered {
            return Err(Unusable);
        }
        Ok(pipeline.is_ready() && pipeline.is_drained())
    }

    fn send_and_receive(&self, pipeline: &mut Pipeline<()>) -> Result<Io, Unusable> {
        while !pipeline.unsent().is_empty() {
            match self.link.send(pipeline.unsent())? {
                Io::Done(count) => pipeline.sent(count),
                Io::Again => break,
            }
        }
        Ok(self.link.receive(pipeline.spare())?)
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
        let deadline = self.attempt.borrow().as_ref().map(|attempt| attempt.deadline);
        match deadline {
            Some(deadline) if deadline <= now() => self.end(false),
            later => self.link.wake_at(later),
        }
    }

    fn turn_end(&self) {}
}
