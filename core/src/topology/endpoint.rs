//! Where a server says that another one is.

use std::fmt;
use std::net::IpAddr;
use std::str;

/// Where a server is, by its own word or another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The machine.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
}

/// A machine, by its address or by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IP address.
    Address(IpAddr),
    /// A name, to be looked up.
    Name(Box<str>),
}

/// The longest DNS name, without the dot that ends it (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

impl Host {
    /// An IP address, or letters, digits, hyphens, underscores and dots; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_host = (1..=MAX_NAME).contains(&text.len())
            && text.bytes().all(is_name)
            && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        is_host.then(|| Self::Name(text.to_ascii_lowercase().into()))
    }

    /// Whether it is the machine of whoever says so.
    fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => {
                let address = address.to_canonical();
                address.is_loopback() || address.is_unspecified()
            }
            Self::Name(name) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl Endpoint {
    /// Where a server that was asked at `asked` says that another one is. Without a host, and with one
    /// that only means the server's own machine, it is at the asked host.
    ///
    /// `None` where it says nothing of use: no host of any kind, port 0.
    pub fn told(host: &[u8], port: u16, asked: &Host) -> Option<Self> {
        if port == 0 {
            return None;
        }
        let host = if host.is_empty() { asked.clone() } else { Host::parse(host)? };
        let is_remote = !asked.is_loopback();
        let host = if is_remote && host.is_loopback() { asked.clone() } else { host };
        Some(Self { host, port })
    }

    /// The same of a redirect's `host:port`, where an IPv6 address has no brackets.
    pub fn redirected(address: &[u8], asked: &Host) -> Option<Self> {
        let colon = address.iter().rposition(|byte| *byte == b':')?;
        let port = str::from_utf8(&address[colon + 1..]).ok()?;
        let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
        Self::told(&address[..colon], port, asked)
    }
}

/// As messages and counters name it: `127.0.0.1:6379`, `[::1]:6379`, `name:6379`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{port}"),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:{port}"),
            Host::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Host {
        Host::parse(b"192.0.2.1").unwrap()
    }

    fn redirected(address: &str) -> Option<String> {
        Endpoint::redirected(address.as_bytes(), &asked()).map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn hosts() {
        assert_eq!(Host::parse(b"::1"), Some(Host::Address("::1".parse().unwrap())));
        assert_eq!(Host::parse(b"Redis-1.a_B."), Some(Host::Name("redis-1.a_b".into())));
        for text in [&b""[..], b"?", b"a b", b"1.2.3", b"a/b", b"\xff", &[b'a'; 254]] {
            assert_eq!(Host::parse(text), None, "{}", text.escape_ascii());
        }
    }

    /// A cluster on one machine, asked from there.
    #[test]
    fn what_is_asked_at_a_loopback_address_tells_of_others() {
        let asked = Host::parse(b"127.0.0.1").unwrap();
        let told = |host: &[u8]| Endpoint::told(host, 6381, &asked).unwrap().to_string();
        assert_eq!(
            (told(b"127.0.0.2"), told(b"")),
            ("127.0.0.2:6381".into(), "127.0.0.1:6381".into())
        );
    }

    #[test]
    fn redirects() {
        for (address, endpoint) in [
            ("198.51.100.7:6381", Some("198.51.100.7:6381")),
            ("2001:db8::7:6381", Some("[2001:db8::7]:6381")),
            ("redis-2.example:6381", Some("redis-2.example:6381")),
            (":6381", Some("192.0.2.1:6381")),
            ("127.0.0.1:6381", Some("192.0.2.1:6381")),
            ("::1:6381", Some("192.0.2.1:6381")),
            ("0.0.0.0:6381", Some("192.0.2.1:6381")),
            ("::ffff:127.0.0.1:6381", Some("192.0.2.1:6381")),
            ("localhost:6381", Some("192.0.2.1:6381")),
            ("?:6381", None),
            ("198.51.100.7:0", None),
            ("198.51.100.7:65536", None),
            ("198.51.100.7:+1", None),
            ("198.51.100.7:", None),
            ("198.51.100.7", None),
            ("", None),
        ] {
            assert_eq!(redirected(address).as_deref(), endpoint, "{address}");
        }
    }
}
