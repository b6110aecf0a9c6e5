//! TLS as a client, as nginx speaks it.

use core::cell::UnsafeCell;
use core::mem;
use core::ptr;

use nginx_sys::{
    ngx_ssl_cleanup_ctx, ngx_ssl_create, ngx_ssl_t, NGX_SSL_TLSv1_2, NGX_SSL_TLSv1_3, NGX_OK,
};

use crate::nginx::Log;
use crate::openssl::SslCtx;

/// An SSL_CTX with what nginx needs of it. Connections have references of their own.
///
/// Boxed, as OpenSSL keeps the address of nginx's structure with the SSL_CTX.
pub(crate) struct ClientTls(Box<UnsafeCell<ngx_ssl_t>>);

impl ClientTls {
    /// TLS 1.2 and 1.3; `None` where OpenSSL's error queue says why not.
    pub(crate) fn new(log: Log) -> Option<Self> {
        // SAFETY: nginx itself starts the structure from all-zero.
        let mut ssl = Box::new(UnsafeCell::new(unsafe { mem::zeroed::<ngx_ssl_t>() }));
        ssl.get_mut().log = log.as_ptr();
        let protocols = (NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3) as usize;
        // SAFETY: the structure stays where it is; the SSL_CTX needs no data of a server's.
        let rc = unsafe { ngx_ssl_create(ssl.get(), protocols, ptr::null_mut()) };
        (rc == NGX_OK as isize).then(|| Self(ssl))
    }

    /// The SSL_CTX; none is ever missing.
    pub(crate) fn ctx(&self) -> Option<SslCtx> {
        // SAFETY: the structure is valid, and its SSL_CTX is as long as this value.
        unsafe { SslCtx::from_ptr((*self.0.get()).ctx) }
    }

    pub(super) fn as_ptr(&self) -> *mut ngx_ssl_t {
        self.0.get()
    }
}

impl Drop for ClientTls {
    fn drop(&mut self) {
        // SAFETY: the structure holds an SSL_CTX.
        unsafe { ngx_ssl_cleanup_ctx(self.0.get().cast()) };
    }
}
