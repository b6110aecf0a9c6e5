//! What is counted and shown of a worker and of a server, as it lies in shared memory.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed};

use ssl_session_cache_core::report::{EarlyData, Event, Frontend, LookupResult, Outcome, BOUNDS};
use ssl_session_cache_core::server::State;

use crate::counters::list::{List, Zeroed};

/// Room for the text of any socket address.
const MAX_ADDRESS: usize = 113;

/// Room for why a server is not up, which is cut off there.
const MAX_REASON: usize = 104;

/// A number that only grows.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// What is true of one process, now.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value as i64, Relaxed);
    }

    pub(crate) fn add(&self, change: i64) {
        self.0.fetch_add(change, Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Relaxed).max(0) as u64
    }
}

/// A text that is written by one process and may be read meanwhile, cut off where it is longer than
/// `N` bytes, which are 255 at most.
#[repr(C)]
pub(crate) struct Text<const N: usize> {
    len: AtomicU8,
    bytes: [AtomicU8; N],
}

impl<const N: usize> Text<N> {
    pub(crate) fn set(&self, text: &str) {
        let text = Self::cut(text);
        for (to, from) in self.bytes.iter().zip(text) {
            to.store(*from, Relaxed);
        }
        self.len.store(text.len() as u8, Relaxed);
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        self.bytes().eq(Self::cut(text).iter().copied())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Relaxed) == 0
    }

    pub(crate) fn value(&self) -> String {
        String::from_utf8_lossy(&self.bytes().collect::<Vec<_>>()).into_owned()
    }

    fn cut(text: &str) -> &[u8] {
        let ends = (0..=text.len().min(N)).rev();
        let end = ends.into_iter().find(|end| text.is_char_boundary(*end));
        &text.as_bytes()[..end.unwrap_or(0)]
    }

    fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let len = usize::from(self.len.load(Relaxed));
        self.bytes[..len].iter().map(|byte| byte.load(Relaxed))
    }
}

/// A worker's slot in shared memory. Valid when all-zero; of a cache line's alignment, so that
/// workers do not slow each other down.
///
/// A worker that takes another's place, after a crash or a reload, counts on in its slot. After a
/// reload both may be there for a while: counters are added to atomically, and gauges are written
/// by the owner alone.
#[repr(C, align(64))]
pub(crate) struct WorkerSlot {
    /// The process id of the owner, which may have been killed; 0 for none.
    pub(crate) owner: AtomicI64,
    /// The number of the configuration that the owner began with.
    pub(crate) generation: AtomicU32,
    /// By the numbers of [`Frontend`], and then of [`Outcome`].
    pub(crate) handshakes: [[Counter; Outcome::ALL.len()]; Frontend::ALL.len()],
    /// By the numbers of [`EarlyData`].
    pub(crate) early_data: [Counter; EarlyData::ALL.len()],
}

impl WorkerSlot {
    /// The process id of the owner, if it runs.
    pub(crate) fn running(&self) -> Option<i64> {
        let pid = self.owner.load(Relaxed);
        // SAFETY: signal 0 is not sent: it asks whether there is such a process.
        let is_gone = || unsafe { libc::kill(pid as libc::pid_t, 0) } != 0
            && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        (pid != 0 && !is_gone()).then_some(pid)
    }
}

/// What a worker counts of a server. Valid when all-zero, and alone in its cache lines, as the
/// worker's slot is; what is said there of two workers with one slot holds here as well.
#[repr(C)]
pub(crate) struct ServerSlot {
    /// By the numbers of [`LookupResult`].
    pub(crate) lookups: [Counter; LookupResult::ALL.len()],
    /// Lookups that were sent, by the time they took.
    pub(crate) times: [Counter; BOUNDS.len() + 1],
    /// All those times together, in microseconds.
    pub(crate) time_sum: Counter,
    /// By the numbers of [`Event`].
    pub(crate) events: [Counter; Event::ALL.len()],

    pub(crate) state: AtomicU8,
    pub(crate) is_paused: AtomicU8,
    /// The bits of [`Outage`](crate::counters::Outage) that concern the owner, told by it or by another
    /// worker.
    pub(crate) outages: AtomicU8,
    /// So many connections of the owner count here: several where stores of one name differ in what is said
    /// of them.
    pub(crate) users: AtomicU8,
    pub(crate) waiting_lookups: Gauge,
    pub(crate) queued_requests: Gauge,
    pub(crate) queued_bytes: Gauge,
    pub(crate) address: Text<MAX_ADDRESS>,
    /// When the owner found the server up, or not up any more, or when its lookups were paused or let
    /// through again, whichever was last; in Unix seconds, 0 of one that is not used.
    pub(crate) since: AtomicI64,
    /// Why it is not up, or why lookups are paused; empty where neither is so.
    pub(crate) reason: Text<MAX_REASON>,
}

// What `docs/status.md` says of the room. A piece of that size has cache lines of its own.
const _: () = assert!(List::<ServerSlot>::PIECE > 256 && List::<ServerSlot>::PIECE <= 512);

// SAFETY: numbers are 0, and the address is empty.
unsafe impl Zeroed for ServerSlot {}

impl ServerSlot {
    /// Forgets all: the slot is for another server from now on.
    pub(crate) fn reset(&self) {
        let counters = self.lookups.iter().chain(&self.times).chain(&self.events);
        counters.for_each(Counter::reset);
        self.time_sum.reset();
        self.reset_gauges();
    }

    /// Whether the owner uses the server.
    pub(crate) fn is_used(&self) -> bool {
        !self.address.is_empty()
    }

    /// The connection of the owner.
    pub(crate) fn state(&self) -> State {
        let number = usize::from(self.state.load(Relaxed));
        State::ALL.get(number).copied().unwrap_or(State::Down)
    }

    pub(crate) fn reset_gauges(&self) {
        self.state.store(State::Down as u8, Relaxed);
        self.is_paused.store(0, Relaxed);
        self.outages.store(0, Relaxed);
        self.users.store(0, Relaxed);
        for gauge in [&self.waiting_lookups, &self.queued_requests, &self.queued_bytes] {
            gauge.set(0);
        }
        self.address.set("");
        self.since.store(0, Relaxed);
        self.reason.set("");
    }
}
