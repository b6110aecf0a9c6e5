//! How a handshake that waits is told to go on.

use std::rc::{Rc, Weak};

use crate::nginx::{debug, Connection};
use crate::openssl::Bound;

/// Has one handshake go on. It may live longer than the handshake, which then stays as it is.
///
/// It posts the connection's read event, which nginx handles over TCP as if the client had sent
/// something, and over QUIC, with the patch of this project, by going on with the handshake.
pub(in crate::handshake) struct Waker(Weak<dyn Wake>);

impl Waker {
    /// What wakes a handshake.
    pub(in crate::handshake) fn of<T: 'static>(handshake: &Rc<Bound<T>>) -> Self {
        let handshake = Rc::downgrade(handshake);
        Self(handshake)
    }

    /// Has the handshake go on in this turn of the event loop, never from here, where another one
    /// may be on the stack. `why` is told in the debug log.
    pub(in crate::handshake) fn wake(&self, why: &'static str) {
        if let Some(handshake) = self.0.upgrade() {
            handshake.wake(why);
        }
    }
}

trait Wake {
    fn wake(&self, why: &'static str);
}

impl<T> Wake for Bound<T> {
    fn wake(&self, why: &'static str) {
        self.with_ssl(|ssl| {
            debug(ssl, why);
            if let Some(connection) = Connection::of(ssl) {
                connection.post_read_event();
            }
        });
    }
}
