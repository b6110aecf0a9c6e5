//! One client: connect, handshake, requests, close.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{ready, Poll};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use openssl::ssl::{self, ErrorCode, SslRef, SslSession, SslStream};
use socket2::SockRef;
use thiserror::Error;

use crate::client::{Client, Socket};
use crate::options::Departure;
use crate::response::Response;

/// What a client does.
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// The request that is sent after the handshake; empty for none.
    pub request: Rc<[u8]>,
    /// How many times it is sent.
    pub requests: usize,
    /// How the client leaves in the middle of the handshake, and how long after its ClientHello.
    pub abort: Option<(Departure, Duration)>,
    /// How long all this may take.
    pub timeout: Duration,
}

/// A client on its way.
pub struct Connection {
    tls: SslStream<Socket>,
    state: State,
    plan: Plan,
    response: Response,
    deadline: Instant,
    /// When the handshake or request that is under way began.
    since: Instant,
    timings: Timings,
}

/// How long each thing took.
#[derive(Default)]
pub struct Timings {
    /// From the ClientHello to the end of the handshake, as the client sees it.
    pub handshake: Duration,
    /// Each request, from its first byte to the last of the response.
    pub requests: Vec<Duration>,
}

#[derive(Clone, Copy)]
enum State {
    Connecting,
    Handshaking,
    Leaving(Departure),
    Sending { sent: usize },
    Receiving,
    Closing,
    Draining,
    Closed,
}

/// Why and where a client failed.
#[derive(Debug, Error)]
#[error("{stage}: {cause}")]
pub struct Failure {
    stage: &'static str,
    cause: Cause,
}

impl Failure {
    /// Whether the server may have seen the session that was offered.
    pub fn spends_session(&self) -> bool {
        self.stage != State::Connecting.name()
    }
}

/// Why a client failed.
#[derive(Debug, Error)]
pub enum Cause {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS failed.
    #[error("{0}")]
    Tls(String),
    /// The server closed the connection too early.
    #[error("closed by the server")]
    Closed,
    /// The plan's time has passed.
    #[error("timed out")]
    TimedOut,
    /// The server answered with an error.
    #[error("status {0}")]
    Status(u16),
    /// The server did not answer with HTTP.
    #[error("not an HTTP response")]
    NotHttp,
    /// A handshake that was meant to make a session gave none.
    #[error("no session given")]
    NoSession,
}

/// A record that is legal in TLS 1.3 at any time before the peer's Finished (RFC 8446, section 5),
/// and in TLS 1.2 is not.
const CHANGE_CIPHER_SPEC: [u8; 6] = [0x14, 0x03, 0x03, 0x00, 0x01, 0x01];

const READ_SIZE: usize = 16 * 1024;

impl Connection {
    /// Begins to carry out `plan`, offering `session`.
    pub fn start(
        client: &Client,
        plan: Plan,
        session: Option<&SslSession>,
        now: Instant,
    ) -> Result<Self, Failure> {
        let tls = client
            .connect(plan.address, session, plan.abort.is_some())
            .map_err(|error| Failure { stage: State::Connecting.name(), cause: error.into() })?;
        Ok(Self {
            tls,
            state: State::Connecting,
            deadline: now + plan.timeout,
            plan,
            response: Response::default(),
            since: now,
            timings: Timings::default(),
        })
    }

    /// The socket to wait for.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.tls.get_mut().stream
    }

    /// The TLS state.
    pub fn ssl(&self) -> &SslRef {
        self.tls.ssl()
    }

    /// When [`expire`](Self::expire) is to be called.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How long things took.
    pub fn into_timings(self) -> Timings {
        self.timings
    }

    /// Goes on as far as the socket allows; ready when all is done and closed.
    pub fn advance(&mut self) -> Poll<Result<(), Failure>> {
        loop {
            match ready!(self.step()) {
                Ok(State::Closed) => return Poll::Ready(Ok(())),
                Ok(state) => self.state = state,
                Err(cause) => return Poll::Ready(Err(self.failure(cause))),
            }
        }
    }

    /// Ends a client whose deadline has passed: well if it was about to leave.
    pub fn expire(&mut self) -> Result<(), Failure> {
        match self.state {
            State::Leaving(Departure::Reset) => SockRef::from(&self.tls.get_ref().stream)
                .set_linger(Some(Duration::ZERO))
                .map_err(|error| self.failure(error.into())),
            State::Leaving(_) => Ok(()),
            _ => Err(self.failure(Cause::TimedOut)),
        }
    }

    /// A failure where the client is now.
    pub fn failure(&self, cause: Cause) -> Failure {
        Failure { stage: self.state.name(), cause }
    }

    fn step(&mut self) -> Poll<Result<State, Cause>> {
        match self.state {
            State::Connecting => self.connect(),
            State::Handshaking => self.handshake(),
            State::Leaving(_) => Poll::Pending,
            State::Sending { sent } => self.send(sent),
            State::Receiving => self.receive(),
            State::Closing => self.close(),
            State::Draining => self.drain(),
            State::Closed => Poll::Ready(Ok(State::Closed)),
        }
    }

    fn connect(&mut self) -> Poll<Result<State, Cause>> {
        let socket = &self.tls.get_ref().stream;
        if let Some(error) = socket.take_error()? {
            return Poll::Ready(Err(error.into()));
        }
        match socket.peer_addr() {
            Ok(_) => {
                self.since = Instant::now();
                Poll::Ready(Ok(State::Handshaking))
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Pending,
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    fn handshake(&mut self) -> Poll<Result<State, Cause>> {
        let result = self.tls.connect();
        let hello_sent = matches!(&result, Err(error) if error.code() == ErrorCode::WANT_READ);
        if let (true, Some((departure, delay))) = (hello_sent, self.plan.abort) {
            if departure == Departure::Extra {
                self.tls.get_mut().write_all(&CHANGE_CIPHER_SPEC)?;
            }
            self.deadline = Instant::now() + delay;
            return Poll::Ready(Ok(State::Leaving(departure)));
        }
        ready!(poll_tls(result))?;
        self.timings.handshake = self.since.elapsed();
        Poll::Ready(Ok(self.next_request()))
    }

    fn next_request(&mut self) -> State {
        if self.plan.request.is_empty() || self.timings.requests.len() == self.plan.requests {
            return State::Closing;
        }
        self.since = Instant::now();
        State::Sending { sent: 0 }
    }

    fn send(&mut self, sent: usize) -> Poll<Result<State, Cause>> {
        let sent = sent + ready!(poll_tls(self.tls.ssl_write(&self.plan.request[sent..])))?;
        Poll::Ready(Ok(if sent < self.plan.request.len() {
            State::Sending { sent }
        } else {
            State::Receiving
        }))
    }

    fn receive(&mut self) -> Poll<Result<State, Cause>> {
        let mut buffer = [0; READ_SIZE];
        let summary = match ready!(poll_tls(self.tls.ssl_read(&mut buffer))) {
            Ok(length) => self.response.read(&buffer[..length]).map_err(|_| Cause::NotHttp)?,
            Err(Cause::Closed) => Some(self.response.end().ok_or(Cause::Closed)?),
            Err(cause) => return Poll::Ready(Err(cause)),
        };
        let Some(summary) = summary else { return Poll::Ready(Ok(State::Receiving)) };
        if summary.status >= 400 {
            return Poll::Ready(Err(Cause::Status(summary.status)));
        }
        self.timings.requests.push(self.since.elapsed());
        Poll::Ready(match self.next_request() {
            State::Closing if !summary.keep_alive => Ok(State::Draining),
            _ if !summary.keep_alive => Err(Cause::Closed),
            next => Ok(next),
        })
    }

    fn close(&mut self) -> Poll<Result<State, Cause>> {
        ready!(poll_tls(self.tls.shutdown()))?;
        Poll::Ready(Ok(State::Draining))
    }

    /// Reads until the server closes. The tickets of TLS 1.3 come here if there was no request, and
    /// to close a socket with unread bytes would reset the connection.
    fn drain(&mut self) -> Poll<Result<State, Cause>> {
        let mut buffer = [0; READ_SIZE];
        match ready!(poll_tls(self.tls.ssl_read(&mut buffer))) {
            Ok(_) => Poll::Ready(Ok(State::Draining)),
            Err(Cause::Closed) => {
                // Where the server closed first, OpenSSL still wants its answer to hold the session
                // for a good one; the server may be too far gone to read it.
                let _ = self.tls.shutdown();
                Poll::Ready(Ok(State::Closed))
            }
            Err(cause) => Poll::Ready(Err(cause)),
        }
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Connecting => "connect",
            State::Handshaking | State::Leaving(_) => "handshake",
            State::Sending { .. } | State::Receiving => "request",
            State::Closing | State::Draining | State::Closed => "close",
        }
    }
}

fn poll_tls<T>(result: Result<T, ssl::Error>) -> Poll<Result<T, Cause>> {
    let error = match result {
        Ok(value) => return Poll::Ready(Ok(value)),
        Err(error) => error,
    };
    if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE) {
        return Poll::Pending;
    }
    if let Some(reason) = error.ssl_error().and_then(|stack| stack.errors().first()?.reason()) {
        return Poll::Ready(Err(Cause::Tls(reason.into())));
    }
    Poll::Ready(Err(match error.into_io_error() {
        Ok(error) => Cause::Io(error),
        Err(_) => Cause::Closed,
    }))
}
