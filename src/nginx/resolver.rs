//! nginx's resolver.

use core::cell::Cell;
use core::ffi::CStr;
use core::ptr::{self, NonNull};
use core::slice;
use core::time::Duration;
use std::rc::Weak;

use nginx_sys::{
    ngx_conf_t, ngx_msec_t, ngx_resolve_name, ngx_resolve_name_done, ngx_resolve_start,
    ngx_resolver_addr_t, ngx_resolver_create, ngx_resolver_ctx_t, ngx_resolver_strerror,
    ngx_resolver_t, NGX_OK,
};

use crate::nginx::string::borrowed;
use crate::nginx::{unix_time, SockAddr};

/// nginx's `resolver`, as configured.
#[derive(Clone, Copy)]
pub(crate) struct Resolver {
    resolver: NonNull<ngx_resolver_t>,
    timeout: ngx_msec_t,
}

/// nginx's default of `resolver_timeout`, in milliseconds.
const TIMEOUT: ngx_msec_t = 30_000;

impl Resolver {
    /// One by the words of nginx's directive `resolver`; `None` where they are wrong, which nginx has
    /// told of.
    ///
    /// # Safety
    ///
    /// The words must be in the pool of the configuration, or live as long.
    pub(crate) unsafe fn create(cf: &mut ngx_conf_t, words: &[&[u8]]) -> Option<Self> {
        let mut words: Vec<_> = words.iter().map(|word| borrowed(word)).collect();
        // SAFETY: as the caller promises; the resolver is in the pool of the configuration as well.
        unsafe {
            let resolver = ngx_resolver_create(cf, words.as_mut_ptr(), words.len());
            Self::new(resolver, TIMEOUT)
        }
    }

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

/// What a name stands for.
pub(crate) struct NameAddresses {
    /// At least one, in any order.
    pub(crate) addresses: Vec<SockAddr>,
    /// How long they are valid.
    pub(crate) lifetime: Duration,
}

/// Who asks for a name.
pub(crate) trait Asker {
    /// The addresses, or the reason why there are none.
    fn answered(&self, result: Result<NameAddresses, String>);
}

/// A question for the addresses of a name, one at a time. It does not keep an old worker alive after
/// a reload.
///
/// # Drop behaviour
///
/// What is asked is given up; nobody is told.
pub(crate) struct NameQuery(Box<Asked>);

/// Boxed, as nginx keeps the address.
struct Asked {
    asker: Weak<dyn Asker>,
    context: Cell<*mut ngx_resolver_ctx_t>,
}

impl NameQuery {
    /// Nothing is asked yet.
    pub(crate) fn new(asker: Weak<dyn Asker>) -> Self {
        Self(Box::new(Asked { asker, context: Cell::new(ptr::null_mut()) }))
    }

    /// Whether an answer is waited for.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.0.context.get().is_null()
    }

    /// Gives up what is asked, if anything is; nobody is told.
    pub(crate) fn stop(&self) {
        self.0.stop();
    }

    /// Asks, unless an answer is waited for. It may come before this returns, where nginx knows it.
    pub(crate) fn ask(&self, resolver: Resolver, name: &str) {
        if self.is_under_way() {
            return;
        }
        // SAFETY: the resolver is valid; nginx copies the name before it returns, and calls
        // on_resolved() once, if at all, before the context is freed.
        unsafe {
            let context = ngx_resolve_start(resolver.resolver.as_ptr(), ptr::null_mut());
            // NGX_NO_RESOLVER is a context of -1.
            if context.is_null() || context as isize == -1 {
                return;
            }
            (*context).name = borrowed(name.as_bytes());
            (*context).handler = Some(on_resolved);
            (*context).data = (&raw const *self.0).cast_mut().cast();
            (*context).timeout = resolver.timeout;
            (*context).set_cancelable(1);
            self.0.context.set(context);
            if ngx_resolve_name(context) != NGX_OK as isize {
                // nginx has freed the context.
                self.0.context.set(ptr::null_mut());
            }
        }
    }
}

impl Asked {
    fn stop(&self) {
        let context = self.context.replace(ptr::null_mut());
        if !context.is_null() {
            // SAFETY: a context that nginx has not freed.
            unsafe { ngx_resolve_name_done(context) };
        }
    }
}

impl Drop for NameQuery {
    fn drop(&mut self) {
        self.0.stop();
    }
}

unsafe extern "C" fn on_resolved(context: *mut ngx_resolver_ctx_t) {
    // SAFETY: the context is one that ask() made, and has ended; what is asked is dropped only after
    // the context. Who asks may drop it.
    let (asker, result) = unsafe {
        let asked = &*(*context).data.cast::<Asked>();
        let result = result(&*context);
        asked.stop();
        (asked.asker.upgrade(), result)
    };
    if let Some(asker) = asker {
        asker.answered(result);
    }
}

/// # Safety
///
/// The lookup of the context must have ended.
unsafe fn result(context: &ngx_resolver_ctx_t) -> Result<NameAddresses, String> {
    if context.state != 0 || context.naddrs == 0 {
        // SAFETY: nginx returns a C string for any state.
        let reason = unsafe { CStr::from_ptr(ngx_resolver_strerror(context.state).cast()) };
        return Err(reason.to_string_lossy().into_owned());
    }
    // SAFETY: there are so many addresses, each with a valid socket address.
    let addresses = unsafe {
        slice::from_raw_parts::<ngx_resolver_addr_t>(context.addrs, context.naddrs)
            .iter()
            .map(|address| SockAddr::copy(address.sockaddr, address.socklen))
            .collect()
    };
    let seconds = context.valid.saturating_sub(unix_time());
    let lifetime = Duration::from_secs(seconds.max(1).unsigned_abs());
    Ok(NameAddresses { addresses, lifetime })
}
