//! Why a directive or a block is refused.

use std::path::Path;

use ssl_session_cache_core::plan::PlanError;

use crate::conf::file::{SecretError, SystemError};
use crate::conf::key_file::KeyFileError;

/// What is wrong with a directive or a block. The text says which parameter, and what would be right.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfError {
    #[error(transparent)]
    Words(#[from] PlanError),
    #[error("cannot use file \"{file}\" of parameter \"{name}\", expected {expected}: {reason}")]
    File { name: &'static str, file: String, expected: &'static str, reason: String },
    #[error("cannot use parameter \"{name}\": {error}")]
    System { name: &'static str, error: SystemError },
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
    /// What is in the file is not what is expected.
    pub(super) fn refuse(self, file: &Path, reason: impl ToString) -> ConfError {
        let Self { name, expected } = self;
        let file = file.display().to_string();
        ConfError::File { name, file, expected, reason: reason.to_string() }
    }

    /// The system refuses the file.
    pub(super) fn fail(self, error: SystemError) -> ConfError {
        ConfError::System { name: self.name, error }
    }

    /// The file holds no secret.
    pub(super) fn no_secret(self, file: &Path, error: SecretError) -> ConfError {
        match error {
            SecretError::System(error) => self.fail(error),
            reason => self.refuse(file, reason),
        }
    }
}
