//! A worker's connection to one server: hands in what happens to it, and does what the core says.

use core::cell::{Cell, RefCell};
use core::hash::{BuildHasher, Hasher};
use core::mem;
use core::ptr::NonNull;
use std::collections::hash_map::RandomState;
use std::rc::{Rc, Weak};

use nginx_sys::{ngx_exiting, ngx_log_t};
use ssl_session_cache_core::protocol::Put;
use ssl_session_cache_core::report::Event;
use ssl_session_cache_core::server::{
    Action, Completions, Counts, Ended, Lookup, Loss, Server, Unavailable,
};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::topology::{Asking, Routed, ServerId};
use ssl_session_cache_core::Instant;

use crate::counters::StoreStats;
use crate::net::{
    Address, Handler, Io, Link, LinkError, Location, NameHandler, NameLookup, Peer, Resolved,
    Resolver,
};
use crate::nginx::{clients_may_handshake, now, turn_is_long};
use crate::store::log;
use crate::store::lookup::Token;
use crate::store::news;
use crate::store::quota::Quota;
use crate::store::scout::{Scout, Sender};
use crate::store::sentinel::{Discovery, Master, Seeker};
use crate::store::settings::{Settings, Shape};

/// A server, its connection and what else nginx has to do for it.
///
/// # Drop behaviour
///
/// The connection is closed. [`stop`](Self::stop) it before: nothing is told of what waits.
pub(super) struct Driver {
    /// What the server is known by in its store.
    id: ServerId,
    /// Who is told how requests end.
    owner: Weak<dyn Owner>,
    settings: Rc<Settings>,
    location: Location,
    /// What finds the server's addresses.
    finder: Finder,
    /// Who the server has to be, if that is known.
    peer: RefCell<Option<Peer>>,
    link: Link,
    /// The connection takes no more for now.
    is_blocked: Cell<bool>,
    /// Tries the addresses before the one in use.
    scout: Scout,
    /// None in a process that does not count.
    stats: Option<StoreStats>,
    is_introduced: Cell<bool>,
    /// Whether a connection was lost or could not be made, and none was since.
    was_away: Cell<bool>,
    /// Whether it is about to be stopped.
    is_retired: Cell<bool>,
    quota: Rc<Quota>,
    /// Whether something was written in this turn before its end.
    has_flushed: Cell<bool>,
    /// Whether the last turn with something to send was a long one.
    turns_are_long: Cell<bool>,
    /// Borrowed by the methods that handshakes call, which is from within OpenSSL's callbacks. So it
    /// is never borrowed where a handshake can go on: neither while it is told how a lookup has
    /// ended, nor where nginx needs a connection, for a link or a name, and may close others.
    server: RefCell<Server<Address, Asked>>,
    /// What its owner is told of next.
    ended: Cell<Completions<Asked>>,
    log: *mut ngx_log_t,
}

/// What finds a server's addresses.
enum Finder {
    /// They are configured.
    Nothing,
    /// A resolver, by the server's name.
    Name(Resolver, NameLookup),
    /// Sentinels.
    Sentinels(Rc<Discovery>),
}

impl Finder {
    fn new(
        settings: &Rc<Settings>,
        resolver: Option<Resolver>,
        seeker: Weak<dyn Seeker>,
        log: *mut ngx_log_t,
    ) -> Self {
        match (&settings.shape, resolver) {
            (Shape::Sentinel { master, credentials }, _) => {
                let (settings, credentials) = (Rc::clone(settings), credentials.as_ref());
                let discovery =
                    Discovery::new(settings, master, credentials, resolver, seeker, log);
                Self::Sentinels(discovery)
            }
            (_, Some(resolver)) => Self::Name(resolver, NameLookup::new()),
            (_, None) => Self::Nothing,
        }
    }
}

/// Whose server it is. The driver may be asked meanwhile.
pub(super) trait Owner {
    /// A request has ended.
    fn ended(&self, server: ServerId, routed: Routed<Token>, ended: Ended<'_>);

    /// The connection is lost, or could not be made.
    fn lost(&self, server: ServerId);

    /// There is a connection, not the first one.
    fn reconnected(&self);
}

/// A request whose end is told.
struct Asked {
    routed: Routed<Token>,
    /// When a lookup began, by a clock finer than that of deadlines, which is kept for each turn of
    /// the event loop; none of any other request.
    began: Option<std::time::Instant>,
}

impl From<LinkError> for Loss {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Closed => Self::Closed(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl Driver {
    pub(super) fn new(
        id: ServerId,
        owner: Weak<dyn Owner>,
        settings: Rc<Settings>,
        location: Location,
        resolver: Option<Resolver>,
        quota: Rc<Quota>,
        log: *mut ngx_log_t,
    ) -> Rc<Self> {
        let is_sentinel = matches!(settings.shape, Shape::Sentinel { .. });
        let server = Server::new(
            settings.named_protocol(),
            settings.limits(),
            location.addresses.as_slice().into(),
            is_sentinel || (resolver.is_some() && location.name.is_some()),
            RandomState::new().build_hasher().finish(),
            now(),
        );
        let server = match settings.shape {
            Shape::Servers => server,
            Shape::Cluster => server.of_cluster(),
            Shape::Sentinel { .. } => server.discovered(),
        };
        let server = server.with_tls(settings.tls.is_some());
        let link = Link::new(settings.tls.clone());
        let stats = StoreStats::of(&settings.name(), settings.server_of(&location));
        if let Some(stats) = stats {
            stats.enter();
        }
        let driver = Rc::new_cyclic(|driver: &Weak<Self>| Self {
            scout: Scout::new(Rc::clone(&settings), Weak::clone(driver) as _),
            finder: Finder::new(&settings, resolver, Weak::clone(driver) as _, log),
            peer: RefCell::new(location.peer.clone()),
            id,
            owner,
            settings,
            location,
            link,
            is_blocked: Cell::new(false),
            stats,
            is_introduced: Cell::new(false),
            was_away: Cell::new(false),
            is_retired: Cell::new(false),
            quota,
            has_flushed: Cell::new(false),
            turns_are_long: Cell::new(false),
            server: RefCell::new(server),
            ended: Cell::default(),
            log,
        });
        // SAFETY: the driver, and the link, the scout and the lookup in it, stay where they are in
        // the Rc, and go together.
        unsafe {
            driver.link.bind(NonNull::from(&*driver), log);
            driver.scout.bind(log);
            if let Finder::Name(_, name_lookup) = &driver.finder {
                name_lookup.bind(NonNull::from(&*driver), log);
            }
        }
        driver
    }

    /// Where the server is.
    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Begins to connect, and to look the server's name up, but not before this returns: a worker that
    /// starts needs a connection of its own first, and a handshake has no room for that.
    pub(super) fn start(&self) {
        self.server.borrow_mut().start(now());
        self.link.at_turn_end();
        // Where there is no turn yet.
        self.link.wake_at(Some(now()));
    }

    /// Tells, once, what there is to tell of the server's place.
    fn introduce(&self) {
        if self.is_introduced.replace(true) {
            return;
        }
        let Location { addresses, word, .. } = &self.location;
        if addresses.is_empty() && matches!(self.finder, Finder::Nothing) && self.may_log() {
            log::unresolvable(self.log, &self.settings, word);
        }
        let is_uncounted = self.stats.is_some_and(|stats| !stats.has_room());
        if is_uncounted && self.settings.has_servers() && self.may_log() {
            log::uncounted(self.log, &self.settings, word);
        }
    }

    /// Whether there is a line left in the log for the server.
    fn may_log(&self) -> bool {
        if self.settings.shape != Shape::Cluster {
            return true;
        }
        match self.quota.take(now()) {
            Some(0) => true,
            Some(left_out) => {
                log::left_out(self.log, &self.settings, left_out);
                true
            }
            None => false,
        }
    }

    /// It does not connect any more, nor do anything else until it is [stopped](Self::stop).
    pub(super) fn retire(&self) {
        self.is_retired.set(true);
    }

    /// Closes the connection, and ends what waits.
    pub(super) fn stop(&self) {
        self.server.borrow_mut().stop(now());
        self.go_on();
        if let Some(stats) = self.stats {
            stats.leave();
        }
    }

    pub(super) fn get(
        &self,
        key: &Key,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Token>,
    ) -> Result<(), Unavailable> {
        let asked = Asked { routed, began: Some(std::time::Instant::now()) };
        let begun = self.ask(asking, |server| server.get(key, deadline, asked, now()));
        if let Some(stats) = self.stats {
            match begun {
                Ok(()) => stats.lookup_begun(),
                Err(unavailable) => stats.lookup_turned_away(unavailable.into()),
            }
        }
        begun
    }

    pub(super) fn put(
        &self,
        put: Put<'_>,
        asking: Asking,
        routed: Option<Routed<Token>>,
    ) -> Result<(), Unavailable> {
        let asked = routed.map(|routed| Asked { routed, began: None });
        self.ask(asking, |server| server.put(put, asked, now()))?;
        self.count(Event::SessionSent, 1);
        if self.turns_are_long.get() || turn_is_long() {
            self.send_now();
        }
        Ok(())
    }

    /// Nothing is counted: it is no lookup, and no session's record.
    pub(super) fn add(
        &self,
        put: Put<'_>,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Token>,
    ) -> Result<(), Unavailable> {
        let asked = Asked { routed, began: None };
        self.ask(asking, |server| server.add(put, deadline, asked, now()))
    }

    pub(super) fn delete(
        &self,
        key: &Key,
        asking: Asking,
        routed: Option<Routed<Token>>,
    ) -> Result<(), Unavailable> {
        let asked = routed.map(|routed| Asked { routed, began: None });
        self.ask(asking, |server| server.delete(key, asked, now()))?;
        self.count(Event::DeleteSent, 1);
        Ok(())
    }

    /// Queues a request for the end of the turn.
    fn ask(
        &self,
        asking: Asking,
        request: impl FnOnce(&mut Server<Address, Asked>) -> Result<(), Unavailable>,
    ) -> Result<(), Unavailable> {
        let server = &mut *self.server.borrow_mut();
        if asking == Asking::Yes {
            server.asking();
        }
        request(server)?;
        self.link.at_turn_end();
        Ok(())
    }

    /// A handshake is over whose sessions may wait for the end of the turn: they are written, once in
    /// a turn.
    pub(super) fn flush(&self) {
        if !self.has_flushed.get() {
            self.has_flushed.set(self.send_now() > 0);
        }
    }

    /// Writes at once what has waited for the end of the turn, and returns how much that was.
    fn send_now(&self) -> usize {
        if self.is_blocked.get() {
            return 0;
        }
        let server = &mut *self.server.borrow_mut();
        let count = self.link.send_now(server.unsent());
        self.count(Event::ByteSent, count);
        server.sent(count);
        count
    }

    /// Writes what waits to be sent.
    fn send(&self) {
        let server = &mut *self.server.borrow_mut();
        self.is_blocked.set(false);
        while !server.unsent().is_empty() && !self.is_blocked.get() {
            match self.link.send(server.unsent()) {
                Ok(Io::Done(count)) => {
                    self.count(Event::ByteSent, count);
                    server.sent(count);
                }
                Ok(Io::Again) => self.is_blocked.set(true),
                Err(error) => server.lost(error.into(), now()),
            }
        }
    }

    /// Goes on with the attempt to connect.
    fn connecting(&self) {
        let server = &mut *self.server.borrow_mut();
        match self.link.established() {
            Ok(true) => server.connected(now()),
            Ok(false) => {}
            Err(error) => server.lost(error.into(), now()),
        }
    }

    /// Reads what has come.
    fn receive(&self) {
        while self.receive_some() {
            // Whatever the server sends, no more than this is kept of it.
            self.tell_ended();
        }
        self.server.borrow_mut().read_all(now());
    }

    /// Reads as much as there is room for, and returns whether there may be more.
    fn receive_some(&self) -> bool {
        let server = &mut *self.server.borrow_mut();
        match self.link.receive(server.spare()) {
            Ok(Io::Done(count)) => {
                self.count(Event::ByteReceived, count);
                server.received(count, now());
            }
            Ok(Io::Again) => return false,
            Err(error) => server.lost(error.into(), now()),
        }
        server.is_connected() && self.link.is_readable()
    }

    /// Does what follows from what has happened.
    fn go_on(&self) {
        loop {
            // The borrow ends here: what is done may lead to more.
            let action = self.server.borrow_mut().action();
            match action {
                Some(action) => self.act(action),
                None => break,
            }
        }
        self.tell_ended();
        self.show();

        let server = self.server.borrow();
        if !server.unsent().is_empty() && !self.is_blocked.get() {
            self.link.at_turn_end();
        }
        self.link.wake_at(server.deadline());
    }

    fn act(&self, action: Action<Address>) {
        match action {
            Action::Connect(address) => {
                self.is_blocked.set(false);
                if let Some(stats) = self.stats {
                    stats.show_address(address.name());
                }
                let peer = self.peer.borrow().clone();
                if let Err(error) = self.link.connect(&address, peer) {
                    self.server.borrow_mut().lost(error.into(), now());
                }
            }
            Action::Close => self.link.close(),
            Action::Resolve => {
                let Location { name, port, .. } = &self.location;
                match (&self.finder, name) {
                    (Finder::Name(resolver, name_lookup), Some(name)) => {
                        name_lookup.start(*resolver, name, *port);
                    }
                    (Finder::Sentinels(discovery), _) => discovery.start(),
                    (Finder::Name(..), None) | (Finder::Nothing, _) => {}
                }
            }
            Action::Scout(address, key) => {
                self.scout.start(&address, self.peer.borrow().clone(), key);
            }
            Action::StopScout => self.scout.stop(),
            Action::Log(line) => {
                let news = news::of(self.stats, line).filter(|_| self.may_log());
                if let Some(news) = news {
                    log::write(self.log, &self.settings, &self.location, news);
                }
            }
        }
    }

    /// Tells of the requests that have ended.
    fn tell_ended(&self) {
        let mut ended = {
            let server = &mut *self.server.borrow_mut();
            if server.completions().is_empty() {
                return;
            }
            mem::replace(server.completions(), self.ended.take())
        };
        let owner = self.owner.upgrade();
        ended.drain(|Asked { routed, began }, ended| {
            if let Some((stats, began)) = self.stats.zip(began) {
                stats.lookup_ended(Lookup::from(ended).into(), began.elapsed());
            }
            if let Some(owner) = &owner {
                owner.ended(self.id, routed, ended);
            }
        });
        self.ended.set(ended);
    }

    /// Counts and tells what has happened, and shows how things are now.
    fn show(&self) {
        let (is_new, failed) = {
            let server = &mut *self.server.borrow_mut();
            let Counts { connected, failed, sessions_failed } = server.take_counts();
            self.count(Event::Connected, connected);
            self.count(Event::Failed, failed);
            self.count(Event::SessionFailed, sessions_failed);
            if let Some(stats) = self.stats {
                let (requests, bytes) = (server.waiting_requests(), server.waiting_bytes());
                stats.show(server.state(), server.is_paused(), &server.reason());
                stats.show_waiting(requests, bytes);
            }
            (connected > 0, failed)
        };
        let Some(owner) = self.owner.upgrade() else { return };
        if failed > 0 {
            self.was_away.set(true);
            owner.lost(self.id);
        }
        if is_new && self.was_away.take() {
            owner.reconnected();
        }
    }

    fn count(&self, event: Event, times: usize) {
        if let Some(stats) = self.stats {
            stats.count(event, times);
        }
    }
}

impl Handler for Driver {
    fn readable(&self) {
        if self.server.borrow().is_connected() {
            self.receive();
        } else {
            self.connecting();
        }
        self.go_on();
    }

    fn writable(&self) {
        let is_connected = self.server.borrow().is_connected();
        if is_connected && !self.is_blocked.get() {
            // epoll says so with every reply: what is queued goes out at the end of the turn.
            return;
        }
        if is_connected {
            self.send();
        } else {
            self.connecting();
        }
        self.go_on();
    }

    fn timer(&self) {
        if self.is_retired.get() {
            return;
        }
        let is_overdue = self.server.borrow().is_overdue(now());
        if is_overdue {
            let error = self.link.timed_out();
            self.server.borrow_mut().lost(error.into(), now());
        }
        // SAFETY: nginx writes to the flag on this one thread.
        if unsafe { ngx_exiting } != 0 {
            let is_unneeded = self.link.is_close_requested() && !clients_may_handshake();
            self.server.borrow_mut().exiting(is_unneeded, now());
        }
        self.server.borrow_mut().tick(now());
        self.go_on();
    }

    /// What was queued in this turn goes out together.
    fn turn_end(&self) {
        if self.is_retired.get() {
            return;
        }
        self.introduce();
        self.has_flushed.set(false);
        self.turns_are_long.set(turn_is_long());
        self.send();
        self.go_on();
    }
}

impl Sender for Driver {
    fn scouted(&self, is_usable: bool) {
        self.server.borrow_mut().scouted(is_usable, now());
        self.go_on();
    }
}

impl Seeker for Driver {
    fn discovered(&self, result: Result<Master, String>) {
        let result = result.map(|Master { peer, addresses, valid_until }| {
            self.peer.replace(peer);
            (addresses, valid_until)
        });
        self.server.borrow_mut().resolved(result, now());
        self.go_on();
    }
}

impl NameHandler for Driver {
    fn resolved(&self, result: Result<Resolved, String>) {
        let result = result.map(|resolved| (resolved.addresses, resolved.valid_until));
        self.server.borrow_mut().resolved(result, now());
        self.go_on();
    }
}
