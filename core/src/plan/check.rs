//! Words taken one by one, whether they go with each other, and what they say together.

use core::time::Duration;

use crate::plan::error::{incomplete, invalid, text, unexpected, PlanError};
use crate::plan::table::{Known, Parameter, Words, PARAMETERS};
use crate::plan::types::{Auth, AuthFile, Kind, Place, SessionsPlan, Shape, StorePlan};
use crate::plan::types::{Suspend, TlsPlan};
use crate::plan::value::{ip_address, Refusal};
use crate::protocol::Credentials;

/// What is expected of the path of a unix socket.
pub const UNIX_PATH: &str = "\"unix:\" and an absolute path of at most 107 bytes";

/// The longest path of a unix socket (unix(7)).
const MAX_UNIX_PATH: usize = 107;

impl<'a> Words<'a> {
    /// Takes the value of a parameter, if it is a known one.
    pub(super) fn set(
        &mut self,
        name: &[u8],
        value: &'a [u8],
        known: Known,
    ) -> Result<(), PlanError> {
        // nginx reads "\n" between quotes as a new line, and what is C cuts a name at a zero.
        if value.iter().any(u8::is_ascii_control) {
            return Err(PlanError::Control(text(name)));
        }
        let is_meant = |parameter: &&Parameter| {
            parameter.name.as_bytes() == name && known.groups.contains(&parameter.group)
        };
        let Some(parameter) = PARAMETERS.iter().find(is_meant) else {
            // Without the value, which may be a misspelt password.
            return Err(PlanError::Unknown { word: text(&[name, b"="].concat()), known });
        };
        match self.put(parameter, value) {
            Ok(true) => Ok(()),
            Ok(false) => Err(PlanError::Repeated(parameter.name)),
            Err(refusal) => Err(parameter.refuse(value, refusal)),
        }
    }

    fn kind(&self) -> Kind {
        self.kind.unwrap_or(Kind::Redis)
    }

    fn unix_path(&self) -> Option<&'a [u8]> {
        self.addr.and_then(|addr| addr.strip_prefix(b"unix:"))
    }

    fn host(&self) -> &'a [u8] {
        self.addr.unwrap_or(b"127.0.0.1")
    }

    /// Whether the words go with each other.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        if self.port.is_some() && self.unix_path().is_some() {
            return Err(unexpected("port", "with a unix socket"));
        }
        if self.database.is_some() && self.kind() != Kind::Redis {
            return Err(unexpected("db", "where type is memcached"));
        }
        if self.auth_file.is_some() && self.auth.is_some() {
            return Err(unexpected("auth_file", "beside \"auth\""));
        }
        if self.user.is_some() && self.auth.is_none() && self.auth_file.is_none() {
            return Err(incomplete("user", "\"auth=\" or \"auth_file=\""));
        }
        self.check_tls()
    }

    fn check_tls(&self) -> Result<(), PlanError> {
        let given = [
            ("tls_ca", self.tls_ca.is_some()),
            ("tls_name", self.tls_name.is_some()),
            ("tls_cert", self.tls_cert.is_some()),
            ("tls_key", self.tls_key.is_some()),
            ("tls_verify", self.tls_verify.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) if self.tls != Some(true) => Err(incomplete(name, "\"tls=on\"")),
            _ => match (self.tls_cert, self.tls_key) {
                (Some(_), None) => Err(incomplete("tls_cert", "\"tls_key=\"")),
                (None, Some(_)) => Err(incomplete("tls_key", "\"tls_cert=\"")),
                _ => Ok(()),
            },
        }
    }

    /// What is said of the store, with the defaults filled in.
    pub(super) fn store(&self) -> Result<StorePlan<'a>, PlanError> {
        let place = self.place()?;
        let tls = self.tls(&place)?;
        Ok(StorePlan {
            servers: vec![place],
            shape: Shape::Servers,
            kind: self.kind(),
            interval: self.interval.unwrap_or(Duration::from_millis(200)),
            count: self.count.unwrap_or(Some(5000)),
            timeout: self.timeout.unwrap_or(Duration::from_secs(1)),
            auth: self.auth()?,
            database: self.database.unwrap_or(0),
            tls,
            resolver: Vec::new(),
            fallback: None,
            site: None,
        })
    }

    /// What is said of the sessions, with the defaults filled in.
    pub(super) fn sessions(self) -> SessionsPlan<'a> {
        SessionsPlan {
            keyspace: self.keyspace.unwrap_or_default(),
            suspend: self.suspend.unwrap_or(Suspend::Auto),
            keys: self.keys,
        }
    }

    fn place(&self) -> Result<Place<'a>, PlanError> {
        let host = self.host();
        if let Some(path) = self.unix_path() {
            if !path.starts_with(b"/") || path.len() > MAX_UNIX_PATH {
                return Err(invalid("addr", host, UNIX_PATH));
            }
            return Ok(Place::Unix(path));
        }
        if !is_host(host) {
            let expected = "an IP address or a name; the port goes into \"port=\"";
            return Err(invalid("addr", host, expected));
        }
        Ok(Place::Host(host, self.port.unwrap_or(self.kind().default_port())))
    }

    fn auth(&self) -> Result<Option<Auth<'a>>, PlanError> {
        let (user, kind) = (self.user, self.kind());
        Ok(match (self.auth, self.auth_file) {
            (Some(secret), _) => Some(Auth::Said(credentials("auth", kind, user, secret)?)),
            (None, Some(name)) => Some(Auth::InFile(AuthFile { name, user, kind })),
            (None, None) => None,
        })
    }

    fn tls(&self, place: &Place<'_>) -> Result<Option<TlsPlan<'a>>, PlanError> {
        if self.tls != Some(true) {
            return Ok(None);
        }
        let verify = self.tls_verify.unwrap_or(true);
        if verify && self.tls_name.is_none() && place.peer().is_none() {
            return Err(incomplete("tls", "\"tls_name=\""));
        }
        let identity = self.tls_cert.zip(self.tls_key);
        Ok(Some(TlsPlan { name: self.tls_name.clone(), verify, ca: self.tls_ca, identity }))
    }
}

impl Parameter {
    fn refuse(&self, value: &[u8], refusal: Refusal) -> PlanError {
        let Self { name, expected, .. } = *self;
        match refusal {
            Refusal::Value => PlanError::Invalid { name, value: text(value), expected },
            Refusal::Secret => PlanError::InvalidSecret { name, expected },
            Refusal::Prefix(reason) => PlanError::Prefix { value: text(value), reason },
        }
    }
}

impl AuthFile<'_> {
    /// Who the client says it is, by the secret that is in the file.
    pub fn credentials(&self, secret: &[u8]) -> Result<Credentials, PlanError> {
        credentials("auth_file", self.kind, self.user, secret)
    }
}

/// Who the client says it is. `name` is the parameter that the secret is from.
fn credentials(
    name: &'static str,
    kind: Kind,
    user: Option<&[u8]>,
    secret: &[u8],
) -> Result<Credentials, PlanError> {
    let (user, password) = match (user, kind) {
        (Some(user), _) => (Some(user), secret),
        (None, Kind::Redis) => (None, secret),
        (None, Kind::Memcached) => {
            let colon =
                secret.iter().position(|byte| *byte == b':').ok_or(PlanError::InvalidSecret {
                    name,
                    expected: "user:password where type is memcached",
                })?;
            (Some(&secret[..colon]), &secret[colon + 1..])
        }
    };
    // Memcached tells them apart by a space, and reads no further than to the next.
    let is_word = |text: &[u8]| !text.is_empty() && !text.contains(&b' ');
    if kind == Kind::Memcached && !(user.is_some_and(is_word) && is_word(password)) {
        let expected = "a user and a password without spaces where type is memcached";
        return Err(PlanError::InvalidSecret { name, expected });
    }
    Ok(Credentials { user: user.map(Into::into), password: password.into() })
}

/// Whether this is an IP address, or could be a name: letters, digits and hyphens between dots, and
/// underscores, which names within a fleet have (RFC 1123, section 2.1).
fn is_host(host: &[u8]) -> bool {
    let is_name = host.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        && host.iter().any(u8::is_ascii_alphabetic);
    is_name || ip_address(host).is_some()
}
