//! TLS to a server: who it is, whom it is trusted by, and what is shown to it.

use std::ffi::CString;
use std::rc::Rc;

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::plan;
use ssl_session_cache_core::topology::Host;

use crate::nginx::{ClientTls, Log, PeerConnection};
use crate::openssl::{Messages, Reason, SslCtx};

/// How TLS to the servers of a store is spoken.
#[derive(PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// Who each of them is, if that is configured.
    pub(crate) name: Option<Peer>,
    /// Whether a server must prove who it is.
    pub(crate) verify: bool,
    /// A file with the certificates to trust, in place of the system's.
    pub(crate) ca: Option<CString>,
    /// What to show to a server that asks for a certificate.
    pub(crate) identity: Option<Identity>,
}

/// Whom a certificate is for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A DNS name.
    Name(CString),
    /// An IP address, as text.
    Address(CString),
}

/// The files of a certificate with its chain and of its key, both in PEM.
#[derive(PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) certificate: CString,
    pub(crate) key: CString,
}

/// Why TLS cannot be spoken in this way.
#[derive(Debug)]
pub(crate) struct TlsError {
    pub(crate) part: TlsPart,
    /// OpenSSL's reason.
    pub(crate) reason: String,
}

/// A part of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TlsPart {
    Context,
    Ca,
    Certificate,
    Key,
}

/// TLS as a client, for the connections to the servers of one store.
pub(crate) struct Tls {
    settings: TlsSettings,
    client: ClientTls,
}

impl Tls {
    /// Reads the files and makes the SSL_CTX, which goes with the value.
    pub(crate) fn new(settings: TlsSettings, log: *mut ngx_log_t) -> Result<Self, TlsError> {
        // SAFETY: the log is that of the configuration that is read, which lives as long.
        let log = unsafe { Log::new(log) };
        let client = ClientTls::new(log);
        let ctx = client.as_ref().and_then(ClientTls::ctx);
        let (Some(client), Some(ctx)) = (client, ctx) else {
            return Err(TlsPart::Context.failed(Reason::take()));
        };
        settings.apply(ctx)?;
        Ok(Self { settings, client })
    }

    /// Who a server is whose place says that it is this one.
    pub(crate) fn peer(&self, of_place: Option<Peer>) -> Option<Peer> {
        self.settings.name.clone().or(of_place)
    }

    /// Who a server is that another one tells of: by a name, that is in its certificate; by an address,
    /// who the configuration says, or that address.
    pub(crate) fn peer_told(&self, host: &Host) -> Peer {
        let text =
            |text: &str| CString::new(text).expect("neither names nor addresses have a zero");
        match host {
            Host::Name(name) => Peer::Name(text(name)),
            Host::Address(ip) => {
                let name = self.settings.name.clone();
                name.unwrap_or_else(|| Peer::Address(text(&ip.to_string())))
            }
        }
    }

    /// Puts TLS on a connection, which has none; false without memory, and where it is not known who
    /// has to be proved.
    pub(super) fn start(
        &self,
        connection: &PeerConnection,
        peer: Option<&Peer>,
        messages: &Rc<Messages>,
    ) -> bool {
        let Some(ssl) = connection.start_tls(&self.client) else { return false };
        if !ssl.count_messages(messages) {
            return false;
        }
        match peer {
            Some(Peer::Name(name)) => ssl.ask_for(name) && ssl.expect_name(name),
            Some(Peer::Address(address)) => ssl.expect_address(address),
            None => !self.settings.verify,
        }
    }

    /// What may help against a handshake that has failed for this reason; behind it in the log.
    pub(super) fn hint(reason: &str) -> &'static str {
        const NO_TLS: [&str; 4] =
            ["wrong version number", "packet length too long", "unexpected eof", "peer closed"];
        const CA: [&str; 4] =
            ["issuer certificate", "self signed", "self-signed", "unable to verify"];
        const NAME: [&str; 2] = ["hostname mismatch", "IP address mismatch"];

        let has = |texts: &[&str]| texts.iter().any(|text| reason.contains(text));
        if has(&NO_TLS) {
            "; does it speak TLS? if not, leave \"tls\" out"
        } else if has(&CA) {
            "; check \"tls_ca\""
        } else if has(&NAME) {
            "; check \"tls_name\""
        } else {
            ""
        }
    }

    /// What is wrong with the server's certificate, if that is why a handshake has failed.
    pub(super) fn verify_error(&self, connection: &PeerConnection) -> Option<String> {
        connection.ssl().filter(|_| self.settings.verify)?.certificate_error()
    }
}

impl TlsSettings {
    fn apply(&self, ctx: SslCtx) -> Result<(), TlsError> {
        ctx.send_in_parts();
        if let Some(file) = &self.ca {
            ctx.trust_file(file).map_err(|reason| TlsPart::Ca.failed(reason))?;
        }
        if self.verify {
            ctx.verify_server();
            if self.ca.is_none() {
                ctx.trust_system().map_err(|reason| TlsPart::Ca.failed(reason))?;
            }
        }
        if let Some(Identity { certificate, key }) = &self.identity {
            let certified = ctx.use_certificate(certificate);
            certified.map_err(|reason| TlsPart::Certificate.failed(reason))?;
            ctx.use_key(key).map_err(|reason| TlsPart::Key.failed(reason))?;
        }
        Ok(())
    }
}

impl From<plan::Peer> for Peer {
    fn from(peer: plan::Peer) -> Self {
        let text = |text| CString::new(text).expect("read without control characters");
        match peer {
            plan::Peer::Name(name) => Self::Name(text(name)),
            plan::Peer::Address(address) => Self::Address(text(address)),
        }
    }
}

impl TlsPart {
    fn failed(self, reason: Reason) -> TlsError {
        TlsError { part: self, reason: reason.0 }
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Tls {}
