//! The lines in nginx's log about a server.

use core::time::Duration;

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::server::Line;

use crate::net::{Address, Location};
use crate::nginx::log;
use crate::store::news::News;
use crate::store::settings::{server_name, Settings, Shape};

/// Writes a line to nginx's log.
pub(super) fn write(
    log: *mut ngx_log_t,
    settings: &Settings,
    location: &Location,
    News { line, workers }: News,
) {
    let server = |address| server(settings, location, &address);
    let name = || settings.in_store(format!("{} {}", settings.kind.name(), location.word));
    match line {
        Line::Up { address, was_down: false } => {
            log!(NGX_LOG_NOTICE, log, "{} is up", server(address));
        }
        // As the line that it ends.
        Line::Up { address, was_down: true } => {
            log!(NGX_LOG_ERR, log, "{} is up", server(address));
        }
        Line::Down { address, count: 1, reason } if settings.has_servers() => {
            log!(
                NGX_LOG_ERR,
                log,
                "{} is down: {reason}; sessions that lie there are not resumed meanwhile",
                server(address)
            );
        }
        Line::Down { address, count: 1, reason } => {
            log!(
                NGX_LOG_ERR,
                log,
                "{} is down: {reason}; no sessions are found there until it is up again",
                server(address)
            );
        }
        Line::Down { address, count, reason } => {
            log!(
                NGX_LOG_ERR,
                log,
                "{} is down, {count} times since the last such message: {reason}",
                server(address)
            );
        }
        Line::StillDown { address, reason } => {
            log!(NGX_LOG_ERR, log, "{} is still down: {reason}", server(address));
        }
        Line::DownFor { address, time, reason } => {
            log!(
                NGX_LOG_ERR,
                log,
                "{} is still down after {} minutes{}: {reason}",
                server(address),
                minutes(time),
                of_workers(workers)
            );
        }
        Line::Refuses { address, count, reason, is_of_cluster } => {
            let is_unexpected = is_of_cluster && settings.shape != Shape::Cluster;
            let reason = with_advice(reason, is_unexpected);
            log!(
                NGX_LOG_ERR,
                log,
                "{} refuses commands, {count} since the last such message: {reason}",
                server(address)
            );
        }
        Line::Unresolved { reason, has_addresses: true } => {
            log!(
                NGX_LOG_WARN,
                log,
                "{} cannot be resolved: {reason}; its last addresses stay in use",
                name()
            );
        }
        Line::Unresolved { reason, has_addresses: false } if settings.has_servers() => {
            log!(
                NGX_LOG_ERR,
                log,
                "{} cannot be resolved: {reason}; sessions that lie there are not resumed meanwhile",
                name()
            );
        }
        Line::Unresolved { reason, has_addresses: false } => {
            log!(
                NGX_LOG_ERR,
                log,
                "{} cannot be resolved: {reason}; no sessions are found there until it is",
                name()
            );
        }
        Line::UnresolvedFor { time, reason, has_addresses: true } => {
            log!(
                NGX_LOG_WARN,
                log,
                "{} still cannot be resolved after {} minutes{}: {reason}",
                name(),
                minutes(time),
                of_workers(workers)
            );
        }
        Line::UnresolvedFor { time, reason, has_addresses: false } => {
            log!(
                NGX_LOG_ERR,
                log,
                "{} still cannot be resolved after {} minutes{}: {reason}",
                name(),
                minutes(time),
                of_workers(workers)
            );
        }
        Line::Resolved { had_addresses: true } => {
            log!(NGX_LOG_WARN, log, "{} is resolved again", name());
        }
        Line::Resolved { had_addresses: false } => {
            log!(NGX_LOG_ERR, log, "{} is resolved again", name());
        }
        Line::Dropped { address } => {
            log!(NGX_LOG_NOTICE, log, "{} is not in use any more", server(address));
        }
    }
}

/// A server at an address: with its name as well, where it is configured or told by one.
fn server(settings: &Settings, location: &Location, address: &Address) -> String {
    let server = match &location.name {
        Some(name) => {
            format!("{} {name}:{} ({})", settings.kind.name(), location.port, address.name())
        }
        None => server_name(settings.kind, address),
    };
    settings.in_store(server)
}

/// For whom something lasts, where there is more than one worker.
fn of_workers(workers: Option<(usize, usize)>) -> String {
    match workers {
        None | Some((_, 1)) => String::new(),
        Some((concerned, all)) => format!(", for {concerned} of {all} workers"),
    }
}

fn minutes(time: Duration) -> u64 {
    time.as_secs() / 60
}

/// Writes that a node of a cluster cannot be used, as it is known by a name only.
pub(super) fn unresolvable(log: *mut ngx_log_t, settings: &Settings, server: &str) {
    log!(
        NGX_LOG_ERR,
        log,
        "{} cannot be resolved, expected a \"resolver\" in the store",
        settings.in_store(format!("{} {server}", settings.kind.name()))
    );
}

/// Writes how many lines about a cluster's nodes were not written.
pub(super) fn left_out(log: *mut ngx_log_t, settings: &Settings, lines: u64) {
    log!(
        NGX_LOG_WARN,
        log,
        "{lines} lines about nodes of cluster \"{}\" were left out",
        settings.name()
    );
}

/// Writes that a server of a store is not counted.
pub(super) fn uncounted(log: *mut ngx_log_t, settings: &Settings, server: &str) {
    log!(
        NGX_LOG_WARN,
        log,
        "the zone of the counters is full: {} is not counted",
        settings.in_store(server.to_owned())
    );
}

/// What a server said to a request, and what is to be done where that does not follow from it.
fn with_advice(mut reason: String, is_unexpected: bool) -> String {
    if is_unexpected {
        reason +=
            "; it is a node of a Redis Cluster: name it in a \"remote_ssl_session_store\" with \
                   \"cluster on\"";
    }
    reason
}
