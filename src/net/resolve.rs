use core::cell::Cell;
use core::ffi::CStr;
use core::ptr::{self, NonNull};
use core::slice;
use core::time::Duration;

use nginx_sys::{
    ngx_cached_time, ngx_msec_t, ngx_resolve_name, ngx_resolve_name_done, ngx_resolve_start,
    ngx_resolver_addr_t, ngx_resolver_ctx_t, ngx_resolver_strerror, ngx_resolver_t, ngx_str_t,
    NGX_OK,
};
use ssl_session_cache_core::Instant;

use crate::net::address::Address;
use crate::nginx::now;

/// nginx's `resolver`, as configured.
#[derive(Clone, Copy)]
pub(crate) struct Resolver {
    resolver: NonNull<ngx_resolver_t>,
    timeout: ngx_msec_t,
}

impl Resolver {
    /// `None` where no `resolver` is configured.
    ///
    /// # Safety
    ///
    /// The resolver must be null or live as long as the configuration.
    pub(crate) unsafe fn new(resolver: *mut ngx_resolver_t, timeout: ngx_msec_t) -> Option<Self> {
        let resolver = NonNull::new(resolver)?;
        // SAFETY: as the caller promises. nginx makes one without servers where none is configured.
        let configured = unsafe { resolver.as_ref().connections.nelts != 0 };
        configured.then_some(Self { resolver, timeout })
    }
}

/// What a name stands for, and until when.
pub(crate) struct Resolved {
    /// Sorted; at least one.
    pub(crate) addresses: Vec<Address>,
    pub(crate) valid_until: Instant,
}

/// Who a lookup tells. It is never called while a method of the lookup runs, but for
/// [`NameLookup::start`].
pub(crate) trait NameHandler {
    /// The lookup has ended: with at least one address, or with the reason why there is none.
    fn resolved(&self, result: Result<Resolved, String>);
}

/// Looks a name up, one lookup at a time.
///
/// # Drop behaviour
///
/// A lookup under way is given up; nobody is told.
pub(crate) struct NameLookup {
    handler: Cell<Option<NonNull<dyn NameHandler>>>,
    context: Cell<*mut ngx_resolver_ctx_t>,
    port: Cell<u16>,
}

impl NameLookup {
    /// A lookup of nothing; [`bind`](Self::bind) it before use.
    pub(crate) fn new() -> Self {
        Self { handler: Cell::new(None), context: Cell::new(ptr::null_mut()), port: Cell::new(0) }
    }

    /// Sets who is told.
    ///
    /// # Safety
    ///
    /// Neither the lookup nor the handler may move from now on, and the handler must live as long
    /// as the lookup.
    pub(crate) unsafe fn bind(&self, handler: NonNull<dyn NameHandler>) {
        self.handler.set(Some(handler));
    }

    /// Begins a lookup, unless one is under way. The handler may be called before this returns,
    /// where nginx knows the answer.
    pub(crate) fn start(&self, resolver: Resolver, name: &str, port: u16) {
        if !self.context.get().is_null() {
            return;
        }
        self.port.set(port);
        // SAFETY: the resolver is valid; nginx copies the name before it returns, and calls
        // on_resolved() once, if at all, before the context is freed.
        unsafe {
            let context = ngx_resolve_start(resolver.resolver.as_ptr(), ptr::null_mut());
            // NGX_NO_RESOLVER is a context of -1.
            if context.is_null() || context as isize == -1 {
                return;
            }
            (*context).name = ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() };
            (*context).handler = Some(on_resolved);
            (*context).data = ptr::from_ref(self).cast_mut().cast();
            (*context).timeout = resolver.timeout;
            // An old worker must not be kept alive after a reload.
            (*context).set_cancelable(1);
            self.context.set(context);
            if ngx_resolve_name(context) != NGX_OK as isize {
                // nginx has freed the context.
                self.context.set(ptr::null_mut());
            }
        }
    }

    /// Gives up the lookup under way, if there is one.
    fn stop(&self) {
        let context = self.context.replace(ptr::null_mut());
        if !context.is_null() {
            // SAFETY: a context that nginx has not freed.
            unsafe { ngx_resolve_name_done(context) };
        }
    }
}

impl Drop for NameLookup {
    fn drop(&mut self) {
        self.stop();
    }
}

unsafe extern "C" fn on_resolved(context: *mut ngx_resolver_ctx_t) {
    // SAFETY: the context is one that start() made, whose lookup is dropped only after the context.
    let (lookup, result) = unsafe {
        let lookup = &*(*context).data.cast::<NameLookup>();
        (lookup, result(&*context, lookup.port.get()))
    };
    lookup.stop();
    if let Some(handler) = lookup.handler.get() {
        // SAFETY: the handler lives as long as the lookup, as bind() asks for.
        unsafe { handler.as_ref() }.resolved(result);
    }
}

/// # Safety
///
/// The lookup of the context must have ended.
unsafe fn result(context: &ngx_resolver_ctx_t, port: u16) -> Result<Resolved, String> {
    if context.state != 0 || context.naddrs == 0 {
        // SAFETY: nginx returns a C string for any state.
        let reason = unsafe { CStr::from_ptr(ngx_resolver_strerror(context.state).cast()) };
        return Err(reason.to_string_lossy().into_owned());
    }
    // SAFETY: there are so many addresses, each with a valid socket address.
    let addresses = unsafe {
        slice::from_raw_parts::<ngx_resolver_addr_t>(context.addrs, context.naddrs)
            .iter()
            .map(|address| Address::new(address.sockaddr, address.socklen, port))
            .collect()
    };
    // SAFETY: nginx sets the time before the first event.
    let seconds = context.valid.saturating_sub(unsafe { (*ngx_cached_time).sec });
    let valid_until = now() + Duration::from_secs(seconds.max(1).unsigned_abs());
    Ok(Resolved { addresses: Address::sorted(addresses), valid_until })
}
