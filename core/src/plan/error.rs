//! Why words are refused.

use thiserror::Error;

use crate::plan::value::{ip_address, is_unix_path};
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
    #[error("unknown parameter \"...\", expected no variable: these are not supported here")]
    UnknownVariable,
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
        "invalid value of parameter \"{0}\", expected no variable: these are not supported here"
    )]
    Variable(&'static str),
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
    if !can_be_shown(name, value) {
        return PlanError::InvalidSecret { name, expected };
    }
    PlanError::Invalid { name, value: text(value), expected }
}

/// In place of a word that is not shown.
pub(super) const HIDDEN: &str = "...";

/// The longest text that is shown: longer ones leave no room in a line of the log for what is expected.
const MAX_SHOWN: usize = 300;

/// Whether the value of a parameter has no password in it, wherever it is said, and can be copied
/// from a message as it stands.
pub(super) fn can_be_shown(name: &str, value: &[u8]) -> bool {
    match name {
        "auth" => false,
        "addr" | "server" => is_harmless(value) && is_plain_address(value),
        _ => is_harmless(value),
    }
}

/// Whether this is no URL, no connection string, and nothing that nginx reads in another way.
pub(super) fn is_harmless(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| !byte.is_ascii_control() && !b" @=$\"'\\;{}#".contains(byte);
    let is_url = text.windows(3).any(|bytes| bytes == b"://");
    text.len() <= MAX_SHOWN && text.iter().all(is_plain) && !is_url
}

/// Whether this is a path, or like an address with or without a port. What else stands behind a colon may
/// have been meant as a password.
fn is_plain_address(value: &[u8]) -> bool {
    if is_unix_path(value.strip_prefix(b"unix:").unwrap_or(value)) {
        return true;
    }
    let colon = value.iter().rposition(|byte| *byte == b':').unwrap_or(value.len());
    let (host, port) = value.split_at(colon);
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_host = host.iter().all(is_letter) || ip_address(host).is_some();
    ip_address(value).is_some() || is_host && port.iter().skip(1).all(u8::is_ascii_digit)
}

/// A text, unless it may have a password in it.
pub(super) fn shown(value: &[u8]) -> String {
    if is_harmless(value) {
        text(value)
    } else {
        HIDDEN.to_owned()
    }
}

/// A configured text as it may be shown in a message.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
