//! Where a store is.

use nginx_sys::ngx_pool_t;

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

    /// Each of the addresses once. A name server gives them in another order each time, and machines
    /// that begin with different ones share nothing.
    pub(crate) fn sorted(mut addresses: Vec<Self>) -> Vec<Self> {
        addresses.sort();
        addresses.dedup();
        addresses
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

/// Where a store is, as configured: its addresses, and the name that they were found by.
#[derive(PartialEq, Eq)]
pub(crate) struct Location {
    /// Sorted; none of a name that is not known now.
    pub(crate) addresses: Vec<Address>,
    /// None where an address was configured.
    pub(crate) name: Option<String>,
    pub(crate) port: u16,
}

impl Location {
    /// A unix socket; `None` where the path is not absolute, or longer than the system's limit.
    pub(crate) fn unix(path: &[u8]) -> Option<Self> {
        let address = path.starts_with(b"/").then(|| SockAddr::unix(path))??;
        Some(Self { addresses: vec![Address::new(address, 0)], name: None, port: 0 })
    }

    /// Finds the addresses of an IPv4 or IPv6 address or of a name.
    ///
    /// Blocks while the name is looked up, as nginx itself does for names in its configuration.
    pub(crate) fn resolve(pool: *mut ngx_pool_t, host: &[u8], port: u16) -> Self {
        // SAFETY: the pool is that of the configuration that is read.
        if let Some(literal) = unsafe { SockAddr::parse(pool, without_brackets(host)) } {
            return Self { addresses: vec![Address::new(literal, port)], name: None, port };
        }
        let name = String::from_utf8_lossy(host).into_owned();
        // SAFETY: as above.
        let addresses = unsafe { SockAddr::resolve(pool, host) }.unwrap_or_default();
        let addresses = addresses.into_iter().map(|address| Address::new(address, port)).collect();
        Self { addresses: Address::sorted(addresses), name: Some(name), port }
    }
}

/// `[::1]` is how nginx writes an IPv6 address where a port may follow.
fn without_brackets(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
}
