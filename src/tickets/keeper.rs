//! Who gets the seeds from the store and gives them to it: in one worker of a machine, for all of
//! them. What is asked, and when, the core decides.

use core::cell::{Cell, RefCell};
use core::hash::{BuildHasher, Hasher};
use core::ptr;
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::collections::BTreeSet;
use std::rc::Rc;

use nginx_sys::ngx_log_t;
use slotmap::SlotMap;
use ssl_session_cache_core::protocol::Put;
use ssl_session_cache_core::server::{Addition, Lookup as Reply, Unavailable};
use ssl_session_cache_core::ticket::{Answer, Epoch, Keeper, Notice, Origin, Question};

use crate::nginx::{is_exiting, now, unix_seconds, worker_number, Log, Timer};
use crate::openssl::{randomise, Aes, Gcm, HmacSha256};
use crate::store::{Asker, KeeperId, Settings, Store, StoreConf};
use crate::tickets::zone::Zone;
use crate::tickets::{keys, log, TicketsConf};

/// The clock by which epochs change may be set meanwhile: it is looked at as often as this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// It is remembered of so many epochs that they were told of.
const MAX_TOLD: usize = 64;

thread_local! {
    /// This worker's keepers, if it is the one that has them.
    static KEEPERS: RefCell<SlotMap<KeeperId, Rc<Driver>>> = RefCell::default();
}

/// One keeper, on nginx's event loop.
struct Driver {
    id: KeeperId,
    conf: Rc<TicketsConf>,
    zone: Zone,
    store: Rc<Store>,
    /// Borrowed by nothing that may come here again.
    keeper: RefCell<Keeper<Aes, Gcm>>,
    /// Whether the store was asked, and has not answered.
    asks: Cell<bool>,
    timer: Timer,
    told: Told,
    log: *mut ngx_log_t,
}

/// What an operator was told last.
#[derive(Default)]
struct Told {
    /// Where the seed that seals is from, where that is not the store.
    origin: Cell<Option<Origin>>,
    clock_is_behind: Cell<bool>,
    /// The epochs whose records were of no use.
    unusable: RefCell<BTreeSet<Epoch>>,
}

/// This worker begins, with the ticket keys of its configuration: it has their keepers, if it is the
/// first one of the machine. `store_of` tells what the worker has of a store.
pub(crate) fn start(
    confs: &[Rc<TicketsConf>],
    store_of: impl Fn(&StoreConf) -> Option<Rc<Store>>,
    log: *mut ngx_log_t,
) {
    if confs.is_empty() {
        return;
    }
    let Some(zone) = Zone::enter() else { return };
    keys::start_wiping(confs, log);
    if worker_number() != 0 {
        return;
    }
    for conf in confs {
        let Some(store) = store_of(conf.store_conf()) else { continue };
        KEEPERS.with_borrow_mut(|keepers| {
            keepers.insert_with_key(|id| {
                let driver = Driver::new(id, Rc::clone(conf), zone, store, log);
                // Not before the store has begun to connect.
                driver.timer.set(Duration::ZERO);
                Rc::new(driver)
            })
        });
    }
}

/// The worker's stores stop.
pub(crate) fn stop() {
    keys::stop_wiping();
    drop(KEEPERS.take());
}

/// Whether a keeper still waits for the store.
pub(crate) fn is_awaited(id: KeeperId) -> bool {
    keeper(id).is_some()
}

/// The store has told what lies under a key.
pub(crate) fn answered(id: KeeperId, reply: Reply<'_>) {
    end(
        id,
        match reply {
            Reply::Found(record) => Answer::Found(record),
            // Longer than any record of a seed, as this is not one.
            Reply::Oversized => Answer::Found(&[]),
            Reply::Missing => Answer::Missing,
            Reply::Unavailable(_) => Answer::Unavailable,
        },
    );
}

/// The store has told what has become of a record to add.
pub(crate) fn added(id: KeeperId, addition: Addition) {
    end(
        id,
        match addition {
            Addition::First | Addition::Present => Answer::Done,
            Addition::Unavailable(_) => Answer::Unavailable,
        },
    );
}

/// A server of a store was away, and is connected again. Nothing is asked before this returns.
pub(crate) fn reconnected(store: &Settings) {
    let is_its = |keeper: &&Rc<Driver>| ptr::eq(keeper.conf.store_conf().settings(), store);
    KEEPERS.with_borrow(|keepers| {
        keepers.values().filter(is_its).for_each(|keeper| keeper.reconnected());
    });
}

fn end(id: KeeperId, answer: Answer<'_>) {
    if let Some(keeper) = keeper(id) {
        keeper.answered(answer);
        keeper.go_on();
    }
}

fn keeper(id: KeeperId) -> Option<Rc<Driver>> {
    KEEPERS.with_borrow(|keepers| keepers.get(id).cloned())
}

impl Driver {
    fn new(
        id: KeeperId,
        conf: Rc<TicketsConf>,
        zone: Zone,
        store: Rc<Store>,
        log: *mut ngx_log_t,
    ) -> Self {
        let chance = RandomState::new().build_hasher().finish();
        let keeper = Keeper::new(
            Rc::clone(&conf.family),
            Rc::clone(&conf.sealer),
            conf.keyspace.clone(),
            chance,
        );
        let due = Rc::new(move || {
            if let Some(keeper) = self::keeper(id) {
                keeper.go_on();
            }
        });
        Self {
            id,
            conf,
            zone,
            store,
            keeper: RefCell::new(keeper),
            asks: Cell::new(false),
            // SAFETY: the log is the worker's, which outlives what it has of a store.
            timer: Timer::new(unsafe { Log::new(log) }, due),
            told: Told::default(),
            log,
        }
    }

    /// Asks the store what it is time to ask. A worker that exits leaves that to the one that has
    /// taken its place.
    fn go_on(&self) {
        if self.asks.get() || is_exiting() {
            return;
        }
        let question = self.zone.with(|ring| {
            let draw = &mut |bytes: &mut [u8]| randomise(bytes);
            self.keeper.borrow_mut().question(ring, &HmacSha256, draw, unix_seconds(), now())
        });
        if let Some(question) = question {
            // Before the store is asked, which may answer at once.
            self.asks.set(true);
            if self.ask(question).is_err() {
                self.answered(Answer::Unavailable);
            }
        }
        if !self.asks.get() {
            self.tell();
            self.set_timer();
        }
    }

    fn reconnected(&self) {
        self.keeper.borrow_mut().reconnected(now());
        if !self.asks.get() && !is_exiting() {
            self.set_timer();
        }
    }

    fn set_timer(&self) {
        let wait = self.keeper.borrow().due().since(now());
        self.timer.set(wait.min(LONGEST_WAIT));
    }

    fn ask(&self, question: Question) -> Result<(), Unavailable> {
        let deadline = now() + self.store.timeout();
        let asker = Asker::Keeper(self.id);
        match question {
            Question::Get { key, site } => self.store.get(&key, site, deadline, asker),
            Question::Add { key, record, ttl } => {
                let put = Put { key: &key, record: &record, ttl, unix_now: unix_seconds() };
                self.store.add(put, deadline, asker)
            }
        }
    }

    fn answered(&self, answer: Answer<'_>) {
        if !self.asks.replace(false) {
            return;
        }
        let notice = self
            .zone
            .with(|ring| self.keeper.borrow_mut().answered(ring, answer, unix_seconds(), now()));
        if let Some(Notice::Unusable(epoch, error)) = notice {
            let mut told = self.told.unusable.borrow_mut();
            while told.len() >= MAX_TOLD {
                told.pop_first();
            }
            if told.insert(epoch) {
                log::unusable(self.log, &self.conf, epoch, error);
            }
        }
    }

    /// Tells of changes: once the store has told what it has, or that it does not.
    fn tell(&self) {
        let status = self.zone.with(|ring| ring.status(&self.conf.family, unix_seconds()));
        let lost = status.origin.filter(|origin| *origin != Origin::Store);
        let before = self.told.origin.replace(lost);
        match status.origin {
            Some(Origin::Store) => {
                if let Some(before) = before {
                    log::in_step(self.log, &self.conf, before);
                }
            }
            Some(Origin::Ratchet) if before != lost => log::derived(self.log, &self.conf),
            Some(Origin::Own) if before != lost => log::own(self.log, &self.conf),
            _ => {}
        }
        let is_behind = status.clock_behind.is_some();
        match (self.told.clock_is_behind.replace(is_behind), status.clock_behind) {
            (false, Some(seconds)) => log::clock_behind(self.log, &self.conf, seconds),
            (true, None) => log::clock_right(self.log, &self.conf),
            _ => {}
        }
    }
}
