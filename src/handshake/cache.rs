//! What the handshakes with one SSL_CTX share: the store, and how sessions go there.

use core::cell::{OnceCell, RefCell};
use core::time::Duration;
use std::rc::Rc;

use nginx_sys::{ngx_cycle_t, SSL_CTX};
use ssl_session_cache_core::hello::ServerAbilities;
use ssl_session_cache_core::plan::SingleUse;
use ssl_session_cache_core::protocol::Put;
use ssl_session_cache_core::report::Frontend;

use crate::handshake::lookup::SessionId;
use crate::handshake::notes;
use crate::handshake::records::{Entry, Records};
use crate::handshake::suspend::{Choice, Holder, Missing, Suspension};
use crate::nginx::{debug, unix_time, Connection};
use crate::openssl::{Ciphers, Data, Session, SessionCallbacks, SessionRef, Slot, Ssl, SslCtx};
use crate::store::{Store, StoreConf};
use crate::tickets::Tickets;

/// The longest time that a session is stored for, in seconds. With TLS 1.3 clients keep none for
/// longer than 7 days (RFC 8446, section 4.6.1); what is configured beyond a year is a slip of the
/// pen.
const MAX_TTL: i64 = 365 * 24 * 60 * 60;
const MAX_TTL_TLS13: i64 = 7 * 24 * 60 * 60;

/// Clocks may differ by so many seconds, more than early data survives (RFC 8446, section 8.3).
const MAX_SKEW: i64 = 60;

/// The extension of a ClientHello that has the name of the server (RFC 6066, section 3).
const SERVER_NAME: u32 = 0;

/// The caches of SSL_CTXs.
static CACHE: Slot<SSL_CTX, SessionCache> = Slot::new();

/// What the sockets that an SSL_CTX is for are like.
#[derive(Clone, Copy)]
pub(crate) struct Sockets {
    /// The part of nginx that they belong to, for the counters.
    pub(crate) frontend: Frontend,
    /// Whether nginx closes their connections only once the client has done so as well.
    pub(crate) wait_for_close: bool,
    /// Whether nginx looks at the name that a client asks for: only then OpenSSL notes it in sessions.
    pub(crate) know_names: bool,
    /// Whether a server of theirs asks for client certificates.
    pub(crate) asks_for_certificates: bool,
    /// The time that nginx gives a client for its handshake.
    pub(crate) handshake_timeout: Duration,
}

/// How its handshakes are to use a cache.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// How they wait for the store, if not in whatever way works best.
    pub(crate) suspension: Option<Suspension>,
    /// What of a session they use once in the fleet.
    pub(crate) single_use: SingleUse,
}

/// What the callbacks of an SSL_CTX use.
pub(crate) struct SessionCache {
    ctx: SslCtx,
    /// Where the sessions go.
    store_conf: Rc<StoreConf>,
    /// The same, as this worker has it; none in a process without clients.
    store: RefCell<Option<Rc<Store>>>,
    pub(super) records: Rc<Records>,
    /// What seals and opens stateless tickets; none where clients get none, or nginx's own.
    pub(super) tickets: Option<Tickets>,
    wanted: Wanted,
    /// How handshakes wait for the store; none until all modules have set their callbacks, and where none
    /// begins here.
    choice: RefCell<Option<Choice>>,
    pub(super) sockets: Sockets,
    /// What the servers are able to do that a client may be for.
    abilities: OnceCell<Vec<ServerAbilities>>,
    ciphers: &'static Ciphers,
    /// The callbacks that were there before ours: nginx's, for `ssl_session_cache shared:`. They stay
    /// in use as the tier of this machine.
    pub(super) nginx: SessionCallbacks,
}

impl SessionCache {
    /// Puts a cache into an SSL_CTX, which keeps it; `None` where there is one already, or no memory.
    pub(super) fn put_into(
        ctx: SslCtx,
        store_conf: Rc<StoreConf>,
        records: Rc<Records>,
        tickets: Option<Tickets>,
        wanted: Wanted,
        sockets: Sockets,
    ) -> Option<Rc<Self>> {
        if Self::of(ctx).is_some() {
            return None;
        }
        let cache = Rc::new(Self {
            ctx,
            store_conf,
            store: RefCell::default(),
            records,
            tickets,
            wanted,
            choice: RefCell::default(),
            sockets,
            abilities: OnceCell::new(),
            ciphers: Ciphers::available(),
            nginx: SessionCallbacks::of(ctx),
        });
        CACHE.set(ctx, Rc::clone(&cache)).then_some(cache)
    }

    /// The SSL_CTX that the cache is in.
    pub(crate) fn ctx(&self) -> SslCtx {
        self.ctx
    }

    /// Tells which servers a client may be for, once they are as handshakes will find them.
    pub(crate) fn expect_servers(&self, servers: impl Iterator<Item = SslCtx>) {
        let mut abilities = Vec::new();
        for server in servers.map(SslCtx::abilities) {
            if !abilities.contains(&server) {
                abilities.push(server);
            }
        }
        // Told once: the configuration is read once.
        let _ = self.abilities.set(abilities);
    }

    /// What the servers are able to do that a client may be for.
    pub(super) fn abilities(&self) -> &[ServerAbilities] {
        self.abilities.get().map_or(&[], Vec::as_slice)
    }

    /// The store that the sessions go to.
    pub(crate) fn store_conf(&self) -> &StoreConf {
        &self.store_conf
    }

    /// Has the sessions go to that store from now on, or nowhere.
    pub(crate) fn use_store(&self, store: Option<Rc<Store>>) {
        self.store.replace(store);
    }

    /// That store, as this worker has it.
    pub(super) fn store(&self) -> Option<Rc<Store>> {
        self.store.borrow().clone()
    }

    /// Chooses how the handshakes wait for the store, once all modules have set their callbacks. What is
    /// missing comes with the way that was wanted.
    pub(crate) fn choose_suspension(&self) -> Result<(), (Suspension, Missing)> {
        let choice = Suspension::choose(self.wanted.suspension, self.ctx)?;
        self.choice.replace(Some(choice));
        Ok(())
    }

    /// Keeps to what regular expressions leave room for, once all of the configuration has been read.
    pub(super) fn fit(&self, cycle: &ngx_cycle_t) {
        let choice = self.choice.take().map(|choice| choice.fit(cycle));
        self.choice.replace(choice);
    }

    /// How the handshakes wait for the store, and why.
    pub(crate) fn choice(&self) -> Option<Choice> {
        self.choice.borrow().clone()
    }

    /// What is to hold one handshake back; `None` where none begins.
    pub(super) fn holder(&self) -> Option<Holder> {
        Some(self.choice.borrow().as_ref()?.way.holder())
    }

    /// The cache that a connection uses, if it uses one.
    pub(super) fn of_ssl(ssl: Ssl<'_>) -> Option<Rc<Self>> {
        Self::of(Connection::of(ssl)?.session_ctx()?)
    }

    /// The cache of an SSL_CTX, if there is one.
    pub(super) fn of(ctx: SslCtx) -> Option<Rc<Self>> {
        CACHE.get(ctx)
    }

    /// A handshake has made a session, which goes to the store. `resumed` tells the session from the
    /// cache that the handshake has resumed.
    pub(super) fn session_made(
        &self,
        ssl: Ssl<'_>,
        session: SessionRef<'_>,
        resumed: impl FnOnce() -> Option<SessionId>,
    ) {
        debug(ssl, "session made");
        if session.is_tls13() && ssl.verifies_client() {
            // The tickets follow the client's proof.
            notes::own_with_others(session, resumed());
        } else {
            notes::own(session);
        }
        self.put_session(session);
    }

    /// OpenSSL drops a session, and so do the store and the tier of this machine, with those that
    /// were made beside it; unless it is not ours.
    pub(super) fn session_dropped(&self, session: SessionRef<'_>) {
        for id in notes::owned(session) {
            self.forget(id.as_bytes());
        }
    }

    /// Queues a session for the store.
    fn put_session(&self, session: SessionRef<'_>) {
        let (Some(store), Some(entry)) = (self.store(), self.records.entry(session.id())) else {
            return;
        };
        let now = unix_time();
        let max_ttl = if session.is_tls13() { MAX_TTL_TLS13 } else { MAX_TTL };
        let ttl = session.expires().saturating_sub(now).clamp(1, max_ttl);
        let written = self.records.encode(entry.minted.as_ref(), session, |record| {
            store.put(Put { key: &entry.key, record, ttl: ttl as u32, unix_now: now as u64 });
        });
        if written.is_none() {
            store.drop_record();
        }
    }

    /// Queues the removal of a session from the store.
    pub(super) fn delete(&self, id: &[u8]) {
        if let (Some(store), Some(entry)) = (self.store(), self.records.entry(id)) {
            store.delete(&entry.key);
        }
    }

    /// The entry of a session that may be found in the store, or in its fallback.
    pub(super) fn entry(&self, id: &[u8]) -> Option<Entry> {
        self.records.entry(id).filter(|entry| self.store_conf.serves(entry.site()))
    }

    /// Whether a session of TLS 1.3 is resumed once at all.
    pub(super) fn resumes_once(&self) -> bool {
        self.wanted.single_use == SingleUse::On
    }

    /// Whether a session is to be claimed before it is used: as a ticket of TLS 1.3, or with early data.
    pub(super) fn asks_for_claim(
        &self,
        ssl: Ssl<'_>,
        is_ticket: impl FnOnce() -> bool,
        has_early_data: impl FnOnce() -> bool,
    ) -> bool {
        match self.wanted.single_use {
            SingleUse::Off => false,
            SingleUse::EarlyData => has_early_data() && takes_early_data(ssl),
            SingleUse::On => is_ticket(),
        }
    }

    /// For how many seconds a claim lies in the store: for as long as a session lives that has just been made.
    pub(super) fn claim_ttl(&self) -> u32 {
        (self.session_ttl() + 2 * MAX_SKEW) as u32
    }

    /// Whether a claim lies in the store for as long as a session lives. It does not where another machine
    /// lets sessions live for longer.
    pub(super) fn claim_outlives(&self, session: SessionRef<'_>) -> bool {
        let time_left = session.expires().saturating_sub(unix_time()).min(MAX_TTL_TLS13);
        time_left <= self.session_ttl() + MAX_SKEW
    }

    fn session_ttl(&self) -> i64 {
        self.ctx.session_timeout().clamp(1, MAX_TTL_TLS13)
    }

    /// Deletes a session from the store and from the tier of this machine.
    pub(super) fn forget(&self, id: &[u8]) {
        self.delete(id);
        if let Some(session) = Session::named(id) {
            self.nginx.remove(self.ctx, session.as_ref());
        }
    }

    /// Looks in the tier of this machine.
    pub(super) fn local(&self, ssl: Ssl<'_>, id: &[u8]) -> Option<Session> {
        self.nginx.get(ssl, id)
    }

    /// Whether a session, from the cache or in a ticket, is one for the handshake that offers it.
    ///
    /// OpenSSL compares much of it once it has the session, and makes full handshakes of what does
    /// not fit: its id context, its age, its hash. Here is what it fails the handshake for, where
    /// machines differ: compression and a cipher that is not here (TLS 1.2), an extended master
    /// secret where this server does without, and a session of TLS 1.2 where the client offers one
    /// of 1.3. And what neither it nor every nginx asks about: where client certificates are asked
    /// for, a session is of the name that it was made for (RFC 6066, section 3).
    pub(super) fn fits(&self, ssl: Ssl<'_>, session: SessionRef<'_>) -> bool {
        let fails = session.compresses()
            || (!session.is_tls13() && self.ciphers.lack_that_of(session))
            || (ssl.ignores_extended_master_secret()
                && self.records.has_extended_master_secret(session));
        let is_of_another = self.sockets.asks_for_certificates
            && self.sockets.know_names
            && session.server_name() != server_name(ssl);
        session.version() == ssl.version() && !fails && !is_of_another
    }
}

/// Whether early data can be accepted from a client whose handshake waits for the store. nginx drops what
/// comes over QUIC meanwhile, as it has no keys for it, and a client that is not told that it was refused
/// finds out late.
pub(super) fn takes_early_data(ssl: Ssl<'_>) -> bool {
    ssl.takes_early_data() && Connection::of(ssl).is_some_and(Connection::is_tcp)
}

/// The name of the server that a client asks for, where OpenSSL looks for its session; empty without one.
fn server_name(ssl: Ssl<'_>) -> &[u8] {
    ssl.hello_extension(SERVER_NAME)
        .and_then(ssl_session_cache_core::hello::server_name)
        .unwrap_or_default()
}

impl Data for SessionCache {}
