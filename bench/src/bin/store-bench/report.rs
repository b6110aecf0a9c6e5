//! What came of a run, counted and printed.

use std::io;
use std::time::{Duration, Instant};

use common::Latency;
use serde::Serialize;
use ssl_session_cache_core::server::Lookup;

use crate::link::Begun;
use crate::options::Options;

/// How a lookup has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Yes,
    No,
    Unavailable,
}

impl Found {
    pub fn of(lookup: Lookup<'_>) -> Self {
        match lookup {
            Lookup::Found(_) | Lookup::Oversized => Self::Yes,
            Lookup::Missing => Self::No,
            Lookup::Unavailable(_) => Self::Unavailable,
        }
    }
}

/// What has happened since it was last reset.
#[derive(Default)]
pub struct Tally {
    /// Lookups that have begun, those under way among them.
    pub begun: u64,
    pub puts: u64,
    /// Records that are not stored for all that is known.
    pub records_failed: u64,
    pub elapsed: Duration,
    /// Connections whose greeting was answered; this is never reset.
    up: usize,
    found: u64,
    missing: u64,
    unavailable: u64,
    lookups: Vec<Duration>,
    /// Connections that were lost, the first one when, and the last one that was made when.
    lost: u64,
    lost_at: Option<Instant>,
    up_at: Option<Instant>,
}

impl Tally {
    /// Lookups that have not ended.
    pub fn waiting(&self) -> u64 {
        self.begun - self.found - self.missing - self.unavailable
    }

    /// Counts a lookup that has ended; it began at this time, if it was sent at all.
    pub fn ended(&mut self, begun: Option<Begun>, found: Found) {
        *match found {
            Found::Yes => &mut self.found,
            Found::No => &mut self.missing,
            Found::Unavailable => &mut self.unavailable,
        } += 1;
        self.lookups.extend(begun.map(|begun| begun.elapsed()));
    }

    /// A connection is up now, or is no more.
    pub fn changed(&mut self, is_up: bool) {
        if is_up {
            self.up += 1;
            self.up_at = Some(Instant::now());
        } else {
            self.up -= 1;
            self.lost += 1;
            self.lost_at.get_or_insert_with(Instant::now);
        }
    }

    /// Counts anew.
    pub fn reset(&mut self) {
        *self = Self { up: self.up, ..Self::default() };
    }
}

/// The result of the measured part.
#[derive(Serialize)]
pub struct Report {
    workers: u32,
    servers: usize,
    /// Connections that are up at the end.
    connections: usize,
    elapsed_seconds: f64,
    lookups: u64,
    found: u64,
    missing: u64,
    unavailable: u64,
    puts: u64,
    records_failed: u64,
    lookup_latency: Option<Latency>,
    /// Connections that were lost.
    lost: u64,
    /// From the first that was lost to the last that was made again.
    recovery_seconds: Option<f64>,
    /// Resident memory of this process before there is a connection, with all of them, and at the
    /// end, in bytes.
    resident: [u64; 3],
}

impl Report {
    /// The report on `tally`.
    pub fn new(options: &Options, tally: Tally, resident: [u64; 3]) -> Self {
        let recovery = tally.lost_at.zip(tally.up_at).map(|(lost, up)| up - lost);
        Self {
            workers: options.workers,
            servers: options.servers.len(),
            connections: tally.up,
            elapsed_seconds: tally.elapsed.as_secs_f64(),
            lookups: tally.begun,
            found: tally.found,
            missing: tally.missing,
            unavailable: tally.unavailable,
            puts: tally.puts,
            records_failed: tally.records_failed,
            lookup_latency: Latency::of(tally.lookups),
            lost: tally.lost,
            recovery_seconds: recovery.map(|span| span.as_secs_f64()),
            resident,
        }
    }

    /// Whether all lookups were answered, and all records stored.
    pub fn is_as_expected(&self) -> bool {
        self.unavailable == 0 && self.records_failed == 0
    }
}

/// The resident memory of this process, in bytes.
pub fn resident() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map(|count| count * 1024).ok_or_else(|| io::Error::other("no VmRSS in its status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_up_outlasts_a_reset() {
        let mut tally = Tally::default();
        for is_up in [true, true, false] {
            tally.changed(is_up);
        }
        assert_eq!((tally.up, tally.lost), (1, 1));
        tally.reset();
        assert_eq!((tally.up, tally.lost), (1, 0));
    }

    #[test]
    fn lookups_wait_until_they_end() {
        let mut tally = Tally { begun: 4, ..Tally::default() };
        for found in [Found::Yes, Found::No, Found::Unavailable] {
            tally.ended(None, found);
        }
        assert_eq!(tally.waiting(), 1);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident().unwrap() > 100_000);
    }
}
