//! An SSL_CTX for a client: whom it trusts, and what it shows.

use core::ffi::{c_char, c_int, c_void, CStr};
use core::ptr;

use nginx_sys::{
    SSL_CTX_check_private_key, SSL_CTX_load_verify_locations, SSL_CTX_set_default_passwd_cb,
    SSL_CTX_set_default_verify_paths, SSL_CTX_set_verify, SSL_CTX_use_PrivateKey_file,
    SSL_CTX_use_certificate_chain_file, SSL_ctrl, SSL_get0_param, SSL_get_verify_result,
    TLSEXT_NAMETYPE_host_name, X509_VERIFY_PARAM_set1_host, X509_VERIFY_PARAM_set1_ip_asc,
    X509_verify_cert_error_string, SSL_CTRL_MODE, SSL_CTRL_SET_TLSEXT_HOSTNAME, SSL_FILETYPE_PEM,
    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_VERIFY_PEER, X509_V_OK,
};

use crate::openssl::errors::take_reason;
use crate::openssl::{Ssl, SslCtx};

/// OpenSSL's reason why something failed.
pub(crate) struct Reason(pub(crate) String);

impl Reason {
    /// The first in the error queue, which is left empty.
    pub(crate) fn take() -> Self {
        Self(take_reason())
    }
}

impl SslCtx {
    /// Has what waits to be sent be sent in parts: it grows, and may move, before it is sent; a part
    /// of it that is sent may be answered before all of it is.
    pub(crate) fn send_in_parts(self) {
        let mode = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
        self.control(SSL_CTRL_MODE, mode.into());
    }

    /// Trusts the certificates of a file.
    pub(crate) fn trust_file(self, file: &CStr) -> Result<(), Reason> {
        // SAFETY: the SSL_CTX is valid.
        check(unsafe { SSL_CTX_load_verify_locations(self.as_ptr(), file.as_ptr(), ptr::null()) })
    }

    /// Trusts the certificates of the system.
    pub(crate) fn trust_system(self) -> Result<(), Reason> {
        // SAFETY: the SSL_CTX is valid.
        check(unsafe { SSL_CTX_set_default_verify_paths(self.as_ptr()) })
    }

    /// Has a handshake fail where the server does not prove who it is.
    pub(crate) fn verify_server(self) {
        // SAFETY: the SSL_CTX is valid.
        unsafe { SSL_CTX_set_verify(self.as_ptr(), SSL_VERIFY_PEER as c_int, None) };
    }

    /// Shows the certificate of a file, with its chain.
    pub(crate) fn use_certificate(self, file: &CStr) -> Result<(), Reason> {
        // SAFETY: the SSL_CTX is valid, and the function has the type that OpenSSL asks for.
        check(unsafe {
            SSL_CTX_set_default_passwd_cb(self.as_ptr(), Some(no_password));
            SSL_CTX_use_certificate_chain_file(self.as_ptr(), file.as_ptr())
        })
    }

    /// Uses the key of a file, which has to be that of the certificate.
    pub(crate) fn use_key(self, file: &CStr) -> Result<(), Reason> {
        // SAFETY: the SSL_CTX is valid.
        unsafe {
            let kind = SSL_FILETYPE_PEM as c_int;
            check(SSL_CTX_use_PrivateKey_file(self.as_ptr(), file.as_ptr(), kind))?;
            // OpenSSL has compared the two only if they are of the same kind, RSA or EC.
            check(SSL_CTX_check_private_key(self.as_ptr()))
        }
    }
}

impl Ssl<'_> {
    /// Tells the server by which name it is meant (RFC 6066, section 3); false without memory.
    pub(crate) fn ask_for(self, name: &CStr) -> bool {
        let command = SSL_CTRL_SET_TLSEXT_HOSTNAME as c_int;
        let name = name.as_ptr().cast_mut().cast();
        // SAFETY: the SSL is valid; SSL_set_tlsext_host_name() is a macro for this call, and OpenSSL
        // copies the name.
        unsafe { SSL_ctrl(self.as_ptr(), command, TLSEXT_NAMETYPE_host_name.into(), name) == 1 }
    }

    /// The server has to prove this DNS name, if it has to prove anything; false without memory.
    pub(crate) fn expect_name(self, name: &CStr) -> bool {
        let len = name.to_bytes().len();
        // SAFETY: the SSL is valid, and has parameters of verification.
        unsafe {
            X509_VERIFY_PARAM_set1_host(SSL_get0_param(self.as_ptr()), name.as_ptr(), len) == 1
        }
    }

    /// The server has to prove this IP address, if it has to prove anything; false without memory.
    pub(crate) fn expect_address(self, address: &CStr) -> bool {
        // SAFETY: the SSL is valid, and has parameters of verification.
        unsafe {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(self.as_ptr()), address.as_ptr()) == 1
        }
    }

    /// What is wrong with the server's certificate, if anything is.
    pub(crate) fn certificate_error(self) -> Option<String> {
        // SAFETY: the SSL is valid; OpenSSL has a text for any result.
        unsafe {
            let result = SSL_get_verify_result(self.as_ptr());
            if result == X509_V_OK.into() {
                return None;
            }
            let text = CStr::from_ptr(X509_verify_cert_error_string(result));
            Some(text.to_string_lossy().into_owned())
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

fn check(rc: c_int) -> Result<(), Reason> {
    if rc == 1 {
        return Ok(());
    }
    Err(Reason::take())
}
