//! The status page: the directive `remote_ssl_session_cache_status`, and what is answered there.

use core::ffi::{c_char, c_void};
use core::ptr;

use nginx_sys::{
    ngx_command_t, ngx_conf_t, ngx_http_arg, ngx_http_complex_value_t, ngx_http_core_loc_conf_t,
    ngx_http_core_module, ngx_http_request_t, ngx_http_send_response, ngx_int_t, ngx_str_t,
    ngx_uint_t, NGX_CONF_NOARGS, NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_INTERNAL_SERVER_ERROR,
    NGX_HTTP_LOC_CONF, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OK, NGX_OK,
};
use ngx::core::{Pool, NGX_CONF_ERROR, NGX_CONF_OK};
use ngx::http::{HttpModuleConfExt, Request};
use ngx::ngx_string;
use ssl_session_cache_core::report::{json, prometheus, Frontend, Snapshot};

use crate::conf::CycleConf;
use crate::nginx::{borrowed, host_name};
use crate::{counters, tickets};

/// The directive.
pub(crate) const COMMAND: ngx_command_t = ngx_command_t {
    name: ngx_string!("remote_ssl_session_cache_status"),
    type_: (NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS) as ngx_uint_t,
    set: Some(set_handler),
    ..ngx_command_t::empty()
};

/// What the page can be.
#[derive(Clone, Copy)]
enum Format {
    Json,
    Prometheus,
    /// For a person: reads the JSON, again and again.
    Html,
}

impl Format {
    /// By the argument `format`, else by what the client accepts.
    fn of(argument: &[u8], accept: &str) -> Self {
        match argument {
            b"json" => Self::Json,
            b"prometheus" => Self::Prometheus,
            b"html" => Self::Html,
            _ => Self::accepted(accept),
        }
    }

    /// What the client likes best of the types that it names (RFC 9110, section 12.5.1), the first
    /// of equal ones.
    fn accepted(accept: &str) -> Self {
        let mut best = (Self::Json, 0.0);
        for range in accept.to_ascii_lowercase().split(',') {
            let mut words = range.split(';').map(str::trim);
            let format = match words.next() {
                Some("application/json") => Self::Json,
                Some("text/html") => Self::Html,
                // As Prometheus asks.
                Some("text/plain" | "application/openmetrics-text") => Self::Prometheus,
                _ => continue,
            };
            let weight = words.find_map(|word| word.strip_prefix("q=")?.parse().ok());
            let weight: f32 = weight.unwrap_or(1.0);
            if weight > best.1 {
                best = (format, weight);
            }
        }
        best.0
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    fn render(self) -> String {
        match self {
            Self::Json => json::render(&snapshot()),
            Self::Prometheus => prometheus::render(&snapshot()),
            Self::Html => super::html::page(),
        }
    }
}

/// What is so now.
fn snapshot() -> Snapshot {
    let conf = CycleConf::in_use();
    let caches = conf.default_caches();
    let mut suspend: Vec<_> =
        caches.iter().filter_map(|known| Some(known.cache.choice()?.way.name())).collect();
    suspend.sort_unstable();
    suspend.dedup();
    let has_caches = |frontend| caches.iter().any(|known| known.frontend == frontend);
    Snapshot {
        version: env!("CARGO_PKG_VERSION"),
        host: String::from_utf8_lossy(host_name()).into_owned(),
        suspend,
        frontends: Frontend::ALL.map(has_caches),
        tickets: tickets::statuses(&conf.all_tickets()),
        ..counters::take(&conf.counted())
    }
}

unsafe extern "C" fn set_handler(
    cf: *mut ngx_conf_t,
    _cmd: *mut ngx_command_t,
    _conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes its configuration context, in a location; the type is that of
    // ngx_http_core_module's location configuration.
    unsafe {
        let core = &*ptr::addr_of!(ngx_http_core_module);
        match (*cf).http_location_conf_unchecked::<ngx_http_core_loc_conf_t>(core) {
            Some(mut conf) => conf.as_mut().handler = Some(answer),
            None => return NGX_CONF_ERROR,
        }
    }
    NGX_CONF_OK
}

unsafe extern "C" fn answer(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a valid request. What it keeps of the answer is static or lies in the
    // request's pool.
    unsafe {
        if (*request).method & (NGX_HTTP_GET | NGX_HTTP_HEAD) as usize == 0 {
            return NGX_HTTP_NOT_ALLOWED as ngx_int_t;
        }
        // What it says now, in the format that this client likes best.
        let headers = Request::from_ngx_http_request(request);
        if headers.add_header_out("Cache-Control", "no-store").is_none() {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
        }
        let format = Format::of(argument(request, "format"), &accept(request));
        let page: *mut String = Pool::from_ngx_pool((*request).pool).allocate(format.render());
        let Some(page) = page.as_ref() else {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
        };
        let mut content_type = borrowed(format.content_type().as_bytes());
        let mut body: ngx_http_complex_value_t = core::mem::zeroed();
        body.value = borrowed(page.as_bytes());
        ngx_http_send_response(request, NGX_HTTP_OK as ngx_uint_t, &mut content_type, &mut body)
    }
}

/// An argument of the request; empty where it is not there.
///
/// # Safety
///
/// The request must be valid for as long as the argument is used.
unsafe fn argument<'a>(request: *mut ngx_http_request_t, name: &str) -> &'a [u8] {
    let mut value = ngx_str_t { len: 0, data: ptr::null_mut() };
    // SAFETY: as the caller promises; the name is only read.
    unsafe {
        let rc = ngx_http_arg(request, name.as_ptr().cast_mut(), name.len(), &mut value);
        if rc != NGX_OK as ngx_int_t || value.len == 0 {
            return &[];
        }
        core::slice::from_raw_parts(value.data, value.len)
    }
}

/// The types that the client accepts, as it says so in one header or several.
///
/// # Safety
///
/// The request must be valid.
unsafe fn accept(request: *mut ngx_http_request_t) -> String {
    // SAFETY: as the caller promises.
    let request = unsafe { Request::from_ngx_http_request(request) };
    let accept: Vec<_> = request
        .headers_in_iterator()
        .filter(|(name, _)| name.as_bytes().eq_ignore_ascii_case(b"Accept"))
        .map(|(_, value)| value.to_string_lossy())
        .collect();
    accept.join(",")
}
