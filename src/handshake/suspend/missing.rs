//! What keeps a way to suspend handshakes from working.

use core::ffi::CStr;

use crate::nginx::symbol;

/// What is missing for a way, and what to do about it.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error, Debug)]
pub(crate) enum Missing {
    #[error(
        "this nginx is not patched (no symbol \"{0}\"); apply the patch of its version from patches/ \
         and build it anew"
    )]
    Patch(&'static str),
    #[error(
        "another module has set a callback on ClientHellos, as OpenResty's ssl_client_hello_by_lua \
         does, and OpenSSL has room for one (SSL_CTX_set_client_hello_cb(3)); use \"suspend=async\" or \
         \"suspend=hello\""
    )]
    CallbackTaken,
    #[error(
        "it cannot be told whether another module has set a callback on ClientHellos in this OpenSSL; \
         use \"suspend=async\" or \"suspend=hello\""
    )]
    CallbackUnknown,
    #[error(
        "OpenSSL cannot run jobs here (ASYNC_is_capable() is 0); use an OpenSSL built with threads \
         (for nginx's --with-openssl=, add --with-openssl-opt=enable-threads) on a libc with \
         makecontext(), or use \"suspend=retry\" or \"suspend=hello\""
    )]
    Jobs,
    #[error(
        "with \"pcre_jit on\" regular expressions take more stack than an OpenSSL job has; use \
         \"suspend=retry\" or \"suspend=hello\""
    )]
    Jit,
    #[error(
        "this nginx was built with PCRE, whose regular expressions can take more stack than an \
         OpenSSL job has; build it with PCRE2, or use \"suspend=retry\" or \"suspend=hello\""
    )]
    Stack,
}

impl Missing {
    /// An error where nginx is without the hunks of its patch that this symbol stands for.
    pub(super) fn without_patch(mark: &'static CStr) -> Result<(), Self> {
        if symbol(mark).is_null() {
            return Err(Self::Patch(mark.to_str().unwrap_or_default()));
        }
        Ok(())
    }
}
