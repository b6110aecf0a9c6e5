//! The names of servers.

use nginx_sys::{ngx_cycle_t, ngx_str_t};

/// A name as it is configured, the same on every machine.
pub(super) fn configured(cycle: &ngx_cycle_t, name: &ngx_str_t, is_regex: bool) -> Vec<u8> {
    match name {
        // Another on each machine, and nginx keeps the very same text.
        name if name.data == cycle.hostname.data => b"$hostname".to_vec(),
        name if is_regex => [b"~", name.as_bytes()].concat(),
        name => name.as_bytes().to_vec(),
    }
}

/// Whether a name is a regular expression, of which an nginx without PCRE has none.
macro_rules! is_regex {
    ($name:expr) => {{
        #[cfg(ngx_feature = "pcre")]
        let is_regex = !$name.regex.is_null();
        #[cfg(not(ngx_feature = "pcre"))]
        let is_regex = false;
        is_regex
    }};
}

pub(super) use is_regex;
