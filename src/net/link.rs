//! A connection to a store, with its timer and its event at the end of the turn.

use core::cell::{Cell, OnceCell, RefCell};
use core::ptr::NonNull;
use core::time::Duration;
use std::io;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::Instant;

use crate::net::address::Address;
use crate::net::tls::{Peer, Tls};
use crate::nginx::{
    events_wait, now, ConnectError, Handshake, Log, PeerConnection, PeerEvents, PostedEvent,
    QuietLog, Timer, Transfer,
};
use crate::openssl::Messages;

/// A timer that is later than this is put off for one turn of the event loop. After a worker stood
/// still, or a long turn, timers may run before what has come meanwhile is read.
const LATE: Duration = Duration::from_millis(5);

/// Who a link calls.
///
/// Each method may call back into the link, close it included.
pub(crate) trait Handler {
    /// The connection can be read from, or nginx asks to close it.
    fn readable(&self);
    /// The connection can be written to, or an attempt to connect has ended.
    fn writable(&self);
    /// The time set with [`Link::wake_at`] has come.
    fn timer(&self);
    /// The turn of the event loop in which [`Link::at_turn_end`] was called ends.
    fn turn_end(&self);
}

/// What a read or write came to.
pub(crate) enum Io {
    /// So many bytes, one at least.
    Done(usize),
    /// Not now: the handler is called when it is worth another try.
    Again,
}

/// Why a connection cannot be made, or is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("connect() failed: {0}")]
    Connect(io::Error),
    #[error("connect() timed out")]
    ConnectTimeout,
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    #[error("TLS handshake timed out; does it speak TLS? if not, leave \"tls\" out")]
    HandshakeTimeout,
    #[error("too many TLS messages without data")]
    Messages,
    #[error("the connection was closed")]
    Closed,
    /// What nginx says is wrong.
    #[error("{0}")]
    Nginx(String),
}

/// A connection to a store, with its timer and its event at the end of the turn. What nginx itself
/// would write to its log about the connection is the text of an error here.
///
/// # Drop behaviour
///
/// The connection is closed, and neither timer nor event comes any more.
pub(crate) struct Link(Rc<Shared>);

/// What the events of a link find.
struct Shared {
    handler: Cell<Option<NonNull<dyn Handler>>>,
    peer: RefCell<Option<PeerConnection>>,
    /// How TLS is spoken, if it is.
    tls: Option<Rc<Tls>>,
    /// Who the server has to be, if that is known.
    server: RefCell<Option<Peer>>,
    messages: Rc<Messages>,
    /// The time that the timer is set for.
    wake: Cell<Option<Instant>>,
    /// Whether the timer has been put off.
    timer_put_off: Cell<bool>,
    /// Whether the end of the turn has been put off behind the events that were posted before it.
    put_off: Cell<bool>,
    /// Made with the log.
    events: OnceCell<Events>,
}

struct Events {
    log: Rc<QuietLog>,
    timer: Timer,
    turn_end: PostedEvent,
}

impl Link {
    /// A link without a connection; [`bind`](Self::bind) it before use.
    pub(crate) fn new(tls: Option<Rc<Tls>>) -> Self {
        Self(Rc::new(Shared {
            handler: Cell::new(None),
            peer: RefCell::new(None),
            tls,
            server: RefCell::default(),
            messages: Rc::default(),
            wake: Cell::new(None),
            timer_put_off: Cell::new(false),
            put_off: Cell::new(false),
            events: OnceCell::new(),
        }))
    }

    /// Sets who is called, and nginx's log.
    ///
    /// # Safety
    ///
    /// The handler may not move from now on, and the handler and the log must live as long as the
    /// link.
    pub(crate) unsafe fn bind(&self, handler: NonNull<dyn Handler>, log: *mut ngx_log_t) {
        self.0.handler.set(Some(handler));
        // SAFETY: as the caller promises.
        let log = unsafe { Log::new(log) };
        let call = |method: fn(&Shared)| -> Rc<dyn Fn()> {
            let link = Rc::downgrade(&self.0);
            Rc::new(move || {
                if let Some(link) = Weak::upgrade(&link) {
                    method(&link);
                }
            })
        };
        // A link is bound once.
        let _ = self.0.events.set(Events {
            log: QuietLog::new(log),
            timer: Timer::new(log, call(Shared::on_timer)),
            turn_end: PostedEvent::new(log, call(Shared::on_turn_end)),
        });
    }

    /// Begins to connect: [`Handler::writable`] or [`Handler::readable`] is called when it is worth
    /// asking [`established`](Self::established) how that goes.
    /// With TLS it takes who is connected to for nobody else than `server`.
    pub(crate) fn connect(&self, address: &Address, server: Option<Peer>) -> Result<(), LinkError> {
        self.close();
        self.0.server.replace(server);
        self.0.messages.reset();
        let Some(Events { log, .. }) = self.0.events.get() else { return Err(LinkError::Closed) };
        let events = Rc::downgrade(&self.0);
        let peer = PeerConnection::connect(address.sockaddr(), address.name(), log, events)
            .map_err(|error| match error {
                ConnectError::Refused(error) => LinkError::Connect(error),
                ConnectError::Failed => self.failure(),
            })?;
        self.0.peer.replace(Some(peer));
        Ok(())
    }

    /// Goes on with what [`connect`](Self::connect) began: true once the connection can be used,
    /// false where there is more to wait for.
    pub(crate) fn established(&self) -> Result<bool, LinkError> {
        self.with(|peer| {
            let handshaking = peer.has_tls();
            if !handshaking {
                peer.connect_result().map_err(LinkError::Connect)?;
            }
            let Some(tls) = &self.0.tls else { return Ok(true) };
            if !handshaking && !tls.start(peer, self.0.server.borrow().as_ref(), &self.0.messages) {
                return Err(LinkError::Handshake(self.said().unwrap_or_default()));
            }
            self.handshake(peer, tls)
        })
    }

    /// What it means that [`established`](Self::established) has not been true for too long.
    pub(crate) fn timed_out(&self) -> LinkError {
        if self.0.peer.borrow().as_ref().is_some_and(PeerConnection::has_tls) {
            LinkError::HandshakeTimeout
        } else {
            LinkError::ConnectTimeout
        }
    }

    /// Takes the handshake a step further; true when it is done.
    fn handshake(&self, peer: &PeerConnection, tls: &Tls) -> Result<bool, LinkError> {
        match peer.handshake() {
            Handshake::Done => Ok(true),
            Handshake::Again => Ok(false),
            Handshake::Failed if self.0.messages.are_too_many() => Err(self.failure()),
            Handshake::Failed => {
                let said = self.said();
                let reason = tls.verify_error(peer).or(said).unwrap_or_default();
                let hint = Tls::hint(&reason);
                Err(LinkError::Handshake(reason + hint))
            }
        }
    }

    /// Reads into the buffer.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Io, LinkError> {
        self.with(|peer| match peer.receive(buffer) {
            // They came behind the data.
            Transfer::Done(_) if self.0.messages.are_too_many() => Err(LinkError::Messages),
            Transfer::Done(n) => {
                self.0.messages.reset();
                Ok(Io::Done(n))
            }
            Transfer::Again => Ok(Io::Again),
            Transfer::End => Err(self.ended(None)),
            Transfer::Failed => Err(self.failure()),
        })
    }

    /// Writes what can be written at once, without TLS, and returns how much that was. Nothing is
    /// made of a failure: the next [`send`](Self::send) meets it. For a callback of OpenSSL's, which
    /// may run on a small stack of its own: this is one system call.
    pub(crate) fn send_now(&self, bytes: &[u8]) -> usize {
        if self.0.tls.is_some() || bytes.is_empty() {
            return 0;
        }
        self.0.peer.borrow().as_ref().map_or(0, |peer| peer.send_now(bytes))
    }

    /// Whether more may be there to read without another event.
    pub(crate) fn is_readable(&self) -> bool {
        self.0.peer.borrow().as_ref().is_some_and(PeerConnection::is_readable)
    }

    /// Writes what the kernel takes of the bytes.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<Io, LinkError> {
        let sent = self.with(|peer| match peer.send(bytes) {
            Transfer::Done(n) => Ok(Ok(Io::Done(n))),
            Transfer::Again => Ok(Ok(Io::Again)),
            Transfer::End | Transfer::Failed => Ok(Err(self.failure())),
        })?;
        sent.map_err(|failure| {
            // A server that refuses the client says so before it closes, as after a handshake of
            // TLS 1.3: that is the reason, not the write that found the connection closed.
            match self.receive(&mut [0]) {
                Err(reason @ LinkError::Nginx(_)) => reason,
                _ => failure,
            }
        })
    }

    /// Whether nginx asks to close the connection: the worker exits when its clients are served.
    pub(crate) fn is_close_requested(&self) -> bool {
        self.0.peer.borrow().as_ref().is_some_and(PeerConnection::is_close_requested)
    }

    /// Closes the connection, if there is one.
    pub(crate) fn close(&self) {
        if self.0.peer.take().is_some() {
            self.said();
        }
    }

    /// Has [`Handler::timer`] called at this time, or earlier: the timer is moved only to an
    /// earlier time, so that a busy link leaves it alone. `None` changes nothing. What has come by
    /// that time is told of first. What is planned for more than a day later is then planned again.
    pub(crate) fn wake_at(&self, time: Option<Instant>) {
        if let Some(time) = time {
            self.0.wake_at(time);
        }
    }

    /// Has [`Handler::turn_end`] called when the events of this turn have been handled.
    pub(crate) fn at_turn_end(&self) {
        self.0.at_turn_end();
    }

    /// Uses the connection.
    fn with<T>(
        &self,
        with: impl FnOnce(&PeerConnection) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        self.0.peer.borrow().as_ref().map_or(Err(LinkError::Closed), with)
    }

    /// Why the connection is of no more use.
    fn failure(&self) -> LinkError {
        self.ended(self.said())
    }

    fn ended(&self, reason: Option<String>) -> LinkError {
        if self.0.messages.are_too_many() {
            return LinkError::Messages;
        }
        reason.map_or(LinkError::Closed, LinkError::Nginx)
    }

    /// What nginx has said last of the connection.
    fn said(&self) -> Option<String> {
        self.0.events.get()?.log.take()
    }
}

impl Drop for Link {
    /// The handler goes with the link; what the link shares with an event that is being handled may
    /// not yet.
    fn drop(&mut self) {
        self.0.handler.set(None);
        self.close();
    }
}

impl Shared {
    fn wake_at(&self, time: Instant) {
        if self.wake.get().is_some_and(|wake| wake <= time) {
            return;
        }
        if let Some(Events { timer, .. }) = self.events.get() {
            timer.set(time.since(now()));
            self.wake.set(Some(time));
        }
    }

    fn at_turn_end(&self) {
        if let Some(Events { turn_end, .. }) = self.events.get() {
            turn_end.post();
        }
    }

    fn on_timer(&self) {
        let is_late = self.wake.take().is_some_and(|wake| now().since(wake) > LATE);
        if is_late && !self.timer_put_off.replace(true) {
            self.wake_at(now());
            return;
        }
        self.timer_put_off.set(false);
        self.call(|handler| handler.timer());
    }

    fn on_turn_end(&self) {
        // What is posted behind this event, such as a handshake that a reply has woken, may have
        // more to send: let it go first, once.
        if events_wait() && !self.put_off.replace(true) {
            self.at_turn_end();
            return;
        }
        self.put_off.set(false);
        self.call(|handler| handler.turn_end());
    }

    fn call(&self, method: fn(&dyn Handler)) {
        if let Some(handler) = self.handler.get() {
            // SAFETY: the handler lives as long as the link, as bind() asks for.
            method(unsafe { handler.as_ref() });
        }
    }
}

impl PeerEvents for Shared {
    fn readable(&self) {
        self.call(|handler| handler.readable());
    }

    fn writable(&self) {
        self.call(|handler| handler.writable());
        // A level-triggered event method would tell again and again that there is nothing to wait
        // for.
        if let Some(peer) = &*self.peer.borrow() {
            peer.has_been_told_writable();
        }
    }
}
