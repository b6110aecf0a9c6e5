//! The first handshake of a connection: one object from its first message to its end.
//!
//! It owns what is looked up for the handshake and what holds the handshake back meanwhile, and it
//! ends once. The object stays with the SSL, as the report of what became of the handshake:
//! whatever OpenSSL calls later, for a renegotiation that a client asks for or after early data,
//! finds it done.

use core::cell::{Cell, RefCell};
use core::mem::MaybeUninit;
use core::time::Duration;
use std::rc::Rc;

use nginx_sys::SSL;
use ssl_session_cache_core::hello::ClientHello;
use ssl_session_cache_core::report::{EarlyData, Outcome};
use ssl_session_cache_core::server::Addition;
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::Instant;

use crate::counters;
use crate::handshake::cache::{takes_early_data, SessionCache};
use crate::handshake::claim::Claim;
use crate::handshake::lookup::{self, Answer, Lookups, SessionId, MAX_LOOKUPS};
use crate::handshake::notes;
use crate::handshake::records::{Entry, Verdict};
use crate::handshake::suspend::{Held, Hold, Holder, Waker};
use crate::nginx::{debug, debug_detail, Connection};
use crate::openssl::{Bound, Filter, Given, Lifetime, Session, SessionRef, Slot, Ssl};
use crate::store::{Asker, LookupId, Store};
use crate::tickets::{Age, Tickets};

/// The first handshakes of SSLs.
static FIRST: Slot<SSL, Bound<First>> = Slot::new();

/// The first handshake of a connection.
pub(super) struct First {
    /// What it shares with other handshakes.
    cache: Rc<SessionCache>,
    state: Cell<State>,
    report: Cell<Report>,
    /// What was looked up: a HelloRetryRequest makes OpenSSL ask once more for what has been
    /// answered already. Empty once the handshake is done.
    lookups: Lookups,
    /// When the first of them began: all must end within the store's timeout from then.
    began: Cell<Option<Instant>>,
    /// The session that OpenSSL was given last. It takes the first that fits, and asks for no other
    /// then.
    found: RefCell<Option<Found>>,
    /// Whether it has made a session that goes to the store.
    has_made_session: Cell<bool>,
    /// What holds the handshake back.
    holder: Holder,
}

/// A session that OpenSSL was given.
struct Found {
    outcome: Outcome,
    /// None where a ticket holds it: with TLS 1.2 the id that OpenSSL gives it is whatever the client
    /// has sent beside.
    session: Option<FoundSession>,
}

/// A session from the cache.
struct FoundSession {
    session: Session,
    /// As it was found: nginx has one that is resumed begin anew, with what is left (`ngx_ssl_info_callback()`
    /// in its ngx_event_openssl.c), so that the next one ends when this one does.
    lifetime: Lifetime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// What the client offers may be looked up. The handshake waits while a lookup is under way.
    Begun,
    /// The ClientHello was let through: what was not looked up by then is not.
    Passed,
    /// OpenSSL has done the server's part. Nothing is looked up or held any more.
    Done,
}

/// What became of the handshake.
#[derive(Clone, Copy, Default)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    /// The time from the first lookup to the last answer that was waited for; none without a
    /// lookup.
    pub(crate) waited: Option<Duration>,
    /// What became of the early data that came with the session that is resumed; none where none came.
    pub(crate) early_data: Option<EarlyData>,
}

impl First {
    /// A connection begins its first handshake. Without memory there is no object, and nothing is
    /// looked up.
    pub(super) fn begin<F: Filter>(ssl: Ssl<'_>, cache: Rc<SessionCache>) {
        if Self::of(ssl).is_some() {
            return;
        }
        let Some(holder) = cache.holder() else { return };
        let first = Self {
            state: Cell::new(State::Begun),
            report: Cell::default(),
            lookups: Lookups::default(),
            began: Cell::new(None),
            found: RefCell::new(None),
            has_made_session: Cell::new(false),
            holder,
            cache,
        };
        if let Some(first) = FIRST.bind(ssl, first) {
            first.holder.begin::<F>(ssl);
        }
    }

    /// The first handshake of an SSL, under way or done; `None` where there is none of ours.
    pub(super) fn of(ssl: Ssl<'_>) -> Option<Rc<Bound<Self>>> {
        FIRST.get(ssl)
    }

    pub(super) fn report(&self) -> Report {
        self.report.get()
    }

    /// OpenSSL asks, in its callback on the ClientHello, whether the handshake is to wait.
    pub(super) fn holds(&self, ssl: Ssl<'_>) -> bool {
        match &self.holder {
            Holder::Retry(retry) => retry.holds(ssl, self),
            Holder::Job(_) | Holder::Gate(_) => false,
        }
    }

    /// OpenSSL reads, with a gate in front of its socket.
    pub(super) fn read(&self, ssl: Ssl<'_>, room: &mut [MaybeUninit<u8>]) -> Given {
        match &self.holder {
            Holder::Gate(gate) => gate.read(ssl, self, room),
            Holder::Retry(_) | Holder::Job(_) => Given::Socket,
        }
    }

    /// The session that OpenSSL asks for. Holds the handshake until its lookup has ended.
    pub(super) fn find(&self, ssl: Ssl<'_>, id: &[u8]) -> Option<Session> {
        if self.state.get() == State::Done {
            return None;
        }
        let (answer, waited) = self.answer(ssl, id);
        let (outcome, session) = match answer {
            Answer::Local(session) => (Outcome::Local, Some(session)),
            Answer::Record(Verdict::Usable(session)) => (Outcome::Hit, Some(session)),
            Answer::Record(Verdict::Elsewhere) => (Outcome::Unused, None),
            Answer::Record(Verdict::Damaged) => (Outcome::Invalid, None),
            Answer::Missing(outcome) => (outcome, None),
        };
        match session {
            Some(session) if self.cache.fits(ssl, session.as_ref()) => {
                if let Some(refusal) = self.refusal(ssl, session.as_ref()) {
                    self.note(ssl, refusal, waited);
                    return None;
                }
                self.note(ssl, outcome, waited);
                let lifetime = session.as_ref().lifetime();
                let found = FoundSession { session: session.clone(), lifetime };
                let found = Found { outcome, session: Some(found) };
                *self.found.borrow_mut() = Some(found);
                Some(session)
            }
            Some(_) => {
                self.note(ssl, Outcome::Unused, waited);
                None
            }
            None => {
                self.note(ssl, outcome, waited);
                if outcome == Outcome::Invalid {
                    self.cache.delete(id);
                }
                None
            }
        }
    }

    /// What became of a ticket: the key of this name has opened it, and it holds a session, or none
    /// did. Returns whether the handshake may resume the session.
    pub(super) fn find_in_ticket(
        &self,
        ssl: Ssl<'_>,
        name: &[u8],
        session: Option<SessionRef<'_>>,
    ) -> bool {
        if self.state.get() == State::Done {
            return false;
        }
        let age = self.tickets().and_then(|tickets| tickets.age(name));
        let (outcome, is_found) = match (session, age) {
            (None, _) => (Outcome::TicketUnknown, false),
            (Some(session), _) if !self.cache.fits(ssl, session) => (Outcome::Unused, false),
            (Some(_), Some(Age::Current)) => (Outcome::Ticket, true),
            // Opened with a key that was just wiped.
            (Some(_), Some(Age::Other) | None) => (Outcome::TicketOld, true),
        };
        self.note(ssl, outcome, None);
        if is_found {
            *self.found.borrow_mut() = Some(Found { outcome, session: None });
        }
        is_found
    }

    /// Why a session is not to be resumed that is resumed once, if it is not: another handshake has done
    /// so, the store has not said that none has, or it would forget that before the session's time is over.
    fn refusal(&self, ssl: Ssl<'_>, session: SessionRef<'_>) -> Option<Outcome> {
        if !self.resumes_once(ssl) {
            return None;
        }
        match self.lookups.of(session.id()).and_then(lookup::claimed) {
            Some(Addition::First) if self.cache.claim_outlives(session) => None,
            Some(Addition::First) => Some(Outcome::Unused),
            Some(Addition::Present) => Some(Outcome::Used),
            Some(Addition::Unavailable(reason)) => Some(lookup::outcome_of(reason)),
            None => Some(Outcome::Down),
        }
    }

    fn resumes_once(&self, ssl: Ssl<'_>) -> bool {
        self.cache.resumes_once() && ssl.speaks_tls13()
    }

    /// What was claimed of a session is used. Where it is resumed once, nobody has a use for it any more.
    fn use_up(&self, ssl: Ssl<'_>, id: &[u8]) {
        let is_used_now = self.lookups.of(id).is_some_and(lookup::used);
        if is_used_now && self.resumes_once(ssl) {
            self.cache.forget(id);
        }
    }

    /// Early data has come with the session that is resumed. It is accepted from the one handshake in the
    /// fleet that has claimed that.
    pub(super) fn allows_early_data(&self, ssl: Ssl<'_>) -> bool {
        let result = self.early_data_result(ssl);
        debug_detail(ssl, "early data: ", result.name());
        self.report.set(Report { early_data: Some(result), ..self.report.get() });
        counters::count_early_data(result);
        result == EarlyData::Claimed
    }

    fn early_data_result(&self, ssl: Ssl<'_>) -> EarlyData {
        let Some(session) = ssl.session() else { return EarlyData::Unclaimed };
        let Some(lookup) = self.lookups.of(session.id()) else { return EarlyData::Unclaimed };
        match lookup::claimed(lookup) {
            _ if !takes_early_data(ssl) => EarlyData::Unclaimed,
            Some(Addition::First) if self.cache.claim_outlives(session) => {
                self.use_up(ssl, session.id());
                EarlyData::Claimed
            }
            Some(Addition::Present) => EarlyData::Replayed,
            Some(Addition::First | Addition::Unavailable(_)) | None => EarlyData::Unclaimed,
        }
    }

    /// What there is under an id, in the tier of this machine or in the store, and how long the
    /// handshake has waited for the store.
    fn answer(&self, ssl: Ssl<'_>, id: &[u8]) -> (Answer, Option<Duration>) {
        let begun = self.lookups.of(id).map_or_else(|| self.look_up(ssl, id), Ok);
        let lookup = match begun {
            Ok(lookup) => lookup,
            Err(answer) => return (answer, None),
        };
        if lookup::is_awaited(lookup) && !self.wait(ssl, lookup) {
            lookup::cancel(lookup);
        }
        match lookup::answer(lookup) {
            Some((answer, at)) => (answer, self.waited_until(at)),
            None => (Answer::Missing(Outcome::Miss), None),
        }
    }

    /// Waits until a lookup has ended; false where it will not.
    fn wait(&self, ssl: Ssl<'_>, lookup: LookupId) -> bool {
        self.holder.wait(ssl, || !lookup::is_awaited(lookup))
    }

    /// The time from the first lookup to an answer of the store's, if it was asked.
    fn waited_until(&self, at: Option<Instant>) -> Option<Duration> {
        Some(at?.since(self.began.get()?))
    }

    /// Looks a session up that OpenSSL asks for, and that was not looked up ahead.
    fn look_up(&self, ssl: Ssl<'_>, id: &[u8]) -> Result<LookupId, Answer> {
        let local = self.cache.local(ssl, id);
        let is_claimed = self.holder.can_wait() && self.is_claimed(ssl);
        let entry = match local {
            Some(session) if !is_claimed => return Err(Answer::Local(session)),
            Some(session) => {
                let entry = self.cache.entry(id).ok_or(Answer::Local(session.clone()))?;
                return self.keep_local(ssl, id, session, &entry, is_claimed);
            }
            None => self.cache.entry(id).ok_or(Answer::Missing(Outcome::Foreign))?,
        };
        if !self.holder.can_wait() {
            self.holder.missed(ssl);
            return Err(Answer::Missing(Outcome::Miss));
        }
        self.begin_lookup(ssl, id, entry, is_claimed).map_err(Answer::Missing)
    }

    /// Whether the session is to be claimed that OpenSSL asks for. With early data that is the first one:
    /// with another, OpenSSL accepts none.
    fn is_claimed(&self, ssl: Ssl<'_>) -> bool {
        let is_ticket = || ssl.speaks_tls13();
        let has_early_data =
            || ssl.speaks_tls13() && self.lookups.are_empty() && ssl.offers_early_data();
        self.cache.asks_for_claim(ssl, is_ticket, has_early_data)
    }

    /// Looks for the sessions that OpenSSL is going to ask for; the handshake is held where one of
    /// them has to be waited for.
    ///
    /// Which server a session has to fit is not known yet.
    fn look_ahead(&self, ssl: Ssl<'_>, hello: &ClientHello<'_>) {
        // Of those that can be in the store: no other takes the place of one.
        let ids = hello.session_ids(self.cache.abilities());
        let entries = ids.filter_map(|id| Some((id, self.cache.entry(id)?)));
        for (id, entry) in entries.take(MAX_LOOKUPS) {
            let (is_ticket, has_early_data) =
                (|| hello.offers_ticket(id), || hello.has_early_data_with(id));
            let is_claimed = self.cache.asks_for_claim(ssl, is_ticket, has_early_data);
            if let Some(session) = self.cache.local(ssl, id) {
                // OpenSSL takes the first that is found.
                let _ = self.keep_local(ssl, id, session, &entry, is_claimed);
                return;
            }
            if let Err(outcome) = self.begin_lookup(ssl, id, entry, is_claimed) {
                self.note(ssl, outcome, None);
            }
        }
    }

    /// Keeps a session from the tier of this machine, and claims it in the store.
    fn keep_local(
        &self,
        ssl: Ssl<'_>,
        id: &[u8],
        session: Session,
        entry: &Entry,
        is_claimed: bool,
    ) -> Result<LookupId, Answer> {
        let answer = Answer::Local(session);
        let lookup = self.lookups.keep(id, answer.clone()).ok_or(answer)?;
        if is_claimed {
            if let Ok((store, deadline)) = self.store_and_deadline(ssl) {
                self.claim(ssl, lookup, &store, &entry.key, entry.site(), deadline);
            }
        }
        Ok(lookup)
    }

    /// Begins a lookup in the store, where one can be begun, with a claim behind it.
    fn begin_lookup(
        &self,
        ssl: Ssl<'_>,
        id: &[u8],
        entry: Entry,
        is_claimed: bool,
    ) -> Result<LookupId, Outcome> {
        if ssl.is_shut_down() || self.lookups.are_full() {
            return Err(Outcome::Miss);
        }
        let (store, deadline) = self.store_and_deadline(ssl)?;
        let site = entry.site();
        let decoder = self.cache.records.decoder(entry.minted);
        let waker = Waker::of(&Self::of(ssl).ok_or(Outcome::Miss)?);
        let ask = |lookup| store.get(&entry.key, site, deadline, Asker::Handshake(lookup));
        let lookup = self.lookups.begin(id, waker, decoder, ask)?;
        debug(ssl, "lookup begun");
        if is_claimed {
            self.claim(ssl, lookup, &store, &entry.key, site, deadline);
        }
        Ok(lookup)
    }

    /// Claims the session that is looked up, where one store knows of all such claims.
    fn claim(
        &self,
        ssl: Ssl<'_>,
        lookup: LookupId,
        store: &Rc<Store>,
        session: &Key,
        site: u8,
        deadline: Instant,
    ) {
        let Some(first) = Self::of(ssl).filter(|_| store.knows_all_claims(site)) else { return };
        let ttl = self.cache.claim_ttl();
        let claim = Claim::begin(Rc::clone(store), session, ttl, deadline, lookup);
        lookup::claim(lookup, claim, Waker::of(&first));
    }

    /// The store, and until when it may take to answer.
    fn store_and_deadline(&self, ssl: Ssl<'_>) -> Result<(Rc<Store>, Instant), Outcome> {
        let store = self.cache.store().ok_or(Outcome::Down)?;
        let now = store.now();
        let began = self.began.get().unwrap_or(now);
        let deadline = began + store.timeout().min(self.cache.sockets.handshake_timeout / 2);
        if deadline <= now || deadline > self.patience(ssl, now) {
            return Err(Outcome::Timeout);
        }
        self.began.set(Some(began));
        Ok((store, deadline))
    }

    /// Until when a lookup may last for nginx: it closes a handshake that has not come to its end
    /// when the timer of the connection runs out. Where what a client sends comes with its
    /// connection (`listen ... deferred`), that is set only now. Over QUIC it is another one, which
    /// nginx keeps to itself, and the connection's is that of an idle client. A quarter of what is
    /// left is for the rest of the handshake.
    ///
    /// A lookup is not cut to that: it would end in vain by the client's doing, and such lookups would
    /// have the store taken for a bad one.
    fn patience(&self, ssl: Ssl<'_>, now: Instant) -> Instant {
        let all = self.cache.sockets.handshake_timeout;
        let time_left = Connection::of(ssl).and_then(Connection::time_left);
        now + time_left.map_or(all, |left| left.min(all)) / 4 * 3
    }

    /// Notes what became of a session that the client offers; `waited` is the time since the first
    /// lookup began, if this was one.
    fn note(&self, ssl: Ssl<'_>, outcome: Outcome, waited: Option<Duration>) {
        debug_detail(ssl, "offered session: ", outcome.name());
        let report = self.report.get();
        self.report.set(Report {
            outcome: report.outcome.max(outcome),
            waited: report.waited.max(waited),
            ..report
        });
    }

    /// What seals and opens its tickets, where the fleet shares ticket keys.
    pub(super) fn tickets(&self) -> Option<&Tickets> {
        self.cache.tickets.as_ref()
    }

    /// It has made a session, which is queued for the store.
    pub(super) fn made_session(&self) {
        self.has_made_session.set(true);
    }

    /// OpenSSL has done the server's part of the handshake. It says so twice where early data is
    /// accepted.
    pub(super) fn finished(&self, ssl: Ssl<'_>) {
        if self.state.replace(State::Done) != State::Done {
            self.end(ssl);
        }
    }

    /// All of the handshake is done: the client has proved that it has the session's secret, and
    /// tickets are made.
    pub(super) fn established(&self, ssl: Ssl<'_>) {
        if self.resumes_once(ssl) {
            if let Some(id) = self.resumed(ssl) {
                self.use_up(ssl, id.as_bytes());
            }
            self.lookups.clear();
        }
        self.own_resumed(ssl);
        if let (true, Some(store)) = (self.has_made_session.get(), self.cache.store()) {
            store.flush();
        }
    }

    /// Whether nginx closes the connection only once the client has done so as well.
    pub(super) fn waits_for_close(&self) -> bool {
        self.cache.sockets.wait_for_close
    }

    /// The id of the session from the cache that is resumed.
    pub(super) fn resumed(&self, ssl: Ssl<'_>) -> Option<SessionId> {
        let found = self.found.borrow();
        let found = found.as_ref().filter(|_| ssl.has_resumed())?.session.as_ref()?;
        Some(SessionId::new(found.session.as_ref().id()))
    }

    /// The client has proved that it has the secret of the session that is resumed. With TLS 1.3
    /// the session in use is another by now, that of the next ticket.
    fn own_resumed(&self, ssl: Ssl<'_>) {
        let Some(found) = self.found.take().and_then(|found| found.session) else { return };
        let Some(session) = ssl.session() else { return };
        if ssl.has_resumed() && found.session.as_ref().id() == session.id() {
            notes::own(session);
        }
    }

    /// Puts a session from the store into the tier of this machine, as it was found: OpenSSL compares its
    /// age with what the client says (RFC 8446, section 8.3).
    fn keep_here(&self, ssl: Ssl<'_>, found: &FoundSession) {
        if !self.cache.nginx.take_sessions() {
            return;
        }
        let session = found.session.as_ref();
        let lifetime = session.lifetime();
        session.set_lifetime(found.lifetime);
        self.cache.nginx.put(ssl, session);
        session.set_lifetime(lifetime);
    }

    fn end(&self, ssl: Ssl<'_>) {
        debug(ssl, "handshake done");
        self.holder.end(ssl);

        let mut report = self.report.get();
        if let Some(Found { outcome, session }) = &*self.found.borrow() {
            report.outcome = if ssl.has_resumed() { *outcome } else { Outcome::Unused };
            match session {
                Some(found) if report.outcome == Outcome::Hit && !self.resumes_once(ssl) => {
                    self.keep_here(ssl, found);
                }
                Some(_) | None => {}
            }
        }
        self.report.set(report);
        if !self.resumes_once(ssl) {
            self.lookups.clear();
        }
        counters::count_handshake(self.cache.sockets.frontend, report.outcome);
    }
}

impl Held for First {
    fn offers(&self, ssl: Ssl<'_>, hello: ClientHello<'_>) {
        self.look_ahead(ssl, &hello);
    }

    fn is_held(&self) -> bool {
        self.state.get() == State::Begun
    }

    fn waits(&self) -> bool {
        self.lookups.are_under_way()
    }

    fn pass(&self) {
        self.state.set(State::Passed);
    }
}
