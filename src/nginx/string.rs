//! nginx's strings.

use core::ffi::CStr;

use nginx_sys::{ngx_str_t, u_char};

/// A text as nginx's functions take it: for those that only read it, and only while they run, or
/// for a text that is static.
pub(crate) fn borrowed(text: &[u8]) -> ngx_str_t {
    ngx_str_t { len: text.len(), data: text.as_ptr().cast_mut() }
}

/// A line of a file, as nginx tells it.
///
/// # Safety
///
/// The name of the file must be a C string.
pub(crate) unsafe fn place(file: *const u_char, line: usize) -> String {
    // SAFETY: as the caller promises.
    let file = unsafe { CStr::from_ptr(file.cast()) };
    format!("{}:{line}", file.to_string_lossy())
}
