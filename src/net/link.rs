use core::cell::{Cell, UnsafeCell};
use core::ffi::c_int;
use core::mem;
use core::ptr::{self, NonNull};
use core::time::Duration;
use std::io;
use std::rc::Rc;

use nginx_sys::{
    ngx_add_timer, ngx_close_connection, ngx_connection_log_error_e_NGX_ERROR_INFO,
    ngx_connection_t, ngx_del_timer, ngx_delete_posted_event, ngx_destroy_pool,
    ngx_event_connect_peer, ngx_event_get_peer, ngx_event_t, ngx_handle_read_event,
    ngx_handle_write_event, ngx_log_t, ngx_peer_connection_t, ngx_post_event, ngx_posted_events,
    ngx_queue_empty, ngx_ssl_handshake, ngx_ssl_shutdown, ngx_str_t, NGX_AGAIN, NGX_DECLINED,
    NGX_OK,
};
use ssl_session_cache_core::Instant;

use crate::net::tls::{Messages, Tls};
use crate::nginx::now;
use crate::nginx::QuietLog;

/// No timer is set for longer: of 32 bits, nginx's times have room for 24 days. What is planned for
/// later is then planned again.
const MAX_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

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
pub(crate) enum Error {
    #[error("connect() failed: {0}")]
    Connect(io::Error),
    #[error("connect() timed out")]
    ConnectTimeout,
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    #[error("TLS handshake timed out")]
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
pub(crate) struct Link {
    handler: Cell<Option<NonNull<dyn Handler>>>,
    connection: Cell<Option<NonNull<ngx_connection_t>>>,
    /// How TLS is spoken, if it is.
    tls: Option<Rc<Tls>>,
    messages: Messages,
    log: QuietLog,
    /// The time that the timer is set for.
    wake: Cell<Option<Instant>>,
    /// Whether the timer has been put off.
    timer_put_off: Cell<bool>,
    /// Whether the end of the turn has been put off behind the events that were posted before it.
    put_off: Cell<bool>,
    events: UnsafeCell<Events>,
}

/// What nginx refers to. Boxed by its owner with the link: the addresses must not change.
struct Events {
    timer: ngx_event_t,
    turn_end: ngx_event_t,
    /// nginx's debug log shows the descriptor of the connection behind an event's data.
    owner: ngx_connection_t,
}

impl Link {
    /// A link without a connection; [`bind`](Self::bind) it before use.
    pub(crate) fn new(tls: Option<Rc<Tls>>) -> Self {
        // SAFETY: nginx itself starts events and connections from all-zero.
        let mut events: Events = unsafe { mem::zeroed() };
        events.timer.handler = Some(on_timer);
        events.turn_end.handler = Some(on_turn_end);
        // An old worker must not be kept alive after a reload by a timer for its own store.
        events.timer.set_cancelable(1);
        events.owner.fd = -1;
        Self {
            handler: Cell::new(None),
            connection: Cell::new(None),
            tls,
            messages: Messages::default(),
            log: QuietLog::new(),
            wake: Cell::new(None),
            timer_put_off: Cell::new(false),
            put_off: Cell::new(false),
            events: UnsafeCell::new(events),
        }
    }

    /// Sets who is called, and nginx's log.
    ///
    /// # Safety
    ///
    /// Neither the link nor the handler may move from now on, and the handler and the log must live
    /// as long as the link.
    pub(crate) unsafe fn bind(&self, handler: NonNull<dyn Handler>, log: *mut ngx_log_t) {
        self.handler.set(Some(handler));
        let events = self.events.get();
        // SAFETY: the events are this link's own, and nothing else refers to them yet.
        unsafe {
            self.log.bind(log);
            (*events).owner.data = ptr::from_ref(self).cast_mut().cast();
            for event in [&raw mut (*events).timer, &raw mut (*events).turn_end] {
                (*event).data = (&raw mut (*events).owner).cast();
                (*event).log = log;
            }
        }
    }

    /// Begins to connect: [`Handler::writable`] or [`Handler::readable`] is called when it is worth
    /// asking [`established`](Self::established) how that goes.
    pub(crate) fn connect(&self, sockaddr: &[u8], name: &str) -> Result<(), Error> {
        self.close();
        self.messages.reset();

        let mut name = ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() };
        // SAFETY: nginx itself starts the structure from all-zero.
        let mut peer: ngx_peer_connection_t = unsafe { mem::zeroed() };
        peer.sockaddr = sockaddr.as_ptr().cast_mut().cast();
        peer.socklen = sockaddr.len() as _;
        peer.name = &mut name;
        peer.get = Some(ngx_event_get_peer);
        peer.log = self.log.as_ptr();
        peer.set_log_error(ngx_connection_log_error_e_NGX_ERROR_INFO);

        // SAFETY: all that the structure points to outlives the call; what nginx keeps of it, the
        // log, outlives the connection.
        let rc = unsafe { ngx_event_connect_peer(&mut peer) };
        let error = io::Error::last_os_error();
        let connection = NonNull::new(peer.connection);
        if let Some(connection) = connection {
            // SAFETY: nginx returned a connection with both of its events.
            unsafe {
                let c = connection.as_ptr();
                (*c).data = ptr::from_ref(self).cast_mut().cast();
                take_events(c);
                (*c).set_idle(1);
            }
        }
        self.connection.set(connection);

        match (rc, connection) {
            (rc, Some(connection)) if rc == NGX_OK as isize => {
                // SAFETY: the connection is valid; its write event may be posted like any other.
                unsafe { ngx_post_event((*connection.as_ptr()).write, &raw mut ngx_posted_events) };
                Ok(())
            }
            (rc, Some(_)) if rc == NGX_AGAIN as isize => Ok(()),
            (rc, _) if rc == NGX_DECLINED as isize => Err(Error::Connect(error)),
            _ => {
                let failure = self.failure();
                self.close();
                Err(failure)
            }
        }
    }

    /// Goes on with what [`connect`](Self::connect) began: true once the connection can be used,
    /// false where there is more to wait for.
    pub(crate) fn established(&self) -> Result<bool, Error> {
        let connection = self.connection.get().ok_or(Error::Closed)?;
        let handshaking = has_tls(connection);
        if !handshaking {
            connect_result(connection).map_err(Error::Connect)?;
        }
        let Some(tls) = &self.tls else { return Ok(true) };
        // SAFETY: the connection is valid, and has neither TLS nor a pool before the handshake. The
        // link, which does not move, closes the connection before it goes.
        if !handshaking && !unsafe { tls.start(connection.as_ptr(), &self.messages) } {
            return Err(Error::Handshake(self.log.take().unwrap_or_default()));
        }
        self.handshake(connection.as_ptr(), tls)
    }

    /// What it means that [`established`](Self::established) has not been true for too long.
    pub(crate) fn timed_out(&self) -> Error {
        if self.connection.get().is_some_and(has_tls) {
            Error::HandshakeTimeout
        } else {
            Error::ConnectTimeout
        }
    }

    /// Takes the handshake a step further; true when it is done.
    fn handshake(&self, connection: *mut ngx_connection_t, tls: &Tls) -> Result<bool, Error> {
        // SAFETY: the connection is valid, with TLS. nginx has taken over its events where the
        // handshake has to wait: its handler would do no more than to call this one.
        unsafe {
            let rc = ngx_ssl_handshake(connection);
            take_events(connection);
            if rc == NGX_OK as isize {
                // The last step may have read more from the socket than it has used.
                ngx_post_event((*connection).read, &raw mut ngx_posted_events);
                return Ok(true);
            }
            if rc == NGX_AGAIN as isize {
                return Ok(false);
            }
            if self.messages.are_too_many() {
                return Err(self.failure());
            }
            let reason = self.log.take();
            Err(Error::Handshake(tls.verify_error(connection).or(reason).unwrap_or_default()))
        }
    }

    /// Reads into the buffer.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Io, Error> {
        let connection = self.connection.get().ok_or(Error::Closed)?.as_ptr();
        // SAFETY: the connection is valid, and nginx sets `recv` of every connection.
        let n = unsafe {
            (*connection).recv.map_or(0, |recv| recv(connection, buffer.as_mut_ptr(), buffer.len()))
        };
        match usize::try_from(n) {
            Ok(0) => Err(self.ended(None)),
            // They came behind the data.
            Ok(_) if self.messages.are_too_many() => Err(Error::Messages),
            Ok(n) => {
                self.messages.reset();
                Ok(Io::Done(n))
            }
            // SAFETY: the connection has a read event.
            Err(_) if n == NGX_AGAIN as isize => unsafe {
                self.again(ngx_handle_read_event((*connection).read, 0))
            },
            Err(_) => Err(self.failure()),
        }
    }

    /// Writes what can be written at once, without TLS, and returns how much that was. Nothing is
    /// made of a failure: the next [`send`](Self::send) meets it. For a callback of OpenSSL's, which
    /// may run on a small stack of its own: this is one system call.
    pub(crate) fn send_now(&self, bytes: &[u8]) -> usize {
        let Some(connection) = self.connection.get() else { return 0 };
        if self.tls.is_some() || bytes.is_empty() {
            return 0;
        }
        // SAFETY: the connection is valid, and the bytes are read only.
        let sent = unsafe {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            libc::send(connection.as_ref().fd, bytes.as_ptr().cast(), bytes.len(), flags)
        };
        usize::try_from(sent).unwrap_or(0)
    }

    /// Whether more may be there to read without another event.
    pub(crate) fn is_readable(&self) -> bool {
        // SAFETY: the connection is valid, and has a read event.
        self.connection.get().is_some_and(|c| unsafe { (*c.as_ref().read).ready() != 0 })
    }

    /// Writes what the kernel takes of the bytes.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<Io, Error> {
        let connection = self.connection.get().ok_or(Error::Closed)?.as_ptr();
        // SAFETY: the connection is valid, nginx sets `send` of every connection, and reads the
        // bytes only.
        let n = unsafe {
            (*connection)
                .send
                .map_or(0, |send| send(connection, bytes.as_ptr().cast_mut(), bytes.len()))
        };
        match usize::try_from(n) {
            Ok(0) => Ok(Io::Again),
            Ok(n) => Ok(Io::Done(n)),
            // SAFETY: the connection has a write event.
            Err(_) if n == NGX_AGAIN as isize => unsafe {
                self.again(ngx_handle_write_event((*connection).write, 0))
            },
            Err(_) => {
                let failure = self.failure();
                // A server that refuses the client says so before it closes, as after a handshake
                // of TLS 1.3: that is the reason, not the write that found the connection closed.
                match self.receive(&mut [0]) {
                    Err(reason @ Error::Nginx(_)) => Err(reason),
                    _ => Err(failure),
                }
            }
        }
    }

    /// What an unfinished read or write comes to, by whether nginx waits for the next event.
    fn again(&self, rc: isize) -> Result<Io, Error> {
        if rc == NGX_OK as isize {
            Ok(Io::Again)
        } else {
            Err(self.failure())
        }
    }

    /// Why the connection is of no more use.
    fn failure(&self) -> Error {
        self.ended(self.log.take())
    }

    fn ended(&self, reason: Option<String>) -> Error {
        if self.messages.are_too_many() {
            return Error::Messages;
        }
        reason.map_or(Error::Closed, Error::Nginx)
    }

    /// Whether nginx asks to close the connection: the worker exits when its clients are served.
    pub(crate) fn is_close_requested(&self) -> bool {
        // SAFETY: the connection is valid.
        self.connection.get().is_some_and(|c| unsafe { c.as_ref().close() != 0 })
    }

    /// Closes the connection, if there is one.
    pub(crate) fn close(&self) {
        let Some(connection) = self.connection.take().map(NonNull::as_ptr) else { return };
        // SAFETY: the connection is valid, and nothing else refers to it nor, after it is closed,
        // to its pool.
        unsafe {
            if let Some(ssl) = (*connection).ssl.as_mut() {
                // Without a word to the server, which might have to be waited for.
                ssl.set_no_wait_shutdown(1);
                ssl.set_no_send_shutdown(1);
                ngx_ssl_shutdown(connection);
            }
            let pool = (*connection).pool;
            ngx_close_connection(connection);
            if !pool.is_null() {
                ngx_destroy_pool(pool);
            }
        }
        self.log.take();
    }

    /// Has [`Handler::timer`] called at this time, or earlier: the timer is moved only to an
    /// earlier time, so that a busy link leaves it alone. `None` changes nothing. What has come by
    /// that time is told of first.
    pub(crate) fn wake_at(&self, time: Option<Instant>) {
        let Some(time) = time else { return };
        if self.wake.get().is_some_and(|wake| wake <= time) {
            return;
        }
        self.stop_timer();
        let delay = time.since(now()).clamp(Duration::from_millis(1), MAX_DELAY);
        // SAFETY: the timer is this link's own, and not set.
        unsafe { ngx_add_timer(&raw mut (*self.events.get()).timer, delay.as_millis() as usize) };
        self.wake.set(Some(time));
    }

    /// Has [`Handler::turn_end`] called when the events of this turn have been handled.
    pub(crate) fn at_turn_end(&self) {
        // SAFETY: the event is this link's own; posting it twice changes nothing.
        unsafe {
            ngx_post_event(&raw mut (*self.events.get()).turn_end, &raw mut ngx_posted_events);
        }
    }

    fn stop_timer(&self) {
        self.wake.set(None);
        // SAFETY: the timer is this link's own.
        unsafe {
            let timer = &raw mut (*self.events.get()).timer;
            if (*timer).timer_set() != 0 {
                ngx_del_timer(timer);
            }
        }
    }

    fn call(&self, method: fn(&dyn Handler)) {
        if let Some(handler) = self.handler.get() {
            // SAFETY: the handler lives as long as the link, as bind() asks for.
            method(unsafe { handler.as_ref() });
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
        self.stop_timer();
        let turn_end = &mut self.events.get_mut().turn_end;
        if turn_end.posted() != 0 {
            // SAFETY: the event is posted, and so in a queue.
            unsafe { ngx_delete_posted_event(turn_end) };
        }
    }
}

/// Whether TLS has begun on a connection.
fn has_tls(connection: NonNull<ngx_connection_t>) -> bool {
    // SAFETY: the connection is valid.
    unsafe { !connection.as_ref().ssl.is_null() }
}

/// How an attempt to connect has ended (SO_ERROR in socket(7)).
fn connect_result(connection: NonNull<ngx_connection_t>) -> io::Result<()> {
    let mut error: c_int = 0;
    let mut len = mem::size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the connection is valid, and the option is an int.
    let rc = unsafe {
        libc::getsockopt(
            connection.as_ref().fd,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut error).cast(),
            &mut len,
        )
    };
    match (rc, error) {
        (0, 0) => Ok(()),
        (0, error) => Err(io::Error::from_raw_os_error(error)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has a link called for the events of its connection.
///
/// # Safety
///
/// The connection must be valid, its data a link.
unsafe fn take_events(connection: *mut ngx_connection_t) {
    // SAFETY: as the caller promises; a connection has both of its events.
    unsafe {
        (*(*connection).read).handler = Some(on_readable);
        (*(*connection).write).handler = Some(on_writable);
    }
}

/// The link of an event.
///
/// # Safety
///
/// The event's data must be a connection whose data is a link, as connect() and bind() set it.
unsafe fn link<'a>(event: *mut ngx_event_t) -> &'a Link {
    // SAFETY: as the caller promises; the link lives at least as long as its events.
    unsafe { &*(*(*event).data.cast::<ngx_connection_t>()).data.cast::<Link>() }
}

unsafe extern "C" fn on_readable(event: *mut ngx_event_t) {
    // SAFETY: an event of a connection that connect() made.
    unsafe { link(event) }.call(|handler| handler.readable());
}

unsafe extern "C" fn on_writable(event: *mut ngx_event_t) {
    // SAFETY: an event of a connection that connect() made.
    let link = unsafe { link(event) };
    link.call(|handler| handler.writable());
    // A level-triggered event method would tell again and again that there is nothing to wait for.
    if let Some(connection) = link.connection.get() {
        // SAFETY: the connection is valid, and has a write event.
        unsafe { ngx_handle_write_event(connection.as_ref().write, 0) };
    }
}

unsafe extern "C" fn on_timer(event: *mut ngx_event_t) {
    // SAFETY: the timer of a link that is bound.
    let link = unsafe { link(event) };
    let is_late = link.wake.take().is_some_and(|wake| now().since(wake) > LATE);
    if is_late && !link.timer_put_off.replace(true) {
        link.wake_at(Some(now()));
        return;
    }
    link.timer_put_off.set(false);
    link.call(|handler| handler.timer());
}

unsafe extern "C" fn on_turn_end(event: *mut ngx_event_t) {
    // SAFETY: the event of a link that is bound.
    let link = unsafe { link(event) };
    // What is posted behind this event, such as a handshake that a reply has woken, may have more
    // to send: let it go first, once.
    // SAFETY: nginx initialises the queue before the first event.
    let others_wait = unsafe { !ngx_queue_empty(&raw const ngx_posted_events) };
    if others_wait && !link.put_off.replace(true) {
        link.at_turn_end();
        return;
    }
    link.put_off.set(false);
    link.call(|handler| handler.turn_end());
}
