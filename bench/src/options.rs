//! What the command line asks for.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use common::{parse_rate, parse_time, positive};

/// Loads TLS servers with full or resumed handshakes and reports how they went.
///
/// Without --offer, full handshakes with the --make address are measured. With it, sessions are
/// made there first, and their resumptions at the --offer addresses are measured.
///
/// Times are written as in nginx: 200ms, 10s, 2m; a bare number means seconds.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Where sessions are made, by full handshakes
    #[arg(long, value_name = "ADDR", value_parser = resolve)]
    pub make: SocketAddr,

    /// Where sessions are offered, in turn
    #[arg(long, value_name = "ADDR,..", value_delimiter = ',', value_parser = resolve)]
    pub offer: Vec<SocketAddr>,

    /// Clients at a time
    #[arg(short, long, value_name = "N", default_value = "64", value_parser = positive)]
    pub concurrency: usize,

    /// Handshakes to start [default: 1000, or no limit with --duration]
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,

    /// How long handshakes are started
    #[arg(short, long, value_name = "TIME", value_parser = parse_time)]
    pub duration: Option<Duration>,

    /// Handshakes started per second, at most
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    pub rate: Option<f64>,

    /// How long one client may take from connect to close
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,

    /// The only TLS version that is spoken
    #[arg(long, value_enum, default_value = "1.3")]
    pub tls: Version,

    /// How often a TLS 1.3 ticket is offered
    #[arg(long, value_enum, default_value = "once")]
    pub tickets: Tickets,

    /// Sessions made before the measured part [default: as many as clients at a time]
    #[arg(long, value_name = "N", requires = "offer", value_parser = positive)]
    pub sessions: Option<usize>,

    /// Server name sent in the ClientHello
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,

    /// Application protocols sent in the ClientHello, the preferred first
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub alpn: Vec<String>,

    /// Path to GET once the handshake is done
    #[arg(long, value_name = "PATH")]
    pub get: Option<String>,

    /// Host header of the request [default: the name of --sni, or the address]
    #[arg(long, value_name = "NAME", requires = "get")]
    pub host: Option<String>,

    /// Requests sent on each connection, one after the other
    #[arg(long, value_name = "N", default_value = "1", requires = "get", value_parser = positive)]
    pub requests: usize,

    /// Share of the clients that leave right after their ClientHello, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub abort: f64,

    /// How they leave, in turn
    #[arg(long, value_enum, value_name = "HOW,..", value_delimiter = ',', default_value = "close")]
    pub abort_by: Vec<Departure>,

    /// How long they wait between ClientHello and leaving
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = parse_time)]
    pub abort_delay: Duration,

    /// Print "ready" before the measured part and wait for a line on the standard input
    #[arg(long)]
    pub pause: bool,

    /// Fail unless every offered session was resumed
    #[arg(long, requires = "offer")]
    pub expect_reused: bool,

    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// The TLS version of all handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Version {
    /// TLS 1.2
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3
    #[value(name = "1.3")]
    Tls13,
}

/// How often a TLS 1.3 ticket is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tickets {
    /// Again and again, as a TLS 1.2 session is
    Reuse,
    /// Once: the resumed handshake gives the next one (RFC 8446, appendix C.4)
    Once,
}

/// How a client leaves in the middle of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Departure {
    /// Closes the connection
    Close,
    /// Resets the connection
    Reset,
    /// Sends a ChangeCipherSpec record nobody waits for, then closes the connection
    Extra,
}

impl Options {
    /// Reads the command line; prints what is wrong with it and exits.
    pub fn from_args() -> Self {
        let options = Self::parse();
        if options.get.is_some() && options.alpn.iter().any(|name| name == "h2") {
            let message = "requests are sent as HTTP/1.0: --alpn h2 does not go with --get";
            Self::command().error(ErrorKind::ArgumentConflict, message).exit();
        }
        if let Some(name) = options.alpn.iter().find(|name| !ALPN_LENGTH.contains(&name.len())) {
            let message = format!("an application protocol of {} bytes: \"{name}\"", name.len());
            Self::command().error(ErrorKind::ValueValidation, message).exit();
        }
        options
    }

    /// Whether a session is offered more than once.
    pub fn reuses_sessions(&self) -> bool {
        self.tls == Version::Tls12 || self.tickets == Tickets::Reuse
    }

    /// How many sessions are made before the measured part.
    pub fn sessions_to_make(&self) -> usize {
        if self.offer.is_empty() {
            0
        } else {
            self.sessions.unwrap_or(self.concurrency)
        }
    }

    /// How many handshakes are started in the measured part.
    pub fn count_limit(&self) -> Option<u64> {
        const DEFAULT: u64 = 1000;

        self.count.or(if self.duration.is_none() { Some(DEFAULT) } else { None })
    }

    /// The value of the Host header.
    pub fn host(&self) -> String {
        self.host.clone().or(self.sni.clone()).unwrap_or_else(|| self.make.to_string())
    }
}

/// RFC 7301, section 3.1: a protocol name is 1 to 255 bytes long.
const ALPN_LENGTH: RangeInclusive<usize> = 1..=255;

fn resolve(name: &str) -> Result<SocketAddr, String> {
    let mut addresses = name.to_socket_addrs().map_err(|error| error.to_string())?;
    addresses.next().ok_or_else(|| "no address has this name".into())
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not a share from 0 to 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn shares_are_bounded() {
        assert_eq!(parse_share("0.25"), Ok(0.25));
        assert!(parse_share("1.1").is_err());
        assert!(parse_share("NaN").is_err());
    }
}
