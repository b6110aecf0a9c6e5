//! Which client certificates an SSL_CTX trusts, as far as OpenSSL tells.
//!
//! Two SSL_CTXs with the same trust accept the same certificates. So that machines agree, nothing
//! is told of the order of the certificates, nor of revocation lists but that there are some: those
//! are replaced all the time, and on one machine after the other.

use core::ffi::{c_int, c_uint};
use core::ptr;

use nginx_sys::{
    EVP_Digest, EVP_sha256, OPENSSL_sk_num, OPENSSL_sk_value, SSL_CTX_get_cert_store,
    SSL_CTX_get_verify_depth, SSL_CTX_get_verify_mode, X509_OBJECT_get0_X509,
    X509_STORE_get0_objects, X509_STORE_get0_param, X509_VERIFY_PARAM_get_flags, X509_digest,
};

use crate::openssl::SslCtx;

const DIGEST_LEN: usize = 32;

/// A SHA-256 digest.
pub(crate) type Digest = [u8; DIGEST_LEN];

/// The digest of bytes; `None` where OpenSSL has none, or no memory.
pub(crate) fn sha256(bytes: &[u8]) -> Option<Digest> {
    let mut digest = [0; DIGEST_LEN];
    // SAFETY: the input has as many bytes as are told, and the output has room for a digest.
    let result = unsafe {
        EVP_Digest(
            bytes.as_ptr().cast(),
            bytes.len(),
            digest.as_mut_ptr(),
            ptr::null_mut(),
            EVP_sha256(),
            ptr::null_mut(),
        )
    };
    (result == 1).then_some(digest)
}

impl SslCtx {
    /// What tells this SSL_CTX from another one.
    pub(crate) fn address(self) -> usize {
        self.as_ptr() as usize
    }

    /// Whether clients are asked for certificates.
    pub(crate) fn asks_for_certificates(self) -> bool {
        // SAFETY: the SSL_CTX is valid.
        unsafe { SSL_CTX_get_verify_mode(self.as_ptr()) != 0 }
    }

    /// What tells this SSL_CTX from another that trusts other certificates; `None` where OpenSSL
    /// has no SHA-256, or no memory.
    pub(crate) fn trust(self) -> Option<Vec<u8>> {
        let ctx = self.as_ptr();
        // SAFETY: the SSL_CTX is valid, and has a store, which has parameters.
        let (mode, depth, flags) = unsafe {
            let store = SSL_CTX_get_cert_store(ctx);
            let flags = X509_VERIFY_PARAM_get_flags(X509_STORE_get0_param(store));
            (SSL_CTX_get_verify_mode(ctx), SSL_CTX_get_verify_depth(ctx), flags)
        };
        let mut certificates = self.certificates()?;
        certificates.sort_unstable();
        certificates.dedup();

        let mut trust = Vec::new();
        trust.extend(i64::from(mode).to_be_bytes());
        trust.extend(i64::from(depth).to_be_bytes());
        // As many bits on every machine, and enough for all flags (x509_vfy.h).
        trust.extend((flags as u32).to_be_bytes());
        trust.extend(certificates.concat());
        Some(trust)
    }

    /// The digests of the certificates that clients' certificates are verified with.
    fn certificates(self) -> Option<Vec<Digest>> {
        let mut digests = Vec::new();
        // SAFETY: the SSL_CTX is valid, and has a store; what is borrowed of it is not changed
        // meanwhile: the configuration is read on the one thread there is.
        unsafe {
            let objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(self.as_ptr()));
            for index in 0..OPENSSL_sk_num(objects.cast()) {
                let certificate =
                    X509_OBJECT_get0_X509(OPENSSL_sk_value(objects.cast(), index).cast());
                if certificate.is_null() {
                    continue;
                }
                let mut digest = [0; DIGEST_LEN];
                let mut len: c_uint = 0;
                let result: c_int =
                    X509_digest(certificate, EVP_sha256(), digest.as_mut_ptr(), &mut len);
                if result != 1 {
                    return None;
                }
                digests.push(digest);
            }
        }
        Some(digests)
    }
}
