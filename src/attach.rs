//! The cache put into the SSL_CTX of each server, once all of http{} has been read.

use core::ptr;
use std::collections::BTreeSet;

use nginx_sys::{ngx_conf_t, ngx_cycle_t, ngx_http_core_srv_conf_t, NGX_SSL_NO_SCACHE};
use ngx::core::NgxStr;
use ngx::http::{HttpModule, HttpModuleMainConf, HttpModuleServerConf};

use crate::conf::{Destination, MainConf, Reported, ServerConf};
use crate::counters::{self, Counted};
use crate::frontend::http::{handshake_timeout, name, place, resolver, servers, ssl_conf, ssl_ctx};
use crate::frontend::sockets::{ClientCertificates, NoDigest, Socket, Sockets};
use crate::handshake::{SessionCache, Suspension};
use crate::nginx::{log, NAME};
use crate::openssl::{narrow_id_context, NarrowError};
use crate::store::StoreConf;
use crate::Module;

/// Attaches the cache to every server that it is on for.
pub(crate) fn attach(cf: &mut ngx_conf_t) -> Result<(), Reported> {
    let main = Module::main_conf_mut(cf).expect("made before any directive is read");
    let sockets = Sockets::of(cf);
    let wide = narrow_id_contexts(cf, &sockets)?;
    for server in servers(cf).filter(|server| !wide.contains(&ptr::from_ref(*server))) {
        attach_server(cf, main, server, &sockets)?;
    }
    for cache in &main.caches {
        cache.expect_servers(sockets.chosen_before_lookups(cache.ctx()));
    }
    check_names(cf, main)?;
    warn_of_sessions_in_clear(cf);
    warn_of_ignored_servers(cf, &sockets);
    count_stores(cf, main)
}

/// Prepares for handshakes, once all of the configuration has been read: `pcre_jit` may come last.
pub(crate) fn prepare(cycle: &ngx_cycle_t, main: &MainConf) {
    if main.suspensions().any(|way| way.fit(cycle) != way) {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "with \"pcre_jit on\" handshakes are suspended with {}: regular expressions then take \
             more stack than an OpenSSL job has",
            Suspension::Hello
        );
    }
    main.caches.iter().for_each(|cache| cache.prepare(cycle));
}

/// Has the workers count what they do with the stores in use.
fn count_stores(cf: &mut ngx_conf_t, main: &mut MainConf) -> Result<(), Reported> {
    let counted = |store: &StoreConf| {
        let name = store.settings().name();
        let key_time = destinations(cf)
            .filter(|destination| destination.store.settings().name() == name)
            .filter_map(|destination| destination.key_time)
            .min();
        Counted { name, key_time }
    };
    let stores: Vec<_> = main.stores().map(counted).collect();
    // With `master_process off`, this process counts on for the configuration before, whose zone
    // nginx unmaps where the new one has none.
    if stores.is_empty() && !counters::is_counting() {
        return Ok(());
    }
    main.counted = Some(stores);
    // nginx has told why not.
    counters::add_zone(cf, Module::module()).ok_or(Reported)
}

fn attach_server(
    cf: &ngx_conf_t,
    main: &mut MainConf,
    server: &ngx_http_core_srv_conf_t,
    sockets: &Sockets<'_>,
) -> Result<(), Reported> {
    let conf = Module::server_conf(server).expect("made with the server");
    let Some(destination) = conf.destination() else { return Ok(()) };
    let Some(ctx) = ssl_ctx(server) else { return Ok(()) };
    let ssl = ssl_conf(server);

    if ssl.builtin_session_cache == NGX_SSL_NO_SCACHE as isize {
        log!(
            NGX_LOG_WARN,
            cf.log,
            "\"{NAME}\" is ignored for server \"{}\" in {}: \"ssl_session_cache off\" there says \
             that sessions are not to be resumed",
            name(server),
            place(server)
        );
        return Ok(());
    }
    let certificates = client_certificates(cf, sockets, server)?;
    if certificates.differ {
        log!(
            NGX_LOG_WARN,
            cf.log,
            "\"{NAME}\" is ignored for server \"{}\" in {}: it is the default server of sockets \
             whose servers ask for different client certificates, and OpenSSL could not keep their \
             sessions apart; give each of these sockets the same servers, or a default server of \
             its own",
            name(server),
            place(server)
        );
        return Ok(());
    }
    let asks_for_certificates = certificates.asked.is_some();
    if ssl.builtin_session_cache >= 0 {
        log!(
            NGX_LOG_WARN,
            cf.log,
            "\"ssl_session_cache builtin\" is ignored for server \"{}\" in {}: a session that one \
             worker's cache drops would be deleted for all; use \"shared:\" beside \"{NAME}\"",
            name(server),
            place(server)
        );
    }
    if conf.tickets_requested {
        log!(
            NGX_LOG_WARN,
            cf.log,
            "stateless session tickets are asked for by server \"{}\" in {}: clients that take \
             them, with TLS 1.3 all, never reach \"{NAME}\"; set \"ssl_session_tickets off\"",
            name(server),
            place(server)
        );
    } else {
        ctx.disable_tickets();
    }

    if ssl.early_data == 1 && ctx.prevents_replay() {
        log!(
            NGX_LOG_WARN,
            cf.log,
            "\"ssl_conf_command Options AntiReplay\" beside \"ssl_early_data on\" for server \"{}\" \
             in {}: OpenSSL then resumes no TLS 1.3 session that \"{NAME}\" finds; switch one of \
             the two off",
            name(server),
            place(server)
        );
    }
    if sockets.of_default(server).any(Socket::is_tcp) {
        warn_of_short_timer(cf, server, &destination.store);
    }

    let Destination { store, keyspace, sealer, suspension, .. } = destination.clone();
    let suspension = suspension.unwrap_or_else(Suspension::detect);
    suspension.check().map_err(|missing| {
        log!(
            NGX_LOG_EMERG,
            cf.log,
            "\"suspend={}\" of \"{NAME}\" is not possible: {missing}",
            suspension.name()
        );
        Reported
    })?;
    store.resolve_by(resolver(server));
    let cache = SessionCache::attach(
        ctx,
        store,
        keyspace,
        sealer,
        suspension,
        asks_for_certificates,
        handshake_timeout(server),
    );
    main.caches.extend(cache);
    Ok(())
}

/// A name that is not known now is looked up again by nginx's resolver, where there is one: a name
/// server that is away must not keep nginx from starting, nor from taking a new certificate.
fn check_names(cf: &ngx_conf_t, main: &MainConf) -> Result<(), Reported> {
    for store in main.stores().filter(|store| store.settings().location.addresses.is_empty()) {
        let name = store.settings().name();
        if !store.has_resolver() {
            log!(
                NGX_LOG_EMERG,
                cf.log,
                "\"{NAME}\" cannot resolve parameter \"addr\", expected an IP address or a known \
                 name: {name}; with nginx's \"resolver\" it would be looked up again later"
            );
            return Err(Reported);
        }
        log!(
            NGX_LOG_WARN,
            cf.log,
            "\"{NAME}\" cannot resolve parameter \"addr\": {name}; handshakes are full ones until \
             nginx's \"resolver\" finds it"
        );
    }
    Ok(())
}

/// Narrows the session id contexts of servers on sockets with the cache by what the servers there
/// make of client certificates; returns those where that cannot be done, which are not to have it.
///
/// What has nothing to do with the cache stays as nginx made it.
fn narrow_id_contexts(
    cf: &ngx_conf_t,
    sockets: &Sockets<'_>,
) -> Result<BTreeSet<*const ngx_http_core_srv_conf_t>, Reported> {
    let on_sockets: BTreeSet<_> = sockets
        .iter()
        .filter(|socket| effective(socket.default_server()).destination().is_some())
        .flat_map(|socket| socket.servers().map(ptr::from_ref))
        .collect();
    let mut wide = BTreeSet::new();
    for server in servers(cf).filter(|server| on_sockets.contains(&ptr::from_ref(*server))) {
        let Some(ctx) = ssl_ctx(server) else { continue };
        let Some(asked) = client_certificates(cf, sockets, server)?.asked else { continue };
        match narrow_id_context(ctx, &asked) {
            Ok(()) => {}
            Err(NarrowError::NoDigest) => return Err(NoDigest.report(cf)),
            Err(NarrowError::NoHandshake) => {
                log!(
                    NGX_LOG_WARN,
                    cf.log,
                    "\"{NAME}\" resumes no sessions of server \"{}\" in {}: OpenSSL cannot begin a \
                     handshake there",
                    name(server),
                    place(server)
                );
                wide.insert(ptr::from_ref(server));
            }
        }
    }
    Ok(wide)
}

fn client_certificates(
    cf: &ngx_conf_t,
    sockets: &Sockets<'_>,
    server: &ngx_http_core_srv_conf_t,
) -> Result<ClientCertificates, Reported> {
    sockets.client_certificates(server).map_err(|error| error.report(cf))
}

impl NoDigest {
    fn report(self, cf: &ngx_conf_t) -> Reported {
        log!(NGX_LOG_EMERG, cf.log, "OpenSSL has no SHA-256 or no memory");
        Reported
    }
}

/// Warns where nginx would close a connection before the store's time is over: a handshake has
/// `client_header_timeout`, and its lookups at most half of that.
fn warn_of_short_timer(cf: &ngx_conf_t, server: &ngx_http_core_srv_conf_t, store: &StoreConf) {
    let timeout = store.settings().timeout.as_millis();
    let timer = handshake_timeout(server).as_millis();
    if timeout * 2 > timer {
        log!(
            NGX_LOG_WARN,
            cf.log,
            "\"timeout={timeout}ms\" of \"{NAME}\" is cut to half of \"client_header_timeout\", \
             which is {timer}ms for server \"{}\" in {}: raise that to {}ms, or lower \"timeout\" \
             to {}ms",
            name(server),
            place(server),
            timeout * 2,
            timer / 2
        );
    }
}

fn warn_of_sessions_in_clear(cf: &ngx_conf_t) {
    if destinations(cf).any(|destination| destination.sealer.is_none()) {
        log!(
            NGX_LOG_WARN,
            cf.log,
            "\"{NAME}\" without \"key=\" stores sessions in clear: who can read the store can \
             decrypt them; make a key with \"openssl rand 32 > cache.key\", give it to every \
             machine, and add \"key=cache.key\""
        );
    }
}

/// Where the sessions of servers with TLS go.
fn destinations(cf: &ngx_conf_t) -> impl Iterator<Item = &'static Destination> {
    servers(cf)
        .filter(|server| ssl_ctx(server).is_some())
        .filter_map(|server| effective(server).destination())
}

/// Warns of servers whose setting is never looked at.
///
/// OpenSSL looks a session up before it knows the name that the client asks for: what counts is the
/// default server of the listening socket.
fn warn_of_ignored_servers(cf: &ngx_conf_t, sockets: &Sockets<'_>) {
    for socket in sockets.iter().filter(|socket| socket.is_tcp()) {
        let default = socket.default_server();
        for server in socket.servers() {
            if !effective(server).agrees_with(effective(default)) {
                log!(
                    NGX_LOG_WARN,
                    cf.log,
                    "\"{NAME}\" of server \"{}\" in {} has no effect on {}: what counts there is \
                     the default server, \"{}\" in {}",
                    name(server),
                    place(server),
                    NgxStr::from_bytes(socket.address()),
                    name(default),
                    place(default)
                );
            }
        }
    }
}

fn effective(server: &ngx_http_core_srv_conf_t) -> &'static ServerConf {
    Module::server_conf(server).expect("made with the server")
}

impl ServerConf {
    fn agrees_with(&self, other: &Self) -> bool {
        self.destination() == other.destination()
    }
}
