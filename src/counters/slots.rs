//! What is counted and shown of a worker and of a store, as it lies in shared memory.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicU8, Ordering::Relaxed};

use crate::counters::outcome::Outcome;

/// So many stores have counters; those beyond have none.
pub(crate) const MAX_STORES: usize = 8;

/// Room for the text of any socket address.
const MAX_ADDRESS: usize = 113;

/// The upper bounds of the histogram of lookup times, in microseconds; beyond is one bucket more.
pub(crate) const BOUNDS: [u64; 13] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

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
        &text.as_bytes()[..text.len().min(N)]
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
    /// By the numbers of [`Outcome`].
    pub(crate) handshakes: [Counter; Outcome::ALL.len()],
    pub(crate) stores: [StoreSlot; MAX_STORES],
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

/// What a worker counts of a store.
#[repr(C)]
pub(crate) struct StoreSlot {
    /// By the numbers of [`LookupResult`].
    pub(crate) lookups: [Counter; LookupResult::ALL.len()],
    /// Lookups that were sent, by the time they took.
    pub(crate) times: [Counter; BOUNDS.len() + 1],
    /// All those times together, in microseconds.
    pub(crate) time_sum: Counter,
    /// By the numbers of [`Event`].
    pub(crate) events: [Counter; Event::ALL.len()],

    pub(crate) state: AtomicU8,
    pub(crate) is_suspended: AtomicU8,
    pub(crate) waiting_lookups: Gauge,
    pub(crate) queued_commands: Gauge,
    pub(crate) queued_bytes: Gauge,
    pub(crate) address: Text<MAX_ADDRESS>,
}

impl StoreSlot {
    /// Forgets all: the slot is for another store from now on.
    pub(crate) fn reset(&self) {
        let counters = self.lookups.iter().chain(&self.times).chain(&self.events);
        counters.for_each(Counter::reset);
        self.time_sum.reset();
        self.reset_gauges();
    }

    pub(crate) fn reset_gauges(&self) {
        self.state.store(StoreState::Down as u8, Relaxed);
        self.is_suspended.store(0, Relaxed);
        for gauge in [&self.waiting_lookups, &self.queued_commands, &self.queued_bytes] {
            gauge.set(0);
        }
        self.address.set("");
    }
}

/// How a lookup in the store ended.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum LookupResult {
    Found,
    Missing,
    Timeout,
    Refused,
    /// Not sent, or lost with the connection: the store is down.
    Down,
    /// Not sent: too much waited.
    Full,
}

impl LookupResult {
    /// All of them, each at its number, and as it is shown.
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Found, "found"),
        (Self::Missing, "missing"),
        (Self::Timeout, "timeout"),
        (Self::Refused, "refused"),
        (Self::Down, "down"),
        (Self::Full, "full"),
    ];
}

/// What is counted of a store besides lookups.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Event {
    /// A session was sent or queued.
    SessionSent,
    /// A session was not even queued.
    SessionDropped,
    /// A session was sent, and is not in the store, or it has not said so.
    SessionFailed,
    /// The removal of a session was sent or queued.
    DeleteSent,
    /// A byte was written.
    ByteSent,
    /// A byte was read.
    ByteReceived,
    /// The store has answered the greeting of a new connection.
    Connected,
    /// A connection was lost, or could not be made.
    Failed,
}

impl Event {
    /// All of them, each at its number, with the names of their counters and what those are.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::SessionSent, "sessions_sent", "Sessions sent to the store."),
        (Self::SessionDropped, "sessions_dropped", "Sessions that could not be sent to the store."),
        (Self::SessionFailed, "sessions_failed", "Sessions sent that the store has not accepted."),
        (Self::DeleteSent, "deletes", "Removals of sessions sent to the store."),
        (Self::ByteSent, "sent_bytes", "Bytes sent to the store."),
        (Self::ByteReceived, "received_bytes", "Bytes received from the store."),
        (Self::Connected, "connections", "Connections to the store that came up."),
        (Self::Failed, "failures", "Connections to the store that were lost or not made."),
    ];
}

/// A worker's connection to a store.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum StoreState {
    /// There is none.
    Down,
    /// On its way, up to the answer to the greeting.
    Connecting,
    /// The store answers.
    Up,
}

impl StoreState {
    /// As it is shown.
    pub(crate) fn name(state: u8) -> &'static str {
        match state {
            0 => "down",
            1 => "connecting",
            _ => "up",
        }
    }
}
