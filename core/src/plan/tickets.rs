//! The directive of ticket keys: all words.

use core::time::Duration;

use crate::plan::error::PlanError;
use crate::plan::table::{Group, Known, Words};
use crate::plan::value::ROTATIONS;

/// What one directive says.
#[derive(Clone, Copy)]
pub struct TicketsDirective {
    is_on: bool,
    rotate: Option<Duration>,
}

/// What the directives of all levels come to, where it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketsPlan {
    rotate: Option<Duration>,
}

impl TicketsDirective {
    pub(super) const KNOWN: Known = Known {
        directive: "remote_ssl_session_tickets",
        bare: &["on", "off"],
        groups: &[Group::Tickets],
        equals: "=",
    };

    /// Reads the words after the directive's name.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, PlanError> {
        let mut values = Words::default();
        let is_on = values.read(words, Self::KNOWN)?;
        Ok(Self { is_on, rotate: values.rotate })
    }

    /// What is said here, and else what the level above says.
    pub fn inherit(self, outer: Self) -> Self {
        Self { is_on: self.is_on, rotate: self.rotate.or(outer.rotate) }
    }

    /// What the levels come to; `None` where it is off.
    pub fn plan(self) -> Option<TicketsPlan> {
        self.is_on.then_some(TicketsPlan { rotate: self.rotate })
    }
}

impl TicketsPlan {
    /// The longest time between two keys.
    pub const LONGEST: Duration = *ROTATIONS.end();

    /// How long a key seals, where sessions last for `session_timeout`.
    pub fn rotate(self, session_timeout: Duration) -> Duration {
        self.rotate.unwrap_or(session_timeout.clamp(*ROTATIONS.start(), *ROTATIONS.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn directive(words: &[&str]) -> Result<TicketsDirective, PlanError> {
        TicketsDirective::parse(words.iter().map(|word| word.as_bytes()))
    }

    fn parse(words: &[&str]) -> Result<Option<TicketsPlan>, PlanError> {
        directive(words).map(TicketsDirective::plan)
    }

    #[track_caller]
    fn refused(words: &[&str], message: &str) {
        assert_eq!(parse(words).unwrap_err().to_string(), message);
    }

    #[test]
    fn on_and_off() {
        assert_eq!(parse(&["off"]), Ok(None));
        assert_eq!(parse(&["off", "rotate=2h"]), Ok(None));
        assert_eq!(parse(&["on"]), Ok(Some(TicketsPlan { rotate: None })));
        assert_eq!(parse(&["rotate=2h"]), parse(&["on", "rotate=2h"]));
        refused(&["on", "off"], "repeated parameter \"off\", expected once at most");
        refused(
            &["maybe"],
            "unknown parameter \"maybe\", expected one of those of \"remote_ssl_session_tickets\" in \
             docs/directives.md",
        );
        refused(
            &["on", "key=cache.key"],
            "unknown parameter \"key\" here, expected it in \"remote_ssl_session_cache\", as all \
             that is said of sessions",
        );
    }

    #[test]
    fn inheritance() {
        let merged = |outer: &[&str], inner: &[&str]| {
            let (outer, inner) = (directive(outer).unwrap(), directive(inner).unwrap());
            Ok(inner.inherit(outer).plan())
        };
        assert_eq!(merged(&["rotate=2h"], &["on"]), parse(&["rotate=2h"]));
        assert_eq!(merged(&["rotate=2h"], &["rotate=3h"]), parse(&["rotate=3h"]));
        assert_eq!(merged(&["off", "rotate=2h"], &["on"]), parse(&["rotate=2h"]));
        assert_eq!(merged(&["off"], &["rotate=2h"]), parse(&["rotate=2h"]));
        assert_eq!(merged(&["rotate=2h"], &["off"]), Ok(None));
    }

    #[test]
    fn rotations() {
        for (value, seconds) in [("1h", 3600), ("3600", 3600), ("90m", 5400), ("12h", 43200)] {
            let rotate = parse(&["on", &format!("rotate={value}")]).unwrap().unwrap().rotate(HOUR);
            assert_eq!(rotate, Duration::from_secs(seconds), "{value}");
        }
        for value in ["", "0", "59m", "3599", "12h1s", "1d", "1", "-1h"] {
            refused(
                &["on", &format!("rotate={value}")],
                &format!(
                    "invalid value \"{value}\" of parameter \"rotate\", expected a time from 1h to \
                     12h"
                ),
            );
        }
    }

    #[test]
    fn by_default_as_long_as_sessions_last() {
        let rotate = |timeout| parse(&["on"]).unwrap().unwrap().rotate(timeout);
        assert_eq!(rotate(HOUR / 12), HOUR);
        assert_eq!(rotate(HOUR * 4), HOUR * 4);
        assert_eq!(rotate(HOUR * 24), HOUR * 12);
    }
}
