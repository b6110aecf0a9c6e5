//! What is counted, and the names that operators know it by.
//!
//! Each of these is also a number, by which shared memory keeps its counter.

use crate::server::{Lookup, State, Unavailable};
use crate::ticket::Origin;

/// The part of nginx that a client came to, by the block that its server is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Frontend {
    /// `http {}`
    Http,
    /// `stream {}`
    Stream,
    /// `mail {}`
    Mail,
}

impl Frontend {
    /// All of them, each at its number.
    pub const ALL: [Self; 3] = [Self::Http, Self::Stream, Self::Mail];

    /// As the status page shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Stream => "stream",
            Self::Mail => "mail",
        }
    }
}

/// What a handshake got for the sessions that its client offered: the most telling of them, which
/// is the last one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// The client offered none.
    #[default]
    None,
    /// An id that no machine with our key has made.
    Foreign,
    /// A ticket under a key that is not known here, or any longer.
    TicketUnknown,
    /// The store has no such session.
    Miss,
    /// What lies in the store is not that session.
    Invalid,
    /// Too much waited for the store already.
    Full,
    /// The store could not be asked, or refused to answer.
    Down,
    /// The store did not answer in time.
    Timeout,
    /// Found, and not resumed: it is of use to another machine, at another time or to another
    /// server, or its client has not gone on with it.
    Unused,
    /// Found, and not resumed: another handshake has done so, and each is resumed once.
    Used,
    /// Resumed from the tier of this machine.
    Local,
    /// Resumed from the store.
    Hit,
    /// Resumed from a ticket under another key than the one in use: that of an epoch before or of the
    /// next, or one of several of the same.
    TicketOld,
    /// Resumed from a ticket under the key in use.
    Ticket,
}

impl Outcome {
    /// All of them, each at its number.
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::Foreign,
        Self::TicketUnknown,
        Self::Miss,
        Self::Invalid,
        Self::Full,
        Self::Down,
        Self::Timeout,
        Self::Unused,
        Self::Used,
        Self::Local,
        Self::Hit,
        Self::TicketOld,
        Self::Ticket,
    ];

    /// As the variable shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Foreign => "FOREIGN",
            Self::TicketUnknown => "TICKET_UNKNOWN",
            Self::Miss => "MISS",
            Self::Invalid => "INVALID",
            Self::Full => "FULL",
            Self::Down => "DOWN",
            Self::Timeout => "TIMEOUT",
            Self::Unused => "UNUSED",
            Self::Used => "USED",
            Self::Local => "LOCAL",
            Self::Hit => "HIT",
            Self::TicketOld => "TICKET_OLD",
            Self::Ticket => "TICKET",
        }
    }

    /// As the status page shows it.
    pub fn label(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            _ => self.name().to_ascii_lowercase(),
        }
    }
}

/// What became of early data that came with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EarlyData {
    /// Accepted: no other handshake has had the session's, nor will one.
    Claimed,
    /// Refused: another handshake has had the session's, or this is a replay of that.
    Replayed,
    /// Refused: the store has not said whether another handshake has, or cannot know of all.
    Unclaimed,
}

impl EarlyData {
    /// All of them, each at its number.
    pub const ALL: [Self; 3] = [Self::Claimed, Self::Replayed, Self::Unclaimed];

    /// As the variable shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claimed => "CLAIMED",
            Self::Replayed => "REPLAYED",
            Self::Unclaimed => "UNCLAIMED",
        }
    }

    /// As the status page shows it.
    pub fn label(self) -> String {
        self.name().to_ascii_lowercase()
    }
}

/// How a lookup in a store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LookupResult {
    /// The store has answered with a record.
    Found,
    /// The store has none.
    Missing,
    /// The store did not answer in time.
    Timeout,
    /// The store has answered with an error.
    Refused,
    /// Not sent, or lost with the connection: the store is down.
    Down,
    /// Not sent: too much waited.
    Full,
}

impl LookupResult {
    /// All of them, each at its number.
    pub const ALL: [Self; 6] =
        [Self::Found, Self::Missing, Self::Timeout, Self::Refused, Self::Down, Self::Full];

    /// As the status page shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Missing => "missing",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Down => "down",
            Self::Full => "full",
        }
    }
}

impl From<Lookup<'_>> for LookupResult {
    fn from(lookup: Lookup<'_>) -> Self {
        match lookup {
            // Something was found; that it is no session, the outcome of the handshake tells.
            Lookup::Found(_) | Lookup::Oversized => Self::Found,
            Lookup::Missing => Self::Missing,
            Lookup::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Unavailable> for LookupResult {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Down => Self::Down,
            Unavailable::Full => Self::Full,
            Unavailable::Timeout => Self::Timeout,
            Unavailable::Refused => Self::Refused,
        }
    }
}

/// What is counted of a store besides lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// A session was sent or queued.
    SessionSent,
    /// A session was not even queued.
    SessionDropped,
    /// A session was sent, and is not in the store, or it has not said so.
    SessionFailed,
    /// The removal of a session was sent or queued.
    DeleteSent,
    /// A byte was written.
    ByteSent,
    /// A byte was read.
    ByteReceived,
    /// The store has answered the greeting of a new connection.
    Connected,
    /// A connection was lost, or could not be made.
    Failed,
}

impl Event {
    /// All of them, each at its number.
    pub const ALL: [Self; 8] = [
        Self::SessionSent,
        Self::SessionDropped,
        Self::SessionFailed,
        Self::DeleteSent,
        Self::ByteSent,
        Self::ByteReceived,
        Self::Connected,
        Self::Failed,
    ];

    /// The name of its counter.
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionSent => "sessions_sent",
            Self::SessionDropped => "sessions_dropped",
            Self::SessionFailed => "sessions_failed",
            Self::DeleteSent => "deletes",
            Self::ByteSent => "sent_bytes",
            Self::ByteReceived => "received_bytes",
            Self::Connected => "connections",
            Self::Failed => "failures",
        }
    }

    /// What its counter is.
    pub fn help(self) -> &'static str {
        match self {
            Self::SessionSent => "Sessions sent to the store.",
            Self::SessionDropped => "Sessions that could not be sent to the store.",
            Self::SessionFailed => "Sessions sent that the store has not accepted.",
            Self::DeleteSent => "Removals of sessions sent to the store.",
            Self::ByteSent => "Bytes sent to the store.",
            Self::ByteReceived => "Bytes received from the store.",
            Self::Connected => "Connections to the store that came up.",
            Self::Failed => "Connections to the store that were lost or not made.",
        }
    }
}

impl State {
    /// All of them, each at its number.
    pub const ALL: [Self; 3] = [Self::Down, Self::Connecting, Self::Up];

    /// As the status page shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Connecting => "connecting",
            Self::Up => "up",
        }
    }
}

impl Origin {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Own, Self::Ratchet, Self::Store];

    /// As the status page shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Ratchet => "ratcheted",
            Self::Store => "fleet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_number() {
        let numbers = [
            Frontend::ALL.map(|frontend| frontend as usize).to_vec(),
            Outcome::ALL.map(|outcome| outcome as usize).to_vec(),
            EarlyData::ALL.map(|early_data| early_data as usize).to_vec(),
            LookupResult::ALL.map(|result| result as usize).to_vec(),
            Event::ALL.map(|event| event as usize).to_vec(),
            State::ALL.map(|state| state as usize).to_vec(),
        ];
        for numbers in numbers {
            assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
        }
    }
}
