//! What is said of servers and does nothing, or not what it seems to say.

use core::ptr;
use std::collections::{BTreeMap, BTreeSet};

use nginx_sys::{nginx_version, ngx_cycle_t};
use ssl_session_cache_core::report::Frontend;

use crate::attach::alike::Alike;
use crate::attach::servers::{Server, Servers};
use crate::conf::{CycleConf, DefaultCache, Destination, Line};
use crate::nginx::{log, NAME, TICKETS_NAME};

/// Before this version `ssl on` gives sockets TLS in http{} that do not say so.
const LISTEN_TELLS_TLS: bool = nginx_version >= 1_025_001;

/// Warns of servers whose setting is never looked at, once for sockets that are alike.
///
/// OpenSSL looks a session up, and opens a ticket, before it knows the name that the client asks for:
/// what counts is the default server of the listening socket.
pub(super) fn of_ignored_servers(cycle: &ngx_cycle_t, servers: &Servers) {
    of_ignored(cycle, servers, NAME, |one, other| {
        one.conf.destination() != other.conf.destination()
    });
    of_ignored(cycle, servers, TICKETS_NAME, |one, other| {
        one.conf.tickets() != other.conf.tickets()
    });
}

fn of_ignored(
    cycle: &ngx_cycle_t,
    servers: &Servers,
    directive: &str,
    differ: impl Fn(&Server, &Server) -> bool,
) {
    // An address may have a listener for TCP and one for QUIC.
    let mut sockets: Vec<(&str, &Server, Vec<&Server>)> = Vec::new();
    for listener in &servers.listeners {
        let (address, default) = (&*listener.address, servers.default_of(listener));
        let ignored = servers.of(listener).filter(|server| differ(server, default));
        let is_it =
            |(other, its, _): &&mut (&str, &Server, _)| *other == address && ptr::eq(*its, default);
        let Some((.., others)) = sockets.iter_mut().find(is_it) else {
            sockets.push((address, default, ignored.collect()));
            continue;
        };
        for server in ignored {
            if !others.iter().any(|other| ptr::eq(*other, server)) {
                others.push(server);
            }
        }
    }
    let mut alike: Vec<(&Server, Vec<&Server>, Vec<&str>)> = Vec::new();
    for (address, default, ignored) in sockets {
        let is_alike = |(other, others, _): &&mut (&Server, Vec<&Server>, _)| {
            let are_the_same = |(one, other): (&&Server, &&Server)| ptr::eq(*one, *other);
            ptr::eq(*other, default)
                && others.len() == ignored.len()
                && others.iter().zip(&ignored).all(are_the_same)
        };
        match alike.iter_mut().find(is_alike) {
            Some((.., addresses)) => addresses.push(address),
            None if ignored.is_empty() => {}
            None => alike.push((default, ignored, vec![address])),
        }
    }
    for (default, ignored, addresses) in alike {
        let ignored: Vec<_> = ignored.iter().map(|server| server.to_string()).collect();
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"{directive}\" of {} has no effect on {}: that of the default server, \
             \"{}\" in {}, is used there",
            ignored.iter().map(String::as_str).collect::<Alike<'_>>(),
            addresses.into_iter().collect::<Alike<'_>>(),
            default.name,
            default.place
        );
    }
}

/// Warns of servers that say something themselves, and have no TLS.
pub(super) fn of_servers_without_tls(cycle: &ngx_cycle_t, servers: &Servers) {
    let with_tls: BTreeSet<*const Server> = servers
        .listeners
        .iter()
        .flat_map(|listener| servers.of(listener))
        .map(ptr::from_ref)
        .collect();
    let has_tls = |server: &&Server| {
        with_tls.contains(&ptr::from_ref(*server)) || !LISTEN_TELLS_TLS && server.ctx.is_some()
    };
    let plain: Vec<_> = servers.servers.iter().filter(|server| !has_tls(server)).collect();
    let advice = match servers.frontend {
        Frontend::Http | Frontend::Stream => "",
        Frontend::Mail => ", or \"starttls on\"",
    };
    of_no_tls(cycle, NAME, &plain, |server| server.conf.cache_line(), advice);
    of_no_tls(cycle, TICKETS_NAME, &plain, |server| server.conf.tickets_line(), advice);
}

fn of_no_tls(
    cycle: &ngx_cycle_t,
    directive: &str,
    plain: &[&Server],
    line: impl Fn(&Server) -> Option<Line>,
    advice: &str,
) {
    let said = plain.iter().filter_map(|server| Some((server.to_string(), line(server)?)));
    let (names, lines): (Vec<_>, Vec<_>) = said.unzip();
    let Some(line) = lines.first() else { return };
    log!(
        NGX_LOG_WARN,
        cycle.log,
        "\"{directive}\" of {} has no effect: nothing listens with TLS there; add \"ssl\" to \
         \"listen\"{advice} in {line}",
        names.iter().map(String::as_str).collect::<Alike<'_>>()
    );
}

/// Warns of zones of nginx's own cache that servers share which keep their sessions apart elsewhere.
pub(super) fn of_shared_zones(cycle: &ngx_cycle_t, servers: &Servers) {
    let mut first: BTreeMap<&[u8], (&Server, &Destination)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for server in &servers.servers {
        let zone = server.tls.session_zone.filter(|_| servers.is_default(server));
        let (Some(zone), Some(destination)) = (zone, server.conf.destination()) else { continue };
        let (other, its) = *first.entry(zone.as_bytes()).or_insert((server, destination));
        let Some(what) = its.differs(destination) else { continue };
        if !told.insert(zone.as_bytes()) {
            continue;
        }
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"ssl_session_cache shared:{zone}\" is the same for {other} and for {server}, whose {what} \
             differ: a session of the one may be resumed by the other without asking the store; give each \
             a zone of its own"
        );
    }
}

/// Warns of sessions in one store, under one prefix, that are not sealed with the same keys.
pub(super) fn of_different_keys(cycle: &ngx_cycle_t, conf: &CycleConf) {
    let caches = conf.default_caches();
    let mut first: BTreeMap<_, &Destination> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for DefaultCache { destination, .. } in &*caches {
        let other = *first.entry(destination.place()).or_insert(destination);
        if other.opens_all_of(destination) || !told.insert(destination.place()) {
            continue;
        }
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"{NAME}\" has another \"key=\" in {} than in {}, or none, for the same store and prefix: \
             sessions of the one are not resumed by the other, and one without a key deletes those that it \
             is asked for; use the same keys in both, or another \"prefix=\" in one",
            destination.line,
            other.line
        );
    }
}
