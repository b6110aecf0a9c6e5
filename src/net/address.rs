//! Where a store is.

use core::ffi::c_char;
use core::{mem, ptr, slice};

use nginx_sys::{
    in_port_t, ngx_addr_t, ngx_inet_resolve_host, ngx_inet_set_port, ngx_parse_addr, ngx_pool_t,
    ngx_sock_ntop, ngx_str_t, ngx_url_t, sockaddr, sockaddr_storage, socklen_t, NGX_OK,
};

/// Room for the text of any socket address: `unix:` and 108 bytes (nginx's NGX_SOCKADDR_STRLEN).
const MAX_NAME: usize = 113;

/// A socket address of a store. Its order, by family and bytes, is the same on every machine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    /// The `struct sockaddr`, as long as its kind.
    sockaddr: Box<[u8]>,
    /// As it is shown in messages: `127.0.0.1:6379`, `[::1]:6379`, `unix:/path`.
    name: String,
}

impl Address {
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
        // SAFETY: all-zero is a valid socket address, of no family.
        let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
        if !path.starts_with(b"/") || path.len() >= address.sun_path.len() {
            return None;
        }
        address.sun_family = libc::AF_UNIX as _;
        for (to, from) in address.sun_path.iter_mut().zip(path) {
            *to = *from as c_char;
        }
        let len = mem::size_of_val(&address) as socklen_t;
        // SAFETY: the socket address is valid, and of this length.
        let address = unsafe { Address::new((&raw const address).cast(), len, 0) };
        Some(Self { addresses: vec![address], name: None, port: 0 })
    }

    /// Finds the addresses of an IPv4 or IPv6 address or of a name.
    ///
    /// Blocks while the name is looked up, as nginx itself does for names in its configuration.
    pub(crate) fn resolve(pool: *mut ngx_pool_t, host: &[u8], port: u16) -> Self {
        let bare = without_brackets(host);

        // SAFETY: all-zero is what nginx itself starts these structures from.
        let (mut literal, mut url) =
            unsafe { (mem::zeroed::<ngx_addr_t>(), mem::zeroed::<ngx_url_t>()) };

        // SAFETY: the text is read only; what is found lies in the pool, which outlives this call.
        unsafe {
            if ngx_parse_addr(pool, &mut literal, bare.as_ptr().cast_mut(), bare.len())
                == NGX_OK as isize
            {
                let address = Address::new(literal.sockaddr, literal.socklen, port);
                return Self { addresses: vec![address], name: None, port };
            }
        }

        let name = String::from_utf8_lossy(host).into_owned();
        url.host = ngx_str_t { len: host.len(), data: host.as_ptr().cast_mut() };
        // SAFETY: as above; ngx_inet_resolve_host() uses the host of the structure and, on success,
        // sets `addrs` to `naddrs` addresses, each with a valid socket address.
        let addresses = unsafe {
            if ngx_inet_resolve_host(pool, &mut url) != NGX_OK as isize {
                return Self { addresses: Vec::new(), name: Some(name), port };
            }
            slice::from_raw_parts(url.addrs, url.naddrs)
                .iter()
                .map(|address| Address::new(address.sockaddr, address.socklen, port))
                .collect()
        };
        let addresses = Address::sorted(addresses);
        Self { addresses, name: Some(name), port }
    }
}

impl Address {
    /// The address with this port.
    ///
    /// # Safety
    ///
    /// `sockaddr` must point to a valid socket address of `socklen` bytes.
    pub(crate) unsafe fn new(address: *const sockaddr, socklen: socklen_t, port: u16) -> Self {
        let mut name = [0; MAX_NAME];
        // SAFETY: all-zero is a valid socket address, of no family.
        let mut storage: sockaddr_storage = unsafe { mem::zeroed() };
        let len = (socklen as usize).min(mem::size_of::<sockaddr_storage>());
        let copy = (&raw mut storage).cast::<u8>();
        // SAFETY: `len` bytes are valid at both places, which are apart, and the text has room for
        // the longest name.
        unsafe {
            ptr::copy_nonoverlapping(address.cast::<u8>(), copy, len);
            ngx_inet_set_port(copy.cast(), port as in_port_t);
            let name_len = ngx_sock_ntop(copy.cast(), socklen, name.as_mut_ptr(), name.len(), 1);
            Self {
                sockaddr: slice::from_raw_parts(copy, len).into(),
                name: String::from_utf8_lossy(&name[..name_len]).into_owned(),
            }
        }
    }
}

/// `[::1]` is how nginx writes an IPv6 address where a port may follow.
fn without_brackets(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
}
