//! What ends a connection.

use thiserror::Error;

/// Why a connection is of no more use. Never carries anything but the server's own message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A reply that does not fit the request.
    #[error("unexpected reply")]
    Unexpected,
    /// A reply that breaks the protocol's format.
    #[error("malformed reply")]
    Malformed,
    /// A reply longer than any that is due.
    #[error("reply is too large")]
    TooLarge,
    /// The server wants credentials, others, or ones with more rights.
    #[error("not authenticated: {0}")]
    NotAuthenticated(String),
    /// The server refused a request and may read the record that follows it as requests.
    #[error("out of step: {0}")]
    OutOfStep(String),
}
