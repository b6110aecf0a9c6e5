//! TLS to a server: who it is, whom it is trusted by, and what is shown to it.

use std::ffi::CString;
use std::rc::Rc;

use nginx_sys::ngx_log_t;

use crate::nginx::{ClientTls, Log, PeerConnection};
use crate::openssl::{Messages, Reason, SslCtx};

/// How TLS to a server is spoken.
#[derive(PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// Who the server is; not known for a unix socket without a configured name.
    pub(crate) peer: Option<Peer>,
    /// Whether the server must prove to be the peer.
    pub(crate) verify: bool,
    /// A file with the certificates to trust, in place of the system's.
    pub(crate) ca: Option<CString>,
    /// What to show to a server that asks for a certificate.
    pub(crate) identity: Option<Identity>,
}

/// Whom a certificate is for.
#[derive(PartialEq, Eq)]
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
    Peer,
    Ca,
    Certificate,
    Key,
}

/// TLS as a client, for the connections to one server.
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

    /// Puts TLS on a connection, which has none; false without memory.
    pub(super) fn start(&self, connection: &PeerConnection, messages: &Rc<Messages>) -> bool {
        let Some(ssl) = connection.start_tls(&self.client) else { return false };
        if !ssl.count_messages(messages) {
            return false;
        }
        match &self.settings.peer {
            Some(Peer::Name(name)) => ssl.ask_for(name),
            Some(Peer::Address(_)) | None => true,
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
            let expected = match &self.peer {
                Some(Peer::Name(name)) => ctx.expect_name(name),
                Some(Peer::Address(address)) => ctx.expect_address(address),
                None => Err(Reason::take()),
            };
            expected.map_err(|reason| TlsPart::Peer.failed(reason))?;
        }
        if let Some(Identity { certificate, key }) = &self.identity {
            let certified = ctx.use_certificate(certificate);
            certified.map_err(|reason| TlsPart::Certificate.failed(reason))?;
            ctx.use_key(key).map_err(|reason| TlsPart::Key.failed(reason))?;
        }
        Ok(())
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
