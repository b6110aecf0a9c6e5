//! Where a server is.

use std::net::{IpAddr, SocketAddr};

use nginx_sys::ngx_pool_t;
use ssl_session_cache_core::plan::Place;
use ssl_session_cache_core::topology::{Endpoint, Host};

use crate::net::tls::{Peer, Tls};
use crate::nginx::SockAddr;

/// A socket address of a store. Its order, by family and bytes, is the same on every machine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    /// The `struct sockaddr`, as long as its kind.
    sockaddr: Box<[u8]>,
    /// As it is shown in messages: `127.0.0.1:6379`, `[::1]:6379`, `unix:/path`.
    name: String,
}

impl Address {
    /// An address with this port.
    pub(super) fn new(mut address: SockAddr, port: u16) -> Self {
        address.set_port(port);
        Self { sockaddr: address.as_bytes().into(), name: address.text() }
    }

    /// A port of an IP address.
    pub(crate) fn of(ip: IpAddr, port: u16) -> Self {
        Self::new(SockAddr::ip(ip), port)
    }

    /// Each of the addresses once. A name server gives them in another order each time, and machines
    /// that begin with different ones share nothing.
    pub(crate) fn sorted(mut addresses: Vec<Self>) -> Vec<Self> {
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// The IP address, where it is one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.name.parse().ok().map(|address: SocketAddr| address.ip())
    }

    /// The bytes of the `struct sockaddr`, for connect(2).
    pub(crate) fn sockaddr(&self) -> &[u8] {
        &self.sockaddr
    }

    /// The address as it is shown in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Where a server is, as configured: its addresses, and the name that they were found by.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// [`Place::word`]: which of several servers has a session follows from it.
    pub(crate) word: String,
    /// Sorted; none of a name that is not known now.
    pub(crate) addresses: Vec<Address>,
    /// None where an address was configured.
    pub(crate) name: Option<String>,
    pub(crate) port: u16,
    /// Who the server is, if TLS is spoken, and that is known.
    pub(crate) peer: Option<Peer>,
}

impl Location {
    /// Where Sentinels will say that the master of this name is.
    pub(crate) fn master(name: &[u8]) -> Self {
        let word = format!("master {}", String::from_utf8_lossy(name));
        Self { word, addresses: Vec::new(), name: None, port: 0, peer: None }
    }

    /// Where a server says that another one is.
    pub(crate) fn told(endpoint: &Endpoint, tls: Option<&Tls>) -> Self {
        let Endpoint { host, port } = endpoint;
        let (addresses, name) = match host {
            Host::Address(ip) => (vec![Address::of(*ip, *port)], None),
            Host::Name(name) => (Vec::new(), Some(name.to_string())),
        };
        let peer = tls.map(|tls| tls.peer_told(host));
        Self { word: endpoint.to_string(), addresses, name, port: *port, peer }
    }

    /// Finds the addresses of a place; `None` where the path of a unix socket is not absolute, or
    /// longer than the system's limit.
    ///
    /// Blocks while a name is looked up, as nginx itself does for names in its configuration.
    pub(crate) fn of(pool: *mut ngx_pool_t, place: &Place<'_>, peer: Option<Peer>) -> Option<Self> {
        let (addresses, name, port) = match *place {
            Place::Host(host, port) => {
                let (addresses, name) = addresses(pool, host, port);
                (addresses, name, port)
            }
            Place::Unix(path) => {
                let address = path.starts_with(b"/").then(|| SockAddr::unix(path))??;
                (vec![Address::new(address, 0)], None, 0)
            }
        };
        Some(Self { word: place.word(), addresses, name, port, peer })
    }
}

/// The addresses of an IPv4 or IPv6 address or of a name, and the name, if it is one.
fn addresses(pool: *mut ngx_pool_t, host: &[u8], port: u16) -> (Vec<Address>, Option<String>) {
    // SAFETY: the pool is that of the configuration that is read.
    if let Some(literal) = unsafe { SockAddr::parse(pool, without_brackets(host)) } {
        return (vec![Address::new(literal, port)], None);
    }
    let name = String::from_utf8_lossy(host).into_owned();
    // SAFETY: as above.
    let addresses = unsafe { SockAddr::resolve(pool, host) }.unwrap_or_default();
    let addresses = addresses.into_iter().map(|address| Address::new(address, port)).collect();
    (Address::sorted(addresses), Some(name))
}

/// `[::1]` is how nginx writes an IPv6 address where a port may follow.
fn without_brackets(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
}
