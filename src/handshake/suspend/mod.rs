//! How a handshake waits for its lookups without holding up the worker: one file for each way, and
//! one for how the handshake is woken. They know the handshake as a trait, and nothing of lookups.
//!
//! - `job`: on a patched nginx, in OpenSSL's get callback.
//! - `gate`: on any other, before OpenSSL has seen the ClientHello.

use core::fmt;
use std::rc::Rc;

use nginx_sys::ngx_cycle_t;
use ssl_session_cache_core::hello::ClientHello;

use crate::openssl::{Bound, Method, Ssl, SslCtx};

use self::job::Job;

pub(super) use self::gate::Gate;
pub(super) use self::waker::Waker;

mod gate;
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

/// A handshake that is held back.
pub(super) trait Held: Sized + 'static {
    /// What puts gates in front of sockets; `None` without memory.
    fn gates() -> Option<&'static Method<Bound<Self>>>;

    /// The gate that holds the handshake back, if that is the way.
    fn gate(&self) -> Option<&Gate>;

    /// The ClientHello is complete, and well-formed: begins the lookups of what it offers.
    fn offers(&self, ssl: Ssl<'_>, hello: ClientHello<'_>);

    /// Whether the ClientHello has not been let through.
    fn is_held(&self) -> bool;

    /// Whether a lookup is under way.
    fn waits(&self) -> bool;

    /// All goes through from now on.
    fn pass(&self);
}

/// A way to hold one handshake back: from its begin to its end, where it does not wait in vain.
///
/// One that sees the ClientHello first asks [`Held::offers`] for lookups and holds OpenSSL back
/// while it [waits](Held::waits); one that is asked in the get callback waits there.
pub(super) trait Hold<H> {
    /// The handshake has begun. OpenSSL has read nothing of it.
    fn begin(&self, _ssl: Ssl<'_>, _handshake: &Rc<Bound<H>>) {}

    /// Whether the get callback, which asks this, can wait.
    fn can_wait(&self) -> bool {
        false
    }

    /// Waits in the get callback until it is over, and returns whether it is.
    fn wait(&self, _ssl: Ssl<'_>, _is_over: impl Fn() -> bool) -> bool {
        false
    }

    /// The handshake has taken a step, and OpenSSL reads nothing now.
    fn stepped(&self, _ssl: Ssl<'_>, _handshake: &H) {}

    /// The server's part is done: nothing is waited for any more.
    fn end(&self, _ssl: Ssl<'_>) {}
}

/// What holds one handshake back.
pub(super) enum Holder {
    Job(Job),
    Gate(Gate),
}

impl<H: Held> Hold<H> for Holder {
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

    fn stepped(&self, ssl: Ssl<'_>, handshake: &H) {
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
