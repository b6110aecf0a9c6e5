//! What the command line asks for.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use common::{parse_rate, parse_time};

/// Loads a store as many workers do, and reports how that went, as JSON.
///
/// Each worker has a connection of its own to each server of the store. All that is measured begins
/// once they are connected. Servers are asked on this machine only.
///
/// Times are written as in nginx: 200ms, 10s, 2m; a bare number means seconds.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// The Redis servers; several are nodes of a cluster, or independent of each other
    #[arg(long = "server", value_name = "ADDR,..", value_delimiter = ',', required = true)]
    #[arg(value_parser = resolve)]
    pub servers: Vec<SocketAddr>,

    /// The servers are those of a Redis Cluster, masters only
    #[arg(long)]
    pub cluster: bool,

    /// Workers, each with its own connections
    #[arg(short, long, value_name = "N", default_value = "100")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    pub workers: u32,

    /// Resumptions per second of all workers, each a lookup and a put [default: none]
    #[arg(long, value_name = "N", value_parser = bounded_rate)]
    pub resumptions: Option<f64>,

    /// Full handshakes per second of all workers, each two puts [default: none]
    #[arg(long, value_name = "N", value_parser = bounded_rate)]
    pub full: Option<f64>,

    /// How long is measured
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = short_time)]
    pub duration: Duration,

    /// `interval` of the store
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = parse_time)]
    pub interval: Duration,

    /// `timeout` of the store
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time)]
    pub timeout: Duration,

    /// Sessions put there before
    #[arg(long, value_name = "N", default_value = "1000")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MOST_SESSIONS))]
    pub sessions: u32,

    /// Bytes of a record
    #[arg(long, value_name = "N", default_value = "206")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=16384))]
    pub record: u16,

    /// Bytes of the name in a key, of which hex makes twice as many: 16 of a sealed session, 32 of one
    /// in clear
    #[arg(long, value_name = "N", default_value = "16")]
    #[arg(value_parser = clap::value_parser!(u8).range(8..=32))]
    pub name: u8,

    /// Print "ready" before the measured part and wait for a line on the standard input; wait for
    /// another one before the connections are closed
    #[arg(long)]
    pub pause: bool,
}

const MOST_WORKERS: i64 = 10_000;
const MOST_SESSIONS: i64 = 2_000_000;
const MOST_PER_SECOND: f64 = 100_000.0;
const LONGEST: Duration = Duration::from_secs(300);

impl Options {
    /// Reads the command line; prints what is wrong with it and exits.
    pub fn from_args() -> Self {
        let options = Self::parse();
        if options.interval.is_zero() || options.timeout.is_zero() {
            let message = "--interval and --timeout are 1ms at least";
            Self::command().error(ErrorKind::ValueValidation, message).exit();
        }
        options
    }

    /// How many connections there are to be, with those that ask for a cluster's map.
    pub fn connections(&self) -> usize {
        self.workers as usize * (self.servers.len() + usize::from(self.cluster))
    }

    /// Resumptions and full handshakes per second.
    pub fn rate(&self) -> f64 {
        self.resumptions.unwrap_or(0.0) + self.full.unwrap_or(0.0)
    }

    /// How many of all handshakes are resumptions, from 0 to 1.
    pub fn resumed_share(&self) -> f64 {
        self.resumptions.unwrap_or(0.0) / self.rate()
    }
}

/// An address of this machine: this is no tool to load other people's servers with.
fn resolve(name: &str) -> Result<SocketAddr, String> {
    let mut addresses = name.to_socket_addrs().map_err(|error| error.to_string())?;
    let address = addresses.next().ok_or("no address has this name")?;
    if !address.ip().is_loopback() {
        return Err("not a loopback address".into());
    }
    Ok(address)
}

fn bounded_rate(text: &str) -> Result<f64, String> {
    let rate = parse_rate(text)?;
    if rate > MOST_PER_SECOND {
        return Err(format!("{MOST_PER_SECOND} at most"));
    }
    Ok(rate)
}

fn short_time(text: &str) -> Result<Duration, String> {
    let time = parse_time(text)?;
    if time > LONGEST {
        return Err(format!("{} seconds at most", LONGEST.as_secs()));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn servers_are_on_this_machine() {
        assert!(resolve("127.0.0.1:6379").is_ok());
        assert!(resolve("[::1]:6379").is_ok());
        for other in ["192.0.2.1:6379", "0.0.0.0:6379", "[2001:db8::1]:6379", "127.0.0.1"] {
            assert!(resolve(other).is_err(), "{other}");
        }
    }

    #[test]
    fn rates_and_times_are_bounded() {
        assert_eq!(bounded_rate("5000"), Ok(5000.0));
        assert!(bounded_rate("100001").is_err());
        assert!(bounded_rate("0").is_err());
        assert_eq!(short_time("5m"), Ok(LONGEST));
        assert!(short_time("301s").is_err());
    }
}
