//! Servers that are spoken to: what the module asks them, by its own codec, and what an operator asks.

mod fleet;
pub mod memcached;
pub mod redis;

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use ssl_session_cache_core::plan::{Kind, StorePlan};
use ssl_session_cache_core::protocol::{
    Asked, Credentials, Memcached as MemcachedProtocol, Protocol, ProtocolError, Put, Reason,
    Redis as RedisProtocol, Reply, Request,
};
use ssl_session_cache_core::session::Key;
use thiserror::Error;

pub use self::fleet::{sentinels, Fleet};
use self::memcached::Memcached;
use self::redis::Redis;
use crate::files::{self, FileError};
use crate::link::{Dialer, Link, LinkError, Spot, TlsError};

/// What a server answers to what the module asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This lies there.
    Found(Vec<u8>),
    /// Nothing lies there.
    Missing,
    /// Something lies there already.
    Present,
    /// It was done.
    Done,
    /// Something longer than any record lies there.
    Oversized,
    /// It was refused.
    Refused {
        /// For a lack of rights.
        is_right: bool,
        /// As the server says it.
        message: String,
    },
}

/// Why a server says nothing of use.
#[derive(Debug, Error)]
pub enum TalkError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(io::Error),
    /// The server has closed it.
    #[error("the server has closed the connection")]
    Closed,
    /// The server says nothing.
    #[error("no answer in {0:?}")]
    Timeout(Duration),
    /// It says what it should not.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// A step of the greeting was refused.
    #[error("{0}")]
    Refused(String),
}

/// Why a server cannot be used.
#[derive(Debug, Error)]
pub enum ServerError {
    /// There is no connection.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is one, and no answer of use.
    #[error(transparent)]
    Talk(#[from] TalkError),
}

/// Why a store cannot be spoken to at all.
#[derive(Debug, Error)]
pub enum AccessError {
    /// A file of passwords.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How the servers of a store are spoken to.
pub struct Access {
    /// How connections are made.
    pub dialer: Dialer,
    /// Who the client says it is.
    pub credentials: Option<Credentials>,
    /// What kind of servers they are.
    pub kind: Kind,
    database: u16,
}

/// A tool has more time than a handshake.
const PATIENCE: Duration = Duration::from_secs(3);

impl Access {
    /// Reads the files that the plan of a store names.
    pub fn new(base: &Path, plan: &StorePlan<'_>) -> Result<Self, AccessError> {
        let auth = plan.auth.as_ref();
        Ok(Self {
            dialer: Dialer::new(base, plan.tls.as_ref(), plan.timeout.max(PATIENCE))?,
            credentials: auth.map(|auth| files::credentials(base, auth)).transpose()?,
            kind: plan.kind,
            database: plan.database,
        })
    }

    /// Connects to a server and greets it: at the first of its addresses where something answers that is
    /// no replica, as nginx does it.
    pub fn server(&self, spot: &Spot) -> Result<Server, ServerError> {
        let mut found = None;
        for address in spot.lookup()? {
            let link = self.dialer.dial_address(spot, &address).map_err(ServerError::from);
            match link.and_then(|link| Ok(self.greet(link)?)) {
                Ok(mut server) => match server.is_replica() {
                    false => return Ok(server),
                    true => found = Some(Ok(server)),
                },
                Err(error) => found = found.filter(Result::is_ok).or(Some(Err(error))),
            }
        }
        found.unwrap_or_else(|| Err(LinkError::no_address(spot).into()))
    }

    /// Greets a server.
    pub fn greet(&self, link: Link) -> Result<Server, TalkError> {
        self.greet_as(link, self.credentials.clone())
    }

    /// Greets a Sentinel, which has no databases.
    pub fn greet_sentinel(
        &self,
        link: Link,
        credentials: Option<Credentials>,
    ) -> Result<Redis, TalkError> {
        let protocol = RedisProtocol::new(credentials, 0);
        let mut talk = Conversation { link, protocol, patience: self.dialer.patience() };
        talk.greet()?;
        Ok(Redis::new(talk, 0))
    }

    /// Greets a server as whoever that is.
    pub fn greet_as(
        &self,
        link: Link,
        credentials: Option<Credentials>,
    ) -> Result<Server, TalkError> {
        let patience = self.dialer.patience();
        match self.kind {
            Kind::Redis => {
                let protocol = RedisProtocol::new(credentials, self.database);
                let mut talk = Conversation { link, protocol, patience };
                talk.greet()?;
                Ok(Server::Redis(Box::new(Redis::new(talk, self.database))))
            }
            Kind::Memcached => {
                let protocol = MemcachedProtocol::new(credentials);
                let mut talk = Conversation { link, protocol, patience };
                talk.greet()?;
                Ok(Server::Memcached(Box::new(Memcached::new(talk))))
            }
        }
    }
}

/// A server that is connected to.
pub enum Server {
    /// Redis or its kin.
    Redis(Box<Redis>),
    /// Memcached.
    Memcached(Box<Memcached>),
}

impl Server {
    /// Asks what the module asks.
    pub fn ask(&mut self, request: Request<'_>) -> Result<Answer, TalkError> {
        match self {
            Self::Redis(redis) => redis.talk.ask(request),
            Self::Memcached(memcached) => memcached.talk.ask(request),
        }
    }

    fn is_replica(&mut self) -> bool {
        match self {
            Self::Redis(redis) => redis.is_replica(),
            Self::Memcached(_) => false,
        }
    }

    /// What lies under a key.
    pub fn get(&mut self, key: &Key) -> Result<Answer, TalkError> {
        self.ask(Request::Get(key))
    }

    /// Deletes what lies under a key; whether anything did, where that is told.
    pub fn delete(&mut self, key: &Key) -> Result<bool, TalkError> {
        match self {
            Self::Redis(redis) => redis.delete(key),
            Self::Memcached(memcached) => memcached.delete(key),
        }
    }

    /// For how many seconds more something lies there; `None` where it cannot be told.
    pub fn ttl(&mut self, key: &Key) -> Option<i64> {
        match self {
            Self::Redis(redis) => redis.ttl(key),
            Self::Memcached(memcached) => memcached.ttl(key),
        }
    }
}

/// A record to put.
pub fn put<'a>(key: &'a Key, record: &'a [u8], ttl: u32) -> Put<'a> {
    Put { key, record, ttl, unix_now: unix_now() }
}

/// The time of day in seconds.
pub fn unix_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

/// Requests of the module's and their replies, one at a time.
pub struct Conversation<P> {
    link: Link,
    protocol: P,
    patience: Duration,
}

impl<P: Protocol> Conversation<P> {
    /// What opens a connection.
    fn greet(&mut self) -> Result<(), TalkError> {
        let requests: Vec<_> = self
            .protocol
            .greeting()
            .into_iter()
            .map(|request| {
                let mut bytes = Vec::new();
                self.protocol.encode(request, &mut bytes);
                (Asked::from(request), bytes)
            })
            .collect();
        for (asked, bytes) in requests {
            if let Answer::Refused { message, .. } = self.exchange(&asked, &bytes)? {
                return Err(TalkError::Refused(message));
            }
        }
        Ok(())
    }

    fn ask(&mut self, request: Request<'_>) -> Result<Answer, TalkError> {
        let mut bytes = Vec::new();
        self.protocol.encode(request, &mut bytes);
        self.exchange(&request.into(), &bytes)
    }

    fn exchange(&mut self, asked: &Asked, bytes: &[u8]) -> Result<Answer, TalkError> {
        self.send(bytes)?;
        let mut input = Vec::new();
        loop {
            match self.protocol.decode(asked, &input)? {
                Some((reply, taken)) => {
                    let (answer, rest) = answer(reply);
                    self.skip(rest.saturating_sub(input.len() - taken))?;
                    return Ok(answer);
                }
                None => self.receive(&mut input)?,
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), TalkError> {
        let sent = self.link.write_all(bytes).and_then(|()| self.link.flush());
        sent.map_err(|error| TalkError::from_io(error, self.patience))
    }

    /// Appends what comes.
    fn receive(&mut self, input: &mut Vec<u8>) -> Result<(), TalkError> {
        let mut buffer = [0; 16 * 1024];
        match self.link.read(&mut buffer) {
            Ok(0) => Err(TalkError::Closed),
            Ok(len) => {
                input.extend_from_slice(&buffer[..len]);
                Ok(())
            }
            Err(error) => Err(TalkError::from_io(error, self.patience)),
        }
    }

    /// Takes what follows of a reply that is too long. All that comes belongs to it.
    fn skip(&mut self, mut len: usize) -> Result<(), TalkError> {
        while len > 0 {
            let mut input = Vec::new();
            self.receive(&mut input)?;
            len = len.saturating_sub(input.len());
        }
        Ok(())
    }
}

impl TalkError {
    fn from_io(error: io::Error, patience: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Timeout(patience),
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// An answer that can be kept, and how much follows it.
fn answer(reply: Reply<'_>) -> (Answer, usize) {
    let answer = match reply {
        Reply::Found(record) => Answer::Found(record.to_vec()),
        Reply::Oversized(rest) => return (Answer::Oversized, rest.len + rest.tail.len()),
        Reply::Missing => Answer::Missing,
        Reply::Present => Answer::Present,
        Reply::Done => Answer::Done,
        Reply::Refused(refusal) => Answer::Refused {
            is_right: refusal.reason == Reason::NoPermission,
            message: refusal.text(),
        },
    };
    (answer, 0)
}
