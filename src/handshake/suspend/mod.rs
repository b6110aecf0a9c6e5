//! How a handshake waits for its lookups without holding up the worker: one file for each way, and
//! one for how the handshake is woken. They know the handshake as a trait, and nothing of lookups.
//!
//! - `retry`: on a patched nginx, in OpenSSL's callback on the ClientHello.
//! - `job`: on a patched nginx, in OpenSSL's get callback.
//! - `gate`: on any other, before OpenSSL has seen the ClientHello.

use core::fmt;

use nginx_sys::ngx_cycle_t;

use crate::openssl::{ClientHellos, Filter, Ssl, SslCtx};

use self::job::Job;
use self::retry::Retry;

pub(super) use self::gate::Gate;
pub(super) use self::hold::{Held, Hold};
pub(super) use self::missing::Missing;
pub(super) use self::waker::Waker;

mod gate;
mod hold;
mod job;
mod missing;
mod retry;
mod waker;

/// A way in which handshakes are suspended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspension {
    /// OpenSSL's callback on the ClientHello, on a patched nginx.
    Retry,
    /// OpenSSL jobs, on a patched nginx.
    Async,
    /// A gate in front of the socket, which holds the ClientHello back.
    Hello,
}

/// The way that was chosen for an SSL_CTX, and why.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) way: Suspension,
    /// The better ways, and what is missing for them; `None` where it was not for us to choose.
    better: Option<Vec<(Suspension, Missing)>>,
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retry => "OpenSSL's ClientHello callback (suspend=retry)",
            Self::Async => "OpenSSL jobs (suspend=async)",
            Self::Hello => "the ClientHello held back (suspend=hello)",
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", self.way)?;
        match self.better.as_deref() {
            None => f.write_str("as configured"),
            Some([]) => f.write_str("the best way"),
            Some(better) => better.iter().enumerate().try_for_each(|(number, (way, missing))| {
                let before = if number == 0 { "" } else { "; " };
                write!(f, "{before}as suspend={} is not possible: {missing}", way.name())
            }),
        }
    }
}

impl Choice {
    /// This choice, or another way where regular expressions take the stack of a job. To be asked once
    /// all of the configuration has been read.
    pub(crate) fn fit(self, cycle: &ngx_cycle_t) -> Self {
        if self.way != Suspension::Async || job::fits(cycle) {
            return self;
        }
        let mut better = self.better.unwrap_or_default();
        better.push((Suspension::Async, Missing::Jit));
        Self { way: Suspension::Hello, better: Some(better) }
    }
}

impl Suspension {
    /// Chooses the way for an SSL_CTX, the one that is wanted or the best one that works. To be asked
    /// when all modules have set their callbacks.
    pub(crate) fn choose(wanted: Option<Self>, ctx: SslCtx) -> Result<Choice, (Self, Missing)> {
        if let Some(way) = wanted {
            let check = way.check(ctx).map(|()| Choice { way, better: None });
            return check.map_err(|missing| (way, missing));
        }
        let mut better = Vec::new();
        for way in [Self::Retry, Self::Async] {
            match way.check(ctx) {
                Ok(()) => return Ok(Choice { way, better: Some(better) }),
                Err(missing) => better.push((way, missing)),
            }
        }
        Ok(Choice { way: Self::Hello, better: Some(better) })
    }

    /// Whether this way works here.
    fn check(self, ctx: SslCtx) -> Result<(), Missing> {
        match self {
            Self::Retry => retry::check(ctx),
            Self::Async => job::check(),
            Self::Hello => Ok(()),
        }
    }

    /// As it is configured.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Async => "async",
            Self::Hello => "hello",
        }
    }

    /// Prepares an SSL_CTX; an error where this way does not work any more.
    pub(super) fn prepare<C: ClientHellos>(self, ctx: SslCtx) -> Result<(), Missing> {
        match self {
            Self::Retry => retry::prepare::<C>(ctx)?,
            Self::Async => job::prepare(ctx),
            Self::Hello => {}
        }
        Ok(())
    }

    /// What is to hold one handshake back.
    pub(super) fn holder(self) -> Holder {
        match self {
            Self::Retry => Holder::Retry(Retry::default()),
            Self::Async => Holder::Job(Job::new()),
            Self::Hello => Holder::Gate(Gate::default()),
        }
    }
}

/// What holds one handshake back.
pub(super) enum Holder {
    Retry(Retry),
    Job(Job),
    Gate(Gate),
}

impl Hold for Holder {
    fn begin<F: Filter>(&self, ssl: Ssl<'_>) {
        match self {
            Self::Retry(way) => way.begin::<F>(ssl),
            Self::Job(way) => way.begin::<F>(ssl),
            Self::Gate(way) => way.begin::<F>(ssl),
        }
    }

    fn can_wait(&self) -> bool {
        match self {
            Self::Retry(way) => way.can_wait(),
            Self::Job(way) => way.can_wait(),
            Self::Gate(way) => way.can_wait(),
        }
    }

    fn missed(&self, ssl: Ssl<'_>) {
        match self {
            Self::Retry(way) => way.missed(ssl),
            Self::Job(way) => way.missed(ssl),
            Self::Gate(way) => way.missed(ssl),
        }
    }

    fn wait(&self, ssl: Ssl<'_>, is_over: impl Fn() -> bool) -> bool {
        match self {
            Self::Retry(way) => way.wait(ssl, is_over),
            Self::Job(way) => way.wait(ssl, is_over),
            Self::Gate(way) => way.wait(ssl, is_over),
        }
    }

    fn end(&self, ssl: Ssl<'_>) {
        match self {
            Self::Retry(way) => way.end(ssl),
            Self::Job(way) => way.end(ssl),
            Self::Gate(way) => way.end(ssl),
        }
    }
}
