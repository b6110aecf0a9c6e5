//! nginx's strings.

use nginx_sys::ngx_str_t;

/// A text as nginx's functions take it: for those that only read it, and only while they run, or
/// for a text that is static.
pub(crate) fn borrowed(text: &[u8]) -> ngx_str_t {
    ngx_str_t { len: text.len(), data: text.as_ptr().cast_mut() }
}
