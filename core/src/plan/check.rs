//! Words taken one by one, whether they go with each other, and what they say together.

use core::time::Duration;

use crate::plan::error::{incomplete, invalid, shown, unexpected, PlanError, HIDDEN};
use crate::plan::hint;
use crate::plan::table::{Group, Known, Parameter, Words, PARAMETERS};
use crate::plan::types::{Auth, AuthFile, Kind, Place, SessionsPlan, Shape, StorePlan};
use crate::plan::types::{SingleUse, Suspend, TlsPlan};
use crate::plan::value::Refusal;
use crate::protocol::Credentials;

impl<'a> Words<'a> {
    /// Takes the words of a directive, each `on`, `off`, or `name=value`. Returns whether they say `on`,
    /// which may be left out.
    pub(super) fn read(
        &mut self,
        words: impl IntoIterator<Item = &'a [u8]>,
        known: Known,
    ) -> Result<bool, PlanError> {
        let words: Vec<_> = words.into_iter().collect();
        let mut is_on = None;
        for (at, word) in words.iter().enumerate() {
            if let Some(equals) = word.iter().position(|byte| *byte == b'=') {
                let parameter = Parameter::find(&word[..equals], known)
                    .map_err(|error| hide(error, hint::is_behind_password(&words[..at])))?;
                let value = &word[equals + 1..];
                self.set(parameter, value, known).map_err(|error| {
                    hint::spaced(parameter, value, &words[at + 1..], known).unwrap_or(error)
                })?;
                continue;
            }
            let name = known.bare.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(word));
            let name = *name.ok_or_else(|| hint::bare(&words, at, known))?;
            if is_on.replace(name == "on").is_some() {
                return Err(PlanError::Repeated(name));
            }
        }
        Ok(is_on.unwrap_or(true))
    }

    /// Takes the value of a parameter.
    pub(super) fn set(
        &mut self,
        parameter: &Parameter,
        value: &'a [u8],
        known: Known,
    ) -> Result<(), PlanError> {
        // nginx reads "\n" between quotes as a new line, and what is C cuts a name at a zero.
        if value.iter().any(u8::is_ascii_control) {
            return Err(PlanError::Control(parameter.name));
        }
        if let Some(error) = hint::literal(parameter, value) {
            return Err(error);
        }
        match self.put(parameter, value) {
            Ok(true) => Ok(()),
            Ok(false) => Err(PlanError::Repeated(parameter.name)),
            Err(refusal) => {
                let hint = hint::value(parameter, value, known);
                Err(hint.unwrap_or_else(|| parameter.refuse(value, refusal)))
            }
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind.unwrap_or(Kind::Redis)
    }

    /// Whether none of the words that the directive and the block have in common excludes another.
    pub(super) fn check_conflicts(&self) -> Result<(), PlanError> {
        if self.database.is_some() && self.kind() != Kind::Redis {
            return Err(unexpected("db", "where type is memcached"));
        }
        if self.auth_file.is_some() && self.auth.is_some() {
            return Err(unexpected("auth_file", "next to \"auth\""));
        }
        match self.of_tls() {
            Some(name) if self.tls == Some(false) => Err(needs_tls(name)),
            _ => Ok(()),
        }
    }

    /// Whether each of these words has what it needs with it.
    pub(super) fn check_needs(&self) -> Result<(), PlanError> {
        if self.user.is_some() && self.auth.is_none() && self.auth_file.is_none() {
            return Err(incomplete("user", "\"auth\" or \"auth_file\""));
        }
        match self.of_tls() {
            Some(name) if self.tls != Some(true) => Err(needs_tls(name)),
            _ => match (self.tls_cert, self.tls_key) {
                (Some(_), None) => Err(incomplete("tls_cert", "\"tls_key\"")),
                (None, Some(_)) => Err(incomplete("tls_key", "\"tls_cert\"")),
                _ => Ok(()),
            },
        }
    }

    /// The first parameter that says how TLS is spoken.
    fn of_tls(&self) -> Option<&'static str> {
        self.said().map(|row| row.name).find(|name| name.starts_with("tls_"))
    }

    /// What is said of the store whose servers these are, with the defaults filled in.
    pub(super) fn store(
        &self,
        servers: Vec<Place<'a>>,
        shape: Shape<'a>,
    ) -> Result<StorePlan<'a>, PlanError> {
        let tls = self.tls(&servers)?;
        Ok(StorePlan {
            servers,
            shape,
            kind: self.kind(),
            interval: self.interval.unwrap_or(Duration::from_millis(200)),
            count: self.count.unwrap_or(Some(5000)),
            timeout: self.timeout.unwrap_or(Duration::from_secs(1)),
            auth: self.auth()?,
            database: self.database.unwrap_or(0),
            tls,
            resolver: self.resolver.clone(),
            fallback: self.fallback,
            site: self.site,
        })
    }

    /// What is said of the sessions, with the defaults filled in.
    pub(super) fn sessions(&self) -> SessionsPlan<'a> {
        SessionsPlan {
            keyspace: self.keyspace.clone().unwrap_or_default(),
            suspend: self.suspend.unwrap_or(Suspend::Auto),
            single_use: self.single_use.unwrap_or(SingleUse::EarlyData),
            keys: self.keys.clone(),
        }
    }

    fn auth(&self) -> Result<Option<Auth<'a>>, PlanError> {
        let (user, kind) = (&self.user, self.kind());
        Ok(match (&self.auth, self.auth_file) {
            (Some(secret), _) => {
                Some(Auth::Said(credentials("auth", kind, user.as_deref(), secret)?))
            }
            (None, Some(name)) => {
                let parameter = "auth_file";
                Some(Auth::InFile(AuthFile { parameter, name, user: user.clone(), kind }))
            }
            (None, None) => None,
        })
    }

    fn tls(&self, servers: &[Place<'_>]) -> Result<Option<TlsPlan<'a>>, PlanError> {
        if self.tls != Some(true) {
            return Ok(None);
        }
        let verify = self.tls_verify.unwrap_or(true);
        let is_known = |place: &Place<'_>| self.tls_name.is_some() || place.peer().is_some();
        if verify && !servers.iter().all(is_known) {
            return Err(incomplete("tls", "\"tls_name\""));
        }
        let identity = self.tls_cert.zip(self.tls_key);
        Ok(Some(TlsPlan { name: self.tls_name.clone(), verify, ca: self.tls_ca, identity }))
    }
}

/// An error about a word that may be a part of a password, without the word.
fn hide(error: PlanError, is_secret: bool) -> PlanError {
    match error {
        PlanError::Meant { meant, .. } if is_secret => {
            PlanError::Meant { word: HIDDEN.to_owned(), meant }
        }
        PlanError::Unknown { .. } if is_secret => PlanError::BehindPassword,
        error => error,
    }
}

fn needs_tls(name: &'static str) -> PlanError {
    incomplete(name, "\"tls\" set to on")
}

impl Parameter {
    /// The parameter of this name, if it is a known one.
    pub(super) fn find(name: &[u8], known: Known) -> Result<&'static Self, PlanError> {
        let named = PARAMETERS.iter().find(|parameter| parameter.name.as_bytes() == name);
        // Without the value, which may be a misspelt password.
        let word = [name, known.sign().as_bytes()].concat();
        if let Some(parameter) = named.filter(|row| known.groups.contains(&row.group)) {
            return Ok(parameter);
        }
        if let Some(meant) = hint::aliased(name, known) {
            return Err(hint::unknown(&word, Some(meant), known));
        }
        match named {
            Some(Self { name, group: Group::Named | Group::Sessions, .. }) => {
                let expected =
                    "it in \"remote_ssl_session_cache\", as all that is said of sessions";
                Err(PlanError::Elsewhere { name, expected })
            }
            Some(Self { name, group: Group::One | Group::Store, .. }) => {
                let expected = "it in \"remote_ssl_session_cache\", as all that is said of a store";
                Err(PlanError::Elsewhere { name, expected })
            }
            Some(Self { name, group: Group::Many, .. }) => {
                let expected = "it in a block \"remote_ssl_session_store\"";
                Err(PlanError::Elsewhere { name, expected })
            }
            Some(Self { name, group: Group::Tickets, .. }) => {
                let expected = "it in \"remote_ssl_session_tickets\"";
                Err(PlanError::Elsewhere { name, expected })
            }
            None => Err(hint::unknown(&word, hint::parameters(name, known), known)),
        }
    }

    fn refuse(&self, value: &[u8], refusal: Refusal) -> PlanError {
        let Self { name, expected, .. } = *self;
        match refusal {
            Refusal::Value => invalid(name, value, expected),
            Refusal::Other(expected) => invalid(name, value, expected),
            Refusal::Prefix(reason) => PlanError::Prefix { value: shown(value), reason },
        }
    }
}

impl AuthFile<'_> {
    /// Who the client says it is, by the secret that is in the file.
    pub fn credentials(&self, secret: &[u8]) -> Result<Credentials, PlanError> {
        credentials(self.parameter, self.kind, self.user.as_deref(), secret)
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
