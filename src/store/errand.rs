//! A connection of its own, over which one thing is found out.

use core::cell::RefCell;
use core::ptr::NonNull;
use std::rc::Rc;

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::server::Talk;

use crate::net::{Address, Handler, Io, Link, LinkError, Peer, Tls};
use crate::nginx::now;

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ErrandError<E> {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("{0}")]
    Talk(E),
    #[error("timed out")]
    Silent,
    /// nginx asks for the connection: the worker exits when its clients are served.
    #[error("the worker exits")]
    Exiting,
}

/// How a talk of this kind ends.
type End<T> = Result<<T as Talk>::Found, ErrandError<<T as Talk>::Failure>>;

/// Connects, has one talk at a time, tells how that has ended, and closes the connection.
///
/// # Drop behaviour
///
/// An attempt under way is given up; nobody is told.
pub(super) struct Errand<T: Talk> {
    link: Link,
    attempt: RefCell<Option<Attempt<T>>>,
    tell: Box<dyn Fn(End<T>)>,
}

struct Attempt<T> {
    talk: T,
    is_connected: bool,
    /// Why the attempt has failed already, which is told later.
    failed: Option<LinkError>,
}

impl<T: Talk + 'static> Errand<T> {
    /// Speaks TLS where there is some, and tells of each end by `tell`.
    pub(super) fn new(tls: Option<Rc<Tls>>, tell: impl Fn(End<T>) + 'static) -> Self {
        Self { link: Link::new(tls), attempt: RefCell::new(None), tell: Box::new(tell) }
    }

    /// Sets nginx's log.
    ///
    /// # Safety
    ///
    /// The errand may not move from now on, and the log must live as long as it.
    pub(super) unsafe fn bind(&self, log: *mut ngx_log_t) {
        // SAFETY: as the caller promises; the link is a part of the errand.
        unsafe { self.link.bind(NonNull::from(self), log) };
    }

    /// Begins an attempt, with TLS to nobody else than `server`. Its end is told, but not before this
    /// returns.
    pub(super) fn start(&self, address: &Address, server: Option<Peer>, talk: T) {
        self.stop();
        let failed = self.link.connect(address, server).err();
        // An attempt that has failed already ends with the timer.
        let end = if failed.is_some() { now() } else { talk.deadline() };
        self.attempt.replace(Some(Attempt { talk, is_connected: false, failed }));
        self.link.wake_at(Some(end));
    }

    /// Gives the attempt up, if there is one; nobody is told.
    pub(super) fn stop(&self) {
        self.link.close();
        self.attempt.replace(None);
    }

    /// Goes on with the attempt, and tells of its end.
    fn step(&self) {
        let end = match &mut *self.attempt.borrow_mut() {
            Some(attempt) => self.go_on(attempt).transpose(),
            None => return,
        };
        if let Some(end) = end {
            self.end(end);
        }
    }

    fn end(&self, end: End<T>) {
        self.stop();
        (self.tell)(end);
    }

    fn go_on(
        &self,
        Attempt { talk, is_connected, .. }: &mut Attempt<T>,
    ) -> Result<Option<T::Found>, ErrandError<T::Failure>> {
        if self.link.is_close_requested() {
            return Err(ErrandError::Exiting);
        }
        if !*is_connected {
            *is_connected = self.link.established()?;
        }
        if !*is_connected {
            return Ok(None);
        }
        loop {
            while !talk.unsent().is_empty() {
                match self.link.send(talk.unsent())? {
                    Io::Done(count) => talk.sent(count),
                    Io::Again => break,
                }
            }
            let Io::Done(count) = self.link.receive(talk.spare())? else { return Ok(None) };
            if let Some(found) = talk.received(count, now()).map_err(ErrandError::Talk)? {
                return Ok(Some(found));
            }
        }
    }

    /// Why the attempt is over now, if it is; else the timer is set anew.
    fn overdue(&self) -> Option<ErrandError<T::Failure>> {
        let mut attempt = self.attempt.borrow_mut();
        let Attempt { talk, is_connected, failed } = attempt.as_mut()?;
        if let Some(error) = failed.take() {
            return Some(error.into());
        }
        if talk.deadline() > now() {
            self.link.wake_at(Some(talk.deadline()));
            return None;
        }
        Some(if *is_connected { ErrandError::Silent } else { self.link.timed_out().into() })
    }
}

impl<T: Talk + 'static> Handler for Errand<T> {
    fn readable(&self) {
        self.step();
    }

    fn writable(&self) {
        self.step();
    }

    fn timer(&self) {
        if let Some(error) = self.overdue() {
            self.end(Err(error));
        }
    }

    fn turn_end(&self) {}
}
