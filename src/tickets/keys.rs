//! The ticket keys of an SSL_CTX, as a worker has them: derived of the machine's seeds when those
//! have changed, and not for each handshake.

use core::cell::RefCell;
use core::ops::Range;
use core::time::Duration;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::ticket::{Epoch, Rotation, Seed, TicketKey};

use crate::nginx::{process_id, unix_seconds, Log, Timer};
use crate::openssl::{
    id_context, randomise, HmacSha256, Opened, Opening, Random, Sealing, SslCtx, TicketCipher,
};
use crate::tickets::zone::Zone;
use crate::tickets::TicketsConf;

/// What is kept is wiped within this time after its epoch, whatever the clock does.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

thread_local! {
    /// The keys of all SSL_CTXs, so that they are wiped where no handshake comes any more.
    static ALL: RefCell<Vec<Weak<RefCell<Keys>>>> = RefCell::default();
    /// Wipes those of this worker whose time is over.
    static WIPER: RefCell<Option<Timer>> = RefCell::default();
}

/// What seals and opens the tickets of an SSL_CTX.
pub(crate) struct Tickets {
    conf: Rc<TicketsConf>,
    /// The session id context of the SSL_CTX, which its keys are derived of as well: tickets cross no
    /// further than what nginx keeps apart.
    id_context: Vec<u8>,
    cipher: TicketCipher,
    /// For IVs.
    random: Random,
    keys: Rc<RefCell<Keys>>,
}

/// How old the key of a ticket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It is the one that seals.
    Current,
    /// It is one that sealed before, or is about to, or seals elsewhere.
    Other,
}

/// The keys that there are.
#[derive(Default)]
struct Keys {
    /// The generation of the seeds that they are derived of; none before they are.
    generation: Option<u64>,
    /// The Unix times between which that holds: an epoch.
    valid: Range<u64>,
    /// Whether the first one seals.
    seals: bool,
    all: Vec<TicketKey>,
}

impl Tickets {
    /// For an SSL_CTX whose session id context is as it stays; `None` where OpenSSL does not tell it,
    /// or has no AES-256-CBC.
    pub(crate) fn new(conf: Rc<TicketsConf>, ctx: SslCtx) -> Option<Self> {
        let keys = Rc::default();
        ALL.with_borrow_mut(|all| {
            all.retain(|keys| keys.strong_count() > 0);
            all.push(Rc::downgrade(&keys));
        });
        Some(Self {
            conf,
            id_context: id_context(ctx)?,
            cipher: TicketCipher::new()?,
            random: Random::new(),
            keys,
        })
    }

    /// Whether there is a key that seals.
    pub(crate) fn can_seal(&self) -> bool {
        self.with_keys(|keys| keys.sealing().is_some())
    }

    /// Has a ticket sealed; `None` where that cannot be done.
    pub(crate) fn seal(&self, ticket: Sealing<'_>) -> Option<()> {
        let iv = self.random.draw(process_id())?;
        self.with_keys(|keys| ticket.under(&self.cipher, keys.sealing()?, &iv))
    }

    /// Has a ticket opened, if it is one of the fleet's. With TLS 1.3 it is for one use.
    pub(crate) fn open(&self, ticket: Opening<'_>, is_tls13: bool) -> Opened {
        self.with_keys(|keys| {
            let Some((key, age)) = keys.find(ticket.name()) else { return Opened::No };
            match ticket.with(&self.cipher, key) {
                None => Opened::No,
                Some(()) if age == Age::Current && !is_tls13 => Opened::Kept,
                Some(()) => Opened::Renewed,
            }
        })
    }

    /// How old the key of this name is; `None` where it is not among them.
    pub(crate) fn age(&self, name: &[u8]) -> Option<Age> {
        self.with_keys(|keys| keys.find(name).map(|(_, age)| age))
    }

    /// Uses the keys as they are now.
    fn with_keys<R>(&self, with: impl FnOnce(&Keys) -> R) -> R {
        // What uses the keys does not come back here.
        let mut keys = self.keys.borrow_mut();
        if let Some(zone) = Zone::used() {
            let now = unix_seconds();
            if keys.generation != Some(zone.generation()) || !keys.valid.contains(&now) {
                keys.derive(zone, &self.conf, &self.id_context, now);
            }
        }
        with(&keys)
    }
}

/// This worker begins: it wipes its keys when their time is over, also while it waits for its last
/// clients.
pub(super) fn start_wiping(confs: &[Rc<TicketsConf>], log: *mut ngx_log_t) {
    let rotations: Vec<_> = confs.iter().map(|conf| conf.family.rotation()).collect();
    let call = Rc::new(move || wipe(&rotations));
    // SAFETY: the log is the worker's, which outlives what it has of tickets.
    let timer = Timer::new(unsafe { Log::new(log) }, call);
    timer.set(Duration::ZERO);
    WIPER.set(Some(timer));
}

/// The worker's stores stop.
pub(super) fn stop_wiping() {
    WIPER.take();
}

/// Wipes what is over, and does so again when the next epoch begins.
fn wipe(rotations: &[Rotation]) {
    let unix = unix_seconds();
    ALL.with_borrow(|all| {
        for keys in all.iter().filter_map(Weak::upgrade) {
            if !keys.borrow().valid.contains(&unix) {
                keys.take();
            }
        }
    });
    let left = |rotation: &Rotation| rotation.start(Epoch(rotation.epoch(unix).0 + 1)) - unix;
    let next = rotations.iter().map(left).min().map_or(LONGEST_WAIT, Duration::from_secs);
    WIPER.with_borrow(|timer| {
        if let Some(timer) = timer {
            // A second later it has begun for sure.
            timer.set((next + Duration::from_secs(1)).min(LONGEST_WAIT));
        }
    });
}

impl Keys {
    /// Derives the keys of the seeds that there are at `now`, which is in the epoch for which they
    /// are valid then; wipes those that there were.
    fn derive(&mut self, zone: Zone, conf: &TicketsConf, id_context: &[u8], now: u64) {
        let family = &*conf.family;
        let (generation, seeds) = zone.with(|ring| {
            // Where it fails, older seeds still open.
            let _ = ring.begin(family, now, &HmacSha256, || Seed::random(randomise));
            (ring.generation(), ring.seeds(family, now))
        });
        // With room for all: where they moved to make some, they would be left behind unwiped.
        self.all = Vec::with_capacity(seeds.len());
        let keys = seeds.iter().map_while(|(_, seed)| seed.ticket_key(&HmacSha256, id_context));
        self.all.extend(keys);
        let rotation = family.rotation();
        let epoch = rotation.epoch(now);
        let is_current = |(first, _): &(Epoch, Seed)| *first == epoch;
        self.seals = !self.all.is_empty() && seeds.first().is_some_and(is_current);
        // What failed is tried again.
        self.generation = (self.seals && self.all.len() == seeds.len()).then_some(generation);
        self.valid = rotation.start(epoch)..rotation.start(Epoch(epoch.0 + 1));
    }

    /// The key that seals.
    fn sealing(&self) -> Option<&TicketKey> {
        self.all.first().filter(|_| self.seals)
    }

    /// The key of this name, which goes with each ticket in clear.
    fn find(&self, name: &[u8]) -> Option<(&TicketKey, Age)> {
        let index = self.all.iter().position(|key| key.name == name)?;
        let age = if index == 0 && self.seals { Age::Current } else { Age::Other };
        Some((&self.all[index], age))
    }
}
