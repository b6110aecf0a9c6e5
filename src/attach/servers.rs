//! The servers and listeners of http, stream or mail, as far as the cache has to do with them.

use core::time::Duration;
use core::{fmt, ptr};
use std::collections::BTreeSet;

use nginx_sys::ngx_keyval_t;
use ngx::core::NgxStr;
use ssl_session_cache_core::report::Frontend;

use crate::conf::ServerConf;
use crate::net::Resolver;
use crate::openssl::SslCtx;

/// All of them.
pub(crate) struct Servers {
    pub(crate) frontend: Frontend,
    /// Whether nginx closes connections only once the client has done so as well.
    pub(crate) wait_for_close: bool,
    /// Whether nginx looks at the name that a client asks for.
    pub(crate) know_names: bool,
    /// In the order of the configuration.
    pub(crate) servers: Vec<Server>,
    /// Those with TLS.
    pub(crate) listeners: Vec<Listener>,
    /// The directive that sets the time for a handshake.
    pub(crate) timeout_directive: &'static str,
}

/// A server.
pub(crate) struct Server {
    /// None without TLS.
    pub(crate) ctx: Option<SslCtx>,
    /// What the module's own directives say.
    pub(crate) conf: &'static ServerConf,
    /// Its first name, for messages.
    pub(crate) name: &'static NgxStr,
    /// Where it is in the configuration, for messages.
    pub(crate) place: String,
    /// All of its names, the same on every machine.
    pub(crate) names: BTreeSet<Vec<u8>>,
    /// What looks names up for it.
    pub(crate) resolver: Option<Resolver>,
    /// The time that nginx gives a client for its handshake, on the listeners that it is the default
    /// server of.
    pub(crate) handshake_timeout: Duration,
    /// What nginx's own directives say of TLS.
    pub(crate) tls: TlsConf,
}

/// As messages name it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server \"{}\" in {}", self.name, self.place)
    }
}

/// What nginx's own directives say of TLS.
pub(crate) struct TlsConf {
    /// `ssl_session_cache`.
    pub(crate) session_cache: NginxCache,
    /// The zone of `ssl_session_cache shared:`.
    pub(crate) session_zone: Option<&'static NgxStr>,
    /// `ssl_session_timeout`.
    pub(crate) session_timeout: Duration,
    /// `ssl_early_data`.
    pub(crate) early_data: bool,
    /// `ssl_verify_client`, by nginx's number.
    pub(crate) verify: u64,
    /// `ssl_ocsp`, by nginx's number.
    pub(crate) ocsp: u64,
    /// `ssl_conf_command`.
    pub(crate) commands: &'static [ngx_keyval_t],
}

/// What nginx itself keeps of sessions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NginxCache {
    /// `off`: sessions are not to be resumed.
    Off,
    /// `builtin`, maybe beside `shared:`.
    Builtin,
    /// Anything else.
    Other,
}

/// A socket with TLS, over TCP or QUIC. Servers are told by their place in [`Servers::servers`].
pub(crate) struct Listener {
    /// The address as it is configured.
    pub(crate) address: String,
    /// The server of clients that mean no other by a name.
    pub(crate) default: usize,
    /// All of its servers.
    pub(crate) servers: Vec<usize>,
}

impl Servers {
    /// The default server of a listener.
    pub(super) fn default_of(&self, listener: &Listener) -> &Server {
        &self.servers[listener.default]
    }

    /// All servers of a listener.
    pub(super) fn of<'a>(&'a self, listener: &'a Listener) -> impl Iterator<Item = &'a Server> {
        listener.servers.iter().map(|server| &self.servers[*server])
    }

    /// The server whose settings count for clients of this one: the default server of its listeners,
    /// of the first one where they have several; the server itself where it is one.
    pub(super) fn decider<'a>(&'a self, server: &'a Server) -> &'a Server {
        let is_there = |listener: &&Listener| self.of(listener).any(|other| ptr::eq(other, server));
        let listener = self.listeners.iter().find(is_there).filter(|_| !self.is_default(server));
        listener.map_or(server, |listener| self.default_of(listener))
    }

    /// Whether handshakes begin with a server: it is the default one of a listener.
    pub(super) fn is_default(&self, server: &Server) -> bool {
        self.of_default(server).next().is_some()
    }

    /// The listeners that a server is the default server of.
    pub(super) fn of_default<'a>(
        &'a self,
        server: &'a Server,
    ) -> impl Iterator<Item = &'a Listener> {
        self.listeners.iter().filter(move |listener| ptr::eq(self.default_of(listener), server))
    }
}
