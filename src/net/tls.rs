use core::cell::{Cell, UnsafeCell};
use core::ffi::{c_char, c_int, c_void, CStr};
use core::mem;
use core::ptr;
use std::ffi::CString;

use nginx_sys::{
    ngx_connection_t, ngx_create_pool, ngx_log_t, ngx_ssl_cleanup_ctx, ngx_ssl_create,
    ngx_ssl_create_connection, ngx_ssl_t, BIO_int_ctrl, ERR_clear_error, ERR_error_string_n,
    ERR_peek_error, NGX_SSL_TLSv1_2, NGX_SSL_TLSv1_3, SSL_CTX_check_private_key, SSL_CTX_ctrl,
    SSL_CTX_get0_param, SSL_CTX_load_verify_locations, SSL_CTX_set_default_passwd_cb,
    SSL_CTX_set_default_verify_paths, SSL_CTX_set_verify, SSL_CTX_use_PrivateKey_file,
    SSL_CTX_use_certificate_chain_file, SSL_ctrl, SSL_get_rbio, SSL_get_verify_result,
    SSL_set_msg_callback, TLSEXT_NAMETYPE_host_name, X509_VERIFY_PARAM_set1_host,
    X509_VERIFY_PARAM_set1_ip_asc, X509_verify_cert_error_string, BIO_C_SET_FD, BIO_NOCLOSE,
    NGX_OK, NGX_SSL_CLIENT, SSL, SSL3_RT_HEADER, SSL3_RT_INNER_CONTENT_TYPE, SSL_CTRL_MODE,
    SSL_CTRL_SET_MSG_CALLBACK_ARG, SSL_CTRL_SET_TLSEXT_HOSTNAME, SSL_CTX, SSL_FILETYPE_PEM,
    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_VERIFY_PEER, X509_V_OK,
};

/// Room for what a connection allocates: nginx's state of its TLS.
const POOL_SIZE: usize = 512;

/// The most messages of TLS itself that a server may send before it sends data. A handshake has
/// less than ten.
const MAX_MESSAGES: u32 = 1000;

/// Counts what a server sends in TLS that is not data. OpenSSL reads on until there is data or
/// nothing more: without a limit, a server that sends key updates (RFC 8446, section 4.6.3) as fast
/// as they are taken would hold the worker for as long as it likes.
#[derive(Default)]
pub(super) struct Messages(Cell<u32>);

impl Messages {
    /// There was data.
    pub(super) fn reset(&self) {
        self.0.set(0);
    }

    /// Whether the connection was ended for them.
    pub(super) fn are_too_many(&self) -> bool {
        self.0.get() >= MAX_MESSAGES
    }

    /// One more.
    fn add(&self) {
        self.0.set(self.0.get().saturating_add(1));
    }
}

/// How TLS to a server is spoken.
#[derive(PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// Who the server is; not known for a unix socket without a configured name.
    pub(crate) peer: Option<Peer>,
    /// Whether the server must prove to be the peer.
    pub(crate) verify: bool,
    /// A file with the certificates to trust, in place of the system's.
    pub(crate) ca: Option<CString>,
    /// What to show to a server that asks for a certificate.
    pub(crate) identity: Option<Identity>,
}

/// Whom a certificate is for.
#[derive(PartialEq, Eq)]
pub(crate) enum Peer {
    /// A DNS name.
    Name(CString),
    /// An IP address, as text.
    Address(CString),
}

/// The files of a certificate with its chain and of its key, both in PEM.
#[derive(PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) certificate: CString,
    pub(crate) key: CString,
}

/// Why TLS cannot be spoken in this way.
#[derive(Debug)]
pub(crate) struct TlsError {
    pub(crate) part: TlsPart,
    /// OpenSSL's reason.
    pub(crate) reason: String,
}

/// A part of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TlsPart {
    Context,
    Peer,
    Ca,
    Certificate,
    Key,
}

/// TLS as a client, for the connections to one server.
pub(crate) struct Tls {
    settings: TlsSettings,
    /// Boxed, as OpenSSL keeps its address with the SSL_CTX.
    ssl: Box<UnsafeCell<ngx_ssl_t>>,
}

impl Tls {
    /// Reads the files and makes the SSL_CTX, which goes with the value.
    pub(crate) fn new(settings: TlsSettings, log: *mut ngx_log_t) -> Result<Self, TlsError> {
        // SAFETY: nginx itself starts the structure from all-zero.
        let ssl = Box::new(UnsafeCell::new(unsafe { mem::zeroed::<ngx_ssl_t>() }));
        let protocols = (NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3) as usize;
        // SAFETY: the structure stays where it is; the SSL_CTX needs no data of a server's.
        unsafe {
            (*ssl.get()).log = log;
            if ngx_ssl_create(ssl.get(), protocols, ptr::null_mut()) != NGX_OK as isize {
                return Err(error(TlsPart::Context));
            }
        }
        let tls = Self { settings, ssl };
        tls.configure()?;
        Ok(tls)
    }

    fn configure(&self) -> Result<(), TlsError> {
        let ctx = self.ctx();
        // What waits to be sent grows, and may move, before it is sent; a part of it that is sent
        // may be answered before all of it is.
        let mode = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
        // SAFETY: the SSL_CTX is valid, and the command does not read the last argument.
        unsafe { SSL_CTX_ctrl(ctx, SSL_CTRL_MODE as c_int, mode.into(), ptr::null_mut()) };
        if let Some(file) = &self.settings.ca {
            // SAFETY: the SSL_CTX is valid, and so is the name of the file.
            let rc = unsafe { SSL_CTX_load_verify_locations(ctx, file.as_ptr(), ptr::null()) };
            check(rc, TlsPart::Ca)?;
        }
        if self.settings.verify {
            self.verify_peer()?;
        }
        if let Some(Identity { certificate, key }) = &self.settings.identity {
            // SAFETY: the SSL_CTX is valid, and so are the names of the files.
            unsafe {
                SSL_CTX_set_default_passwd_cb(ctx, Some(no_password));
                let rc = SSL_CTX_use_certificate_chain_file(ctx, certificate.as_ptr());
                check(rc, TlsPart::Certificate)?;
                let rc = SSL_CTX_use_PrivateKey_file(ctx, key.as_ptr(), SSL_FILETYPE_PEM as c_int);
                check(rc, TlsPart::Key)?;
                // OpenSSL has compared the two only if they are of the same kind, RSA or EC.
                check(SSL_CTX_check_private_key(ctx), TlsPart::Key)?;
            }
        }
        Ok(())
    }

    /// Has a handshake fail where the server does not prove to be the peer.
    fn verify_peer(&self) -> Result<(), TlsError> {
        let ctx = self.ctx();
        // SAFETY: the SSL_CTX is valid and has parameters of verification; the texts are C strings.
        unsafe {
            SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER as c_int, None);
            if self.settings.ca.is_none() {
                check(SSL_CTX_set_default_verify_paths(ctx), TlsPart::Ca)?;
            }
            let param = SSL_CTX_get0_param(ctx);
            let named = match &self.settings.peer {
                Some(Peer::Name(name)) => {
                    X509_VERIFY_PARAM_set1_host(param, name.as_ptr(), name.as_bytes().len())
                }
                Some(Peer::Address(address)) => {
                    X509_VERIFY_PARAM_set1_ip_asc(param, address.as_ptr())
                }
                None => 0,
            };
            check(named, TlsPart::Peer)
        }
    }

    /// Puts TLS on a connection; false without memory. What is allocated goes into the connection's
    /// pool, made here.
    ///
    /// # Safety
    ///
    /// The connection must be valid, without TLS and without a pool. The messages must stay where
    /// they are as long as it has TLS.
    pub(super) unsafe fn start(
        &self,
        connection: *mut ngx_connection_t,
        messages: &Messages,
    ) -> bool {
        // SAFETY: as the caller promises; SSL_set_msg_callback_arg() and SSL_set_tlsext_host_name()
        // are macros for these calls, and OpenSSL copies the name.
        unsafe {
            (*connection).pool = ngx_create_pool(POOL_SIZE, (*connection).log);
            if (*connection).pool.is_null()
                || ngx_ssl_create_connection(self.ssl.get(), connection, NGX_SSL_CLIENT as usize)
                    != NGX_OK as isize
            {
                return false;
            }
            let ssl = (*(*connection).ssl).connection;
            SSL_set_msg_callback(ssl, Some(on_message));
            let arg = ptr::from_ref(messages).cast_mut().cast();
            SSL_ctrl(ssl, SSL_CTRL_SET_MSG_CALLBACK_ARG as c_int, 0, arg);
            let Some(Peer::Name(name)) = &self.settings.peer else { return true };
            SSL_ctrl(
                ssl,
                SSL_CTRL_SET_TLSEXT_HOSTNAME as c_int,
                TLSEXT_NAMETYPE_host_name.into(),
                name.as_ptr().cast_mut().cast(),
            ) == 1
        }
    }

    /// What is wrong with the server's certificate, if that is why a handshake has failed.
    ///
    /// # Safety
    ///
    /// The connection must be valid, with TLS that this value has put on it.
    pub(super) unsafe fn verify_error(&self, connection: *mut ngx_connection_t) -> Option<String> {
        // SAFETY: as the caller promises; OpenSSL has a text for any result.
        unsafe {
            let result = SSL_get_verify_result((*(*connection).ssl).connection);
            if !self.settings.verify || result == X509_V_OK.into() {
                return None;
            }
            let text = CStr::from_ptr(X509_verify_cert_error_string(result));
            Some(text.to_string_lossy().into_owned())
        }
    }

    fn ctx(&self) -> *mut SSL_CTX {
        // SAFETY: the structure is valid.
        unsafe { (*self.ssl.get()).ctx }
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Tls {}

impl Drop for Tls {
    fn drop(&mut self) {
        // SAFETY: the structure holds an SSL_CTX; connections have references of their own.
        unsafe { ngx_ssl_cleanup_ctx(self.ssl.get().cast()) };
    }
}

/// OpenSSL has sent or read a message, or looked at a record. If it has read too many messages, it
/// finds nothing more to read.
unsafe extern "C" fn on_message(
    is_sent: c_int,
    _version: c_int,
    content_type: c_int,
    _message: *const c_void,
    _len: usize,
    ssl: *mut SSL,
    messages: *mut c_void,
) {
    // Of data, OpenSSL shows the records only, which are no messages. It limits empty ones itself.
    let is_record = matches!(content_type as u32, SSL3_RT_HEADER | SSL3_RT_INNER_CONTENT_TYPE);
    if is_sent != 0 || is_record {
        return;
    }
    // SAFETY: the SSL is valid and reads from a socket, which its BIO does not own: see start() for
    // the messages, and for nginx ngx_ssl_create_connection() and SSL_set_fd().
    unsafe {
        let messages = &*messages.cast::<Messages>();
        messages.add();
        if messages.are_too_many() {
            BIO_int_ctrl(SSL_get_rbio(ssl), BIO_C_SET_FD as c_int, BIO_NOCLOSE.into(), -1);
        }
    }
}

/// nginx reads its configuration where there is nobody to type a password.
unsafe extern "C" fn no_password(
    _buffer: *mut c_char,
    _size: c_int,
    _writing: c_int,
    _data: *mut c_void,
) -> c_int {
    -1
}

fn check(rc: c_int, part: TlsPart) -> Result<(), TlsError> {
    if rc == 1 {
        return Ok(());
    }
    Err(error(part))
}

/// The first error in OpenSSL's queue, which is left empty.
fn error(part: TlsPart) -> TlsError {
    let mut text: [c_char; 256] = [0; 256];
    // SAFETY: OpenSSL writes a C string of at most as many bytes as are told.
    let text = unsafe {
        ERR_error_string_n(ERR_peek_error(), text.as_mut_ptr(), text.len());
        ERR_clear_error();
        CStr::from_ptr(text.as_ptr()).to_string_lossy()
    };
    // "error:80000002:system library::No such file or directory"
    let reason = text.rsplit(':').next().unwrap_or_default().to_owned();
    TlsError { part, reason }
}
