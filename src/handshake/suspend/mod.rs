//! How a handshake waits for its lookups without holding up the worker: one file for each way, and
//! one for how the handshake is woken. They know the handshake as a trait, and nothing of lookups.
//!
//! - `job`: on a patched nginx, in OpenSSL's get callback.
//! - `gate`: on any other, before OpenSSL has seen the ClientHello.

use core::fmt;
use std::rc::Rc;

use nginx_sys::ngx_cycle_t;

use crate::openssl::{Bound, Ssl, SslCtx};

use self::job::{Job, Missing};

pub(super) use self::gate::{Gate, Gated};
pub(super) use self::hold::{Held, Hold};
pub(super) use self::waker::Waker;

mod gate;
mod hold;
mod job;
mod waker;

/// The way in which handshakes are suspended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspension {
    /// OpenSSL jobs, on a patched nginx.
    Async,
    /// A gate in front of the socket, which holds the ClientHello back.
    Hello,
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
        match self {
            Self::Async => job::check(),
            Self::Hello => Ok(()),
        }
    }

    /// This way, or the other one where regular expressions take the stack of a job. To be asked
    /// once all of the configuration has been read.
    pub(crate) fn fit(self, cycle: &ngx_cycle_t) -> Self {
        match self {
            Self::Async if !job::fits(cycle) => Self::Hello,
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
            Self::Hello => {}
        }
    }

    /// What is to hold one handshake back.
    pub(super) fn holder(self) -> Holder {
        match self {
            Self::Async => Holder::Job(Job::new()),
            Self::Hello => Holder::Gate(Gate::default()),
        }
    }
}

/// What holds one handshake back.
pub(super) enum Holder {
    Job(Job),
    Gate(Gate),
}

impl<H: Gated> Hold<H> for Holder {
    fn begin(&self, ssl: Ssl<'_>, handshake: &Rc<Bound<H>>) {
        match self {
            Self::Job(way) => way.begin(ssl, handshake),
            Self::Gate(way) => way.begin(ssl, handshake),
        }
    }

    fn can_wait(&self) -> bool {
        match self {
            Self::Job(way) => Hold::<H>::can_wait(way),
            Self::Gate(way) => Hold::<H>::can_wait(way),
        }
    }

    fn wait(&self, ssl: Ssl<'_>, is_over: impl Fn() -> bool) -> bool {
        match self {
            Self::Job(way) => Hold::<H>::wait(way, ssl, is_over),
            Self::Gate(way) => Hold::<H>::wait(way, ssl, is_over),
        }
    }

    fn stepped(&self, ssl: Ssl<'_>, handshake: &H) -> bool {
        match self {
            Self::Job(way) => way.stepped(ssl, handshake),
            Self::Gate(way) => way.stepped(ssl, handshake),
        }
    }

    fn end(&self, ssl: Ssl<'_>) {
        match self {
            Self::Job(way) => Hold::<H>::end(way, ssl),
            Self::Gate(way) => Hold::<H>::end(way, ssl),
        }
    }
}
