//! Why words are refused.

use thiserror::Error;

use crate::plan::table::Known;
use crate::session::PrefixError;

/// What is wrong with words. The text says which parameter, and what would be right.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The texts say what the fields are.
pub enum PlanError {
    #[error("unknown parameter \"{word}\", expected {known}")]
    Unknown { word: String, known: Known },
    #[error("unknown parameter \"{name}\" here, expected {expected}")]
    Elsewhere { name: &'static str, expected: &'static str },
    #[error("wrong number of values of parameter \"{name}\", expected {expected}")]
    Values { name: &'static str, expected: &'static str },
    #[error("repeated parameter \"{0}\", expected once at most")]
    Repeated(&'static str),
    #[error("invalid value \"{value}\" of parameter \"{name}\", expected {expected}")]
    Invalid { name: &'static str, value: String, expected: &'static str },
    #[error("invalid value of parameter \"{0}\", expected one without control characters")]
    Control(&'static str),
    #[error("unexpected parameter \"{name}\", expected none {context}")]
    Unexpected { name: &'static str, context: &'static str },
    #[error("incomplete parameter \"{name}\", expected {expected} with it")]
    Incomplete { name: &'static str, expected: &'static str },
    #[error("no parameter \"{name}\", expected {expected}")]
    Missing { name: &'static str, expected: &'static str },
    #[error("invalid value of parameter \"{name}\", expected {expected}")]
    InvalidSecret { name: &'static str, expected: &'static str },
    #[error("invalid value \"{value}\" of parameter \"prefix\", expected {reason}")]
    Prefix { value: String, reason: PrefixError },
    #[error(
        "unknown store \"{value}\" of parameter \"{name}\", expected one that a block \
         \"remote_ssl_session_store\" before this defines"
    )]
    NoStore { name: &'static str, value: String },
}

pub(super) fn unexpected(name: &'static str, context: &'static str) -> PlanError {
    PlanError::Unexpected { name, context }
}

pub(super) fn incomplete(name: &'static str, expected: &'static str) -> PlanError {
    PlanError::Incomplete { name, expected }
}

pub(super) fn invalid(name: &'static str, value: &[u8], expected: &'static str) -> PlanError {
    if may_be_secret(value) {
        return PlanError::InvalidSecret { name, expected };
    }
    PlanError::Invalid { name, value: text(value), expected }
}

/// A word that is unknown, shown unless it may be a URL with a password.
pub(super) fn unknown(word: &[u8], known: Known) -> PlanError {
    // What stands behind may be a password.
    let end = word.iter().position(|byte| b"=:".contains(byte)).map_or(word.len(), |end| end + 1);
    let word = if word.contains(&b'@') { "...".to_owned() } else { text(&word[..end]) };
    PlanError::Unknown { word, known }
}

/// Whether a value may have a password in it, wherever it is said: it looks like a URL.
fn may_be_secret(value: &[u8]) -> bool {
    value.contains(&b'@') || value.windows(3).any(|bytes| bytes == b"://")
}

/// A configured text as it may be shown in a message.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
