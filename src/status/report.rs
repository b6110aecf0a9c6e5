//! How the handshake of a connection went, for as long as the connection lives.

use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};
use core::time::Duration;
use std::sync::OnceLock;

use nginx_sys::{
    CRYPTO_get_ex_new_index, SSL_get_ex_data, SSL_set_ex_data, CRYPTO_EX_INDEX_SSL, SSL,
};

use crate::status::zone;

/// What a handshake got for the sessions that its client offered: the most telling of them, which
/// is the last one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Outcome {
    /// The client offered none.
    #[default]
    None,
    /// An id that no machine with our key has made.
    Foreign,
    /// The store has no such session.
    Miss,
    /// What lies in the store is not that session.
    Invalid,
    /// Too much waited for the store already.
    Full,
    /// The store could not be asked, or refused to answer.
    Down,
    /// The store did not answer in time.
    Timeout,
    /// Found in the tier of this machine.
    Local,
    /// Found in the store.
    Hit,
}

impl Outcome {
    /// All of them, each at its number.
    pub(super) const ALL: [Self; 9] = [
        Self::None,
        Self::Foreign,
        Self::Miss,
        Self::Invalid,
        Self::Full,
        Self::Down,
        Self::Timeout,
        Self::Local,
        Self::Hit,
    ];

    /// As the variable shows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Foreign => "FOREIGN",
            Self::Miss => "MISS",
            Self::Invalid => "INVALID",
            Self::Full => "FULL",
            Self::Down => "DOWN",
            Self::Timeout => "TIMEOUT",
            Self::Local => "LOCAL",
            Self::Hit => "HIT",
        }
    }

    /// As the status page shows it.
    pub(super) fn label(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            _ => self.name().to_ascii_lowercase(),
        }
    }
}

/// What is kept with an SSL: encoded in the pointer that OpenSSL holds for us, so that there is
/// nothing to allocate, and nothing to free.
#[derive(Clone, Copy, Default)]
pub(super) struct Report {
    pub(super) outcome: Outcome,
    /// How long the handshake waited for its lookups, in milliseconds; none without a lookup.
    pub(super) waited: Option<usize>,
    is_counted: bool,
}

impl Report {
    const OUTCOME: usize = 0b1111;
    const COUNTED: usize = 0b1_0000;
    const WAITED_SHIFT: u32 = 5;

    /// The report of a connection; an empty one where there is none.
    ///
    /// # Safety
    ///
    /// The SSL must be valid.
    pub(super) unsafe fn of(ssl: NonNull<SSL>) -> Self {
        // SAFETY: as the caller promises.
        let bits = unsafe { SSL_get_ex_data(ssl.as_ptr(), index()) } as usize;
        Self {
            outcome: Outcome::ALL[bits & Self::OUTCOME],
            waited: (bits >> Self::WAITED_SHIFT).checked_sub(1),
            is_counted: bits & Self::COUNTED != 0,
        }
    }

    /// # Safety
    ///
    /// The SSL must be valid.
    unsafe fn keep(self, ssl: NonNull<SSL>) {
        let waited = self.waited.map_or(0, |waited| waited.saturating_add(1));
        let waited = waited.min(usize::MAX >> Self::WAITED_SHIFT) << Self::WAITED_SHIFT;
        let counted = if self.is_counted { Self::COUNTED } else { 0 };
        let bits = waited | counted | self.outcome as usize;
        // SAFETY: as the caller promises. Without memory, the report stays as it is.
        unsafe { SSL_set_ex_data(ssl.as_ptr(), index(), bits as *mut c_void) };
    }
}

/// Notes what became of a session that a client offers; `waited` is the time since the first lookup
/// of the handshake began, if this was one.
///
/// # Safety
///
/// The SSL must be valid.
pub(crate) unsafe fn note(ssl: NonNull<SSL>, outcome: Outcome, waited: Option<Duration>) {
    // SAFETY: as the caller promises.
    unsafe {
        let report = Report::of(ssl);
        let waited = waited.map(|waited| waited.as_millis() as usize).max(report.waited);
        Report { outcome: report.outcome.max(outcome), waited, ..report }.keep(ssl);
    }
}

/// Counts a handshake that is done, once: where early data is allowed, OpenSSL says so for the
/// server's part of it, and then for all of it.
///
/// # Safety
///
/// The SSL must be valid.
pub(crate) unsafe fn finished(ssl: NonNull<SSL>) {
    // SAFETY: as the caller promises.
    let report = unsafe { Report::of(ssl) };
    if report.is_counted {
        return;
    }
    // SAFETY: as above.
    unsafe { Report { is_counted: true, ..report }.keep(ssl) };
    if let Some(worker) = zone::own_slot() {
        worker.handshakes[report.outcome as usize].add(1);
    }
}

/// The index of a report in an SSL.
fn index() -> c_int {
    static INDEX: OnceLock<c_int> = OnceLock::new();
    // SAFETY: there is no function to be called.
    *INDEX.get_or_init(|| unsafe {
        let class = CRYPTO_EX_INDEX_SSL as c_int;
        CRYPTO_get_ex_new_index(class, 0, ptr::null_mut(), None, None, None)
    })
}
