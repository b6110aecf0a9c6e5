//! A server of a block: where it is, or a URL that says more.

use std::borrow::Cow;

use crate::plan::types::Place;
use crate::plan::value::{self, is_host, is_unix_path, number, Refusal, UNIX_PATH};

const ADDR: &str = "an IP address or a name; the port goes into \"port=\"";
const NO_URL: &str = "an IP address or a name, and no URL: what that says goes into \"port=\", \
                      \"tls=on\", \"db=\", \"user=\" and \"auth_file=\"";
const HOST: &str =
    "an IP address or a name, a port behind it if need be, \"unix:\" and a path, or \
                    a URL \"redis://\" or \"rediss://\"";
const PORT: &str = "a port from 1 to 65535 behind the colon";
const NOT_A_URL: &str = "no \"@\" without a URL \"redis://\" or \"rediss://\" around it";
const SCHEME: &str = "a URL that begins with \"redis://\", \"rediss://\", \"valkey://\" or \
                      \"valkeys://\"; a unix socket is \"unix:\" and its path";
const QUERY: &str = "a URL without a query or fragment; the database is its path, as \"/1\"";
const DATABASE: &str = "a URL with nothing or a database from 0 to 65535 as its path, as \"/1\"";
const URL_HOST: &str = "a URL with an IP address, an IPv6 one in brackets, or a name as its host";
const LOGIN: &str = "a URL with a user, a colon and a password before the \"@\", the user in \
                     printable ASCII without spaces, neither with control characters, any other \
                     byte as \"%\" and two digits";

/// A server as it is configured.
#[derive(Clone)]
pub(super) struct Server<'a> {
    pub(super) spot: Spot<'a>,
    /// What else its URL says, if it is one.
    pub(super) url: Option<Url<'a>>,
}

/// Where it is; a port that is not said is said elsewhere.
#[derive(Clone, Copy)]
pub(super) enum Spot<'a> {
    Host(&'a [u8], Option<u16>),
    Unix(&'a [u8]),
}

/// What a URL says besides where the server is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url<'a> {
    pub(super) tls: bool,
    pub(super) user: Option<Cow<'a, [u8]>>,
    pub(super) password: Option<Cow<'a, [u8]>>,
    pub(super) database: Option<u16>,
}

impl<'a> Server<'a> {
    /// Where the server is, with the port where it has none of its own.
    pub(super) fn place(&self, port: u16) -> Place<'a> {
        self.spot.place(port)
    }

    pub(super) fn is_unix(&self) -> bool {
        self.spot.is_unix()
    }
}

impl<'a> Spot<'a> {
    pub(super) fn place(self, port: u16) -> Place<'a> {
        match self {
            Self::Host(host, own) => Place::Host(host, own.unwrap_or(port)),
            Self::Unix(path) => Place::Unix(path),
        }
    }

    pub(super) fn is_unix(self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

/// Reads where the one server of a directive is.
pub(super) fn addr(value: &[u8]) -> Result<Spot<'_>, Refusal> {
    if let Some(path) = value.strip_prefix(b"unix:") {
        return is_unix_path(path).then_some(Spot::Unix(path)).ok_or(Refusal::Other(UNIX_PATH));
    }
    match value {
        b"" => Err(Refusal::Value),
        host if is_host(host) => Ok(Spot::Host(host, None)),
        url if url.windows(3).any(|bytes| bytes == b"://") => Err(Refusal::Other(NO_URL)),
        _ => Err(Refusal::Other(ADDR)),
    }
}

/// Reads a server.
pub(super) fn server(value: &[u8]) -> Result<Server<'_>, Refusal> {
    if let Some(path) = value.strip_prefix(b"unix:") {
        let path = is_unix_path(path).then_some(path).ok_or(Refusal::Other(UNIX_PATH))?;
        return Ok(Server { spot: Spot::Unix(path), url: None });
    }
    if let Some(end) = value.windows(3).position(|bytes| bytes == b"://") {
        return url(&value[..end], &value[end + 3..]).map_err(Refusal::Other);
    }
    if value.contains(&b'@') {
        return Err(Refusal::Other(NOT_A_URL));
    }
    // An IPv6 address may stand without brackets where no port follows.
    let spot = match value::ip_address(value) {
        Some(_) => Spot::Host(value, None),
        None => host_and_port(value, HOST).map_err(Refusal::Other)?,
    };
    Ok(Server { spot, url: None })
}

/// The parts of a URL (RFC 3986, section 3), as far as a server has a use for them.
fn url<'a>(scheme: &[u8], rest: &'a [u8]) -> Result<Server<'a>, &'static str> {
    let tls = match scheme.to_ascii_lowercase().as_slice() {
        b"redis" | b"valkey" => false,
        b"rediss" | b"valkeys" => true,
        _ => return Err(SCHEME),
    };
    if rest.iter().any(|byte| b"?#".contains(byte)) {
        return Err(QUERY);
    }
    let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    let database = match path {
        b"" | b"/" => None,
        path => Some(number(&path[1..]).ok_or(DATABASE)?),
    };
    let (login, host) = match authority.iter().rposition(|byte| *byte == b'@') {
        Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
        None => (None, authority),
    };
    let (user, password) = login.map(login_of).transpose()?.unwrap_or_default();
    let spot = host_and_port(host, URL_HOST)?;
    Ok(Server { spot, url: Some(Url { tls, user, password, database }) })
}

type Login<'a> = (Option<Cow<'a, [u8]>>, Option<Cow<'a, [u8]>>);

/// The user, the password or both.
fn login_of(text: &[u8]) -> Result<Login<'_>, &'static str> {
    let colon = text.iter().position(|byte| *byte == b':');
    let (user, password) = match colon {
        Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        None => (text, None),
    };
    let user = (!user.is_empty()).then(|| decoded(user)).transpose()?;
    let password = password.map(decoded).transpose()?;
    let is_right = user.as_ref().map_or(password.is_some(), |user| value::user(user).is_ok())
        && password.as_ref().is_none_or(|password| value::password(password).is_ok());
    is_right.then_some((user, password)).ok_or(LOGIN)
}

/// A text with what stands as `%` and two digits in its place.
fn decoded(text: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        (rest, decoded) = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let byte = digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low);
                decoded.push(byte.and_then(|byte| u8::try_from(byte).ok()).ok_or(LOGIN)?);
                (behind, decoded)
            }
            (b'%', _) => return Err(LOGIN),
            (byte, behind) => {
                decoded.push(*byte);
                (behind, decoded)
            }
        };
    }
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(LOGIN);
    }
    Ok(if decoded == text { Cow::Borrowed(text) } else { Cow::Owned(decoded) })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port<'a>(text: &'a [u8], expected: &'static str) -> Result<Spot<'a>, &'static str> {
    let behind_address = text.iter().position(|byte| *byte == b']').map(|bracket| bracket + 1);
    let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
    let (host, port) = text.split_at(behind_address.unwrap_or(colon));
    if !is_host(host) {
        return Err(expected);
    }
    let port = match port {
        b"" => None,
        [b':', digits @ ..] => Some(value::port(digits).map_err(|_refusal| PORT)?),
        _ => return Err(expected),
    };
    Ok(Spot::Host(host, port))
}
