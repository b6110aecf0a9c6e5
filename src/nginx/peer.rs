//! A connection to a server.

use core::ffi::c_int;
use core::mem;
use core::ptr::NonNull;
use std::io;
use std::rc::{Rc, Weak};

use nginx_sys::{
    ngx_close_connection, ngx_connection_log_error_e_NGX_ERROR_INFO, ngx_connection_t,
    ngx_create_pool, ngx_destroy_pool, ngx_event_connect_peer, ngx_event_get_peer, ngx_event_t,
    ngx_handle_read_event, ngx_handle_write_event, ngx_peer_connection_t, ngx_post_event,
    ngx_posted_events, ngx_ssl_create_connection, ngx_ssl_handshake, ngx_ssl_shutdown, NGX_AGAIN,
    NGX_DECLINED, NGX_OK, NGX_SSL_CLIENT,
};

use crate::nginx::string::borrowed;
use crate::nginx::{ClientTls, QuietLog};
use crate::openssl::Ssl;

/// Room for what a connection allocates: nginx's state of its TLS.
const POOL_SIZE: usize = 512;

/// A connection to a server, or an attempt to make one.
///
/// # Drop behaviour
///
/// The connection is closed, without a word of TLS to the server.
pub(crate) struct PeerConnection {
    connection: NonNull<ngx_connection_t>,
    /// Boxed, as nginx keeps the address.
    _events: Box<Weak<dyn PeerEvents>>,
    /// nginx keeps its address as well.
    _log: Rc<QuietLog>,
}

/// Who is told of a connection.
///
/// Each method may close the connection.
pub(crate) trait PeerEvents {
    /// The connection can be read from, or nginx asks to close it.
    fn readable(&self);
    /// The connection can be written to, or an attempt to connect has ended.
    fn writable(&self);
}

/// Why there is no connection.
pub(crate) enum ConnectError {
    /// The system says why.
    Refused(io::Error),
    /// What nginx says in the log.
    Failed,
}

/// What a read or write came to.
pub(crate) enum Transfer {
    /// So many bytes, one at least.
    Done(usize),
    /// Not now: it is told when it is worth another try.
    Again,
    /// The server has closed the connection.
    End,
    /// What nginx says in the log, if it does.
    Failed,
}

/// What a step of a TLS handshake came to.
pub(crate) enum Handshake {
    Done,
    Again,
    Failed,
}

impl PeerConnection {
    /// Begins to connect. The end of the attempt is told as the connection being writable or
    /// readable.
    pub(crate) fn connect(
        sockaddr: &[u8],
        name: &str,
        log: &Rc<QuietLog>,
        events: Weak<dyn PeerEvents>,
    ) -> Result<Self, ConnectError> {
        let mut name = borrowed(name.as_bytes());
        // SAFETY: nginx itself starts the structure from all-zero.
        let mut peer: ngx_peer_connection_t = unsafe { mem::zeroed() };
        peer.sockaddr = sockaddr.as_ptr().cast_mut().cast();
        peer.socklen = sockaddr.len() as _;
        peer.name = &mut name;
        peer.get = Some(ngx_event_get_peer);
        peer.log = log.as_ptr();
        peer.set_log_error(ngx_connection_log_error_e_NGX_ERROR_INFO);

        // SAFETY: all that the structure points to outlives the call; what nginx keeps of it, the
        // log, outlives the connection.
        let rc = unsafe { ngx_event_connect_peer(&mut peer) };
        let error = io::Error::last_os_error();
        let made = NonNull::new(peer.connection).map(|connection| {
            let events = Box::new(events);
            // SAFETY: nginx returned a connection with both of its events.
            unsafe {
                (*connection.as_ptr()).data = (&raw const *events).cast_mut().cast();
                (*connection.as_ptr()).set_idle(1);
            }
            let peer = Self { connection, _events: events, _log: Rc::clone(log) };
            peer.take_events();
            peer
        });

        match (rc, made) {
            (rc, Some(peer)) if rc == NGX_OK as isize => {
                // SAFETY: the connection is valid; its write event may be posted like any other.
                unsafe { ngx_post_event(peer.as_ref().write, &raw mut ngx_posted_events) };
                Ok(peer)
            }
            (rc, Some(peer)) if rc == NGX_AGAIN as isize => Ok(peer),
            (rc, _) if rc == NGX_DECLINED as isize => Err(ConnectError::Refused(error)),
            _ => Err(ConnectError::Failed),
        }
    }

    /// How the attempt to connect has ended (SO_ERROR in socket(7)).
    pub(crate) fn connect_result(&self) -> io::Result<()> {
        let mut error: c_int = 0;
        let mut len = mem::size_of::<c_int>() as libc::socklen_t;
        // SAFETY: the option is an int.
        let rc = unsafe {
            libc::getsockopt(
                self.as_ref().fd,
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

    /// Puts TLS on the connection, which has none; `None` without memory.
    pub(crate) fn start_tls(&self, tls: &ClientTls) -> Option<Ssl<'_>> {
        if self.has_tls() {
            return None;
        }
        let connection = self.connection.as_ptr();
        // SAFETY: the connection is valid, and has neither TLS nor a pool.
        unsafe {
            (*connection).pool = ngx_create_pool(POOL_SIZE, (*connection).log);
            if (*connection).pool.is_null()
                || ngx_ssl_create_connection(tls.as_ptr(), connection, NGX_SSL_CLIENT as usize)
                    != NGX_OK as isize
            {
                return None;
            }
        }
        self.ssl()
    }

    /// Whether TLS was put on the connection.
    pub(crate) fn has_tls(&self) -> bool {
        !self.as_ref().ssl.is_null()
    }

    /// The SSL of the connection, if it has one.
    pub(crate) fn ssl(&self) -> Option<Ssl<'_>> {
        // SAFETY: the connection keeps its SSL until it is closed, when this value is dropped.
        unsafe { Ssl::from_ptr(self.as_ref().ssl.as_ref()?.connection) }
    }

    /// Takes the handshake of TLS a step further.
    pub(crate) fn handshake(&self) -> Handshake {
        // SAFETY: the connection is valid, with TLS.
        let rc = unsafe { ngx_ssl_handshake(self.connection.as_ptr()) };
        // nginx has taken over the events where the handshake has to wait: its handler would do no
        // more than to call this one.
        self.take_events();
        if rc == NGX_OK as isize {
            // The last step may have read more from the socket than it has used.
            // SAFETY: the connection has a read event.
            unsafe { ngx_post_event(self.as_ref().read, &raw mut ngx_posted_events) };
            return Handshake::Done;
        }
        if rc == NGX_AGAIN as isize {
            return Handshake::Again;
        }
        Handshake::Failed
    }

    /// Reads into the buffer.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Transfer {
        let connection = self.connection.as_ptr();
        // SAFETY: nginx sets `recv` of every connection.
        let n = unsafe {
            (*connection).recv.map_or(0, |recv| recv(connection, buffer.as_mut_ptr(), buffer.len()))
        };
        match usize::try_from(n) {
            Ok(0) => Transfer::End,
            Ok(n) => Transfer::Done(n),
            // SAFETY: the connection has a read event.
            Err(_) if n == NGX_AGAIN as isize => unsafe {
                Self::again(ngx_handle_read_event((*connection).read, 0))
            },
            Err(_) => Transfer::Failed,
        }
    }

    /// Writes what the kernel takes of the bytes.
    pub(crate) fn send(&self, bytes: &[u8]) -> Transfer {
        let connection = self.connection.as_ptr();
        // SAFETY: nginx sets `send` of every connection, and reads the bytes only.
        let n = unsafe {
            (*connection)
                .send
                .map_or(0, |send| send(connection, bytes.as_ptr().cast_mut(), bytes.len()))
        };
        match usize::try_from(n) {
            Ok(0) => Transfer::Again,
            Ok(n) => Transfer::Done(n),
            // SAFETY: the connection has a write event.
            Err(_) if n == NGX_AGAIN as isize => unsafe {
                Self::again(ngx_handle_write_event((*connection).write, 0))
            },
            Err(_) => Transfer::Failed,
        }
    }

    /// Writes what can be written at once, past nginx, and returns how much that was: one system
    /// call.
    pub(crate) fn send_now(&self, bytes: &[u8]) -> usize {
        // SAFETY: the bytes are read only.
        let sent = unsafe {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            libc::send(self.as_ref().fd, bytes.as_ptr().cast(), bytes.len(), flags)
        };
        usize::try_from(sent).unwrap_or(0)
    }

    /// Whether more may be there to read without another event.
    pub(crate) fn is_readable(&self) -> bool {
        // SAFETY: the connection has a read event.
        unsafe { (*self.as_ref().read).ready() != 0 }
    }

    /// Whether nginx asks to close the connection: the worker exits when its clients are served.
    pub(crate) fn is_close_requested(&self) -> bool {
        self.as_ref().close() != 0
    }

    /// Has a level-triggered event method tell no more that the connection can be written to, until
    /// there is something to write.
    pub(crate) fn has_been_told_writable(&self) {
        // SAFETY: the connection has a write event.
        unsafe { ngx_handle_write_event(self.as_ref().write, 0) };
    }

    /// What an unfinished read or write comes to, by whether nginx waits for the next event.
    fn again(rc: isize) -> Transfer {
        if rc == NGX_OK as isize {
            Transfer::Again
        } else {
            Transfer::Failed
        }
    }

    fn as_ref(&self) -> &ngx_connection_t {
        // SAFETY: the connection is valid until this value is dropped.
        unsafe { self.connection.as_ref() }
    }

    /// Has the events of the connection come here.
    fn take_events(&self) {
        // SAFETY: the connection has both of its events.
        unsafe {
            (*self.as_ref().read).handler = Some(on_readable);
            (*self.as_ref().write).handler = Some(on_writable);
        }
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        let connection = self.connection.as_ptr();
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
    }
}

unsafe extern "C" fn on_readable(event: *mut ngx_event_t) {
    // SAFETY: an event of a connection that connect() made.
    if let Some(events) = unsafe { events(event) } {
        events.readable();
    }
}

unsafe extern "C" fn on_writable(event: *mut ngx_event_t) {
    // SAFETY: an event of a connection that connect() made.
    if let Some(events) = unsafe { events(event) } {
        events.writable();
    }
}

/// Who is told of an event's connection.
///
/// # Safety
///
/// The event's data must be a connection that connect() made.
unsafe fn events(event: *mut ngx_event_t) -> Option<Rc<dyn PeerEvents>> {
    // SAFETY: as the caller promises; the connection's data lives as long.
    unsafe {
        let connection = (*event).data.cast::<ngx_connection_t>();
        (*(*connection).data.cast::<Weak<dyn PeerEvents>>()).upgrade()
    }
}
