//! The client's side of TLS: what it offers, and the sessions that it is given.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslMethod, SslRef, SslSession, SslSessionCacheMode, SslStream, SslVerifyMode,
    SslVersion,
};

use crate::options::{Options, Version};

/// Opens connections, all from one `SslContext`.
pub struct Client {
    context: SslContext,
    sni: Option<String>,
}

/// A TCP connection. A deaf one gives nothing to read, so that a client gets no further than its
/// ClientHello, however fast the server is.
#[derive(Debug)]
pub struct Socket {
    pub stream: TcpStream,
    deaf: bool,
}

impl Client {
    /// A client that speaks what `options` ask for.
    pub fn new(options: &Options) -> Result<Self, ErrorStack> {
        let version = match options.tls {
            Version::Tls12 => SslVersion::TLS1_2,
            Version::Tls13 => SslVersion::TLS1_3,
        };

        let mut context = SslContext::builder(SslMethod::tls_client())?;
        context.set_min_proto_version(Some(version))?;
        context.set_max_proto_version(Some(version))?;
        context.set_verify(SslVerifyMode::NONE);
        // A client's cache would forget a TLS 1.3 session once it is offered, and mark it as not
        // resumable.
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        if !options.alpn.is_empty() {
            context.set_alpn_protos(&alpn_list(&options.alpn))?;
        }
        Ok(Self { context: context.build(), sni: options.sni.clone() })
    }

    /// Begins to connect to `address`, to offer `session` there; `deaf` to all that comes back.
    pub fn connect(
        &self,
        address: SocketAddr,
        session: Option<&SslSession>,
        deaf: bool,
    ) -> io::Result<SslStream<Socket>> {
        let mut ssl = Ssl::new(&self.context)?;
        if let Some(name) = &self.sni {
            ssl.set_hostname(name)?;
        }
        if let Some(session) = session {
            // SAFETY: every session comes from `given_session`, that is from a connection of this
            // very context.
            unsafe { ssl.set_session(session)? };
        }
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(SslStream::new(ssl, Socket { stream, deaf })?)
    }

    /// The session that the server gave on a connection which offered `offered`: in TLS 1.3 that
    /// of the last ticket which was read.
    pub fn given_session(&self, ssl: &SslRef, offered: Option<&SslSession>) -> Option<SslSession> {
        let session = ssl.session()?;
        let known = offered.is_some_and(|offered| offered.id() == session.id());
        // OpenSSL gives a session with a ticket an id of its own making; one without an id cannot
        // be resumed.
        (!session.id().is_empty() && !known).then(|| session.to_owned())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.deaf {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.stream.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// RFC 7301, section 3.1: each name behind a byte with its length.
fn alpn_list(names: &[String]) -> Vec<u8> {
    let mut list = Vec::new();
    for name in names {
        list.push(name.len() as u8);
        list.extend_from_slice(name.as_bytes());
    }
    list
}
