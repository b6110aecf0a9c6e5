//! Holds a handshake back in the get callback, as an OpenSSL job.
//!
//! On an nginx with the patch of this project, handshakes run as OpenSSL jobs
//! (ASYNC_start_job(3)), each on a stack of its own: 32 KB, of heap without a guard before OpenSSL 3.4. A job
//! is paused in the get callback; SSL_do_handshake(3) then returns SSL_ERROR_WANT_ASYNC, and the
//! patched nginx waits for the connection's next event, which the lookup posts when it has ended.
//! Any event of the connection resumes the job: bytes from the client, a timer, a close. So the
//! wait is a loop that only an answer or a teardown ends.

use core::cell::Cell;

use nginx_sys::ngx_cycle_t;

use crate::handshake::suspend::hold::Hold;
use crate::handshake::suspend::missing::Missing;
use crate::nginx::is_pcre_jit_on;
use crate::openssl::{guard_stacks, has_jobs, in_job, pause_job, Ssl, SslCtx};

/// A handshake that runs as a job.
pub(in crate::handshake) struct Job {
    /// Whether what follows runs as jobs.
    is_on: Cell<bool>,
}

/// Whether jobs work here.
pub(super) fn check() -> Result<(), Missing> {
    Missing::without_patch(c"ngx_ssl_async_handshake")?;
    if !has_jobs() {
        return Err(Missing::Jobs);
    }
    // It recurses for each repetition of a group: the names that clients ask for, matched with
    // that of a server, took 189 KB.
    if cfg!(all(ngx_feature = "pcre", not(ngx_feature = "pcre2"))) {
        return Err(Missing::Stack);
    }
    Ok(())
}

/// Whether regular expressions leave room on the stack of a job: nginx matches the names of servers
/// in a handshake, and what PCRE2 has compiled to machine code takes 32 KB for itself. To be asked
/// once all of the configuration has been read.
pub(super) fn fits(cycle: &ngx_cycle_t) -> bool {
    !is_pcre_jit_on(cycle)
}

/// Has the handshakes of an SSL_CTX run as jobs.
pub(super) fn prepare(ctx: SslCtx) {
    guard_stacks();
    ctx.run_as_jobs();
}

impl Job {
    /// The SSL_CTX was prepared.
    pub(super) fn new() -> Self {
        Self { is_on: Cell::new(true) }
    }

    /// Mostly there is one wait: the rest of the handshake goes without a new job for each step.
    fn stop(&self, ssl: Ssl<'_>) {
        if self.is_on.replace(false) {
            ssl.stop_running_as_jobs();
        }
    }
}

impl Hold for Job {
    /// The get callback can run outside of a job: in a handshake over QUIC.
    fn can_wait(&self) -> bool {
        in_job()
    }

    fn wait(&self, ssl: Ssl<'_>, is_over: impl Fn() -> bool) -> bool {
        // Without the mode, OpenSSL does not go on with a paused job.
        if !self.is_on.replace(true) {
            ssl.run_as_jobs();
        }
        while !is_over() {
            if ssl.is_shut_down() || !pause_job() {
                break;
            }
        }
        self.stop(ssl);
        is_over()
    }

    fn end(&self, ssl: Ssl<'_>) {
        self.stop(ssl);
    }
}
