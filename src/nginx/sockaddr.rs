//! Socket addresses.

use core::ffi::c_char;
use core::net::IpAddr;
use core::{mem, ptr, slice};

use nginx_sys::{
    in_port_t, ngx_addr_t, ngx_inet_resolve_host, ngx_inet_set_port, ngx_parse_addr, ngx_pool_t,
    ngx_sock_ntop, ngx_url_t, sockaddr, sockaddr_storage, socklen_t, NGX_OK,
};

use crate::nginx::string::borrowed;

/// Room for the text of any socket address: `unix:` and 108 bytes (nginx's NGX_SOCKADDR_STRLEN).
const MAX_TEXT: usize = 113;

/// A `struct sockaddr`, as long as its kind.
pub(crate) struct SockAddr {
    storage: sockaddr_storage,
    len: usize,
}

impl SockAddr {
    /// A unix socket; `None` where the path is longer than the system's limit.
    pub(crate) fn unix(path: &[u8]) -> Option<Self> {
        // SAFETY: all-zero is a valid socket address, of no family.
        let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
        if path.len() >= address.sun_path.len() {
            return None;
        }
        address.sun_family = libc::AF_UNIX as _;
        for (to, from) in address.sun_path.iter_mut().zip(path) {
            *to = *from as c_char;
        }
        let len = mem::size_of_val(&address) as socklen_t;
        // SAFETY: the socket address is valid, and of this length.
        Some(unsafe { Self::copy((&raw const address).cast(), len) })
    }

    /// An IPv4 or IPv6 address; `None` for any other text.
    ///
    /// # Safety
    ///
    /// The pool must be valid.
    pub(crate) unsafe fn parse(pool: *mut ngx_pool_t, text: &[u8]) -> Option<Self> {
        // SAFETY: nginx itself starts the structure from all-zero. The text is read only; what is
        // found lies in the pool, which outlives this call.
        unsafe {
            let mut address = mem::zeroed::<ngx_addr_t>();
            let rc = ngx_parse_addr(pool, &mut address, text.as_ptr().cast_mut(), text.len());
            (rc == NGX_OK as isize).then(|| Self::copy(address.sockaddr, address.socklen))
        }
    }

    /// An IPv4 or IPv6 address.
    pub(crate) fn ip(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => {
                // SAFETY: all-zero is a valid socket address, of no family.
                let mut socket: libc::sockaddr_in = unsafe { mem::zeroed() };
                socket.sin_family = libc::AF_INET as _;
                socket.sin_addr.s_addr = u32::from_ne_bytes(address.octets());
                let len = mem::size_of_val(&socket) as socklen_t;
                // SAFETY: the socket address is valid, and of this length.
                unsafe { Self::copy((&raw const socket).cast(), len) }
            }
            IpAddr::V6(address) => {
                // SAFETY: as above.
                let mut socket: libc::sockaddr_in6 = unsafe { mem::zeroed() };
                socket.sin6_family = libc::AF_INET6 as _;
                socket.sin6_addr.s6_addr = address.octets();
                let len = mem::size_of_val(&socket) as socklen_t;
                // SAFETY: as above.
                unsafe { Self::copy((&raw const socket).cast(), len) }
            }
        }
    }

    /// The addresses of a name; `None` where they are not known.
    ///
    /// Blocks while the name is looked up, as nginx itself does for names in its configuration.
    ///
    /// # Safety
    ///
    /// The pool must be valid.
    pub(crate) unsafe fn resolve(pool: *mut ngx_pool_t, host: &[u8]) -> Option<Vec<Self>> {
        // SAFETY: as in parse(); ngx_inet_resolve_host() uses the host of the structure and, on
        // success, sets `addrs` to `naddrs` addresses, each with a valid socket address.
        unsafe {
            let mut url = mem::zeroed::<ngx_url_t>();
            url.host = borrowed(host);
            if ngx_inet_resolve_host(pool, &mut url) != NGX_OK as isize {
                return None;
            }
            let addresses = slice::from_raw_parts(url.addrs, url.naddrs).iter();
            Some(addresses.map(|address| Self::copy(address.sockaddr, address.socklen)).collect())
        }
    }

    /// # Safety
    ///
    /// `address` must point to a valid socket address of `len` bytes.
    pub(super) unsafe fn copy(address: *const sockaddr, len: socklen_t) -> Self {
        let len = (len as usize).min(mem::size_of::<sockaddr_storage>());
        // SAFETY: all-zero is a valid socket address, of no family; `len` bytes are valid at both
        // places, which are apart.
        unsafe {
            let mut storage: sockaddr_storage = mem::zeroed();
            ptr::copy_nonoverlapping(address.cast::<u8>(), (&raw mut storage).cast(), len);
            Self { storage, len }
        }
    }

    /// Sets the port, where the kind has one.
    pub(crate) fn set_port(&mut self, port: u16) {
        // SAFETY: the socket address is valid.
        unsafe { ngx_inet_set_port((&raw mut self.storage).cast(), port as in_port_t) };
    }

    /// The bytes, for connect(2).
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: so many bytes were copied to an all-zero structure.
        unsafe { slice::from_raw_parts((&raw const self.storage).cast(), self.len) }
    }

    /// The address with its port, as it is shown in messages.
    pub(crate) fn text(&self) -> String {
        let mut text = [0; MAX_TEXT];
        let storage = (&raw const self.storage).cast_mut();
        // SAFETY: the socket address is valid and only read, and the text has room for the longest.
        let len = unsafe {
            ngx_sock_ntop(storage.cast(), self.len as socklen_t, text.as_mut_ptr(), text.len(), 1)
        };
        String::from_utf8_lossy(&text[..len]).into_owned()
    }
}
