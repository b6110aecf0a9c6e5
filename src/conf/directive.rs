//! The words of the directive, read into what they mean.
//!
//! ```text
//! remote_ssl_session_cache on | off [addr=address] [port=number] [type=redis | memcached]
//!     [interval=time] [count=number | unlimited] [timeout=time] [auth=password]
//!     [suspend=auto | async | hello] [key=file ...];
//! ```

use core::str;
use core::time::Duration;
use std::string::String;

use nginx_sys::{ngx_conf_t, ngx_parse_time, ngx_pool_t, ngx_str_t, NGX_ERROR};

use crate::conf::address::Location;
use crate::handshake::Suspension;
use crate::seal::{key_file, Sealer};
use crate::store::{Kind, Settings};

/// The longest `interval` and `timeout`: a day. Longer ones are a slip of the pen.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a directive is refused. The text says which parameter, and what would be right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "unknown parameter \"{0}\", expected \"on\", \"off\", \"addr=\", \"port=\", \"type=\", \
         \"interval=\", \"count=\", \"timeout=\", \"auth=\", \"suspend=\" or \"key=\""
    )]
    Unknown(String),
    #[error("repeated parameter \"{0}\", expected once at most")]
    Repeated(&'static str),
    #[error("invalid value \"{value}\" of parameter \"{name}\", expected {expected}")]
    Invalid { name: &'static str, value: String, expected: &'static str },
    #[error("invalid value of parameter \"auth\", expected {0}")]
    InvalidAuth(&'static str),
    #[error("cannot resolve parameter \"addr\", expected an IP address or a known name: {0}")]
    Unresolved(String),
    #[error(transparent)]
    Key(#[from] key_file::Error),
}

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
    auth: Option<&'a [u8]>,
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
        match name {
            b"addr" => {
                set(&mut self.addr, "addr", not_empty("addr", value, "an IP address or a name")?)
            }
            b"port" => set(&mut self.port, "port", port(value)?),
            b"type" => set(&mut self.kind, "type", kind(value)?),
            b"interval" => set(&mut self.interval, "interval", time("interval", value)?),
            b"count" => set(&mut self.count, "count", count(value)?),
            b"timeout" => set(&mut self.timeout, "timeout", time("timeout", value)?),
            b"auth" => set(&mut self.auth, "auth", password(value)?),
            b"suspend" => set(&mut self.suspend, "suspend", suspension(value)?),
            b"key" => {
                self.keys.push(not_empty("key", value, "the name of a file")?);
                Ok(())
            }
            // Without the value, which may be a misspelt password.
            _ => Err(Error::Unknown(text(&word[..=equals]))),
        }
    }

    /// How handshakes are to be suspended; `None` for whatever works best.
    pub(crate) fn suspension(&self) -> Option<Suspension> {
        self.suspend.flatten()
    }

    /// Reads the key files; `None` where there are none, or the cache is off.
    pub(crate) fn sealer(&self, cf: &mut ngx_conf_t) -> Result<Option<Sealer>, Error> {
        if self.enabled == Some(false) || self.keys.is_empty() {
            return Ok(None);
        }
        Ok(Some(key_file::sealer(cf, &self.keys)?))
    }

    /// Fills in the defaults and resolves the address; `None` where the cache is off.
    pub(crate) fn resolve(self, pool: *mut ngx_pool_t) -> Result<Option<Settings>, Error> {
        let kind = self.kind.unwrap_or(Kind::Redis);
        if kind == Kind::Memcached && self.auth.is_some_and(|auth| !auth.contains(&b':')) {
            return Err(Error::InvalidAuth("user:password where type is memcached"));
        }
        if self.enabled == Some(false) {
            return Ok(None);
        }
        let host = self.addr.unwrap_or(b"127.0.0.1");
        let port = self.port.unwrap_or(kind.default_port());
        Ok(Some(Settings {
            location: Location::resolve(pool, host, port).map_err(Error::Unresolved)?,
            kind,
            interval: self.interval.unwrap_or(Duration::from_millis(200)),
            count: self.count.unwrap_or(Some(5000)),
            timeout: self.timeout.unwrap_or(Duration::from_secs(1)),
            auth: self.auth.map(Into::into),
        }))
    }
}

/// Sets a value that may be said once.
fn set<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::Repeated(name)),
    }
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
        return Err(Error::InvalidAuth("a password that is not empty"));
    }
    Ok(value)
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

fn invalid(name: &'static str, value: &[u8], expected: &'static str) -> Error {
    Error::Invalid { name, value: text(value), expected }
}

/// A configured text as it may be shown in a message.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
