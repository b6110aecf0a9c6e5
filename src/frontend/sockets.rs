//! The sockets with TLS of http{}, and what their servers make of client certificates.
//!
//! A session keeps the client's certificate, and what came of verifying it; nothing is verified
//! anew where it is resumed. What keeps a session from a server that would not have accepted the
//! certificate is the session id context. nginx makes it from a server's certificates and the names
//! of the authorities that it asks for. That is blind to
//!
//! - the servers behind a default server: before nginx 1.29.2 sessions are made and taken in the
//!   context of the default server, so two sockets whose default servers have the same certificates
//!   share their sessions, whatever the servers ask for that clients mean by name;
//! - all of `ssl_trusted_certificate`, `ssl_verify_client`, `ssl_verify_depth`, `ssl_crl`,
//!   `ssl_ocsp`, and to authorities that differ, but have the same name.
//!
//! nginx alone shares sessions between the sockets of one machine where they have one zone, and a
//! store would between all of them. So where client certificates are asked for, the contexts are
//! narrowed: by the policy of each server that asks, and, where there are several policies, by its
//! names. Only what machines with the same configuration agree on goes in, in an order of its own,
//! and nothing of the servers' certificates: renewing one costs no other server its sessions.

use core::cell::RefCell;
use core::{iter, ptr};
use std::collections::{BTreeMap, BTreeSet};

use nginx_sys::{
    nginx_version, ngx_conf_t, ngx_http_conf_addr_t, ngx_http_conf_port_t,
    ngx_http_core_srv_conf_t, ngx_http_server_name_t, ngx_keyval_t,
};

use crate::frontend::http::{core_conf, ssl_conf, ssl_ctx};
use crate::openssl::{sha256, Digest, SslCtx};

type Server = ngx_http_core_srv_conf_t;

/// Whether the server that a client means by its name is chosen before its session is looked up.
pub(crate) const NAME_COMES_FIRST: bool = nginx_version >= 1_029_002;

/// A socket with TLS, over TCP or QUIC.
#[derive(Clone, Copy)]
pub(crate) struct Socket(&'static ngx_http_conf_addr_t);

impl Socket {
    /// The address as it is configured.
    pub(crate) fn address(self) -> &'static [u8] {
        self.0.opt.addr_text.as_bytes()
    }

    /// Whether clients come over TCP.
    pub(crate) fn is_tcp(self) -> bool {
        self.0.opt.ssl() != 0
    }

    #[cfg(ngx_feature = "http_v3")]
    fn is_quic(self) -> bool {
        self.0.opt.quic() != 0
    }

    #[cfg(not(ngx_feature = "http_v3"))]
    fn is_quic(self) -> bool {
        false
    }

    /// The server of clients that mean no other by a name.
    pub(crate) fn default_server(self) -> &'static Server {
        // SAFETY: an address has a default server, which lives as long as the configuration.
        unsafe { &*self.0.default_server }
    }

    /// All of its servers.
    pub(crate) fn servers(self) -> impl Iterator<Item = &'static Server> {
        // SAFETY: the array holds pointers to servers; they live as long as the configuration.
        unsafe { self.0.servers.as_slice::<*const Server>() }
            .iter()
            // SAFETY: as above.
            .map(|server| unsafe { &**server })
    }
}

/// The sockets with TLS that http{} listens on.
pub(crate) struct Sockets<'a> {
    cf: &'a ngx_conf_t,
    sockets: Vec<Socket>,
    /// What has been found out of servers, by their SSL_CTX and themselves.
    policies: RefCell<BTreeMap<(usize, usize), Digest>>,
}

/// What the servers of a default server's sockets make of client certificates.
pub(crate) struct ClientCertificates {
    /// What the context of sessions is to be narrowed by; `None` where none of them asks.
    pub(crate) asked: Option<Vec<u8>>,
    /// Whether each socket makes something else of them, so that one context cannot keep the
    /// sockets apart.
    pub(crate) differ: bool,
}

/// OpenSSL has no SHA-256, or no memory.
#[derive(Debug)]
pub(crate) struct NoDigest;

/// What a server that asks for client certificates is known by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asking {
    policy: Digest,
    names: BTreeSet<Vec<u8>>,
}

impl<'a> Sockets<'a> {
    pub(crate) fn of(cf: &'a ngx_conf_t) -> Self {
        // SAFETY: null without a `listen`, else an array of ports, each with an array of addresses.
        let sockets = unsafe { core_conf(cf).ports.as_ref() }
            .into_iter()
            .flat_map(|ports| unsafe { ports.as_slice::<ngx_http_conf_port_t>() })
            .flat_map(|port| unsafe { port.addrs.as_slice::<ngx_http_conf_addr_t>() })
            .map(Socket)
            .filter(|socket| socket.is_tcp() || socket.is_quic())
            .collect();
        Self { cf, sockets, policies: RefCell::default() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Socket> + '_ {
        self.sockets.iter().copied()
    }

    /// The sockets that a server is the default server of.
    pub(crate) fn of_default<'b>(
        &'b self,
        server: &'b Server,
    ) -> impl Iterator<Item = Socket> + 'b {
        self.iter().filter(move |socket| ptr::eq(socket.default_server(), server))
    }

    /// The SSL_CTXs that a handshake may be in when its session is looked up, if it begins in that of
    /// a default server: this one first.
    pub(crate) fn chosen_before_lookups(
        &self,
        default: SslCtx,
    ) -> impl Iterator<Item = SslCtx> + '_ {
        let is_default = move |socket: &Socket| {
            ssl_ctx(socket.default_server()).is_some_and(|ctx| ctx.address() == default.address())
        };
        let named = self
            .iter()
            .filter(move |socket| NAME_COMES_FIRST && is_default(socket))
            .flat_map(Socket::servers)
            .filter_map(ssl_ctx);
        iter::once(default).chain(named)
    }

    /// What a server, and those behind it on the sockets that it is the default server of, make of
    /// client certificates.
    pub(crate) fn client_certificates(
        &self,
        server: &Server,
    ) -> Result<ClientCertificates, NoDigest> {
        let mut on_sockets = Vec::new();
        for socket in self.of_default(server) {
            let asking = socket.servers().filter_map(|one| self.asking(one, server));
            on_sockets.push(asking.collect::<Result<BTreeSet<_>, _>>()?);
        }
        if on_sockets.is_empty() {
            let asking = self.asking(server, server).into_iter();
            on_sockets.push(asking.collect::<Result<_, _>>()?);
        }

        let mut all: BTreeSet<Asking> = on_sockets.iter().flatten().cloned().collect();
        let policies: BTreeSet<Digest> = all.iter().map(|asking| asking.policy).collect();
        let differ = policies.len() > 1
            && !NAME_COMES_FIRST
            && on_sockets.iter().any(|asking| *asking != all);
        if policies.len() == 1 {
            // Whom one of them accepts, all do.
            let nameless = |policy| Asking { policy, names: BTreeSet::new() };
            all = policies.into_iter().map(nameless).collect();
        }
        let asked = all.iter().flat_map(Asking::to_bytes).collect();
        Ok(ClientCertificates { asked: (!all.is_empty()).then_some(asked), differ })
    }

    /// A server on a socket of a default server, if it asks for client certificates.
    fn asking(&self, server: &Server, default: &Server) -> Option<Result<Asking, NoDigest>> {
        // A server without certificates of its own has no SSL_CTX: the handshake stays with that of
        // the default server, and the request is judged by the server's own `ssl_verify_client`.
        let ctx = ssl_ctx(server).or_else(|| ssl_ctx(default))?;
        let ssl = ssl_conf(server);
        if ssl.verify == 0 && !ctx.asks_for_certificates() {
            return None;
        }
        let key = (ctx.address(), ptr::from_ref(server) as usize);
        let known = self.policies.borrow().get(&key).copied();
        let policy = known.or_else(|| {
            let mut policy = ctx.trust()?;
            policy.extend((ssl.verify as u64).to_be_bytes());
            policy.extend((ssl.ocsp as u64).to_be_bytes());
            // SAFETY: null, or an array of pairs, which live as long as the configuration.
            let commands: &[ngx_keyval_t] =
                unsafe { ssl.conf_commands.as_ref().map_or(&[], |commands| commands.as_slice()) };
            for command in commands {
                // What `VerifyCAFile` names is used in place of all else.
                if command.key.as_bytes().to_ascii_lowercase().starts_with(b"verify") {
                    put(&mut policy, command.key.as_bytes());
                    put(&mut policy, command.value.as_bytes());
                }
            }
            let policy = sha256(&policy)?;
            self.policies.borrow_mut().insert(key, policy);
            Some(policy)
        });
        Some(policy.ok_or(NoDigest).map(|policy| Asking { policy, names: self.names(server) }))
    }

    /// The names of a server, as they are configured.
    fn names(&self, server: &Server) -> BTreeSet<Vec<u8>> {
        // SAFETY: the array holds names, and the cycle has the name of the machine.
        let (names, hostname) = unsafe {
            (server.server_names.as_slice::<ngx_http_server_name_t>(), (*self.cf.cycle).hostname)
        };
        names
            .iter()
            .map(|name| match name.name {
                // Another on each machine, and nginx keeps the very same text.
                text if text.data == hostname.data => b"$hostname".to_vec(),
                text if name.regex.is_null() => text.as_bytes().to_vec(),
                text => [b"~", text.as_bytes()].concat(),
            })
            .collect()
    }
}

impl Asking {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.policy.to_vec();
        bytes.extend((self.names.len() as u64).to_be_bytes());
        self.names.iter().for_each(|name| put(&mut bytes, name));
        bytes
    }
}

/// Adds a text and its length, so that no two lists of texts look the same.
fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as u64).to_be_bytes());
    bytes.extend(text);
}
