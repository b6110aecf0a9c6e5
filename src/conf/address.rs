//! Addresses of a store, resolved when the configuration is read.

use core::{mem, slice};
use std::string::String;

use nginx_sys::{
    in_port_t, ngx_addr_t, ngx_inet_resolve_host, ngx_inet_set_port, ngx_parse_addr, ngx_pool_t,
    ngx_sock_ntop, ngx_str_t, ngx_url_t, NGX_OK,
};

/// Room for the text of any socket address: `unix:` and 108 bytes (nginx's NGX_SOCKADDR_STRLEN).
const MAX_NAME: usize = 113;

/// A socket address of a store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The `struct sockaddr`, as long as its kind.
    sockaddr: Box<[u8]>,
    /// As it is shown in messages: `127.0.0.1:6379`, `[::1]:6379`.
    name: String,
}

impl Address {
    /// The bytes of the `struct sockaddr`, for connect(2).
    pub(crate) fn sockaddr(&self) -> &[u8] {
        &self.sockaddr
    }

    /// The address as it is shown in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The addresses of an IPv4 or IPv6 address or of a name, in the order to try them in.
///
/// Blocks while the name is looked up, as nginx itself does for names in its configuration.
pub(crate) fn resolve(
    pool: *mut ngx_pool_t,
    host: &[u8],
    port: u16,
) -> Result<Vec<Address>, String> {
    // "[::1]" is how nginx writes an IPv6 address elsewhere.
    let bare = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);

    // SAFETY: all-zero is what nginx itself starts these structures from.
    let (mut literal, mut url) =
        unsafe { (mem::zeroed::<ngx_addr_t>(), mem::zeroed::<ngx_url_t>()) };

    // SAFETY: the text is read only; what is found lies in the pool, which outlives this call.
    let rc = unsafe { ngx_parse_addr(pool, &mut literal, bare.as_ptr().cast_mut(), bare.len()) };
    if rc == NGX_OK as isize {
        // SAFETY: ngx_parse_addr() has filled in the socket address.
        return Ok(vec![unsafe { Address::from_nginx(&literal, port) }]);
    }

    url.host = ngx_str_t { len: host.len(), data: host.as_ptr().cast_mut() };
    url.port = port as in_port_t;
    // SAFETY: as above; ngx_inet_resolve_host() uses the host and the port of the structure.
    if unsafe { ngx_inet_resolve_host(pool, &mut url) } != NGX_OK as isize {
        return Err(String::from_utf8_lossy(host).into_owned());
    }
    // SAFETY: on success `addrs` holds `naddrs` addresses.
    let found = unsafe { slice::from_raw_parts(url.addrs, url.naddrs) };
    // SAFETY: ngx_inet_resolve_host() has filled in each socket address.
    Ok(found.iter().map(|addr| unsafe { Address::from_nginx(addr, port) }).collect())
}

impl Address {
    /// # Safety
    ///
    /// The address must hold a valid socket address.
    unsafe fn from_nginx(addr: &ngx_addr_t, port: u16) -> Self {
        let mut name = [0; MAX_NAME];
        // SAFETY: `socklen` bytes are valid at `sockaddr`, as the caller promises, and the text has
        // room for the longest name.
        unsafe {
            ngx_inet_set_port(addr.sockaddr, port as in_port_t);
            let len = ngx_sock_ntop(addr.sockaddr, addr.socklen, name.as_mut_ptr(), name.len(), 1);
            Self {
                sockaddr: slice::from_raw_parts(addr.sockaddr.cast(), addr.socklen as usize).into(),
                name: String::from_utf8_lossy(&name[..len]).into_owned(),
            }
        }
    }
}
