//! What a server is asked.

use crate::protocol::Credentials;
use crate::session::Key;

/// A request to a server.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// Who the client is. A step of the greeting.
    Authenticate(&'a Credentials),
    /// Which of a server's databases is used. A step of the greeting.
    Select(u16),
    /// Asks whether the server is a master, and is refused by one that is not. A step of the greeting.
    Role,
    /// How the server is to list the connection. A step of the greeting, which a server may refuse.
    Name(&'a [u8]),
    /// Has a server of a cluster carry the next request out, though the key is still on its way to it.
    Asking,
    /// Asks for the record under a key.
    Get(&'a Key),
    /// Puts a record under a key, whether there is one or not.
    Put(Put<'a>),
    /// Puts a record under a key that has none, and says whether there was none: of all that are told
    /// so, one is the first.
    Add(Put<'a>),
    /// The same for a server that cannot do both, and for good: [`Expire`](Self::Expire) follows.
    AddForGood {
        /// Under which name.
        key: &'a Key,
        /// What is put there.
        record: &'a [u8],
    },
    /// Has what lies under a key lie there for so many seconds from now on.
    Expire {
        /// Under which name.
        key: &'a Key,
        /// For how many seconds.
        ttl: u32,
    },
    /// Has what lies under a key lie there for good. It is asked of what there is not, to see whether
    /// the server knows it: one that does not deletes a record that has its time when another is added.
    Persist(&'a Key),
    /// Deletes the record under a key.
    Delete(&'a Key),
    /// Asks whether the server is there, and nothing else.
    Probe,
}

/// A record to put.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// Under which name.
    pub key: &'a Key,
    /// What is put there.
    pub record: &'a [u8],
    /// For how many seconds, one at least.
    pub ttl: u32,
    /// The time of day in seconds, for a server that takes a long time to live as a date.
    pub unix_now: u64,
}

/// What is kept of a request until its reply: what that must fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A step of the greeting, before its probe, that a server must not refuse.
    Greeting,
    /// The server's role. A step of the greeting as well.
    Role,
    /// A name for the connection. A step of the greeting as well.
    Name,
    /// What comes before a request for a key that is on its way.
    Asking,
    /// A lookup of this key.
    Get(Key),
    /// A record to put under this key.
    Put(Key),
    /// A record to add under this key.
    Add(Key),
    /// The same, for good.
    AddForGood(Key),
    /// For how long what lies under this key does.
    Expire(Key),
    /// Whether a server can have what lies under this key lie there for good.
    Persist(Key),
    /// A record to delete under this key.
    Delete(Key),
    /// A probe: at the end of the greeting, in idleness, after trouble.
    Probe,
}

impl From<Request<'_>> for Asked {
    fn from(request: Request<'_>) -> Self {
        match request {
            Request::Authenticate(_) | Request::Select(_) => Self::Greeting,
            Request::Role => Self::Role,
            Request::Name(_) => Self::Name,
            Request::Asking => Self::Asking,
            Request::Get(key) => Self::Get(key.clone()),
            Request::Put(put) => Self::Put(put.key.clone()),
            Request::Add(put) => Self::Add(put.key.clone()),
            Request::AddForGood { key, .. } => Self::AddForGood(key.clone()),
            Request::Expire { key, .. } => Self::Expire(key.clone()),
            Request::Persist(key) => Self::Persist(key.clone()),
            Request::Delete(key) => Self::Delete(key.clone()),
            Request::Probe => Self::Probe,
        }
    }
}
