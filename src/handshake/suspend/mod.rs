//! How a handshake waits for its lookup without holding up the worker. There are two ways.
//!
//! On an nginx with the patch of this project, handshakes run as OpenSSL jobs
//! (ASYNC_start_job(3)), each on a stack of its own: 32 KB of heap without a guard page. A job is
//! paused in the get callback; SSL_do_handshake(3) then returns SSL_ERROR_WANT_ASYNC, and the
//! patched nginx waits for the connection's next event, which the lookup posts when it has ended.
//! Any event of the connection resumes the job: bytes from the client, a timer, a close. So the
//! wait is a loop that only an answer or a teardown ends.
//!
//! On any other nginx the wait comes before OpenSSL has seen the ClientHello: see `gate`.

use core::fmt;
use std::rc::Rc;
use std::sync::OnceLock;

use nginx_sys::ngx_cycle_t;

use crate::handshake::first::First;
use crate::handshake::lookup::Lookup;
use crate::nginx::{has_symbol, is_pcre_jit_on};
use crate::openssl::Method;
use crate::openssl::{has_jobs, in_job, pause_job, SslCtx};

pub(super) mod gate;

/// What puts a gate in front of a socket. Made before the first handshake.
static GATE: OnceLock<Option<Method<First>>> = OnceLock::new();

/// The way in which handshakes are suspended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspension {
    /// OpenSSL jobs, on a patched nginx.
    Async,
    /// A gate in front of the socket, which holds the ClientHello back.
    Hello,
}

/// What is missing for OpenSSL jobs, and what to do about it.
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
    #[error(
        "this nginx was built with PCRE, whose regular expressions can take more stack than an \
         OpenSSL job has; build it with PCRE2"
    )]
    Stack,
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Async => "OpenSSL jobs (suspend=async)",
            Self::Hello => "the ClientHello held back (suspend=hello)",
        })
    }
}

impl Suspension {
    /// The ways, in the order of preference.
    pub(crate) const ALL: [Self; 2] = [Self::Async, Self::Hello];

    /// The best way that works here.
    pub(crate) fn detect() -> Self {
        Self::Async.check().map_or(Self::Hello, |()| Self::Async)
    }

    /// Whether this way works here.
    pub(crate) fn check(self) -> Result<(), Missing> {
        if self == Self::Hello {
            return Ok(());
        }
        if !has_symbol(c"ngx_ssl_async_handshake") {
            return Err(Missing::Patch);
        }
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

    /// This way, or the other one where regular expressions take the stack of a job: nginx matches
    /// the names of servers in a handshake, and what PCRE2 has compiled to machine code takes 32 KB
    /// for itself. To be asked once all of the configuration has been read.
    pub(crate) fn fit(self, cycle: &ngx_cycle_t) -> Self {
        match self {
            Self::Async if is_pcre_jit_on(cycle) => Self::Hello,
            way => way,
        }
    }

    /// As it is configured.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Hello => "hello",
        }
    }

    /// Prepares an SSL_CTX.
    pub(super) fn prepare(self, ctx: SslCtx) {
        match self {
            Self::Async => ctx.run_as_jobs(),
            Self::Hello => {
                GATE.get_or_init(|| Method::new(c"ClientHello gate"));
            }
        }
    }

    /// A handshake has begun.
    pub(super) fn started(self, first: &Rc<First>) {
        match self {
            Self::Async => {}
            Self::Hello => {
                if let (Some(Some(gate)), true) = (GATE.get(), first.ssl().reads_a_stream()) {
                    first.set_gate();
                    gate.insert(first.ssl(), first);
                }
            }
        }
    }

    /// A handshake has taken a step, and OpenSSL reads nothing now: a gate that has let everything
    /// through goes, and OpenSSL reads from the socket itself again.
    pub(super) fn stepped(first: &First) {
        if let (true, Some(Some(gate))) = (first.is_through(), GATE.get()) {
            gate.remove(first.ssl());
            first.forget_gate();
        }
    }

    /// Whether the get callback, which calls this, can wait. It can run outside of a job: in a
    /// handshake over QUIC.
    pub(super) fn can_wait(self) -> bool {
        match self {
            Self::Async => in_job(),
            Self::Hello => false,
        }
    }

    /// Waits until the lookup has ended; false where it will not.
    pub(super) fn wait(self, first: &First, lookup: &Lookup) -> bool {
        match self {
            Self::Async => {
                let ssl = first.ssl();
                // An earlier wait of this handshake may have ended the mode, without which OpenSSL
                // does not go on with a paused job.
                ssl.run_as_jobs();
                while !lookup.is_done() {
                    if ssl.is_shut_down() || !pause_job() {
                        break;
                    }
                }
                // Mostly this was the only wait: the rest of the handshake goes without a new job
                // for each step.
                ssl.stop_running_as_jobs();
                lookup.is_done()
            }
            Self::Hello => false,
        }
    }
}
