//! Why a directive or a block is refused.

use ssl_session_cache_core::plan::{text, PlanError};

use crate::conf::key_file::KeyFileError;

/// What is wrong with a directive or a block. The text says which parameter, and what would be right.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfError {
    #[error(transparent)]
    Words(#[from] PlanError),
    #[error("cannot use file \"{file}\" of parameter \"{name}\", expected {expected}: {reason}")]
    File { name: &'static str, file: String, expected: &'static str, reason: String },
    #[error("the store \"{0}\" is defined already, expected another name")]
    Defined(String),
    #[error("cannot use parameter \"resolver\", expected what nginx's own takes")]
    Resolver,
    #[error("cannot use parameter \"tls\", expected an OpenSSL that can: {0}")]
    Tls(String),
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

/// A parameter that names a file, and what is expected in it.
#[derive(Clone, Copy)]
pub(super) struct FileParameter {
    pub(super) name: &'static str,
    pub(super) expected: &'static str,
}

impl FileParameter {
    pub(super) fn refuse(self, file: &[u8], reason: impl ToString) -> ConfError {
        let Self { name, expected } = self;
        ConfError::File { name, file: text(file), expected, reason: reason.to_string() }
    }
}
