//! What is told in nginx's log of a server: a change at once, but not the same over and over.

use core::mem;
use core::time::Duration;

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::Instant;

use crate::net::Address;
use crate::nginx::{log, now};
use crate::store::Kind;

/// What goes wrong again and again is written to the log once in this time.
const LOG_PERIOD: Duration = Duration::from_secs(1);

/// So many reasons are told of one time that the server is down.
const MAX_REASONS: usize = 8;

/// The lines in nginx's log about one server. What may come over and over is counted until
/// [`tell`](Self::tell) writes it.
pub(super) struct ServerLog {
    log: *mut ngx_log_t,
    kind: Kind,
    /// How often the server has gone down.
    downs: Repeated,
    /// The reasons that were told since it was up.
    reasons: Vec<String>,
    /// Another reason, of a server that is down still.
    other_reason: Option<(String, String)>,
    /// Commands that the server has refused.
    refusals: Repeated,
    /// Whether the last line in the log says that the server is up.
    told_up: bool,
    /// Whether the last line about its name says that it cannot be resolved.
    told_unresolved: bool,
}

impl ServerLog {
    pub(super) fn new(log: *mut ngx_log_t, kind: Kind) -> Self {
        Self {
            log,
            kind,
            downs: Repeated::new(),
            reasons: Vec::new(),
            other_reason: None,
            refusals: Repeated::new(),
            told_up: false,
            told_unresolved: false,
        }
    }

    pub(super) fn went_down(&mut self, address: &Address, reason: String) {
        self.downs.add(1, self.kind.server(address), reason);
    }

    /// The server is still down. Each reason is told once: two may come in turn, over and over.
    pub(super) fn still_down(&mut self, address: &Address, reason: String) {
        self.other_reason = None;
        if !self.reasons.contains(&reason) && self.reasons.len() < MAX_REASONS {
            self.other_reason = Some((self.kind.server(address), reason));
        }
    }

    /// The server has refused so many commands; `reason` is what it said to one of them.
    pub(super) fn refused(&mut self, count: u32, address: &Address, reason: String) {
        self.refusals.add(count, self.kind.server(address), with_advice(reason));
    }

    /// When there is something to tell that waits for its time.
    pub(super) fn due(&self) -> Option<Instant> {
        let other_reason = self.other_reason.is_some().then_some(self.downs.next_log);
        [self.downs.due(), other_reason, self.refusals.due()].into_iter().flatten().min()
    }

    /// Tells what it is time to tell; `up` is the address of a server that is up now.
    pub(super) fn tell(&mut self, up: Option<&Address>) {
        if let Some(Repeated { count, server, reason, .. }) = self.downs.take() {
            if count == 1 {
                log!(
                    NGX_LOG_ERR,
                    self.log,
                    "{server} is down: {reason}; handshakes are full ones until it is up again"
                );
            } else {
                log!(
                    NGX_LOG_ERR,
                    self.log,
                    "{server} is down, {count} times since the last such message: {reason}"
                );
            }
            self.told_up = false;
            self.reasons.push(reason);
        }
        if up.is_some() {
            self.other_reason = None;
        }
        if self.downs.next_log <= now() {
            if let Some((server, reason)) = self.other_reason.take() {
                log!(NGX_LOG_ERR, self.log, "{server} is still down: {reason}");
                self.downs.next_log = now() + LOG_PERIOD;
                self.reasons.push(reason);
            }
        }
        if let (Some(address), false) = (up, self.told_up) {
            self.reasons.clear();
            log!(NGX_LOG_NOTICE, self.log, "{} is up", self.kind.server(address));
            self.told_up = true;
        }
        if let Some(Repeated { count, server, reason, .. }) = self.refusals.take() {
            log!(
                NGX_LOG_ERR,
                self.log,
                "{server} refuses commands, {count} since the last such message: {reason}"
            );
        }
    }

    /// The server's name could not be looked up.
    pub(super) fn unresolved(&mut self, name: &str, reason: &str, has_addresses: bool) {
        if mem::replace(&mut self.told_unresolved, true) {
            return;
        }
        if has_addresses {
            log!(
                NGX_LOG_WARN,
                self.log,
                "{name} cannot be resolved: {reason}; its last addresses stay in use"
            );
        } else {
            log!(
                NGX_LOG_ERR,
                self.log,
                "{name} cannot be resolved: {reason}; handshakes are full ones until it is"
            );
        }
    }

    /// The server's name was looked up.
    pub(super) fn resolved(&mut self, name: &str) {
        if mem::replace(&mut self.told_unresolved, false) {
            log!(NGX_LOG_NOTICE, self.log, "{name} is resolved again");
        }
    }

    /// The address is none of the server's any more.
    pub(super) fn dropped(&mut self, address: &Address) {
        log!(NGX_LOG_NOTICE, self.log, "{} is not in use any more", self.kind.server(address));
        self.told_up = false;
    }
}

/// What a server said to a command, and what is to be done where that does not follow from it.
fn with_advice(mut reason: String) -> String {
    if matches!(reason.split(' ').next(), Some("MOVED" | "ASK" | "CLUSTERDOWN")) {
        reason += "; it is a node of a Redis Cluster: use a Redis that is none, or a proxy";
    }
    reason
}

/// What happens again and again, counted until the next line in the log.
struct Repeated {
    count: u32,
    /// Of the last time: which server, and why.
    server: String,
    reason: String,
    next_log: Instant,
}

impl Repeated {
    fn new() -> Self {
        Self { count: 0, server: String::new(), reason: String::new(), next_log: now() }
    }

    fn add(&mut self, count: u32, server: String, reason: String) {
        self.count = self.count.saturating_add(count);
        self.server = server;
        self.reason = reason;
    }

    /// When there is something to tell.
    fn due(&self) -> Option<Instant> {
        (self.count > 0).then_some(self.next_log)
    }

    /// What there is to tell, where it is time to.
    fn take(&mut self) -> Option<Self> {
        if self.due()? > now() {
            return None;
        }
        Some(mem::replace(self, Self { next_log: now() + LOG_PERIOD, ..Self::new() }))
    }
}
