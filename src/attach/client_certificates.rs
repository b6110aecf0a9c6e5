//! What the servers of sockets make of client certificates.
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
use core::ptr;
use std::collections::{BTreeMap, BTreeSet};

use nginx_sys::nginx_version;

use crate::attach::servers::{Server, Servers};
use crate::openssl::{sha256, Digest};

/// Whether the server that a client means by its name is chosen before its session is looked up.
pub(super) const NAME_COMES_FIRST: bool = nginx_version >= 1_029_002;

/// What servers make of client certificates.
pub(super) struct Policies<'a> {
    servers: &'a Servers,
    /// What has been found out of servers, by their SSL_CTX and themselves.
    known: RefCell<BTreeMap<(usize, usize), Digest>>,
}

/// What the servers of a default server's sockets make of client certificates.
pub(super) struct ClientCertificates {
    /// What the context of sessions is to be narrowed by; `None` where none of them asks.
    pub(super) asked: Option<Vec<u8>>,
    /// Whether each socket makes something else of them, so that one context cannot keep the
    /// sockets apart.
    pub(super) differ: bool,
}

/// OpenSSL has no SHA-256, or no memory.
#[derive(Debug)]
pub(super) struct NoDigest;

/// What a server that asks for client certificates is known by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asking {
    policy: Digest,
    names: BTreeSet<Vec<u8>>,
}

impl<'a> Policies<'a> {
    pub(super) fn of(servers: &'a Servers) -> Self {
        Self { servers, known: RefCell::default() }
    }

    /// What a server, and those behind it on the sockets that it is the default server of, make of
    /// client certificates.
    pub(super) fn client_certificates(
        &self,
        server: &Server,
    ) -> Result<ClientCertificates, NoDigest> {
        let mut on_listeners = Vec::new();
        for listener in self.servers.of_default(server) {
            let asking = self.servers.of(listener).filter_map(|one| self.asking(one, server));
            on_listeners.push(asking.collect::<Result<BTreeSet<_>, _>>()?);
        }
        if on_listeners.is_empty() {
            let asking = self.asking(server, server).into_iter();
            on_listeners.push(asking.collect::<Result<_, _>>()?);
        }

        let mut all: BTreeSet<Asking> = on_listeners.iter().flatten().cloned().collect();
        let policies: BTreeSet<Digest> = all.iter().map(|asking| asking.policy).collect();
        let differ = policies.len() > 1
            && !NAME_COMES_FIRST
            && on_listeners.iter().any(|asking| *asking != all);
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
        let ctx = server.ctx.or(default.ctx)?;
        let tls = &server.tls;
        if tls.verify == 0 && !ctx.asks_for_certificates() {
            return None;
        }
        let key = (ctx.address(), ptr::from_ref(server) as usize);
        let known = self.known.borrow().get(&key).copied();
        let policy = known.or_else(|| {
            let mut policy = ctx.trust()?;
            policy.extend(tls.verify.to_be_bytes());
            policy.extend(tls.ocsp.to_be_bytes());
            for command in tls.commands {
                // What `VerifyCAFile` names is used in place of all else.
                if command.key.as_bytes().to_ascii_lowercase().starts_with(b"verify") {
                    put(&mut policy, command.key.as_bytes());
                    put(&mut policy, command.value.as_bytes());
                }
            }
            let policy = sha256(&policy)?;
            self.known.borrow_mut().insert(key, policy);
            Some(policy)
        });
        Some(policy.ok_or(NoDigest).map(|policy| Asking { policy, names: server.names.clone() }))
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
