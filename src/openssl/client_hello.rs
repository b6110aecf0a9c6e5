//! OpenSSL's callback on a ClientHello, which can have the handshake wait
//! (SSL_CTX_set_client_hello_cb(3)).

use core::ffi::{c_int, c_uint, c_void};
use core::ptr::{self, NonNull};
use core::{mem, slice};
use std::sync::OnceLock;

use nginx_sys::{
    CRYPTO_get_mem_functions, CRYPTO_malloc, SSL_CTX_free, SSL_CTX_new,
    SSL_CTX_set_client_hello_cb, SSL_client_hello_get0_ext, SSL_client_hello_get0_session_id,
    TLS_server_method, SSL, SSL_CLIENT_HELLO_RETRY, SSL_CLIENT_HELLO_SUCCESS, SSL_CTX,
};
use ssl_session_cache_core::hello::ClientHello;

use crate::openssl::{clear_errors, Ssl, SslCtx};

/// Who is asked about ClientHellos.
pub(crate) trait ClientHellos {
    /// A ClientHello is there, also the second one after a HelloRetryRequest. Returns whether the
    /// handshake is to wait: then this is asked again each time that somebody goes on with it.
    fn holds(ssl: Ssl<'_>) -> bool;
}

type Callback = unsafe extern "C" fn(*mut SSL, *mut c_int, *mut c_void) -> c_int;

/// The ClientHello callback of an SSL_CTX.
pub(crate) struct ClientHelloCallback(NonNull<c_void>);

impl ClientHelloCallback {
    /// Whether it is this function.
    pub(crate) fn is(&self, function: *mut c_void) -> bool {
        self.0.as_ptr() == function
    }
}

/// It cannot be told where this OpenSSL keeps the callback of an SSL_CTX.
pub(crate) struct UnknownPlace;

impl SslCtx {
    /// The ClientHello callback that is set, if one is.
    ///
    /// OpenSSL has no getter for it. It is looked for where it was put in an SSL_CTX of our own.
    pub(crate) fn client_hello_callback(self) -> Result<Option<ClientHelloCallback>, UnknownPlace> {
        static PLACE: OnceLock<Option<usize>> = OnceLock::new();
        let place = PLACE.get_or_init(place_of_callback).ok_or(UnknownPlace)?;
        // SAFETY: the SSL_CTX is valid, of the same OpenSSL as the one that was looked at, and so has a
        // function pointer there, or none.
        let callback = unsafe { self.as_ptr().byte_add(place).cast::<*mut c_void>().read() };
        Ok(NonNull::new(callback).map(ClientHelloCallback))
    }

    /// Has a type of ours be asked about ClientHellos, and then the callback that was there before.
    ///
    /// # Safety
    ///
    /// That callback must not use the argument that it was set with: it gets none.
    pub(crate) unsafe fn ask_about_client_hellos<C: ClientHellos>(
        self,
        before: Option<ClientHelloCallback>,
    ) {
        let before = before.map_or(ptr::null_mut(), |before| before.0.as_ptr());
        // SAFETY: the SSL_CTX is valid, and the function has the type that OpenSSL asks for.
        unsafe { SSL_CTX_set_client_hello_cb(self.as_ptr(), Some(client_hello::<C>), before) };
    }
}

/// How far into an SSL_CTX the callback is, in bytes; `None` where that cannot be told, or without
/// memory.
fn place_of_callback() -> Option<usize> {
    static ARGUMENT: u8 = 0;

    let argument = ptr::addr_of!(ARGUMENT).cast_mut().cast::<c_void>();
    let callback: Callback = asked_by_nobody;
    // OpenSSL keeps both beside each other.
    let both = [callback as usize, argument as usize];
    if !memory_is_of_malloc() {
        return None;
    }
    // SAFETY: the SSL_CTX is ours, one block of malloc's, of which no more is read than there is.
    unsafe {
        let Some(ctx) = NonNull::new(SSL_CTX_new(TLS_server_method())) else {
            clear_errors();
            return None;
        };
        SSL_CTX_set_client_hello_cb(ctx.as_ptr(), Some(callback), argument);
        let place = find(ctx, libc::malloc_usable_size(ctx.as_ptr().cast()), both);
        SSL_CTX_free(ctx.as_ptr());
        place
    }
}

/// Whether OpenSSL has its memory from malloc, and not from functions that somebody has set
/// (CRYPTO_set_mem_functions(3)): how long their blocks are cannot be told.
fn memory_is_of_malloc() -> bool {
    let mut malloc = None;
    // SAFETY: OpenSSL writes a function pointer, and leaves out what is not asked for.
    unsafe { CRYPTO_get_mem_functions(&mut malloc, ptr::null_mut(), ptr::null_mut()) };
    malloc.map(|malloc| malloc as *const ()) == Some(CRYPTO_malloc as *const ())
}

/// The place of two words beside each other in an object, in bytes, if they are there once, and aligned.
///
/// # Safety
///
/// The object must have so many bytes.
unsafe fn find(object: NonNull<SSL_CTX>, len: usize, words: [usize; 2]) -> Option<usize> {
    let find_from = |from: usize| {
        let start = object.as_ptr().cast::<c_void>();
        // SAFETY: as the caller promises.
        let found = unsafe {
            let (sought, sought_len) = (words.as_ptr().cast(), mem::size_of_val(&words));
            libc::memmem(start.byte_add(from), len - from, sought, sought_len)
        };
        (!found.is_null()).then(|| found as usize - start as usize)
    };
    let place = find_from(0)?;
    let is_word = place % mem::align_of::<usize>() == 0;
    (is_word && find_from(place + 1).is_none()).then_some(place)
}

unsafe extern "C" fn asked_by_nobody(_: *mut SSL, _: *mut c_int, _: *mut c_void) -> c_int {
    SSL_CLIENT_HELLO_SUCCESS as c_int
}

unsafe extern "C" fn client_hello<C: ClientHellos>(
    ssl: *mut SSL,
    alert: *mut c_int,
    before: *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL.
    if unsafe { Ssl::from_ptr(ssl) }.is_some_and(C::holds) {
        return SSL_CLIENT_HELLO_RETRY;
    }
    // SAFETY: it is what ask_about_client_hellos() has set: a null pointer, or what OpenSSL itself kept as such a
    // function. The arguments are OpenSSL's own, and it uses none of its own, as the caller has promised there.
    unsafe {
        let before = mem::transmute::<*mut c_void, Option<Callback>>(before);
        before
            .map_or(SSL_CLIENT_HELLO_SUCCESS as c_int, |before| before(ssl, alert, ptr::null_mut()))
    }
}

impl<'a> Ssl<'a> {
    /// What the ClientHello offers. For [`ClientHellos`]: OpenSSL still has the message then.
    pub(crate) fn client_hello(self) -> Option<ClientHello<'a>> {
        let mut id = ptr::null();
        // SAFETY: the SSL is valid, and keeps the message until it has been read to its end; an id is
        // there where there are bytes of it.
        let id = unsafe {
            match SSL_client_hello_get0_session_id(self.as_ptr(), &mut id) {
                0 => &[],
                len => slice::from_raw_parts(id, len),
            }
        };
        ClientHello::new(id, |kind| self.hello_extension(kind.into()))
    }

    /// An extension of the ClientHello (SSL_client_hello_get0_ext(3)). For the callbacks that OpenSSL
    /// looks for sessions with, and that on the message: it still has that then.
    pub(crate) fn hello_extension(self, kind: c_uint) -> Option<&'a [u8]> {
        let (mut data, mut len) = (ptr::null(), 0);
        // SAFETY: the SSL is valid, and keeps the message until it has been read to its end.
        unsafe {
            let is_there = SSL_client_hello_get0_ext(self.as_ptr(), kind, &mut data, &mut len) != 0;
            is_there.then(|| slice::from_raw_parts(data, len))
        }
    }
}
