//! `$remote_ssl_session_cache_status` and its like, the same in http{} and in stream{}.

use nginx_sys::{ngx_connection_t, ngx_int_t, ngx_pool_t, ngx_variable_value_t, NGX_ERROR, NGX_OK};
use ngx::core::Pool;
use ssl_session_cache_core::report::{EarlyData, Outcome};

use crate::handshake::{self, Report};
use crate::openssl::Ssl;

/// What nginx calls for the value of a variable.
pub(super) type Handler<S> =
    unsafe extern "C" fn(*mut S, *mut ngx_variable_value_t, usize) -> ngx_int_t;

/// What nginx looks variables up for: a request of http{}, or what stream{} has of a connection.
///
/// # Safety
///
/// The pointers must be valid.
pub(super) unsafe trait Scope {
    /// The client's connection.
    fn connection(&self) -> *mut ngx_connection_t;

    /// A pool that lives as long as the values.
    fn pool(&self) -> *mut ngx_pool_t;
}

/// The variables.
pub(super) fn all<S: Scope>() -> [(&'static str, Handler<S>); 3] {
    [
        ("remote_ssl_session_cache_status", status::<S>),
        ("remote_ssl_session_cache_time", time::<S>),
        ("remote_ssl_session_cache_early_data", early_data::<S>),
    ]
}

unsafe extern "C" fn status<S: Scope>(
    scope: *mut S,
    value: *mut ngx_variable_value_t,
    _data: usize,
) -> ngx_int_t {
    // SAFETY: nginx passes a valid scope and a place for the value.
    unsafe {
        let outcome = report(&*scope).map(|report| report.outcome);
        let name = outcome.filter(|outcome| *outcome != Outcome::None).map(Outcome::name);
        set(&mut *value, name.map(str::as_bytes));
    }
    NGX_OK as ngx_int_t
}

unsafe extern "C" fn early_data<S: Scope>(
    scope: *mut S,
    value: *mut ngx_variable_value_t,
    _data: usize,
) -> ngx_int_t {
    // SAFETY: nginx passes a valid scope and a place for the value.
    unsafe {
        let result = report(&*scope).and_then(|report| report.early_data);
        set(&mut *value, result.map(EarlyData::name).map(str::as_bytes));
    }
    NGX_OK as ngx_int_t
}

/// As nginx shows $upstream_response_time: seconds, with milliseconds.
unsafe extern "C" fn time<S: Scope>(
    scope: *mut S,
    value: *mut ngx_variable_value_t,
    _data: usize,
) -> ngx_int_t {
    // SAFETY: nginx passes a valid scope, which keeps its pool, and a place for the value.
    unsafe {
        let waited = report(&*scope).and_then(|report| report.waited);
        let Some(waited) = waited else {
            set(&mut *value, None);
            return NGX_OK as ngx_int_t;
        };
        let text = format!("{}.{:03}", waited.as_secs(), waited.subsec_millis());
        let text: *mut String = Pool::from_ngx_pool((*scope).pool()).allocate(text);
        let Some(text) = text.as_ref() else { return NGX_ERROR as ngx_int_t };
        set(&mut *value, Some(text.as_bytes()));
    }
    NGX_OK as ngx_int_t
}

fn report(scope: &impl Scope) -> Option<Report> {
    // SAFETY: where a connection has TLS, it has an SSL for as long as it lives. In HTTP/2 and HTTP/3 the
    // connection of a request has the `ssl` of the client's.
    unsafe {
        let ssl = (*scope.connection()).ssl.as_ref()?;
        handshake::report(Ssl::from_ptr(ssl.connection)?)
    }
}

fn set(value: &mut ngx_variable_value_t, bytes: Option<&'static [u8]>) {
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
