//! How handshakes go.

/// What a handshake got for the sessions that its client offered: the most telling of them, which
/// is the last one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Outcome {
    /// The client offered none.
    #[default]
    None,
    /// An id that no machine with our key has made.
    Foreign,
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
    /// Resumed from the tier of this machine.
    Local,
    /// Resumed from the store.
    Hit,
}

impl Outcome {
    /// All of them, each at its number.
    pub(crate) const ALL: [Self; 10] = [
        Self::None,
        Self::Foreign,
        Self::Miss,
        Self::Invalid,
        Self::Full,
        Self::Down,
        Self::Timeout,
        Self::Unused,
        Self::Local,
        Self::Hit,
    ];

    /// As the variable shows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Foreign => "FOREIGN",
            Self::Miss => "MISS",
            Self::Invalid => "INVALID",
            Self::Full => "FULL",
            Self::Down => "DOWN",
            Self::Timeout => "TIMEOUT",
            Self::Unused => "UNUSED",
            Self::Local => "LOCAL",
            Self::Hit => "HIT",
        }
    }

    /// As the status page shows it.
    pub(crate) fn label(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            _ => self.name().to_ascii_lowercase(),
        }
    }
}
