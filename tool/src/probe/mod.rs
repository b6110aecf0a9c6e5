//! Whether sessions made on one server of a fleet resume on the others.

mod client;
mod starttls;
mod survey;
mod table;
mod wire;

use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;

use crate::output;
use client::{Client, Settings};
use starttls::Protocol;
use survey::{Surveyor, Target};

/// Try whether sessions made on one server resume on the others
///
/// Connects to servers as a client does, makes TLS sessions on the first of them and offers them to all:
/// by id and by ticket with TLS 1.2, by ticket with TLS 1.3, and with early data where sessions allow
/// it. Early data is sent once to each server, and then again with the same session to the next one,
/// which must refuse it.
///
/// Prints a table with a row for each server and each way to resume, and then in plain words what is not
/// right. Nothing is sent inside of TLS but a GET request as early data. It needs no access to the
/// servers but as any client has it.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Options {
    /// Servers: name or address, [address] of IPv6, and port, which is 443 if it is left out
    ///
    /// Sessions are made on the first one that can be reached. To try the other direction, begin with
    /// another one. Of several addresses of a name the first that can be reached is taken: give the
    /// addresses, and the name with --name.
    #[arg(value_name = "HOST:PORT", required = true, value_parser = parse_server)]
    servers: Vec<(String, u16)>,
    /// The server name that is sent to all, and that certificates have to be for
    ///
    /// By default, the host of the first server.
    #[arg(long)]
    name: Option<String>,
    /// Begin TLS with STARTTLS
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    starttls: Option<Protocol>,
    /// What the GET request that is sent as early data asks for
    #[arg(long, default_value = "/", value_parser = parse_path)]
    path: String,
    /// The longest that a connection may take up to the end of its handshake: 500ms, 5s, 1m
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    timeout: Duration,
    /// So many sessions are offered to each server in each way
    #[arg(long, value_name = "NUMBER", default_value = "3",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// A file with the certificates of who signs certificates of servers, in place of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Do not look at certificates of servers
    ///
    /// Without it, a certificate that is not valid is told of in a row of its own, and counts as
    /// something that is not right. Sessions are tried all the same.
    #[arg(long)]
    insecure: bool,
    /// A file with the certificate that the client shows, and what else belongs to its chain
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// The file with its key
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
}

const HELP: &str = "\
Exit status:
  0  all was resumed, and early data accepted once at most
  1  something was not, or a server cannot be reached, or its certificate is not valid
  2  wrong usage

  So it serves as a check of a monitoring system. With early data that all servers refuse, or kinds
  of sessions that none of them gives, nothing is wrong.

Examples:
  Two machines of one site:

      ssl-session-cache probe --name www.example.net 10.0.0.1 10.0.0.2

      server        session           offered
      10.0.0.1:443  TLS 1.2 id        3/3 reused, 1.1 ms (full 2.4 ms)
      10.0.0.1:443  TLS 1.2 ticket    none is given (full 2.3 ms)
      10.0.0.1:443  TLS 1.3 stateful  3/3 reused, 1.2 ms (full 2.6 ms)
      10.0.0.1:443  early data        3/3 accepted, none again on 10.0.0.2:443
      10.0.0.2:443  TLS 1.2 id        0/3 reused (full 2.4 ms)
      ...

      10.0.0.2:443 resumes nothing made on 10.0.0.1:443: same key=, same
      store? See its status page, and compare \"ssl-session-cache key id\"
      on both

  Times are in the middle of those of handshakes that resumed; behind them, that of a full one.
  A session of TLS 1.3 is stateful where its ticket is no more than an id: it lies in a cache.

  Mail, with certificates of the test system:

      ssl-session-cache probe --starttls imap --ca test-ca.pem \\
          mail1.example:143 mail2.example:143";

pub(crate) fn run(options: &Options) -> ExitCode {
    let (first, _) = &options.servers[0];
    let settings = Settings {
        name: options.name.as_deref().unwrap_or(first),
        ca: options.ca.as_deref(),
        is_insecure: options.insecure,
        certificate: options.cert.as_deref().zip(options.cert_key.as_deref()),
        starttls: options.starttls,
        timeout: options.timeout,
        path: &options.path,
    };
    let client = match Client::new(settings) {
        Ok(client) => client,
        Err(error) => {
            output::complain(error);
            return ExitCode::from(2);
        }
    };

    // Silent where standard error is no terminal.
    let bar = ProgressBar::new_spinner();
    let targets: Vec<_> = options
        .servers
        .iter()
        .map(|(host, port)| {
            let label = label(host, *port);
            bar.set_message(format!("{label}: connecting"));
            bar.tick();
            Target { address: address(host, *port, options.timeout), label }
        })
        .collect();
    let progress = |message| {
        bar.set_message(message);
        bar.tick();
    };
    let count = usize::from(options.count);
    let survey =
        Surveyor { client: &client, targets: &targets, count, progress: &progress }.survey();
    bar.finish_and_clear();

    let problems = table::problems(&survey);
    let (verdict, code) = if problems.is_empty() {
        ("all of it resumes everywhere".to_owned(), ExitCode::SUCCESS)
    } else {
        (problems.join("\n"), ExitCode::FAILURE)
    };
    // The exit status tells it as well, where nobody reads this.
    let _ = writeln!(io::stdout(), "{}\n{verdict}", table::table(&survey));
    code
}

/// The first address of a server that can be reached, or the first one at all: what becomes of it is
/// told later.
fn address(host: &str, port: u16, timeout: Duration) -> Result<SocketAddr, String> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
    let addresses: Vec<_> = addresses.collect();
    let reachable = || {
        let mut candidates = addresses.iter().filter(|_| addresses.len() > 1);
        candidates.find(|address| TcpStream::connect_timeout(address, timeout).is_ok())
    };
    reachable().or(addresses.first()).copied().ok_or_else(|| "the name has no address".to_owned())
}

fn label(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// A server: `host`, `host:port`, `[address]`, `[address]:port`, or an address of IPv6 alone.
fn parse_server(text: &str) -> Result<(String, u16), String> {
    const HTTPS: u16 = 443;

    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), HTTPS));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("no \"]\" behind the address")?;
            host.parse::<Ipv6Addr>().map_err(|_| "no address of IPv6 in brackets")?;
            (host, Some(port).filter(|port| !port.is_empty()))
        }
        None => match text.find(':') {
            Some(colon) => (&text[..colon], Some(&text[colon..])),
            None => (text, None),
        },
    };
    if host.is_empty() || host.contains(['/', ' ']) {
        return Err("expected a name or an address, and maybe a port behind it".to_owned());
    }
    let port = match port {
        None => HTTPS,
        Some(port) => {
            let number = port.strip_prefix(':').and_then(|port| port.parse().ok());
            number.filter(|port| *port > 0).ok_or("no port behind the host")?
        }
    };
    Ok((host.to_owned(), port))
}

/// What can stand in a line of a request.
fn parse_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("expected a path that begins with \"/\", without spaces".to_owned())
    }
}

/// A time as nginx writes it; a bare number is seconds.
fn parse_time(text: &str) -> Result<Duration, String> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let number: u32 = number.parse().map_err(|_| "no number in front".to_owned())?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" | "" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        _ => return Err(format!("unknown unit \"{unit}\": ms, s or m")),
    };
    match unit * number {
        Duration::ZERO => Err("no time at all".to_owned()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_understood() {
        let parsed = |text| {
            let (host, port) = parse_server(text).unwrap();
            label(&host, port)
        };
        assert_eq!(parsed("a.example"), "a.example:443");
        assert_eq!(parsed("a.example:8443"), "a.example:8443");
        assert_eq!(parsed("10.0.0.1:1"), "10.0.0.1:1");
        assert_eq!(parsed("[::1]"), "[::1]:443");
        assert_eq!(parsed("[::1]:8443"), "[::1]:8443");
        assert_eq!(parsed("2001:db8::1"), "[2001:db8::1]:443");
        let wrong = [
            "",
            ":443",
            "a:",
            "a:0",
            "a:65536",
            "a:b",
            "a:1:2",
            "[::1",
            "[a]:443",
            "[::1]443",
            "https://a",
            "a b",
        ];
        for text in wrong {
            assert!(parse_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_understood() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_time("2"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_time("1m"), Ok(Duration::from_secs(60)));
        for text in ["", "s", "0", "0ms", "1h", "-1s", "1.5s", "99999999999s"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_can_be_added_to_a_request() {
        assert_eq!(parse_path("/a?b=c"), Ok("/a?b=c".to_owned()));
        for text in ["", "a", "/a b", "/\r\nX: y"] {
            assert!(parse_path(text).is_err(), "{text:?}");
        }
    }
}
