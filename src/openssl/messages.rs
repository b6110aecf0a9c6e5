//! The messages of TLS itself that a server sends: not data.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use std::rc::Rc;

use nginx_sys::{
    BIO_int_ctrl, SSL_get_rbio, SSL_set_msg_callback, BIO_C_SET_FD, BIO_NOCLOSE, SSL,
    SSL3_RT_HEADER, SSL3_RT_INNER_CONTENT_TYPE,
};

use crate::openssl::{Data, Slot, Ssl};

/// The most messages of TLS itself that a server may send before it sends data. A handshake has
/// less than ten.
const MAX_MESSAGES: u32 = 1000;

static MESSAGES: Slot<SSL, Messages> = Slot::new();

/// Counts what a server sends in TLS that is not data. OpenSSL reads on until there is data or
/// nothing more: without a limit, a server that sends key updates (RFC 8446, section 4.6.3) as fast
/// as they are taken would hold the worker for as long as it likes.
#[derive(Default)]
pub(crate) struct Messages(Cell<u32>);

impl Messages {
    /// There was data.
    pub(crate) fn reset(&self) {
        self.0.set(0);
    }

    /// Whether the connection was ended for them.
    pub(crate) fn are_too_many(&self) -> bool {
        self.0.get() >= MAX_MESSAGES
    }

    /// One more.
    fn add(&self) {
        self.0.set(self.0.get().saturating_add(1));
    }
}

impl Data for Messages {}

impl Ssl<'_> {
    /// Counts the messages that come, and ends the stream where they are too many; false without
    /// memory. The SSL must read from a socket that it does not own, as nginx sets it.
    pub(crate) fn count_messages(self, messages: &Rc<Messages>) -> bool {
        // SAFETY: the SSL is valid, and the function has the type that OpenSSL asks for.
        unsafe { SSL_set_msg_callback(self.as_ptr(), Some(on_message)) };
        MESSAGES.set(self, Rc::clone(messages))
    }
}

/// OpenSSL has sent or read a message, or looked at a record. If it has read too many messages, it
/// finds nothing more to read.
unsafe extern "C" fn on_message(
    is_sent: c_int,
    _version: c_int,
    content_type: c_int,
    _message: *const c_void,
    _len: usize,
    ssl: *mut SSL,
    _data: *mut c_void,
) {
    // Of data, OpenSSL shows the records only, which are no messages. It limits empty ones itself.
    let is_record = matches!(content_type as u32, SSL3_RT_HEADER | SSL3_RT_INNER_CONTENT_TYPE);
    if is_sent != 0 || is_record {
        return;
    }
    // SAFETY: OpenSSL passes a valid SSL.
    let Some(messages) = unsafe { Ssl::from_ptr(ssl) }.and_then(|ssl| MESSAGES.get(ssl)) else {
        return;
    };
    messages.add();
    if messages.are_too_many() {
        // SAFETY: the SSL reads from a socket, which its BIO does not own (SSL_set_fd(3)).
        unsafe {
            BIO_int_ctrl(SSL_get_rbio(ssl), BIO_C_SET_FD as c_int, BIO_NOCLOSE.into(), -1);
        }
    }
}
