//! The words of the directive, read into what they mean.
//!
//! ```text
//! remote_ssl_session_cache on | off [addr=address] [port=number] [type=redis | memcached]
//!     [interval=time] [count=number | unlimited] [timeout=time]
//!     [user=name] [auth=password | auth_file=file] [db=number] [prefix=text]
//!     [tls=on | off] [tls_ca=file] [tls_name=name] [tls_cert=file] [tls_key=file]
//!     [tls_verify=on | off] [suspend=auto | async | hello] [key=file ...];
//! ```

use core::str;
use core::time::Duration;

use nginx_sys::{ngx_conf_t, ngx_parse_time, ngx_str_t, NGX_ERROR};
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::session::Keyspace;

use crate::conf::error::{incomplete, invalid, text, unexpected, Error};
use crate::conf::file::read_secret;
use crate::conf::{key_file, tls};
use crate::handshake::Suspension;
use crate::net::{ip_address, Location, Peer};
use crate::openssl::Sealer;
use crate::store::{Kind, Settings};

/// The longest `interval` and `timeout`: a day. Longer ones are a slip of the pen.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A directive, its values checked each by itself.
#[derive(Default)]
pub(crate) struct Directive<'a> {
    enabled: Option<bool>,
    addr: Option<&'a [u8]>,
    port: Option<u16>,
    kind: Option<Kind>,
    interval: Option<Duration>,
    count: Option<Option<usize>>,
    timeout: Option<Duration>,
    user: Option<&'a [u8]>,
    auth: Option<&'a [u8]>,
    auth_file: Option<&'a [u8]>,
    database: Option<u16>,
    keyspace: Option<Keyspace>,
    tls: tls::Words<'a>,
    suspend: Option<Option<Suspension>>,
    /// Key files, the first to seal with.
    keys: Vec<&'a [u8]>,
}

impl<'a> Directive<'a> {
    /// Reads the words after the directive's name.
    pub(crate) fn parse(words: &'a [ngx_str_t]) -> Result<Self, Error> {
        let mut directive = Self::default();
        for word in words {
            directive.word(word.as_bytes())?;
        }
        Ok(directive)
    }

    fn word(&mut self, word: &'a [u8]) -> Result<(), Error> {
        let Some(equals) = word.iter().position(|byte| *byte == b'=') else {
            return match word {
                b"on" => set(&mut self.enabled, "on", true),
                b"off" => set(&mut self.enabled, "off", false),
                _ => Err(Error::Unknown(text(word))),
            };
        };
        let (name, value) = (&word[..equals], &word[equals + 1..]);
        // nginx reads "\n" between quotes as a new line, and what is C cuts a name at a zero.
        if value.iter().any(u8::is_ascii_control) {
            return Err(Error::Control(text(name)));
        }
        match name {
            b"addr" => {
                set(&mut self.addr, "addr", not_empty("addr", value, "an IP address or a name")?)
            }
            b"port" => set(&mut self.port, "port", port(value)?),
            b"type" => set(&mut self.kind, "type", kind(value)?),
            b"interval" => set(&mut self.interval, "interval", time("interval", value)?),
            b"count" => set(&mut self.count, "count", count(value)?),
            b"timeout" => set(&mut self.timeout, "timeout", time("timeout", value)?),
            b"user" => set(&mut self.user, "user", user(value)?),
            b"auth" => set(&mut self.auth, "auth", password(value)?),
            b"auth_file" => set(&mut self.auth_file, "auth_file", file("auth_file", value)?),
            b"db" => set(&mut self.database, "db", database(value)?),
            b"prefix" => set(&mut self.keyspace, "prefix", keyspace(value)?),
            b"tls" => set(&mut self.tls.enabled, "tls", flag("tls", value)?),
            b"tls_ca" => set(&mut self.tls.ca, "tls_ca", file("tls_ca", value)?),
            b"tls_name" => set(&mut self.tls.name, "tls_name", peer(value)?),
            b"tls_cert" => set(&mut self.tls.certificate, "tls_cert", file("tls_cert", value)?),
            b"tls_key" => set(&mut self.tls.key, "tls_key", file("tls_key", value)?),
            b"tls_verify" => set(&mut self.tls.verify, "tls_verify", flag("tls_verify", value)?),
            b"suspend" => set(&mut self.suspend, "suspend", suspension(value)?),
            b"key" => {
                self.keys.push(file("key", value)?);
                Ok(())
            }
            // Without the value, which may be a misspelt password.
            _ => Err(Error::Unknown(text(&word[..=equals]))),
        }
    }

    /// The names of the sessions in the store.
    pub(crate) fn keyspace(&self) -> Keyspace {
        self.keyspace.clone().unwrap_or_default()
    }

    /// How handshakes are to be suspended; `None` for whatever works best.
    pub(crate) fn suspension(&self) -> Option<Suspension> {
        self.suspend.flatten()
    }

    /// Reads the key files, and tells the time of the first; `None` where there are none, or the
    /// cache is off.
    pub(crate) fn sealer(&self, cf: &mut ngx_conf_t) -> Result<Option<(Sealer, i64)>, Error> {
        if self.enabled == Some(false) || self.keys.is_empty() {
            return Ok(None);
        }
        Ok(Some(key_file::sealer(cf, &self.keys)?))
    }

    /// Fills in the defaults, resolves the address and reads the files of the store; `None` where
    /// the cache is off.
    pub(crate) fn resolve(self, cf: &mut ngx_conf_t) -> Result<Option<Settings>, Error> {
        let kind = self.kind.unwrap_or(Kind::Redis);
        self.check(kind)?;
        if self.enabled == Some(false) {
            return Ok(None);
        }
        let host = self.unix_path().is_none().then(|| self.host());
        Ok(Some(Settings {
            location: self.location(cf, kind)?,
            kind,
            interval: self.interval.unwrap_or(Duration::from_millis(200)),
            count: self.count.unwrap_or(Some(5000)),
            timeout: self.timeout.unwrap_or(Duration::from_secs(1)),
            credentials: self.credentials(cf, kind)?,
            database: self.database.unwrap_or(0),
            tls: self.tls.resolve(cf, host)?,
        }))
    }

    /// Whether the parameters go with each other.
    fn check(&self, kind: Kind) -> Result<(), Error> {
        if self.port.is_some() && self.unix_path().is_some() {
            return Err(unexpected("port", "with a unix socket"));
        }
        if self.database.is_some() && kind != Kind::Redis {
            return Err(unexpected("db", "where type is memcached"));
        }
        if self.auth_file.is_some() && self.auth.is_some() {
            return Err(unexpected("auth_file", "beside \"auth\""));
        }
        if self.user.is_some() && self.auth.is_none() && self.auth_file.is_none() {
            return Err(incomplete("user", "\"auth=\" or \"auth_file=\""));
        }
        self.tls.check()
    }

    fn host(&self) -> &'a [u8] {
        self.addr.unwrap_or(b"127.0.0.1")
    }

    fn unix_path(&self) -> Option<&'a [u8]> {
        self.addr.and_then(|addr| addr.strip_prefix(b"unix:"))
    }

    fn location(&self, cf: &ngx_conf_t, kind: Kind) -> Result<Location, Error> {
        let host = self.host();
        if let Some(path) = self.unix_path() {
            let expected = "\"unix:\" and an absolute path of at most 107 bytes";
            return Location::unix(path).ok_or_else(|| invalid("addr", host, expected));
        }
        let port = self.port.unwrap_or(kind.default_port());
        if !is_host(host) {
            let expected = "an IP address or a name; the port goes into \"port=\"";
            return Err(invalid("addr", host, expected));
        }
        Ok(Location::resolve(cf.pool, host, port))
    }

    fn credentials(&self, cf: &mut ngx_conf_t, kind: Kind) -> Result<Option<Credentials>, Error> {
        let (name, secret) = match (self.auth, self.auth_file) {
            (Some(auth), _) => ("auth", auth.to_vec()),
            (None, Some(file)) => {
                let name = "auth_file";
                let secret = read_secret(cf, file, name).map_err(|reason| {
                    let (file, reason) = (text(file), reason.to_string());
                    Error::File { name, file, expected: "a password", reason }
                })?;
                (name, secret)
            }
            (None, None) => return Ok(None),
        };
        let (user, password) = match (self.user, kind) {
            (Some(user), _) => (Some(user), &secret[..]),
            (None, Kind::Redis) => (None, &secret[..]),
            (None, Kind::Memcached) => {
                let colon =
                    secret.iter().position(|byte| *byte == b':').ok_or(Error::InvalidSecret {
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
            return Err(Error::InvalidSecret { name, expected });
        }
        Ok(Some(Credentials { user: user.map(Into::into), password: password.into() }))
    }
}

/// Sets a value that may be said once.
fn set<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::Repeated(name)),
    }
}

/// Whether this is an IP address, or could be a name: letters, digits and hyphens between dots, and
/// underscores, which names within a fleet have (RFC 1123, section 2.1).
fn is_host(host: &[u8]) -> bool {
    let is_name = host.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        && host.iter().any(u8::is_ascii_alphabetic);
    is_name || ip_address(host).is_some()
}

fn not_empty<'a>(
    name: &'static str,
    value: &'a [u8],
    expected: &'static str,
) -> Result<&'a [u8], Error> {
    if value.is_empty() {
        return Err(invalid(name, value, expected));
    }
    Ok(value)
}

fn port(value: &[u8]) -> Result<u16, Error> {
    number(value)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| invalid("port", value, "a number from 1 to 65535"))
}

fn kind(value: &[u8]) -> Result<Kind, Error> {
    match value {
        b"redis" => Ok(Kind::Redis),
        b"memcached" => Ok(Kind::Memcached),
        _ => Err(invalid("type", value, "redis or memcached")),
    }
}

fn count(value: &[u8]) -> Result<Option<usize>, Error> {
    if value == b"unlimited" {
        return Ok(None);
    }
    match number(value) {
        Some(count) if count > 0 => Ok(Some(count)),
        _ => Err(invalid("count", value, "a number of commands from 1, or unlimited")),
    }
}

/// A time: a bare number is milliseconds, else nginx's units (ngx_parse.c).
fn time(name: &'static str, value: &[u8]) -> Result<Duration, Error> {
    number(value)
        .or_else(|| nginx_time(value))
        .map(|millis| Duration::from_millis(millis as u64))
        .filter(|time| (Duration::from_millis(1)..=MAX_TIME).contains(time))
        .ok_or_else(|| {
            invalid(name, value, "a time from 1 to 86400000 milliseconds, or as 200ms, 1s, 1m")
        })
}

fn nginx_time(value: &[u8]) -> Option<usize> {
    let mut value = ngx_str_t { len: value.len(), data: value.as_ptr().cast_mut() };
    // SAFETY: ngx_parse_time() reads `len` bytes and writes to none of them.
    let millis = unsafe { ngx_parse_time(&mut value, 0) };
    (millis != NGX_ERROR as isize).then_some(millis as usize)
}

fn password(value: &[u8]) -> Result<&[u8], Error> {
    if value.is_empty() {
        let expected = "a password that is not empty";
        return Err(Error::InvalidSecret { name: "auth", expected });
    }
    Ok(value)
}

fn user(value: &[u8]) -> Result<&[u8], Error> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_graphic) {
        return Err(invalid("user", value, "a name in printable ASCII without spaces"));
    }
    Ok(value)
}

fn file<'a>(name: &'static str, value: &'a [u8]) -> Result<&'a [u8], Error> {
    not_empty(name, value, "the name of a file")
}

fn flag(name: &'static str, value: &[u8]) -> Result<bool, Error> {
    match value {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(invalid(name, value, "on or off")),
    }
}

fn peer(value: &[u8]) -> Result<Peer, Error> {
    Peer::parse(value).ok_or_else(|| invalid("tls_name", value, "a DNS name or an IP address"))
}

fn database(value: &[u8]) -> Result<u16, Error> {
    number(value)
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| invalid("db", value, "a number from 0 to 65535"))
}

fn keyspace(value: &[u8]) -> Result<Keyspace, Error> {
    let prefix = not_empty("prefix", value, "a text")?;
    Keyspace::new(prefix).map_err(|reason| Error::Prefix { value: text(value), reason })
}

fn suspension(value: &[u8]) -> Result<Option<Suspension>, Error> {
    if value == b"auto" {
        return Ok(None);
    }
    Suspension::ALL
        .into_iter()
        .find(|suspension| suspension.name().as_bytes() == value)
        .map(Some)
        .ok_or_else(|| invalid("suspend", value, "auto, async or hello"))
}

/// Decimal digits and nothing else.
fn number(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}
