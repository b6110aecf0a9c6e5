//! How a handshake waits for its lookup without holding up the worker.
//!
//! On an nginx with the patch of this project, handshakes run as OpenSSL jobs
//! (ASYNC_start_job(3)), each on a stack of its own: 32 KB of heap without a guard page. A job is
//! paused in the get callback; SSL_do_handshake(3) then returns SSL_ERROR_WANT_ASYNC, and the
//! patched nginx waits for the connection's next event, which the lookup posts when it has ended.
//!
//! Any event of the connection resumes the job: bytes from the client, a timer, a close. So the
//! wait is a loop that only an answer or a teardown ends.

use nginx_sys::{dlsym, ASYNC_is_capable, ASYNC_pause_job};

use crate::handshake::lookup::Lookup;
use crate::handshake::openssl::{in_job, Ssl, SslCtx};

/// The way in which handshakes are suspended.
#[derive(Clone, Copy)]
pub(crate) enum Suspension {
    /// OpenSSL jobs, on a patched nginx.
    Async,
}

/// What is missing, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missing {
    #[error(
        "this nginx is not patched (no symbol \"ngx_ssl_async_handshake\"); apply the patch of its \
         version from patches/ and build it anew"
    )]
    Patch,
    #[error(
        "OpenSSL cannot run jobs here (ASYNC_is_capable() is 0); use an OpenSSL built with threads \
         (for nginx's --with-openssl=, add --with-openssl-opt=enable-threads) on a libc with \
         makecontext()"
    )]
    Jobs,
}

impl Suspension {
    /// The way that works here.
    pub(crate) fn detect() -> Result<Self, Missing> {
        // SAFETY: a null handle stands for the running binary and all that it has loaded
        // (RTLD_DEFAULT in dlsym(3)); the name is a C string.
        if unsafe { dlsym(core::ptr::null_mut(), c"ngx_ssl_async_handshake".as_ptr()) }.is_null() {
            return Err(Missing::Patch);
        }
        // SAFETY: has no requirements.
        if unsafe { ASYNC_is_capable() } == 0 {
            return Err(Missing::Jobs);
        }
        Ok(Self::Async)
    }

    /// Prepares an SSL_CTX.
    pub(super) fn prepare(self, ctx: SslCtx) {
        match self {
            Self::Async => ctx.run_as_jobs(),
        }
    }

    /// Whether the caller can wait. A callback can run outside of a job: in a handshake over QUIC.
    pub(super) fn can_wait(self) -> bool {
        match self {
            Self::Async => in_job(),
        }
    }

    /// Waits until the lookup has ended; false where the connection is torn down before that.
    pub(super) fn wait(self, ssl: Ssl, lookup: &Lookup) -> bool {
        match self {
            Self::Async => {
                while !lookup.is_done() {
                    // SAFETY: in a job, as can_wait() was asked before the lookup was begun. What
                    // this stack refers to stays valid over the pause: the SSL is freed only after
                    // its job has ended, and the lookup is counted.
                    if ssl.is_shut_down() || unsafe { ASYNC_pause_job() } == 0 {
                        return false;
                    }
                }
                true
            }
        }
    }
}
