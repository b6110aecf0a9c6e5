//! What OpenSSL calls for the stateless tickets of an SSL_CTX (RFC 5077; with TLS 1.3, RFC 8446,
//! section 4.6.1).
//!
//! A ticket is `name (16) | IV (16) | session, under AES-256-CBC | HMAC-SHA-256 of all before`. The
//! key callback is asked for the keys, and OpenSSL does the rest (tls_decrypt_ticket() in
//! ssl/t1_lib.c, construct_stateless_ticket() in ssl/statem/statem_srvr.c). What is made of a ticket
//! then is told to the ticket callback, which may refuse it. Nothing that they return here fails a
//! handshake:
//!
//! | key callback, sealing | what OpenSSL makes of it |
//! |---|---|
//! | -1 | the handshake fails: never returned |
//! | 0 | TLS 1.2: an empty ticket, which is none (RFC 5077, section 3.3). TLS 1.3: OpenSSL sends no ticket since 3.0.6; before, one that lacks half of its fields, which fails the client: never returned there, see `generate_ticket` |
//! | 1 | the ticket is sealed with what was set |
//!
//! | key callback, opening | |
//! |---|---|
//! | -1 | the handshake fails: never returned |
//! | 0 | a full handshake, and a new ticket |
//! | 1 | the ticket is opened; its client keeps it, where TLS is 1.2. With TLS 1.3 as well, which would leave it with a ticket that is used up: never returned there |
//! | 2 | the ticket is opened, and its client gets a new one |
//!
//! | ticket callback | |
//! |---|---|
//! | `ABORT` | the handshake fails: never returned |
//! | `IGNORE` | as if there was no ticket: no new one, and with TLS 1.2 the id beside it, which is the client's own mark, is looked up: never returned |
//! | `IGNORE_RENEW` | a full handshake, and a new ticket; where there was none to open, as OpenSSL had it |
//! | `USE`, `USE_RENEW` | the session is resumed; the handshake fails where there is none |

use core::ffi::{c_char, c_int, c_uchar, c_uint, c_void};
use core::marker::PhantomData;
use core::mem;
use core::ptr::{self, NonNull};
use core::slice;

use nginx_sys::{
    EVP_CipherInit_ex, EVP_aes_256_cbc, EVP_sha256, SSL_CTX_callback_ctrl,
    SSL_CTX_set_session_ticket_cb, EVP_CIPHER, EVP_CIPHER_CTX, EVP_MD, OPENSSL_VERSION_NUMBER, SSL,
    SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, SSL_CTX, SSL_SESSION, SSL_TICKET_EMPTY,
    SSL_TICKET_RETURN_IGNORE_RENEW, SSL_TICKET_RETURN_USE, SSL_TICKET_RETURN_USE_RENEW,
    SSL_TICKET_SUCCESS, SSL_TICKET_SUCCESS_RENEW,
};
use ssl_session_cache_core::ticket::{TicketKey, NAME_LEN};

use crate::openssl::{clear_errors, SessionRef, Ssl, SslCtx};

/// The length of the IV of AES-CBC.
pub(crate) const IV_LEN: usize = 16;

/// Whether OpenSSL is 3 or later, by its headers: where it is not, what it lacks is never called, nor
/// even linked.
const IS_OPENSSL_3: bool = OPENSSL_VERSION_NUMBER >= 0x3000_0000;

/// Whether OpenSSL sends no ticket of TLS 1.3 where the key callback says 0, as since 3.0.6.
const SENDS_NO_TICKET: bool = OPENSSL_VERSION_NUMBER >= 0x3000_0060;

/// Who is called.
pub(crate) trait TicketCallbacks {
    /// Whether a ticket can be sealed.
    fn can_seal(ssl: Ssl<'_>) -> bool;

    /// A ticket is to be sealed; false where it cannot be, and its client gets none.
    fn seals(ssl: Ssl<'_>, ticket: Sealing<'_>) -> bool;

    /// A client's ticket is to be opened.
    fn opens(ssl: Ssl<'_>, ticket: Opening<'_>) -> Opened;

    /// A client's ticket, whose key has this name, was opened and holds a session; or none, where it
    /// could not be opened. Returns whether the handshake may resume it.
    fn judges(ssl: Ssl<'_>, name: &[u8], session: Option<SessionRef<'_>>) -> bool;
}

/// What becomes of a ticket that a client offers, unless it was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It cannot be opened.
    No,
    /// It is opened, and its client keeps it. With TLS 1.2 only.
    Kept,
    /// It is opened, and its client gets a new one.
    Renewed,
}

impl SslCtx {
    /// Has OpenSSL call a type of ours for tickets, whoever was called before.
    pub(crate) fn set_ticket_callbacks<C: TicketCallbacks>(self) {
        let generate: Option<unsafe extern "C" fn(*mut SSL, *mut c_void) -> c_int> =
            if SENDS_NO_TICKET { None } else { Some(generate_ticket::<C>) };
        // SAFETY: the SSL_CTX is valid; the functions have the types that OpenSSL asks for: the older
        // function takes any, and knows which it is by the command.
        unsafe {
            if IS_OPENSSL_3 {
                // nginx's own, of the older kind, is not called beside it.
                SSL_CTX_set_tlsext_ticket_key_evp_cb(self.as_ptr(), Some(ticket_key::<C>));
            } else {
                SSL_CTX_callback_ctrl(
                    self.as_ptr(),
                    SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB as c_int,
                    Some(mem::transmute::<TicketKeyCallback, unsafe extern "C" fn()>(
                        ticket_key::<C>,
                    )),
                );
            }
            SSL_CTX_set_session_ticket_cb(
                self.as_ptr(),
                generate,
                Some(decrypt_ticket::<C>),
                ptr::null_mut(),
            );
        }
    }
}

/// AES-256-CBC, found once: OpenSSL 3 would look for it with each ticket.
pub(crate) struct TicketCipher(NonNull<EVP_CIPHER>);

impl TicketCipher {
    /// `None` where OpenSSL has no such cipher.
    pub(crate) fn new() -> Option<Self> {
        // SAFETY: the name is a C string; null pointers stand for what OpenSSL does by default.
        let cipher = unsafe {
            if IS_OPENSSL_3 {
                EVP_CIPHER_fetch(ptr::null_mut(), c"AES-256-CBC".as_ptr(), ptr::null())
            } else {
                EVP_aes_256_cbc().cast_mut()
            }
        };
        if cipher.is_null() {
            clear_errors();
        }
        NonNull::new(cipher).map(Self)
    }
}

impl Drop for TicketCipher {
    fn drop(&mut self) {
        if IS_OPENSSL_3 {
            // SAFETY: the reference is this value's own.
            unsafe { EVP_CIPHER_free(self.0.as_ptr()) };
        }
    }
}

/// A ticket that is about to be sealed.
pub(crate) struct Sealing<'a> {
    /// Where its name and its IV go: room for both, of which nothing is there yet.
    name: *mut [u8; NAME_LEN],
    iv: *mut [u8; IV_LEN],
    contexts: Contexts<'a>,
}

impl Sealing<'_> {
    /// Has it sealed under a key, with an IV that nobody could foresee; `None` where OpenSSL cannot.
    pub(crate) fn under(
        self,
        cipher: &TicketCipher,
        key: &TicketKey,
        iv: &[u8; IV_LEN],
    ) -> Option<()> {
        // SAFETY: OpenSSL has room for both.
        unsafe {
            self.name.write(key.name);
            self.iv.write(*iv);
        }
        self.contexts.init(cipher, key, iv, 1)
    }
}

/// A ticket that is about to be opened. Nothing of it is known to be true.
pub(crate) struct Opening<'a> {
    name: &'a [u8; NAME_LEN],
    iv: &'a [u8; IV_LEN],
    contexts: Contexts<'a>,
}

impl Opening<'_> {
    /// The name of its key.
    pub(crate) fn name(&self) -> &[u8; NAME_LEN] {
        self.name
    }

    /// Has it opened with a key; `None` where OpenSSL cannot.
    pub(crate) fn with(self, cipher: &TicketCipher, key: &TicketKey) -> Option<()> {
        self.contexts.init(cipher, key, self.iv, 0)
    }
}

/// What OpenSSL seals or opens a ticket with.
struct Contexts<'a> {
    cipher: *mut EVP_CIPHER_CTX,
    /// An EVP_MAC_CTX of HMAC, or an HMAC_CTX before OpenSSL 3.
    mac: *mut c_void,
    of: PhantomData<&'a mut ()>,
}

impl Contexts<'_> {
    /// Sets cipher, digest, keys and IV.
    fn init(
        self,
        TicketCipher(cipher): &TicketCipher,
        key: &TicketKey,
        iv: &[u8; IV_LEN],
        encrypt: c_int,
    ) -> Option<()> {
        // SAFETY: the contexts are valid, and new. Key and IV are as long as AES-256-CBC's; a null
        // ENGINE stands for OpenSSL's own implementation.
        let is_set = unsafe {
            init_mac(self.mac, &key.mac) == 1
                && EVP_CipherInit_ex(
                    self.cipher,
                    cipher.as_ptr(),
                    ptr::null_mut(),
                    key.cipher.as_ptr(),
                    iv.as_ptr(),
                    encrypt,
                ) == 1
        };
        if !is_set {
            clear_errors();
        }
        is_set.then_some(())
    }
}

/// Has a context make codes of HMAC-SHA-256 under a key; 1 where that was done.
///
/// # Safety
///
/// The context must be valid, and what OpenSSL passes to a callback of the kind that is set here.
unsafe fn init_mac(context: *mut c_void, key: &[u8; 32]) -> c_int {
    // SAFETY: as the caller promises. The parameters are what EVP_MAC-HMAC(7) says, and end with one
    // that is all-zero.
    unsafe {
        if IS_OPENSSL_3 {
            let parameters = [Parameter::text(c"digest", c"SHA256"), Parameter::END];
            EVP_MAC_init(context, key.as_ptr(), key.len(), parameters.as_ptr())
        } else {
            let len = key.len() as c_int;
            HMAC_Init_ex(context, key.as_ptr().cast(), len, EVP_sha256(), ptr::null_mut())
        }
    }
}

/// OSSL_PARAM(3).
#[repr(C)]
struct Parameter {
    key: *const c_char,
    data_type: c_uint,
    data: *mut c_void,
    data_size: usize,
    return_size: usize,
}

impl Parameter {
    const END: Self = Self {
        key: ptr::null(),
        data_type: 0,
        data: ptr::null_mut(),
        data_size: 0,
        return_size: 0,
    };

    /// A text, as OSSL_PARAM_construct_utf8_string() in crypto/params.c makes it.
    fn text(key: &'static core::ffi::CStr, value: &'static core::ffi::CStr) -> Self {
        const OSSL_PARAM_UTF8_STRING: c_uint = 4;
        const OSSL_PARAM_UNMODIFIED: usize = usize::MAX;

        Self {
            key: key.as_ptr(),
            data_type: OSSL_PARAM_UTF8_STRING,
            data: value.as_ptr().cast_mut().cast(),
            data_size: value.to_bytes().len(),
            return_size: OSSL_PARAM_UNMODIFIED,
        }
    }
}

/// The third last argument is what `Contexts::mac` is.
type TicketKeyCallback = unsafe extern "C" fn(
    *mut SSL,
    *mut c_uchar,
    *mut c_uchar,
    *mut EVP_CIPHER_CTX,
    *mut c_void,
    c_int,
) -> c_int;

// What only one of OpenSSL 1.1.1 and 3 has, or 3 only where it is built with what is deprecated:
// bindings that lack it have to do.
extern "C" {
    fn SSL_CTX_set_tlsext_ticket_key_evp_cb(
        ctx: *mut SSL_CTX,
        callback: Option<TicketKeyCallback>,
    ) -> c_int;

    fn EVP_CIPHER_fetch(
        library: *mut c_void,
        name: *const c_char,
        properties: *const c_char,
    ) -> *mut EVP_CIPHER;

    fn EVP_CIPHER_free(cipher: *mut EVP_CIPHER);

    fn EVP_MAC_init(
        context: *mut c_void,
        key: *const c_uchar,
        len: usize,
        parameters: *const Parameter,
    ) -> c_int;

    fn HMAC_Init_ex(
        context: *mut c_void,
        key: *const c_void,
        len: c_int,
        digest: *const EVP_MD,
        engine: *mut c_void,
    ) -> c_int;
}

unsafe extern "C" fn ticket_key<C: TicketCallbacks>(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut c_void,
    encrypt: c_int,
) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL.
    let Some(ssl) = (unsafe { Ssl::from_ptr(ssl) }) else { return 0 };
    let contexts = Contexts { cipher, mac, of: PhantomData };
    let (name, iv): (*mut [u8; NAME_LEN], *mut [u8; IV_LEN]) = (name.cast(), iv.cast());
    if encrypt != 0 {
        return C::seals(ssl, Sealing { name, iv, contexts }).into();
    }
    // SAFETY: OpenSSL has checked that the ticket is longer than its name and the longest IV, of 16
    // bytes.
    let (name, iv) = unsafe { (&*name, &*iv) };
    match C::opens(ssl, Opening { name, iv, contexts }) {
        Opened::No => 0,
        Opened::Kept => 1,
        Opened::Renewed => 2,
    }
}

/// For OpenSSL 1.1.1, about to make a ticket. With TLS 1.3 it is one for the cache where there are no
/// keys to seal one with.
unsafe extern "C" fn generate_ticket<C: TicketCallbacks>(ssl: *mut SSL, _: *mut c_void) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL.
    if let Some(ssl) = unsafe { Ssl::from_ptr(ssl) } {
        if ssl.speaks_tls13() && !C::can_seal(ssl) {
            ssl.disable_tickets();
        }
    }
    // With 0 the handshake fails.
    1
}

unsafe extern "C" fn decrypt_ticket<C: TicketCallbacks>(
    ssl: *mut SSL,
    session: *mut SSL_SESSION,
    name: *const c_uchar,
    name_len: usize,
    status: c_int,
    _: *mut c_void,
) -> c_int {
    let status = status as u32;
    let is_opened = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if !is_opened {
        // What was left by a ticket that is damaged behind all checks.
        clear_errors();
    }
    // SAFETY: OpenSSL passes a valid SSL, a session where it has opened the ticket, and the beginning
    // of that, of so many bytes.
    let (ssl, session, name) = unsafe {
        (
            Ssl::from_ptr(ssl),
            SessionRef::from_ptr(session).filter(|_| is_opened),
            if name_len == 0 { &[] } else { slice::from_raw_parts(name, name_len) },
        )
    };
    let is_used = ssl.is_some_and(|ssl| {
        status != SSL_TICKET_EMPTY && C::judges(ssl, name, session) && session.is_some()
    });
    let answer = match status {
        SSL_TICKET_SUCCESS if is_used => SSL_TICKET_RETURN_USE,
        _ if is_used => SSL_TICKET_RETURN_USE_RENEW,
        _ => SSL_TICKET_RETURN_IGNORE_RENEW,
    };
    answer as c_int
}
