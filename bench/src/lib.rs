//! What the load generators share: values of options, limits, latencies.

use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

/// A process may not have as many open files as its connections need.
#[derive(Debug, Error)]
pub enum LimitError {
    /// The hard limit is lower.
    #[error("{connections} connections need {needed} open files, the limit is {limit}")]
    TooLow {
        /// So many connections are to be there at a time.
        connections: usize,
        /// With what else is open.
        needed: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The limit cannot be set.
    #[error("the limit of open files: {0}")]
    Unknown(#[from] std::io::Error),
}

/// Raises the limit of open files to what `connections` at a time need.
pub fn allow_descriptors(connections: usize) -> Result<(), LimitError> {
    const OTHERS: u64 = 32;

    let needed = connections as u64 + OTHERS;
    let limit = rlimit::increase_nofile_limit(needed)?;
    if limit < needed {
        return Err(LimitError::TooLow { connections, needed, limit });
    }
    Ok(())
}

/// A number of 1 or more.
pub fn positive(number: &str) -> Result<usize, String> {
    match number.parse() {
        Ok(0) => Err("must be 1 or more".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// A time as nginx writes it, `200ms`, `10s`, `2m`; a bare number is seconds.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let number: u32 = number.parse().map_err(|_| "not a time".to_string())?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" | "" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(format!("unknown unit \"{unit}\": ms, s, m or h")),
    };
    Ok(unit * number)
}

/// So many per second, not 0.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if f64::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("not a rate above 0".into()),
    }
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of all take no longer.
    pub p50_us: u64,
    /// Nine of ten take no longer.
    pub p90_us: u64,
    /// 99 of a hundred take no longer.
    pub p99_us: u64,
    /// None takes longer.
    pub max_us: u64,
}

impl Latency {
    /// That of these `times`, if there are any.
    pub fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let max_us = times.last()?.as_micros() as u64;
        // The nearest rank: the smallest time that `percent` of all do not exceed.
        let percentile = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times[rank - 1].as_micros() as u64
        };
        Some(Self {
            p50_us: percentile(50),
            p90_us: percentile(90),
            p99_us: percentile(99),
            max_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_units() {
        assert_eq!(parse_time("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_time("3"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "-1s", "1.5s", "10parsecs", "5 s"] {
            assert!(parse_time(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        assert!(parse_rate("0").is_err());
        assert!(parse_rate("inf").is_err());
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let latency = Latency::of((1..=200).rev().map(Duration::from_micros).collect()).unwrap();
        assert_eq!(latency.p50_us, 100);
        assert_eq!(latency.p90_us, 180);
        assert_eq!(latency.p99_us, 198);
        assert_eq!(latency.max_us, 200);
        assert!(Latency::of(Vec::new()).is_none());
    }
}
