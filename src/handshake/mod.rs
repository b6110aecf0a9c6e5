//! OpenSSL's session callbacks: where sessions enter and leave a handshake.
//!
//! The callbacks are set on the SSL_CTX of a server (SSL_CTX_sess_set_get_cb(3)), in front of those
//! that nginx set for `ssl_session_cache shared:`, which stay in use as the tier of this machine.
//! They run inside a handshake, mostly on the small stack of an OpenSSL job (see `suspend`): they
//! queue commands and look at results, and leave all else to the event loop.

use core::cell::{Cell, OnceCell};
use core::ffi::{c_int, c_long, c_uchar, c_uint, c_void};
use core::ptr;
use core::slice;
use core::time::Duration;
use std::rc::Rc;
use std::sync::OnceLock;

use nginx_sys::{
    ngx_cached_time, ngx_cycle_t, CRYPTO_get_ex_new_index, SSL_CTX_get_ex_data,
    SSL_CTX_get_info_callback, SSL_CTX_sess_get_get_cb, SSL_CTX_sess_get_new_cb,
    SSL_CTX_sess_get_remove_cb, SSL_CTX_sess_set_get_cb, SSL_CTX_sess_set_new_cb,
    SSL_CTX_sess_set_remove_cb, SSL_CTX_set_ex_data, SSL_CTX_set_generate_session_id,
    SSL_CTX_set_info_callback, SSL_set_info_callback, CRYPTO_EX_DATA, CRYPTO_EX_INDEX_SSL,
    CRYPTO_EX_INDEX_SSL_CTX, SSL, SSL_CB_HANDSHAKE_DONE, SSL_CB_HANDSHAKE_START, SSL_CTX,
    SSL_SESSION,
};
use ssl_session_cache_core::{Keyspace, ServerAbilities};

use crate::seal::{randomise, Sealer};
use crate::status::Outcome;
use crate::store::Store;

use self::lookup::{Answer, Handshake, Lookup, MAX_LOOKUPS};
use self::openssl::{clear_errors, non_null, Session, SessionRef, Ssl};
use self::records::Records;

pub(crate) use self::id_context::IdContext;
pub(crate) use self::openssl::SslCtx;
pub(crate) use self::suspend::Suspension;
pub(crate) use self::trust::{sha256, Digest};

mod bio;
mod gate;
mod id_context;
mod lookup;
mod openssl;
mod records;
mod suspend;
mod trust;

/// The longest time that a session is stored for: RFC 8446, section 4.6.1, allows 7 days; what is
/// configured beyond a year is a slip of the pen.
const MAX_TTL: i64 = 365 * 24 * 60 * 60;

/// What the callbacks of an SSL_CTX use.
pub(crate) struct SessionCache {
    ctx: SslCtx,
    store: Rc<Store>,
    records: Rc<Records>,
    suspension: Cell<Suspension>,
    /// Whether a server of the sockets asks for client certificates.
    #[expect(dead_code)]
    asks_for_certificates: bool,
    /// What the servers are able to do that a client may be for.
    abilities: OnceCell<Vec<ServerAbilities>>,
    nginx: NginxCallbacks,
}

/// The callbacks that were on the SSL_CTX before ours: nginx's.
struct NginxCallbacks {
    new: Option<unsafe extern "C" fn(*mut SSL, *mut SSL_SESSION) -> c_int>,
    get: Option<
        unsafe extern "C" fn(*mut SSL, *const c_uchar, c_int, *mut c_int) -> *mut SSL_SESSION,
    >,
    remove: Option<unsafe extern "C" fn(*mut SSL_CTX, *mut SSL_SESSION)>,
}

/// The info callback that nginx sets, the same on every SSL_CTX of its servers.
static NGINX_INFO: OnceLock<Option<unsafe extern "C" fn(*const SSL, c_int, c_int)>> =
    OnceLock::new();

impl SessionCache {
    /// Puts a cache into an SSL_CTX; `None` where there is one already, or no memory.
    ///
    /// The SSL_CTX keeps the address: the cache must live as long.
    pub(crate) fn attach(
        ctx: SslCtx,
        store: Rc<Store>,
        keyspace: Keyspace,
        sealer: Option<Rc<Sealer>>,
        suspension: Suspension,
        asks_for_certificates: bool,
    ) -> Option<Rc<Self>> {
        if Self::of(ctx).is_some() {
            return None;
        }
        let raw = ctx.as_ptr();
        // SAFETY: the SSL_CTX is valid; the callbacks have the types that OpenSSL asks for, and
        // find the cache by the address set here.
        unsafe {
            let cache = Rc::new(Self {
                ctx,
                store,
                records: Records::new(keyspace, sealer),
                suspension: Cell::new(suspension),
                asks_for_certificates,
                abilities: OnceCell::new(),
                nginx: NginxCallbacks {
                    new: SSL_CTX_sess_get_new_cb(raw),
                    get: SSL_CTX_sess_get_get_cb(raw),
                    remove: SSL_CTX_sess_get_remove_cb(raw),
                },
            });
            if SSL_CTX_set_ex_data(raw, ctx_index(), Rc::as_ptr(&cache).cast_mut().cast()) == 0 {
                return None;
            }
            SSL_CTX_sess_set_new_cb(raw, Some(new_session));
            SSL_CTX_sess_set_get_cb(raw, Some(get_session));
            SSL_CTX_sess_set_remove_cb(raw, Some(remove_session));
            NGINX_INFO.get_or_init(|| SSL_CTX_get_info_callback(raw));
            SSL_CTX_set_info_callback(raw, Some(info));
            if cache.records.are_sealed() {
                SSL_CTX_set_generate_session_id(raw, Some(mint_session_id));
            }
            ctx.cache_externally();
            Some(cache)
        }
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
    fn abilities(&self) -> &[ServerAbilities] {
        self.abilities.get().map_or(&[], Vec::as_slice)
    }

    /// The store that the sessions go to.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// How the handshakes wait for it.
    pub(crate) fn suspension(&self) -> Suspension {
        self.suspension.get()
    }

    /// Prepares for handshakes, once all of the configuration has been read.
    pub(crate) fn prepare(&self, cycle: &ngx_cycle_t) {
        self.suspension.set(self.suspension().fit(cycle));
        self.suspension().prepare(self.ctx);
    }

    /// The cache that a connection uses, if it uses one.
    fn of_ssl<'a>(ssl: Ssl) -> Option<&'a Self> {
        ssl.session_ctx().and_then(Self::of)
    }

    /// The cache of an SSL_CTX, if there is one.
    fn of<'a>(ctx: SslCtx) -> Option<&'a Self> {
        // SAFETY: the index is ours: what it holds is null or what attach() set, which lives as
        // long as the SSL_CTX.
        unsafe {
            let cache = SSL_CTX_get_ex_data(ctx.as_ptr(), ctx_index());
            non_null(cache).map(|cache| cache.as_ref())
        }
    }

    /// Queues a session for the store.
    fn store_session(&self, session: SessionRef<'_>) {
        let Some(entry) = self.records.entry(session.id()) else { return };
        let now = unix_time();
        let ttl = session.expires().saturating_sub(now).clamp(1, MAX_TTL);
        let written = self.records.encode(entry.minted.as_ref(), session, |record| {
            self.store.put(&entry.key, record, ttl as u32, now as u64);
        });
        if written.is_none() {
            self.store.drop_record();
        }
    }

    /// Queues the removal of a session from the store.
    fn delete(&self, id: &[u8]) {
        if let Some(entry) = self.records.entry(id) {
            self.store.delete(&entry.key);
        }
    }

    /// Looks in the tier of this machine.
    fn local(&self, ssl: Ssl, id: &[u8]) -> Option<Session> {
        let get = self.nginx.get?;
        let mut is_shared = 1;
        // SAFETY: the SSL is valid, and so is the id. The session is ours unless the callback says
        // that it keeps it.
        let session = unsafe {
            let session = get(ssl.as_ptr(), id.as_ptr(), id.len() as c_int, &mut is_shared);
            Session::from_ptr(session, is_shared != 0)
        };
        if session.is_none() {
            // What failed to decode must not be taken for an error of this handshake.
            clear_errors();
        }
        session
    }

    /// Looks for a session, which suspends the handshake until the lookup has ended.
    fn find(&self, ssl: Ssl, id: &[u8]) -> Option<Session> {
        let (answer, waited) = self.answer(ssl, id);
        let (outcome, session) = match answer {
            Answer::Local(session) => (Outcome::Local, Some(session)),
            Answer::Found(session) => (Outcome::Hit, Some(session)),
            Answer::Missing(outcome) => (outcome, None),
            Answer::Invalid => (Outcome::Invalid, None),
            Answer::Record(record) => self.decode(ssl, id, &record),
        };
        ssl.note(outcome, waited);
        match (outcome, &session) {
            (Outcome::Hit, Some(session)) => self.keep_locally(ssl, session.as_ref()),
            (Outcome::Invalid, _) => self.delete(id),
            _ => {}
        }
        session
    }

    /// What there is under an id, in the tier of this machine or in the store, and how long the
    /// handshake has waited for the store.
    fn answer(&self, ssl: Ssl, id: &[u8]) -> (Answer, Option<Duration>) {
        let lookup = match Handshake::lookup(ssl, id) {
            Some(begun) => begun,
            None => {
                if let Some(session) = self.local(ssl, id) {
                    return (Answer::Local(session), None);
                }
                match self.begin(ssl, id) {
                    Ok(begun) => begun,
                    Err(outcome) => return (Answer::Missing(outcome), None),
                }
            }
        };
        if !lookup.is_done() && !self.suspension().wait(ssl, &lookup) {
            lookup.cancel();
        }
        match lookup.answer() {
            Some(answer) => (answer, lookup.waited()),
            None => (Answer::Missing(Outcome::Miss), None),
        }
    }

    /// Begins a lookup in the store from within a handshake.
    fn begin(&self, ssl: Ssl, id: &[u8]) -> Result<Rc<Lookup>, Outcome> {
        // Nothing is spent on an id that cannot be in the store: not even the handshake's state.
        let entry = self.records.entry(id).ok_or(Outcome::Foreign)?;
        if !self.suspension().can_wait() {
            return Err(Outcome::Miss);
        }
        let decoder = self.records.decoder(entry.minted, ssl).ok_or(Outcome::Miss)?;
        let handshake = Handshake::of(ssl).ok_or(Outcome::Miss)?;
        handshake.begin(self, ssl, id, &entry.key, Some(decoder))
    }

    /// The session of a record that was looked up ahead, and what that comes to.
    fn decode(&self, ssl: Ssl, id: &[u8], record: &[u8]) -> (Outcome, Option<Session>) {
        let decoder =
            self.records.entry(id).and_then(|entry| self.records.decoder(entry.minted, ssl));
        match decoder.map(|decoder| decoder.decode(id, record)) {
            Some(Some(session)) => (Outcome::Hit, Some(session)),
            Some(None) => (Outcome::Invalid, None),
            None => (Outcome::Miss, None),
        }
    }

    /// Begins to look for the sessions that OpenSSL is going to ask for.
    ///
    /// What is found is decoded when OpenSSL asks: since nginx 1.29.2, which server a session has
    /// to fit is not known before.
    fn look_ahead<'a>(&self, ssl: Ssl, ids: impl Iterator<Item = &'a [u8]>) {
        // Of those that can be in the store: no other takes the place of one.
        let entries = ids.filter_map(|id| Some((id, self.records.entry(id)?)));
        for (id, entry) in entries.take(MAX_LOOKUPS) {
            let Some(handshake) = Handshake::of(ssl) else { return };
            if let Some(session) = self.local(ssl, id) {
                // OpenSSL takes the first that is found.
                return handshake.keep(self, id, session);
            }
            if let Err(outcome) = handshake.begin(self, ssl, id, &entry.key, None) {
                ssl.note(outcome, None);
            }
        }
    }

    /// Puts a session that came from the store into the tier of this machine.
    fn keep_locally(&self, ssl: Ssl, session: SessionRef<'_>) {
        let Some(new) = self.nginx.new else { return };
        // SAFETY: both are valid; nginx's callback copies the session, and returns 0: it keeps no
        // reference.
        unsafe { new(ssl.as_ptr(), session.as_ptr()) };
    }
}

/// A session was made: tell nginx's own tier, and the store.
///
/// Returns 1 only if nginx's callback took over the reference (SSL_CTX_sess_set_new_cb(3)).
unsafe extern "C" fn new_session(ssl: *mut SSL, session: *mut SSL_SESSION) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL and session.
    let (Some(ssl), Some(session)) =
        (unsafe { Ssl::from_ptr(ssl) }, unsafe { SessionRef::from_ptr(session) })
    else {
        return 0;
    };
    let Some(cache) = SessionCache::of_ssl(ssl) else { return 0 };
    if !ssl.gives_stateless_tickets() {
        ssl.debug_session_made();
        cache.store_session(session);
    }
    match cache.nginx.new {
        // SAFETY: the arguments are OpenSSL's own.
        Some(new) => unsafe { new(ssl.as_ptr(), session.as_ptr()) },
        None => 0,
    }
}

/// A client offers a session: look in nginx's own tier, then in the store.
unsafe extern "C" fn get_session(
    ssl: *mut SSL,
    id: *const c_uchar,
    len: c_int,
    copy: *mut c_int,
) -> *mut SSL_SESSION {
    // SAFETY: OpenSSL passes a valid SSL, an id of `len` bytes, and a place for a flag: zero, as
    // the reference returned here is the caller's.
    let (ssl, id) = unsafe {
        *copy = 0;
        let id = slice::from_raw_parts(id, usize::try_from(len).unwrap_or(0));
        let Some(ssl) = Ssl::from_ptr(ssl) else { return ptr::null_mut() };
        (ssl, id)
    };
    let session = SessionCache::of_ssl(ssl).and_then(|cache| cache.find(ssl, id));
    session.map_or(ptr::null_mut(), Session::into_ptr)
}

/// OpenSSL drops a session, for its age or for an error: so does the store.
unsafe extern "C" fn remove_session(ctx: *mut SSL_CTX, session: *mut SSL_SESSION) {
    // SAFETY: OpenSSL passes a valid SSL_CTX and session.
    let Some(cache) = (unsafe { SslCtx::from_ptr(ctx) }).and_then(SessionCache::of) else { return };
    if let Some(remove) = cache.nginx.remove {
        // SAFETY: the arguments are OpenSSL's own.
        unsafe { remove(ctx, session) };
    }
    // SAFETY: as above.
    if let Some(session) = unsafe { SessionRef::from_ptr(session) } {
        cache.delete(session.id());
    }
}

/// A session needs an id: one that any machine with the key knows for ours.
///
/// OpenSSL looks for the callback on the SSL, which has it from the SSL_CTX that it was made of:
/// that of the listening socket's default server, whatever name the client asks for. It compares
/// the id with its internal cache alone, which is empty here.
unsafe extern "C" fn mint_session_id(ssl: *mut SSL, id: *mut c_uchar, len: *mut c_uint) -> c_int {
    // SAFETY: OpenSSL passes a valid SSL, and room for as many bytes as `len` says.
    let (ssl, id) = unsafe { (Ssl::from_ptr(ssl), slice::from_raw_parts_mut(id, (*len) as usize)) };
    match ssl.and_then(|ssl| SessionCache::of_ssl(ssl)?.records.mint(ssl)) {
        Some(minted) if minted.len() == id.len() => {
            id.copy_from_slice(&minted);
            1
        }
        // As OpenSSL does by itself. Such a session is not stored.
        _ => randomise(id).into(),
    }
}

/// A handshake starts, ends, or takes a step (SSL_CTX_set_info_callback(3)).
unsafe extern "C" fn info(ssl: *const SSL, event: c_int, value: c_int) {
    // SAFETY: OpenSSL passes a valid SSL.
    let Some(ssl) = (unsafe { Ssl::from_ptr(ssl) }) else { return };

    if event & SSL_CB_HANDSHAKE_START as c_int != 0 {
        // Kept on the SSL: a name of the client's may switch to an SSL_CTX without this callback.
        // SAFETY: the SSL is valid.
        unsafe { SSL_set_info_callback(ssl.as_ptr(), Some(info)) };
        if let Some(cache) = SessionCache::of_ssl(ssl) {
            cache.suspension().started(ssl);
        }
    } else {
        gate::uninstall_if_done(ssl);
    }
    if event & SSL_CB_HANDSHAKE_DONE as c_int != 0 {
        Handshake::end(ssl);
        ssl.count_handshake();
        ssl.stop_running_as_jobs();
        // SAFETY: the SSL is valid.
        unsafe { SSL_set_info_callback(ssl.as_ptr(), None) };
    }
    if let Some(Some(info)) = NGINX_INFO.get() {
        // SAFETY: the arguments are OpenSSL's own.
        unsafe { info(ssl.as_ptr(), event, value) };
    }
}

/// The Unix time in seconds, as nginx keeps it for each turn of its event loop.
fn unix_time() -> i64 {
    // SAFETY: nginx sets the time before it reads its configuration.
    unsafe { (*ngx_cached_time).sec }
}

/// The index of our data in an SSL_CTX.
fn ctx_index() -> c_int {
    static INDEX: OnceLock<c_int> = OnceLock::new();
    *INDEX.get_or_init(|| new_index(CRYPTO_EX_INDEX_SSL_CTX, None))
}

/// The index of our data in an SSL: a `Handshake`, freed with the SSL.
fn ssl_index() -> c_int {
    static INDEX: OnceLock<c_int> = OnceLock::new();
    *INDEX.get_or_init(|| new_index(CRYPTO_EX_INDEX_SSL, Some(lookup::free_handshake)))
}

type FreeData =
    unsafe extern "C" fn(*mut c_void, *mut c_void, *mut CRYPTO_EX_DATA, c_int, c_long, *mut c_void);

fn new_index(class: u32, free: Option<FreeData>) -> c_int {
    // SAFETY: the function stays where it is: the module is linked with `-z nodelete`, as OpenSSL
    // keeps the address for the life of the process, beyond a reload that drops the module.
    unsafe { CRYPTO_get_ex_new_index(class as c_int, 0, ptr::null_mut(), None, None, free) }
}
