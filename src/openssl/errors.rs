//! OpenSSL's error queue, which a thread has one of.

use core::ffi::{c_char, CStr};

use nginx_sys::{ERR_clear_error, ERR_error_string_n, ERR_peek_error};

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

/// The reason of the first error in the queue, which is left empty.
pub(super) fn take_reason() -> String {
    let mut text: [c_char; 256] = [0; 256];
    // SAFETY: OpenSSL writes a C string of at most as many bytes as are told.
    let text = unsafe {
        ERR_error_string_n(ERR_peek_error(), text.as_mut_ptr(), text.len());
        CStr::from_ptr(text.as_ptr()).to_string_lossy()
    };
    clear_errors();
    // "error:80000002:system library::No such file or directory"
    text.rsplit(':').next().unwrap_or_default().to_owned()
}
