//! The cache put into the SSL_CTX of each server, once all of http{}, stream{} or mail{} has been read.

use core::{iter, ptr};
use std::collections::BTreeSet;
use std::rc::Rc;

use nginx_sys::ngx_cycle_t;
use ssl_session_cache_core::plan::SingleUse;

use crate::conf::{CycleConf, DefaultCache, Destination, NginxTickets, Reported};
use crate::counters::Counted;
use crate::handshake::{SessionCache, Sockets, Wanted};
use crate::nginx::{log, BLOCK_NAME, NAME};
use crate::openssl::{narrow_id_context, NarrowError, SslCtx};
use crate::store::StoreConf;

use self::client_certificates::{ClientCertificates, NoDigest, Policies, NAME_COMES_FIRST};

pub(crate) use self::servers::{Listener, NginxCache, Server, Servers, TlsConf};
pub(crate) use self::suspensions::{prepare_suspensions, tell_suspensions};

mod alike;
mod client_certificates;
mod servers;
mod suspensions;
mod tickets;
mod warnings;

/// Attaches the cache to every server of a block that it is on for.
///
/// For http{}, before ngx_http_ssl_module's own postconfiguration (see `ngx_module_order`): with QUIC that
/// adds a callback to an SSL_CTX which needs a connection, and the handshakes that are begun here, for the
/// session id context, have none.
pub(crate) fn attach(cycle: &ngx_cycle_t, servers: &Servers) -> Result<(), Reported> {
    let conf = CycleConf::of(cycle);
    let policies = Policies::of(servers);
    let wide = narrow_id_contexts(cycle, servers, &policies)?;
    let mut caches = Vec::new();
    for server in servers.servers.iter().filter(|server| !wide.contains(&ptr::from_ref(*server))) {
        let cache = attach_server(cycle, server, servers, &policies)?;
        if let (Some(cache), Some(destination)) = (cache, server.conf.destination()) {
            // Kept at once: the SSL_CTX has its address, also where what follows fails.
            conf.add_cache(Rc::clone(&cache));
            if servers.is_default(server) {
                conf.add_default_cache(DefaultCache {
                    server: server.to_string(),
                    frontend: servers.frontend,
                    cache: Rc::clone(&cache),
                    destination: destination.clone(),
                });
            }
            caches.push(cache);
        }
    }
    for cache in &caches {
        cache.expect_servers(chosen_before_lookups(servers, cache.ctx()));
    }
    conf.add_destinations(destinations(servers));
    warnings::of_ignored_servers(cycle, servers);
    warnings::of_servers_without_tls(cycle, servers);
    warnings::of_shared_zones(cycle, servers);
    Ok(())
}

/// Checks what all blocks have come to, once all of the configuration has been read.
pub(crate) fn finish(cycle: &mut ngx_cycle_t) -> Result<(), Reported> {
    let conf = CycleConf::of(cycle);
    suspensions::choose_suspensions(cycle, conf)?;
    check_names(cycle, conf)?;
    tickets::check_room(cycle, conf)?;
    conf.check_stores(cycle)?;
    warn_of_sessions_in_clear(cycle, conf);
    warnings::of_different_keys(cycle, conf);
    conf.share_tickets(cycle).ok_or(Reported)?;
    count_stores(cycle, conf)
}

/// Has the workers count what they do with the stores in use.
fn count_stores(cycle: &mut ngx_cycle_t, conf: &CycleConf) -> Result<(), Reported> {
    let counted = |store: &Rc<StoreConf>| {
        let settings = store.settings();
        let mut counted = Counted {
            name: settings.name(),
            kind: settings.kind,
            address: settings.address().map(str::to_owned),
            keys: Vec::new(),
            timeout: settings.timeout,
            has_servers: settings.has_servers(),
        };
        // What a store does not have is looked for in its fallback, under the same keys.
        let is_used = |destination: &&Destination| {
            let fallback = destination.store.fallback();
            iter::once(&*destination.store).chain(fallback).any(|used| ptr::eq(used, &**store))
        };
        let destinations = conf.destinations();
        let keys = destinations.iter().filter(is_used).filter_map(Destination::key);
        keys.for_each(|key| counted.add_key(key));
        counted
    };
    let stores = conf.stores().iter().map(counted).collect();
    conf.count(cycle, stores).ok_or(Reported)
}

/// The SSL_CTXs that a handshake may be in when its session is looked up, if it begins in that of a
/// default server: this one first.
fn chosen_before_lookups(servers: &Servers, default: SslCtx) -> impl Iterator<Item = SslCtx> + '_ {
    let begins_there = move |listener: &&Listener| {
        let ctx = servers.default_of(listener).ctx;
        NAME_COMES_FIRST && ctx.is_some_and(|ctx| ctx.address() == default.address())
    };
    let named = servers
        .listeners
        .iter()
        .filter(begins_there)
        .flat_map(|listener| servers.of(listener))
        .filter_map(|server| server.ctx);
    iter::once(default).chain(named)
}

fn attach_server(
    cycle: &ngx_cycle_t,
    server: &Server,
    servers: &Servers,
    policies: &Policies<'_>,
) -> Result<Option<Rc<SessionCache>>, Reported> {
    let Some(ctx) = server.ctx else { return Ok(None) };
    let tickets = tickets::wanted(cycle, server, servers)?;
    // OpenSSL seals a ticket with the keys of the default server's SSL_CTX, but whether there is to be
    // one says that of the server which the client means.
    let gives_tickets = servers.decider(server).conf.tickets().is_some();
    let Some(destination) = server.conf.destination() else { return Ok(None) };

    if server.tls.session_cache == NginxCache::Off {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"{NAME}\" is ignored for {server}: \"ssl_session_cache off\" there says \
             that sessions are not to be resumed"
        );
        return Ok(None);
    }
    let certificates = client_certificates(cycle, policies, server)?;
    if certificates.differ {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"{NAME}\" is ignored for {server}: it is the default server of sockets \
             whose servers ask for different client certificates, and OpenSSL could not keep their \
             sessions apart; give each of these sockets the same servers, or a default server of \
             its own"
        );
        return Ok(None);
    }
    let asks_for_certificates = certificates.asked.is_some();
    if server.tls.session_cache == NginxCache::Builtin {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"ssl_session_cache builtin\" is ignored for {server}: a session that one \
             worker's cache drops would be deleted for all; use \"shared:\" next to \"{NAME}\""
        );
    }
    let asks_for_tickets =
        matches!(server.conf.nginx_tickets.get(), NginxTickets::On | NginxTickets::Keys);
    if !gives_tickets && asks_for_tickets {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "stateless session tickets are asked for by {server}: clients that take \
             them, with TLS 1.3 all, never reach \"{NAME}\"; set \"ssl_session_tickets off\""
        );
    } else if !gives_tickets {
        ctx.disable_tickets();
    }

    if server.tls.early_data && ctx.prevents_replay() {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"ssl_conf_command Options AntiReplay\" next to \"ssl_early_data on\" for {server}: \
             OpenSSL then resumes no TLS 1.3 session that \"{NAME}\" finds; switch one of \
             the two off"
        );
    }
    if servers.is_default(server) {
        warn_of_single_use(cycle, server, destination, gives_tickets);
        warn_of_short_timer(cycle, server, servers.timeout_directive, &destination.store);
    }

    let Destination { store, keyspace, sealer, suspension, single_use, .. } = destination.clone();
    store.resolve_by(server.resolver);
    let tickets = match tickets {
        Some(tickets) => tickets.put_into(ctx, cycle, server)?,
        None => None,
    };
    Ok(SessionCache::attach(
        ctx,
        store,
        keyspace,
        sealer,
        tickets,
        Wanted { suspension, single_use },
        Sockets {
            frontend: servers.frontend,
            wait_for_close: servers.wait_for_close,
            know_names: servers.know_names,
            asks_for_certificates,
            handshake_timeout: server.handshake_timeout,
        },
    ))
}

/// A name that is not known now is looked up again by nginx's resolver, where there is one: a name
/// server that is away must not keep nginx from starting, nor from taking a new certificate.
fn check_names(cycle: &ngx_cycle_t, conf: &CycleConf) -> Result<(), Reported> {
    let stores = conf.used_stores();
    let unknown = stores.iter().flat_map(|(store, line)| {
        let names = store.settings().unknown_names();
        names.map(move |name| (store, line, name))
    });
    for (store, line, name) in unknown {
        let (directive, parameter) = match store.settings().name {
            None => (NAME, "addr"),
            Some(_) => (BLOCK_NAME, "server"),
        };
        if !store.has_resolver() {
            log!(
                NGX_LOG_EMERG,
                cycle.log,
                "\"{directive}\" cannot resolve parameter \"{parameter}\", expected an IP address or a known \
                 name: {name}; with nginx's \"resolver\" it would be looked up again later in {line}"
            );
            return Err(Reported);
        }
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"{directive}\" cannot resolve parameter \"{parameter}\": {name}; no sessions are found there until \
             nginx's \"resolver\" finds it in {line}"
        );
    }
    Ok(())
}

/// Narrows the session id contexts of servers on sockets with the cache by what the servers there
/// make of client certificates; returns those where that cannot be done, which are not to have it.
///
/// What has nothing to do with the cache stays as nginx made it.
fn narrow_id_contexts(
    cycle: &ngx_cycle_t,
    servers: &Servers,
    policies: &Policies<'_>,
) -> Result<BTreeSet<*const Server>, Reported> {
    let on_listeners: BTreeSet<_> = servers
        .listeners
        .iter()
        .filter(|listener| servers.default_of(listener).conf.destination().is_some())
        .flat_map(|listener| servers.of(listener).map(ptr::from_ref))
        .collect();
    let mut wide = BTreeSet::new();
    for server in &servers.servers {
        if !on_listeners.contains(&ptr::from_ref(server)) {
            continue;
        }
        let Some(ctx) = server.ctx else { continue };
        let Some(asked) = client_certificates(cycle, policies, server)?.asked else { continue };
        match narrow_id_context(ctx, &asked) {
            Ok(()) => {}
            Err(NarrowError::NoDigest) => return Err(NoDigest.report(cycle)),
            Err(NarrowError::NoHandshake) => {
                log!(
                    NGX_LOG_WARN,
                    cycle.log,
                    "\"{NAME}\" resumes no sessions of {server}: OpenSSL cannot begin a \
                     handshake there"
                );
                wide.insert(ptr::from_ref(server));
            }
        }
    }
    Ok(wide)
}

fn client_certificates(
    cycle: &ngx_cycle_t,
    policies: &Policies<'_>,
    server: &Server,
) -> Result<ClientCertificates, Reported> {
    policies.client_certificates(server).map_err(|error| error.report(cycle))
}

impl NoDigest {
    fn report(self, cycle: &ngx_cycle_t) -> Reported {
        log!(NGX_LOG_EMERG, cycle.log, "OpenSSL has no SHA-256 or no memory");
        Reported
    }
}

/// Warns where nginx would close a connection before the store's time is over: a handshake has the
/// time that this directive sets, and its lookups at most half of that.
fn warn_of_short_timer(cycle: &ngx_cycle_t, server: &Server, directive: &str, store: &StoreConf) {
    let timeout = store.settings().timeout.as_millis();
    let timer = server.handshake_timeout.as_millis();
    if timeout * 2 > timer {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"timeout={timeout}ms\" of \"{NAME}\" is cut to half of \"{directive}\", which is \
             {timer}ms for {server}: raise that to {}ms, or lower \"timeout=\" to {}ms",
            timeout * 2,
            timer / 2
        );
    }
}

/// Warns of sessions that are to be used once, and are not claimed: those in tickets, and those of other
/// sites, which are claimed there.
fn warn_of_single_use(
    cycle: &ngx_cycle_t,
    server: &Server,
    destination: &Destination,
    gives_tickets: bool,
) {
    let warn = |what: &str| {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"single_use={}\" of \"{NAME}\" for {server}: {what}",
            destination.single_use.name()
        );
    };
    let has_fallback = destination.store.fallback().is_some();
    match destination.single_use {
        SingleUse::EarlyData if gives_tickets && server.tls.early_data => warn(
            "no early data is accepted with the tickets that \"remote_ssl_session_tickets\" gives, whose \
             use is not claimed; say \"single_use=off\" to accept it any number of times",
        ),
        SingleUse::On if gives_tickets => warn(
            "it does not hold for the tickets that \"remote_ssl_session_tickets\" gives, which are \
             resumed any number of times; switch one of the two off",
        ),
        SingleUse::On if has_fallback => warn(
            "sessions that may be those of another site are not resumed, as their use is claimed there; \
             say \"single_use=early_data\", or leave \"fallback\" out",
        ),
        SingleUse::Off | SingleUse::EarlyData | SingleUse::On => {}
    }
}

fn warn_of_sessions_in_clear(cycle: &ngx_cycle_t, conf: &CycleConf) {
    let caches = conf.default_caches();
    let mut destinations = caches.iter().map(|default| &default.destination);
    let in_clear = destinations.find(|destination| destination.sealer.is_none());
    if let Some(Destination { line, .. }) = in_clear {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "\"{NAME}\" without \"key=\" stores sessions in clear: who can read the store can \
             decrypt them; make a key with \"openssl rand 32 > cache.key\", give it to every \
             machine, and add \"key=cache.key\" in {line}"
        );
    }
}

/// Where the sessions of servers with TLS go.
fn destinations(servers: &Servers) -> impl Iterator<Item = &Destination> {
    let with_tls = servers.servers.iter().filter(|server| server.ctx.is_some());
    with_tls.filter_map(|server| server.conf.destination())
}
