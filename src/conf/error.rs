//! Why a directive is refused.

use ssl_session_cache_core::session::PrefixError;

use crate::conf::key_file;

/// What is wrong with a directive. The text says which parameter, and what would be right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "unknown parameter \"{0}\", expected \"on\", \"off\", \"addr=\", \"port=\", \"type=\", \
         \"interval=\", \"count=\", \"timeout=\", \"user=\", \"auth=\", \"auth_file=\", \"db=\", \
         \"prefix=\", \"tls=\", \"tls_ca=\", \"tls_name=\", \"tls_cert=\", \"tls_key=\", \
         \"tls_verify=\", \"suspend=\" or \"key=\""
    )]
    Unknown(String),
    #[error("repeated parameter \"{0}\", expected once at most")]
    Repeated(&'static str),
    #[error("invalid value \"{value}\" of parameter \"{name}\", expected {expected}")]
    Invalid { name: &'static str, value: String, expected: &'static str },
    #[error("invalid value of parameter \"{0}\", expected one without control characters")]
    Control(String),
    #[error("unexpected parameter \"{name}\", expected none {context}")]
    Unexpected { name: &'static str, context: &'static str },
    #[error("incomplete parameter \"{name}\", expected {expected} with it")]
    Incomplete { name: &'static str, expected: &'static str },
    #[error("invalid value of parameter \"{name}\", expected {expected}")]
    InvalidSecret { name: &'static str, expected: &'static str },
    #[error("cannot use file \"{file}\" of parameter \"{name}\", expected {expected}: {reason}")]
    File { name: &'static str, file: String, expected: &'static str, reason: String },
    #[error("cannot use parameter \"tls\", expected an OpenSSL that can: {0}")]
    Tls(String),
    #[error("invalid value \"{value}\" of parameter \"prefix\", expected {reason}")]
    Prefix { value: String, reason: PrefixError },
    #[error(transparent)]
    Key(#[from] key_file::Error),
}

pub(super) fn unexpected(name: &'static str, context: &'static str) -> Error {
    Error::Unexpected { name, context }
}

pub(super) fn incomplete(name: &'static str, expected: &'static str) -> Error {
    Error::Incomplete { name, expected }
}

pub(super) fn invalid(name: &'static str, value: &[u8], expected: &'static str) -> Error {
    Error::Invalid { name, value: text(value), expected }
}

/// A configured text as it may be shown in a message.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
