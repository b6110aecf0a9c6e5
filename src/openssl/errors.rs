//! OpenSSL's error queue, which a thread has one of.

use nginx_sys::{ERR_clear_error, ERR_peek_error};

/// Empties OpenSSL's error queue. What is left in it would fail another connection's handshake, and
/// before OpenSSL 4.0 turns a pause into an error (SSL_get_error(3)).
pub(crate) fn clear_errors() {
    // SAFETY: has no requirements; the queue is the thread's own.
    unsafe {
        if ERR_peek_error() != 0 {
            ERR_clear_error();
        }
    }
}
