//! What came of a run, counted and printed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use common::Latency;
use serde::Serialize;

use crate::connection::{Failure, Timings};
use crate::options::Options;

/// The clients of one part of a run, counted by how they ended.
#[derive(Default)]
pub struct Tally {
    /// Clients that only made a session.
    pub made: u64,
    /// Clients that left in the middle of their handshake, as they were told to.
    pub aborted: u64,
    /// From the first start to the last end.
    pub elapsed: Duration,
    reused: u64,
    full: u64,
    failures: BTreeMap<String, u64>,
    handshakes: Vec<Duration>,
    requests: Vec<Duration>,
}

impl Tally {
    /// Counts a client that did all that it was there for.
    pub fn complete(&mut self, reused: bool, timings: Timings) {
        if reused {
            self.reused += 1;
        } else {
            self.full += 1;
        }
        self.handshakes.push(timings.handshake);
        self.requests.extend(timings.requests);
    }

    /// Counts a client that failed, wherever that was.
    pub fn fail(&mut self, failure: &Failure) {
        *self.failures.entry(failure.to_string()).or_default() += 1;
    }

    /// Clients that failed.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Clients that have ended, in any way.
    pub fn ended(&self) -> u64 {
        self.made + self.aborted + self.reused + self.full + self.failed()
    }

    /// Why a client failed, if one did.
    pub fn first_failure(&self) -> Option<&str> {
        self.failures.keys().next().map(String::as_str)
    }
}

/// The result of the measured part.
#[derive(Serialize)]
pub struct Report {
    tls: String,
    make: SocketAddr,
    offer: Vec<SocketAddr>,
    concurrency: usize,
    elapsed_seconds: f64,
    /// Handshakes that were done, by clients that did not fail later.
    done: u64,
    reused: u64,
    full: u64,
    failed: u64,
    aborted: u64,
    /// Sessions made while others were measured.
    made_again: u64,
    requests: u64,
    /// Of handshakes that were done.
    handshakes_per_second: f64,
    requests_per_second: f64,
    handshake_latency: Option<Latency>,
    request_latency: Option<Latency>,
    failures: BTreeMap<String, u64>,
}

impl Report {
    /// The report on `tally`.
    pub fn new(options: &Options, tally: Tally) -> Self {
        let per_second = |count: u64| count as f64 / tally.elapsed.as_secs_f64();
        let done = tally.reused + tally.full;
        let requests = tally.requests.len() as u64;
        let tls = options.tls.to_possible_value().map_or_else(String::new, |v| v.get_name().into());
        Self {
            tls,
            make: options.make,
            offer: options.offer.clone(),
            concurrency: options.concurrency,
            elapsed_seconds: tally.elapsed.as_secs_f64(),
            done,
            reused: tally.reused,
            full: tally.full,
            failed: tally.failed(),
            aborted: tally.aborted,
            made_again: tally.made,
            requests,
            handshakes_per_second: per_second(done),
            requests_per_second: per_second(requests),
            handshake_latency: Latency::of(tally.handshakes),
            request_latency: Latency::of(tally.requests),
            failures: tally.failures,
        }
    }

    /// Whether no handshake failed and, if `options` expect that, all were resumed.
    pub fn is_as_expected(&self, options: &Options) -> bool {
        self.failed == 0 && !(options.expect_reused && self.full > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS {}, made at {}", self.tls, self.make)?;
        if !self.offer.is_empty() {
            let offer: Vec<_> = self.offer.iter().map(SocketAddr::to_string).collect();
            write!(f, ", offered to {}", offer.join(", "))?;
        }
        writeln!(f, ", {} at a time, {:.2} s\n", self.concurrency, self.elapsed_seconds)?;

        for (name, count) in [
            ("done", self.done),
            ("reused", self.reused),
            ("full", self.full),
            ("failed", self.failed),
            ("aborted", self.aborted),
            ("made again", self.made_again),
            ("requests", self.requests),
        ] {
            writeln!(f, "{name:<12}{count:>12}")?;
        }
        writeln!(f, "{:<12}{:>12.1}", "handshakes/s", self.handshakes_per_second)?;
        if self.requests > 0 {
            writeln!(f, "{:<12}{:>12.1}", "requests/s", self.requests_per_second)?;
        }

        if self.handshake_latency.is_some() {
            writeln!(f, "\n{:<12}{:>12}{:>12}{:>12}{:>12}", "ms", "p50", "p90", "p99", "max")?;
        }
        for (name, latency) in
            [("handshake", &self.handshake_latency), ("request", &self.request_latency)]
        {
            let Some(latency) = latency else { continue };
            write!(f, "{name:<12}")?;
            for time in [latency.p50_us, latency.p90_us, latency.p99_us, latency.max_us] {
                write!(f, "{:>12.3}", time as f64 / 1000.0)?;
            }
            writeln!(f)?;
        }

        if !self.failures.is_empty() {
            writeln!(f, "\nfailed because of")?;
        }
        for (reason, count) in &self.failures {
            writeln!(f, "{count:>12}  {reason}")?;
        }
        Ok(())
    }
}
