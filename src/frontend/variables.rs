//! `$remote_ssl_session_cache_status` and `$remote_ssl_session_cache_time`.

use nginx_sys::{
    ngx_conf_t, ngx_http_add_variable, ngx_http_get_variable_pt, ngx_http_request_t,
    ngx_http_variable_value_t, ngx_int_t, NGX_ERROR, NGX_OK,
};
use ngx::core::Pool;
use ssl_session_cache_core::report::Outcome;

use crate::handshake::{self, Report};
use crate::nginx::borrowed;
use crate::openssl::Ssl;

const VARIABLES: [(&str, ngx_http_get_variable_pt); 2] = [
    ("remote_ssl_session_cache_status", Some(status)),
    ("remote_ssl_session_cache_time", Some(time)),
];

/// Adds the variables to a configuration; `None` without memory.
pub(crate) fn add(cf: &mut ngx_conf_t) -> Option<()> {
    for (name, handler) in VARIABLES {
        let mut name = borrowed(name.as_bytes());
        // SAFETY: nginx copies the name, and keeps the variable for as long as the configuration.
        unsafe { ngx_http_add_variable(cf, &mut name, 0).as_mut()?.get_handler = handler };
    }
    Some(())
}

unsafe extern "C" fn status(
    request: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    _data: usize,
) -> ngx_int_t {
    // SAFETY: nginx passes a valid request and a place for the value.
    unsafe {
        let outcome = report(request).map(|report| report.outcome);
        let name = outcome.filter(|outcome| *outcome != Outcome::None).map(Outcome::name);
        set(&mut *value, name.map(str::as_bytes));
    }
    NGX_OK as ngx_int_t
}

/// As nginx shows $upstream_response_time: seconds, with milliseconds.
unsafe extern "C" fn time(
    request: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    _data: usize,
) -> ngx_int_t {
    // SAFETY: nginx passes a valid request, which keeps its pool, and a place for the value.
    unsafe {
        let waited = report(request).and_then(|report| report.waited);
        let Some(waited) = waited else {
            set(&mut *value, None);
            return NGX_OK as ngx_int_t;
        };
        let text = format!("{}.{:03}", waited.as_secs(), waited.subsec_millis());
        let text: *mut String = Pool::from_ngx_pool((*request).pool).allocate(text);
        let Some(text) = text.as_ref() else { return NGX_ERROR as ngx_int_t };
        set(&mut *value, Some(text.as_bytes()));
    }
    NGX_OK as ngx_int_t
}

/// # Safety
///
/// The request must be valid.
unsafe fn report(request: *mut ngx_http_request_t) -> Option<Report> {
    // SAFETY: a request has a connection, and where that has TLS, an SSL for as long as it lives.
    // In HTTP/2 and HTTP/3 the connection of a request has the `ssl` of the client's.
    unsafe {
        let ssl = (*(*request).connection).ssl.as_ref()?;
        handshake::report(Ssl::from_ptr(ssl.connection)?)
    }
}

fn set(value: &mut ngx_http_variable_value_t, bytes: Option<&'static [u8]>) {
    match bytes {
        Some(bytes) => {
            value.set_len(bytes.len() as _);
            value.set_valid(1);
            value.set_no_cacheable(0);
            value.set_not_found(0);
            value.data = bytes.as_ptr().cast_mut();
        }
        None => value.set_not_found(1),
    }
}
