//! A TLS client that makes sessions, and offers them to whatever server.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::ssl::{
    self, Ssl, SslContext, SslFiletype, SslMethod, SslOptions, SslSession, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509VerifyResult;
use ssl_session_cache_core::session::asn1;
use thiserror::Error;

use super::starttls::Protocol;
use super::wire::{Made, Wire};

/// How long a client waits for a ticket behind the handshake, at least.
const PATIENCE: Duration = Duration::from_millis(300);
/// And how long for the end of a connection that it has closed.
const FAREWELL: Duration = Duration::from_millis(300);

/// The length of a ticket that is the id of a session in a cache.
const STATEFUL: usize = 32;

/// What a session is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By its id, TLS 1.2.
    Id,
    /// By a ticket, TLS 1.2.
    Ticket,
    /// By a ticket, which may be an id, TLS 1.3.
    Tls13,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Id, Self::Ticket, Self::Tls13];
}

/// A session as a client keeps it.
pub(super) struct Session {
    der: Vec<u8>,
    ticket_len: usize,
    max_early_data: u32,
}

impl Session {
    fn of(session: &SslSession, kind: Kind) -> Option<Self> {
        let der = session.to_der().ok()?;
        let ticket_len = asn1::ticket(&der).map_or(0, <[u8]>::len);
        let can_resume = match kind {
            Kind::Id => !session.id().is_empty(),
            Kind::Ticket | Kind::Tls13 => ticket_len > 0,
        };
        can_resume.then(|| Self { ticket_len, max_early_data: session.max_early_data(), der })
    }

    /// Whether it lies in a cache: its ticket is nothing but its id.
    pub(super) fn is_stateful(&self) -> bool {
        self.ticket_len == 0 || self.ticket_len == STATEFUL
    }

    pub(super) fn allows_early_data(&self) -> bool {
        self.max_early_data > 0
    }
}

/// What a client is to be.
pub(super) struct Settings<'a> {
    /// The server name that is sent, and that certificates are for.
    pub(super) name: &'a str,
    pub(super) ca: Option<&'a Path>,
    pub(super) is_insecure: bool,
    /// Of the client: certificate and key.
    pub(super) certificate: Option<(&'a Path, &'a Path)>,
    pub(super) starttls: Option<Protocol>,
    /// All of a connection has to be done within it.
    pub(super) timeout: Duration,
    /// What is asked for in early data.
    pub(super) path: &'a str,
}

/// Why there is no client.
#[derive(Debug, Error)]
pub(super) enum SettingsError {
    #[error("cannot use \"{file}\": {reason}", reason = reason_of(.reason))]
    File { file: String, reason: ErrorStack },
    #[error("OpenSSL: {}", reason_of(.0))]
    OpenSsl(#[from] ErrorStack),
}

/// Why there is no handshake.
#[derive(Debug, Error)]
pub(super) enum VisitError {
    #[error("{}", plain(.0))]
    Connect(io::Error),
    #[error("STARTTLS: {}", plain(.0))]
    Starttls(io::Error),
    #[error("{0}")]
    Handshake(String),
}

/// What became of a connection.
pub(super) struct Visit {
    pub(super) is_resumed: bool,
    /// From the ClientHello to the end of the handshake.
    pub(super) time: Duration,
    /// What the server gave, for next time.
    pub(super) session: Option<Session>,
    /// What is wrong with the certificate.
    pub(super) certificate: Option<X509VerifyResult>,
    pub(super) is_early_accepted: bool,
}

/// A client, or as many as there are kinds of sessions.
pub(super) struct Client<'a> {
    settings: Settings<'a>,
    contexts: [SslContext; Kind::ALL.len()],
    made: Made,
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: Settings<'a>) -> Result<Self, SettingsError> {
        let made = Made::default();
        let context = |kind| context(&settings, kind, Arc::clone(&made));
        let contexts = [context(Kind::Id)?, context(Kind::Ticket)?, context(Kind::Tls13)?];
        // What would fail each handshake is told here.
        Ssl::new(&contexts[0]).and_then(|mut ssl| set_name(&mut ssl, settings.name))?;
        Ok(Self { settings, contexts, made })
    }

    /// A connection without a session, or one that offers one.
    pub(super) fn visit(
        &self,
        address: SocketAddr,
        kind: Kind,
        offered: Option<&Session>,
    ) -> Result<Visit, VisitError> {
        self.go(address, kind, offered, false)
    }

    /// One that offers one, and sends a request with it.
    pub(super) fn visit_early(
        &self,
        address: SocketAddr,
        offered: &Session,
    ) -> Result<Visit, VisitError> {
        self.go(address, Kind::Tls13, Some(offered), true)
    }

    fn go(
        &self,
        address: SocketAddr,
        kind: Kind,
        offered: Option<&Session>,
        is_early: bool,
    ) -> Result<Visit, VisitError> {
        let mut wire =
            Wire::connect(address, self.settings.timeout).map_err(VisitError::Connect)?;
        if let Some(protocol) = self.settings.starttls {
            protocol.start(&mut wire).map_err(VisitError::Starttls)?;
        }
        self.made().clear();

        let ssl = self.ssl(kind, offered).map_err(|stack| failed(&stack))?;
        let mut stream = SslStream::new(ssl, wire).map_err(|stack| failed(&stack))?;
        let begin = Instant::now();
        if is_early {
            self.send_early(&mut stream)?;
            stream.get_mut().watch();
        }
        stream.connect().map_err(|error| failed_tls(&error))?;
        let time = begin.elapsed();
        let is_early_accepted = is_early && stream.get_ref().has_ended_early_data();

        if kind == Kind::Tls13 {
            self.await_ticket(&mut stream, PATIENCE.max(2 * time));
        }
        let visit = Visit {
            is_resumed: stream.ssl().session_reused(),
            time,
            session: self.made().last().and_then(|session| Session::of(session, kind)),
            certificate: Some(stream.ssl().verify_result())
                .filter(|result| !self.settings.is_insecure && *result != X509VerifyResult::OK),
            is_early_accepted,
        };
        // A server that is told of the end has nothing to write into its log. What came of the
        // connection is known already.
        stream.get_mut().allow(FAREWELL);
        let _ = stream.shutdown();
        stream.get_mut().drain();
        Ok(visit)
    }

    fn ssl(&self, kind: Kind, offered: Option<&Session>) -> Result<Ssl, ErrorStack> {
        let context = &self.contexts[kind as usize];
        let mut ssl = Ssl::new(context)?;
        set_name(&mut ssl, self.settings.name)?;
        if let Some(offered) = offered {
            ssl_session_cache_offer::offer(&mut ssl, &offered.der)?;
        }
        ssl.set_connect_state();
        Ok(ssl)
    }

    fn send_early(&self, stream: &mut SslStream<Wire>) -> Result<(), VisitError> {
        let Settings { name, path, .. } = self.settings;
        let version = env!("CARGO_PKG_VERSION");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: ssl-session-cache/{version}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_early_data(request.as_bytes()).map_err(|error| failed_tls(&error))?;
        Ok(())
    }

    /// Tickets of TLS 1.3 come behind the handshake, and are read where data is. What data there is
    /// is of no interest.
    fn await_ticket(&self, stream: &mut SslStream<Wire>, patience: Duration) {
        let deadline = Instant::now() + patience;
        stream.get_mut().wait_for(Arc::clone(&self.made), deadline);
        let mut bytes = [0; 4096];
        while self.made().is_empty() && Instant::now() < deadline {
            if stream.ssl_read(&mut bytes).is_err() {
                break;
            }
        }
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Vec<SslSession>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients with sessions of a kind, and nothing else to offer.
fn context(settings: &Settings, kind: Kind, made: Made) -> Result<SslContext, SettingsError> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    match kind {
        Kind::Id => {
            context.set_options(SslOptions::NO_TICKET);
            context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
        }
        Kind::Ticket => context.set_max_proto_version(Some(SslVersion::TLS1_2))?,
        Kind::Tls13 => context.set_min_proto_version(Some(SslVersion::TLS1_3))?,
    }
    // Certificates are verified all the same, which is told once the session has been tried.
    context.set_verify(SslVerifyMode::NONE);
    match settings.ca {
        Some(file) => context.set_ca_file(file).map_err(file_error(file))?,
        None => context.set_default_verify_paths()?,
    }
    if let Some((certificate, key)) = settings.certificate {
        context.set_certificate_chain_file(certificate).map_err(file_error(certificate))?;
        context.set_private_key_file(key, SslFiletype::PEM).map_err(file_error(key))?;
        context.check_private_key().map_err(file_error(key))?;
    }
    context.set_session_cache_mode(
        SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL_STORE,
    );
    context.set_new_session_callback(move |_, session| {
        made.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    });
    Ok(context.build())
}

fn file_error(file: &Path) -> impl FnOnce(ErrorStack) -> SettingsError {
    let file = file.display().to_string();
    move |reason| SettingsError::File { file, reason }
}

/// An address is no server name (RFC 6066, section 3), but certificates can have it.
fn set_name(ssl: &mut Ssl, name: &str) -> Result<(), ErrorStack> {
    match name.parse::<IpAddr>() {
        Ok(address) => ssl.param_mut().set_ip(address),
        Err(_) => {
            ssl.set_hostname(name)?;
            ssl.param_mut().set_host(name)
        }
    }
}

fn failed(stack: &ErrorStack) -> VisitError {
    VisitError::Handshake(reason_of(stack))
}

fn failed_tls(error: &ssl::Error) -> VisitError {
    VisitError::Handshake(match (error.io_error(), error.ssl_error()) {
        (Some(error), _) => plain(error),
        (None, Some(stack)) => reason_of(stack),
        (None, None) => "the server closes the connection".to_owned(),
    })
}

/// What OpenSSL says, without where in its source it does.
fn reason_of(stack: &ErrorStack) -> String {
    let reason = stack.errors().iter().find_map(openssl::error::Error::reason);
    reason.unwrap_or("unknown error").to_owned()
}

/// Without the number of the error.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_no_numbers() {
        let error = io::Error::from_raw_os_error(111);
        assert_eq!(plain(&error), "Connection refused");
    }
}
