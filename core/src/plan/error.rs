//! Why words are refused.

use thiserror::Error;

use crate::session::PrefixError;

/// What is wrong with words. The text says which parameter, and what would be right.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The texts say what the fields are.
pub enum PlanError {
    #[error("unknown parameter \"{word}\", expected one of those of \"{directive}\" in docs/directives.md")]
    Unknown { word: String, directive: &'static str },
    #[error("unknown parameter \"{word}\", did you mean {meant}?")]
    Meant { word: String, meant: String },
    #[error("unknown parameter \"{word}\", write {write}")]
    UnknownWritten { word: String, write: String },
    #[error("unknown parameter \"{0}\", expected no variable: these are not supported here")]
    UnknownVariable(String),
    #[error(
        "unknown parameter \"...\" behind \"auth=\", expected quotes around all of \"auth=...\" where a \
         password has spaces"
    )]
    BehindPassword,
    #[error("unknown parameter \"{name}\" here, expected {expected}")]
    Elsewhere { name: &'static str, expected: &'static str },
    #[error("wrong number of values of parameter \"{name}\", expected {expected}")]
    Values { name: &'static str, expected: &'static str },
    #[error("wrong number of values of parameter \"{name}\", write {write}")]
    ValuesWritten { name: &'static str, write: String },
    #[error("repeated parameter \"{0}\", expected once at most")]
    Repeated(&'static str),
    #[error("invalid value \"{value}\" of parameter \"{name}\", expected {expected}")]
    Invalid { name: &'static str, value: String, expected: &'static str },
    #[error("invalid value \"{value}\" of parameter \"{name}\", write {write}")]
    Written { name: &'static str, value: String, write: String },
    #[error("invalid value of parameter \"{name}\", write {write}")]
    WrittenSecret { name: &'static str, write: String },
    #[error(
        "invalid value \"{value}\" of parameter \"{name}\", expected no variable: these are not \
         supported here"
    )]
    Variable { name: &'static str, value: String },
    #[error(
        "invalid value of parameter \"{0}\", expected no quotes within a word: leave them out, or put \
         them around the whole word"
    )]
    Quotes(&'static str),
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

/// In place of a word that is not shown.
pub(super) const HIDDEN: &str = "...";

/// Whether a value may have a password in it, wherever it is said: it looks like a URL.
pub(super) fn may_be_secret(value: &[u8]) -> bool {
    value.contains(&b'@') || value.windows(3).any(|bytes| bytes == b"://")
}

/// A configured text as it may be shown in a message.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
