//! How values are read, each by itself.

use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::str;
use core::time::Duration;
use std::borrow::Cow;

use crate::plan::time::nginx_time;
use crate::plan::types::{Kind, Peer, SingleUse, Suspend};
use crate::session::{Keyspace, PrefixError};

/// The longest `interval` and `timeout`: a day. Longer ones are a slip of the pen.
pub(super) const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a ticket key seals: shorter ones are many, longer ones open too much once they are known.
pub(super) const ROTATIONS: RangeInclusive<Duration> =
    Duration::from_secs(60 * 60)..=Duration::from_secs(12 * 60 * 60);

/// The longest DNS name, without the dot that ends it (RFC 1035, section 2.3.4). OpenSSL sends no
/// name longer than 255 bytes.
const MAX_NAME: usize = 253;

/// What is expected of the path of a unix socket.
pub const UNIX_PATH: &str =
    "\"unix:\" and an absolute path, as \"unix:/run/redis.sock\", of at most 107 \
                             bytes without \"@\", \"?\", \",\" and \"=\"";

/// The longest path of a unix socket (unix(7)).
const MAX_UNIX_PATH: usize = 107;

/// The longest name of a store. It is a label of the store's counters.
const MAX_STORE_NAME: usize = 64;

/// The highest number of a site: it has four bits of an id, and 0 is none.
const MAX_SITE: u8 = 15;

/// Why a value is refused.
pub(super) enum Refusal {
    /// It is not what the table says.
    Value,
    /// It is not this, which says more than the table.
    Other(&'static str),
    /// It cannot be what keys begin with.
    Prefix(PrefixError),
}

pub(super) fn not_empty(value: &[u8]) -> Result<&[u8], Refusal> {
    if value.is_empty() {
        return Err(Refusal::Value);
    }
    Ok(value)
}

/// The name of a file. A URL is none, and may have a password, which who opens it would show.
pub(super) fn file(value: &[u8]) -> Result<&[u8], Refusal> {
    if value.windows(3).any(|bytes| bytes == b"://") {
        return Err(Refusal::Value);
    }
    not_empty(value)
}

/// The rest is nginx's to judge, which shows it.
pub(super) fn name_server(value: &[u8]) -> Result<&[u8], Refusal> {
    if value.is_empty() || value.iter().any(|byte| b"@/,".contains(byte)) {
        return Err(Refusal::Value);
    }
    Ok(value)
}

pub(super) fn port(value: &[u8]) -> Result<u16, Refusal> {
    number(value).filter(|port| *port != 0).ok_or(Refusal::Value)
}

pub(super) fn database(value: &[u8]) -> Result<u16, Refusal> {
    number(value).ok_or(Refusal::Value)
}

pub(super) fn count(value: &[u8]) -> Result<Option<usize>, Refusal> {
    if value.eq_ignore_ascii_case(b"unlimited") {
        return Ok(None);
    }
    number(value).filter(|count| *count > 0).map(Some).ok_or(Refusal::Value)
}

/// A bare number is milliseconds, else nginx's units are understood.
pub(super) fn time(value: &[u8]) -> Result<Duration, Refusal> {
    number(value)
        .map(Duration::from_millis)
        .or_else(|| nginx_time(value))
        .filter(|time| (Duration::from_millis(1)..=MAX_TIME).contains(time))
        .ok_or(Refusal::Value)
}

/// As nginx reads times: a bare number is seconds.
pub(super) fn rotation(value: &[u8]) -> Result<Duration, Refusal> {
    nginx_time(value).filter(|time| ROTATIONS.contains(time)).ok_or(Refusal::Value)
}

/// A name that a server knows.
pub(super) fn word(value: &[u8]) -> Result<&[u8], Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::Value);
    }
    Ok(value)
}

pub(super) fn user(value: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    word(value).map(Cow::Borrowed)
}

pub(super) fn password(value: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    if value.is_empty() {
        return Err(Refusal::Value);
    }
    Ok(Cow::Borrowed(value))
}

pub(super) fn store_name(value: &[u8]) -> Result<&[u8], Refusal> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if !(1..=MAX_STORE_NAME).contains(&value.len()) || !value.iter().all(is_letter) {
        return Err(Refusal::Value);
    }
    Ok(value)
}

pub(super) fn site(value: &[u8]) -> Result<u8, Refusal> {
    number(value).filter(|site| (1..=MAX_SITE).contains(site)).ok_or(Refusal::Value)
}

pub(super) fn flag(value: &[u8]) -> Result<bool, Refusal> {
    match &*value.to_ascii_lowercase() {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(Refusal::Value),
    }
}

pub(super) fn kind(value: &[u8]) -> Result<Kind, Refusal> {
    match &*value.to_ascii_lowercase() {
        b"redis" => Ok(Kind::Redis),
        b"memcached" => Ok(Kind::Memcached),
        _ => Err(Refusal::Value),
    }
}

pub(super) fn suspend(value: &[u8]) -> Result<Suspend, Refusal> {
    match &*value.to_ascii_lowercase() {
        b"auto" => Ok(Suspend::Auto),
        b"retry" => Ok(Suspend::Retry),
        b"async" => Ok(Suspend::Async),
        b"hello" => Ok(Suspend::Hello),
        _ => Err(Refusal::Value),
    }
}

pub(super) fn single_use(value: &[u8]) -> Result<SingleUse, Refusal> {
    match &*value.to_ascii_lowercase() {
        b"off" => Ok(SingleUse::Off),
        b"early_data" => Ok(SingleUse::EarlyData),
        b"on" => Ok(SingleUse::On),
        _ => Err(Refusal::Value),
    }
}

pub(super) fn peer(value: &[u8]) -> Result<Peer, Refusal> {
    peer_of(value).ok_or(Refusal::Value)
}

pub(super) fn keyspace(value: &[u8]) -> Result<Keyspace, Refusal> {
    Keyspace::new(not_empty(value)?).map_err(Refusal::Prefix)
}

/// Whom a certificate is for: an IP address, with or without brackets, or a DNS name; `None` if it
/// is neither.
pub(super) fn peer_of(text: &[u8]) -> Option<Peer> {
    if let Some(address) = ip_address(text) {
        return Some(Peer::Address(address.to_string()));
    }
    let text = str::from_utf8(text).ok()?;
    // A certificate has the name without the dot that ends a full name; a dot in front would
    // stand for all names below it.
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_length = (1..=MAX_NAME).contains(&name.len());
    if !is_length || name.starts_with('.') || !name.bytes().all(is_name) {
        return None;
    }
    Some(Peer::Name(name.to_owned()))
}

/// An IP address, with or without brackets: `[::1]` is how nginx writes one where a port may follow.
pub(super) fn ip_address(text: &[u8]) -> Option<IpAddr> {
    let bare = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
    str::from_utf8(bare).ok()?.parse().ok()
}

/// Whether this is an IP address, or could be a name: letters, digits and hyphens between dots, and
/// underscores, which names within a fleet have (RFC 1123, section 2.1).
pub(super) fn is_host(host: &[u8]) -> bool {
    let is_name = host.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        && host.iter().any(u8::is_ascii_alphabetic);
    is_name || ip_address(host).is_some()
}

/// Whether this can be the path of a unix socket.
/// Whether this is the path of a unix socket. Paths are logged: what a client of Redis has in place of one, a URL
/// or a connection string with a password, is none.
pub(super) fn is_unix_path(path: &[u8]) -> bool {
    let is_plain = !path.starts_with(b"//") && !path.iter().any(|byte| b"@?,=".contains(byte));
    path.starts_with(b"/") && path.len() <= MAX_UNIX_PATH && is_plain
}

/// Decimal digits and nothing else.
pub(super) fn number<T: str::FromStr>(value: &[u8]) -> Option<T> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}
