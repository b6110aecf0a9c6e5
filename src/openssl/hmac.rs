//! HMAC-SHA-256, by the libcrypto that nginx has loaded or holds.

use nginx_sys::{EVP_sha256, HMAC};
use ssl_session_cache_core::ticket::Hmac;

use crate::openssl::clear_errors;

const LEN: usize = 32;

/// HMAC-SHA-256 in one call (HMAC(3)). For what is derived rarely: in OpenSSL 3, finding the digest
/// takes longer than using it.
pub(crate) struct HmacSha256;

impl Hmac for HmacSha256 {
    fn hmac(&self, key: &[u8; LEN], text: &[u8]) -> Option<[u8; LEN]> {
        let mut code = [0; LEN];
        let mut len = 0;
        // SAFETY: key and text are as long as told, and there is room for a code of SHA-256.
        let result = unsafe {
            HMAC(
                EVP_sha256(),
                key.as_ptr().cast(),
                LEN as i32,
                text.as_ptr(),
                text.len(),
                code.as_mut_ptr(),
                &mut len,
            )
        };
        if result.is_null() {
            clear_errors();
            return None;
        }
        (len as usize == LEN).then_some(code)
    }
}
