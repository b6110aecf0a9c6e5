//! A connection to one server: names looked up, connected to, TLS spoken.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::ssl::{
    HandshakeError, SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslRef, SslStream,
    SslVerifyMode,
};
use openssl::x509::{X509NameRef, X509Ref, X509VerifyResult};
use socket2::{Domain, SockAddr, Socket, Type};
use ssl_session_cache_core::plan::{Peer, Place, TlsPlan};
use ssl_session_cache_core::topology::{Endpoint, Host};
use thiserror::Error;

use crate::files;
use crate::output::text;

/// A server: where it is, and who it must prove to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// As it is called in the configuration, and in what is printed.
    pub word: String,
    place: Where,
    peer: Option<Peer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Where {
    Host(String, u16),
    Unix(PathBuf),
}

/// An address that a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Of TCP.
    Tcp(SocketAddr),
    /// Of a unix socket.
    Unix(PathBuf),
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The name is not known.
    #[error("cannot look up \"{name}\": {reason}")]
    Lookup {
        /// The name.
        name: String,
        /// By the system.
        reason: String,
    },
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// Nobody answers.
    #[error("timed out after {0:?}")]
    Timeout(Duration),
    /// The system says why.
    #[error("cannot connect: {0}")]
    System(io::Error),
    /// TLS.
    #[error("TLS handshake failed: {reason}")]
    Tls {
        /// By OpenSSL.
        reason: String,
        /// What is wrong with the certificate, if that is it.
        verify: Option<X509VerifyResult>,
        /// The certificate of the server, if it has shown one.
        certificate: Option<Certificate>,
    },
}

/// What is of interest of a certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Whom it is for.
    pub names: Vec<String>,
    /// Who has signed it.
    pub issuer: String,
    /// For how many days it is valid from now on; negative if it has expired.
    pub days_left: i32,
}

/// What was agreed on with a server.
#[derive(Clone, Debug)]
pub struct TlsFacts {
    /// Of the protocol.
    pub version: &'static str,
    /// Of the server.
    pub certificate: Option<Certificate>,
    /// The CA that is trusted, if it was verified.
    pub root: Option<String>,
}

trait Stream: Read + Write + fmt::Debug {}

impl<T: Read + Write + fmt::Debug> Stream for T {}

/// A connection.
#[derive(Debug)]
pub struct Link {
    stream: Box<dyn Stream>,
    patience: Duration,
    /// Nothing is read after this time.
    until: Instant,
    /// How long it took to be made, TLS included.
    pub took: Duration,
    /// What was agreed on, if TLS is spoken.
    pub tls: Option<TlsFacts>,
}

/// How connections are made.
pub struct Dialer {
    tls: Option<(SslConnector, bool)>,
    patience: Duration,
}

/// Whether and how a server must prove who it is.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("unfit file \"{file}\" of parameter \"{parameter}\", expected {expected}: {reason}")]
    File {
        /// Which parameter names it.
        parameter: &'static str,
        /// As it was looked for.
        file: PathBuf,
        /// What would be right.
        expected: &'static str,
        /// By OpenSSL.
        reason: String,
    },
    /// OpenSSL cannot.
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
}

impl Spot {
    /// A server that the configuration names.
    pub fn of_place(place: &Place<'_>, tls: Option<&TlsPlan<'_>>) -> Self {
        let peer = tls.and_then(|tls| tls.name.clone().or_else(|| place.peer()));
        let word = place.word();
        let place = match place {
            Place::Host(host, port) => Where::Host(text(host), *port),
            Place::Unix(path) => Where::Unix(std::ffi::OsStr::from_bytes(path).into()),
        };
        Self { word, place, peer }
    }

    /// A server that another one tells of: by a name, that is in its certificate; by an address, who the
    /// configuration says, or that address.
    pub fn told(endpoint: &Endpoint, tls: Option<&TlsPlan<'_>>) -> Self {
        let (host, told) = match &endpoint.host {
            Host::Address(ip) => (ip.to_string(), Peer::Address(ip.to_string())),
            Host::Name(name) => (name.to_string(), Peer::Name(name.to_string())),
        };
        let peer = tls.map(|tls| match (&endpoint.host, &tls.name) {
            (Host::Address(_), Some(name)) => name.clone(),
            _ => told,
        });
        Self { word: endpoint.to_string(), place: Where::Host(host, endpoint.port), peer }
    }

    /// Its machine, as others that it tells of are relative to; none of a unix socket.
    pub fn host(&self) -> Option<Host> {
        match &self.place {
            Where::Host(host, _) => Host::parse(bare(host).as_bytes()),
            Where::Unix(_) => None,
        }
    }

    /// Whether it is another machine's.
    pub fn is_remote(&self) -> bool {
        match &self.place {
            Where::Host(host, _) => match bare(host).parse::<IpAddr>() {
                Ok(address) => !address.is_loopback(),
                Err(_) => host != "localhost",
            },
            Where::Unix(_) => false,
        }
    }

    /// Whether it is called by a name, which has to be looked up.
    pub fn is_name(&self) -> bool {
        matches!(&self.place, Where::Host(host, _) if bare(host).parse::<IpAddr>().is_err())
    }

    /// The addresses that it is called by, as the system looks them up.
    pub fn lookup(&self) -> Result<Vec<Address>, LinkError> {
        match &self.place {
            Where::Unix(path) => Ok(vec![Address::Unix(path.clone())]),
            Where::Host(host, port) => {
                let found = (bare(host), *port).to_socket_addrs();
                let found = found.map_err(|error| LinkError::Lookup {
                    name: host.clone(),
                    reason: error.to_string(),
                })?;
                let mut addresses: Vec<Address> = Vec::new();
                for address in found.map(Address::Tcp) {
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
                Ok(addresses)
            }
        }
    }
}

impl LinkError {
    /// Of a name that is known, and has none.
    pub fn no_address(spot: &Spot) -> Self {
        Self::Lookup { name: spot.word.clone(), reason: "it has no address".to_owned() }
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Dialer {
    /// Reads the files of TLS. Nothing takes longer than `patience`.
    pub fn new(
        base: &Path,
        tls: Option<&TlsPlan<'_>>,
        patience: Duration,
    ) -> Result<Self, TlsError> {
        let tls = tls.map(|plan| Ok::<_, TlsError>((connector(base, plan)?, plan.verify)));
        Ok(Self { tls: tls.transpose()?, patience })
    }

    /// Without TLS.
    pub fn plain(&self) -> Self {
        Self { tls: None, patience: self.patience }
    }

    /// With TLS, and whoever answers is taken for the server.
    pub fn trusting(patience: Duration) -> Result<Self, TlsError> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_verify(SslVerifyMode::NONE);
        Ok(Self { tls: Some((builder.build(), false)), patience })
    }

    /// How long it waits.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Connects to the first address of a server that can be connected to.
    pub fn dial(&self, spot: &Spot) -> Result<Link, LinkError> {
        let mut last = None;
        for address in spot.lookup()? {
            match self.dial_address(spot, &address) {
                Err(
                    error @ (LinkError::Refused | LinkError::Timeout(_) | LinkError::System(_)),
                ) => {
                    last = Some(error);
                }
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| LinkError::no_address(spot)))
    }

    /// Connects to one address of a server.
    pub fn dial_address(&self, spot: &Spot, address: &Address) -> Result<Link, LinkError> {
        let begin = Instant::now();
        let patience = Some(self.patience);
        let failed = |error| self.failed(error);
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, self.patience).map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                stream.set_read_timeout(patience).map_err(failed)?;
                stream.set_write_timeout(patience).map_err(failed)?;
                self.link(spot, stream, begin)
            }
            Address::Unix(path) => {
                let stream = connect_unix(path, self.patience).map_err(failed)?;
                stream.set_read_timeout(patience).map_err(failed)?;
                stream.set_write_timeout(patience).map_err(failed)?;
                self.link(spot, stream, begin)
            }
        }
    }

    fn failed(&self, error: io::Error) -> LinkError {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => LinkError::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                LinkError::Timeout(self.patience)
            }
            _ => LinkError::System(error),
        }
    }

    fn link<S: Stream + 'static>(
        &self,
        spot: &Spot,
        stream: S,
        begin: Instant,
    ) -> Result<Link, LinkError> {
        let Some((connector, verify)) = &self.tls else {
            return Ok(self.ready(stream, begin, None));
        };
        let stream = self.handshake(connector, *verify, spot.peer.as_ref(), stream)?;
        let tls = Some(facts(stream.ssl()));
        Ok(self.ready(stream, begin, tls))
    }

    fn ready<S: Stream + 'static>(&self, stream: S, begin: Instant, tls: Option<TlsFacts>) -> Link {
        let (patience, until) = (self.patience, Instant::now() + self.patience);
        Link { stream: Box::new(stream), patience, until, took: begin.elapsed(), tls }
    }

    fn handshake<S: Stream>(
        &self,
        connector: &SslConnector,
        verify: bool,
        peer: Option<&Peer>,
        stream: S,
    ) -> Result<SslStream<S>, LinkError> {
        let fail = |reason: String| LinkError::Tls { reason, verify: None, certificate: None };
        let prepare = || {
            let mut config = connector.configure()?;
            config.set_verify_hostname(verify);
            // An IP address is sent as no name, as nginx does it.
            let name = match peer {
                Some(Peer::Name(name)) => name,
                Some(Peer::Address(address)) => {
                    config.set_use_server_name_indication(false);
                    address
                }
                None => {
                    config.set_verify_hostname(false);
                    config.set_use_server_name_indication(false);
                    ""
                }
            };
            config.into_ssl(name)
        };
        let ssl = prepare().map_err(|error| fail(error.to_string()))?;
        match ssl.connect(stream) {
            Ok(stream) => Ok(stream),
            Err(HandshakeError::SetupFailure(error)) => Err(fail(error.to_string())),
            Err(HandshakeError::WouldBlock(_)) => {
                Err(fail(format!("no answer in {:?}", self.patience)))
            }
            Err(HandshakeError::Failure(failed)) => {
                let ssl = failed.ssl();
                let result = ssl.verify_result();
                let certificate = ssl.peer_certificate();
                let is_bad = verify && result != X509VerifyResult::OK;
                let reason = match is_bad {
                    true => result.error_string().to_owned(),
                    false => reason(failed.error()),
                };
                Err(LinkError::Tls {
                    reason,
                    verify: is_bad.then_some(result),
                    certificate: certificate.map(|certificate| certificate_facts(&certificate)),
                })
            }
        }
    }
}

/// What OpenSSL says of an error, in its own words.
fn reason(error: &openssl::ssl::Error) -> String {
    if let Some(stack) = error.ssl_error() {
        let mut reasons = stack.errors().iter().filter_map(|error| error.reason());
        if let Some(reason) = reasons.next_back() {
            return reason.to_owned();
        }
    }
    match error.io_error() {
        Some(error) => error.to_string(),
        None => "the connection was closed".to_owned(),
    }
}

fn connector(base: &Path, plan: &TlsPlan<'_>) -> Result<SslConnector, TlsError> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    let use_file = |builder: &mut SslConnectorBuilder,
                    parameter,
                    name,
                    expected,
                    set: &dyn Fn(
        &mut SslConnectorBuilder,
        &Path,
    ) -> Result<(), openssl::error::ErrorStack>| {
        let file = files::path(base, name);
        let readable = std::fs::File::open(&file);
        let reason = match readable {
            Err(error) => error.to_string(),
            Ok(_) => match set(builder, &file) {
                Ok(()) => return Ok(()),
                Err(stack) => stack.to_string(),
            },
        };
        Err(TlsError::File { parameter, file, expected, reason })
    };
    if let Some(ca) = plan.ca {
        // The system's are not trusted next to it.
        builder.set_cert_store(openssl::x509::store::X509StoreBuilder::new()?.build());
        use_file(&mut builder, "tls_ca", ca, "certificates in PEM", &|builder, file| {
            builder.set_ca_file(file)
        })?;
    }
    if let Some((certificate, key)) = plan.identity {
        use_file(
            &mut builder,
            "tls_cert",
            certificate,
            "a certificate in PEM",
            &|builder, file| builder.set_certificate_chain_file(file),
        )?;
        use_file(
            &mut builder,
            "tls_key",
            key,
            "the certificate's key in PEM, without a password",
            &|builder, file| builder.set_private_key_file(file, SslFiletype::PEM),
        )?;
    }
    builder.set_verify(if plan.verify { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
    Ok(builder.build())
}

fn facts(ssl: &SslRef) -> TlsFacts {
    let is_verified = ssl.verify_result() == X509VerifyResult::OK;
    let root = ssl.verified_chain().filter(|_| is_verified);
    let root = root.and_then(|chain| chain.iter().last()).map(|root| name(root.subject_name()));
    let certificate = ssl.peer_certificate().map(|one| certificate_facts(&one));
    TlsFacts { version: ssl.version_str(), certificate, root }
}

fn certificate_facts(certificate: &X509Ref) -> Certificate {
    let mut names: Vec<_> = certificate
        .subject_alt_names()
        .iter()
        .flatten()
        .filter_map(|name| match (name.dnsname(), name.ipaddress()) {
            (Some(name), _) => Some(name.to_owned()),
            (_, Some(bytes)) => address(bytes),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        names.push(name(certificate.subject_name()));
    }
    let now = Asn1Time::days_from_now(0);
    let left = now.and_then(|now| now.diff(certificate.not_after()));
    let days_left = left.map_or(0, |left| if left.secs < 0 { left.days - 1 } else { left.days });
    Certificate { names, issuer: name(certificate.issuer_name()), days_left }
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from);
    four().or_else(sixteen).map(|address| address.to_string())
}

/// The common name, or all of it.
fn name(name: &X509NameRef) -> String {
    let common = name.entries_by_nid(openssl::nid::Nid::COMMONNAME).next();
    let common = common.and_then(|entry| entry.data().to_string().ok());
    common.unwrap_or_else(|| format!("{name:?}"))
}

/// As `UnixStream::connect`, which waits for ever where too many clients wait already. On Linux, the time
/// limit for sending is that of connect() as well (socket(7)).
fn connect_unix(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(OwnedFd::from(socket).into())
}

impl Link {
    /// What is read next may take as long as what follows a request.
    pub fn wait_anew(&mut self) {
        self.until = Instant::now() + self.patience;
    }
}

/// A server that answers byte by byte, without an end, is given up like one that is silent.
impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match Instant::now() < self.until {
            true => self.stream.read(buffer),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait_anew();
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
