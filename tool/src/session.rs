//! `show` and `revoke`: one session, by its id.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use openssl::asn1::Asn1Time;
use openssl::base64::decode_block;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslSession, SslVersion};
use ssl_session_cache_core::protocol::MAX_RECORD;
use ssl_session_cache_core::session::sealed::{KeyId, Minted, OpenError};
use ssl_session_cache_core::session::{asn1, clear, Key, Keyspace};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::files::{self, FileError, SealingKey};
use crate::output::{complain, hex, say, text};
use crate::store::{unix_now, Answer, Fleet, Server};
use crate::target::{Source, Store, TargetArgs, TargetError, Use};

/// Show what the stores have of one session.
#[derive(Args)]
#[command(long_about = SHOW, after_long_help = SHOW_EXAMPLES)]
#[command(override_usage = "ssl-session-cache show [OPTIONS] <ID> <WORDS>...\n       \
    ssl-session-cache show [OPTIONS] <ID> -c <FILE>\n       \
    ssl-session-cache show [OPTIONS] --session <FILE> <WORDS>...")]
pub struct ShowArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Delete one session from the stores.
#[derive(Args)]
#[command(long_about = REVOKE, after_long_help = REVOKE_EXAMPLES)]
#[command(override_usage = "ssl-session-cache revoke [OPTIONS] <ID> <WORDS>...\n       \
    ssl-session-cache revoke [OPTIONS] <ID> -c <FILE>\n       \
    ssl-session-cache revoke [OPTIONS] --session <FILE> <WORDS>...")]
pub struct RevokeArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Which session.
#[derive(Args)]
struct WhichArgs {
    /// Take the id from a session, as "openssl s_client -sess_out FILE" writes it; ID is left out then
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,

    #[command(flatten)]
    target: TargetArgs,
}

const SHOW: &str = "\
Show what the stores have of one session: where its record lies, for how long, and what is in it. The secret of the \
session is never shown.

ID is the session id in hex, as the variable $ssl_session_id of nginx has it. With TLS 1.3 that is the id of a ticket: \
a client has several. Behind it come the words of the directive, or -c. With key= the record lies under another name, \
which only the key file tells from the id, and is opened with it.

Where several servers can have it (the second choice, a fallback), each is asked. The user needs +get, and +ttl for the \
time that is left.

Exit status: 0 if there is a record, 1 if there is none, or a server did not answer, 2 for wrong words.";

const SHOW_EXAMPLES: &str = "\
Examples:
  ssl-session-cache show 3f0c...e1 addr=10.0.0.5 auth_file=redis.password key=cache.key
  ssl-session-cache show 3f0c...e1 -c /etc/nginx/nginx.conf
  openssl s_client -connect www.example.net:443 -sess_out s.pem </dev/null
  ssl-session-cache show --session s.pem -c /etc/nginx/nginx.conf";

const REVOKE: &str = "\
Delete one session from the stores, on each server that it may lie on: first and second choice, and the fallback.

ID and words are those of show. The claim on the session stays: it keeps early data of it from being accepted where the \
session is still known.

Machines with \"ssl_session_cache shared:\" may have the session in their local cache, and resume it there until it \
expires: docs/emergency.md, \"One session must end\". A session in a ticket cannot be ended by itself. The user needs \
+del.

Exit status: 0 if it was deleted, 1 if it was nowhere, or a server did not answer, 2 for wrong words.";

const REVOKE_EXAMPLES: &str = "\
Examples:
  ssl-session-cache revoke 3f0c...e1 addr=10.0.0.5 auth_file=redis.password key=cache.key
  ssl-session-cache revoke --session s.pem -c /etc/nginx/nginx.conf";

/// What keeps a command from its work.
#[derive(Debug, Error)]
pub enum SessionError {
    /// It is not known about which stores.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A key file.
    #[error(transparent)]
    File(#[from] FileError),
    /// No session is named.
    #[error("expected the id of a session in hex, of at most 32 bytes, or --session with a file")]
    NoId,
    /// The file of a session cannot be read.
    #[error("cannot read file \"{0}\" of --session: {1}")]
    Read(PathBuf, io::Error),
    /// It has something else.
    #[error("unfit file \"{0}\" of --session, expected a session in PEM, as \"openssl s_client -sess_out\" writes it")]
    NoSession(PathBuf),
    /// It has a session that no store knows.
    #[error(
        "the session in \"{0}\" is in a ticket of {1} bytes, and so in no store: only another ticket key \
             ends it (docs/emergency.md)"
    )]
    Stateless(PathBuf, usize),
}

/// A place where the session may be.
struct Place<'a> {
    stores: Vec<Rc<Store<'a>>>,
    key: Key,
    keyspace: Keyspace,
    sealing: Option<(usize, Minted)>,
}

/// Shows.
pub fn show(args: ShowArgs) -> Result<bool, SessionError> {
    let met = at_each_place(args.which, |id, place, keys, base| {
        let met = at_each_choice(base, &place.stores, &place.key, |server, word| {
            match server.get(&place.key).map_err(|error| error.to_string())? {
                Answer::Found(record) => {
                    say!("{word}: found");
                    show_record(server, place, keys, id, &record);
                    return Ok(true);
                }
                Answer::Oversized => {
                    say!("{word}: longer than any record, and so none of nginx's")
                }
                Answer::Refused { message, .. } => return Err(message),
                _ => say!("{word}: nothing"),
            }
            Ok(false)
        });
        show_claim(base, place);
        met
    })?;
    Ok(met.is_some_and(|met| met.is_found))
}

/// Deletes.
pub fn revoke(args: RevokeArgs) -> Result<bool, SessionError> {
    let met = at_each_place(args.which, |_, place, _, base| {
        at_each_choice(base, &place.stores, &place.key, |server, word| {
            let is_deleted = server.delete(&place.key).map_err(|error| error.to_string())?;
            say!("{word}: {}", if is_deleted { "deleted" } else { "nothing there" });
            Ok(is_deleted)
        })
    })?;
    let Some(met) = met else { return Ok(false) };
    say!(
        "Machines with \"ssl_session_cache shared:\" may still resume the session from there until it expires \
         (docs/emergency.md, \"One session must end\")."
    );
    // Where one did not answer, it may still be.
    Ok(met.is_found && !met.has_failed)
}

/// Acts at each place where the session that is named may be; `None` where there is none.
fn at_each_place(
    which: WhichArgs,
    mut act: impl FnMut(&[u8], &Place<'_>, &Keys<'_>, &Path) -> Met,
) -> Result<Option<Met>, SessionError> {
    let (id, source) = which.read()?;
    let uses = source.uses()?;
    let keys = Keys::read(source.folder(), &uses)?;
    let places = places(&id, &uses, &keys);
    if places.is_empty() {
        tell_unknown(&id, &keys);
        return Ok(None);
    }
    let mut met = Met::default();
    for place in &places {
        say!("key: {:?}", place.key);
        met.add(act(&id, place, &keys, source.folder()));
    }
    Ok(Some(met))
}

impl WhichArgs {
    fn read(self) -> Result<(Vec<u8>, Source), SessionError> {
        let Self { session, mut target } = self;
        let id = match session {
            Some(file) => id_in(&file)?,
            None => {
                if target.words.is_empty() {
                    return Err(SessionError::NoId);
                }
                read_hex(&target.words.remove(0)).ok_or(SessionError::NoId)?
            }
        };
        Ok((id, Source::read(target)?))
    }
}

/// An id in hex.
fn read_hex(word: &OsString) -> Option<Vec<u8>> {
    let digits = word.as_bytes();
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    });
    let id: Vec<u8> = pairs.collect::<Option<_>>()?;
    (1..=32).contains(&id.len()).then_some(id)
}

/// The id that a server looks up for a session: the session id of TLS 1.2, and what a stateful ticket of
/// TLS 1.3 holds.
fn id_in(file: &Path) -> Result<Vec<u8>, SessionError> {
    /// The length of a stateful ticket of OpenSSL.
    const STATEFUL: usize = 32;
    /// Far more than a session with a chain of certificates, in bytes.
    const MAX_FILE: u64 = 1024 * 1024;

    let no_session = || SessionError::NoSession(file.into());
    let mut pem = Zeroizing::new(String::new());
    let read = File::open(file).and_then(|file| file.take(MAX_FILE).read_to_string(&mut pem));
    read.map_err(|error| SessionError::Read(file.into(), error))?;
    let begin = "-----BEGIN SSL SESSION PARAMETERS-----";
    let (_, rest) = pem.split_once(begin).ok_or_else(no_session)?;
    let (base64, _) = rest.split_once("-----END").ok_or_else(no_session)?;
    let base64 = Zeroizing::new(base64.split_whitespace().collect::<String>());
    let der = Zeroizing::new(decode_block(&base64).map_err(|_| no_session())?);
    let session = SslSession::from_der(&der).map_err(|_| no_session())?;
    let ticket = asn1::ticket(&der);
    match ticket {
        Some(ticket) if ticket.len() != STATEFUL => {
            Err(SessionError::Stateless(file.into(), ticket.len()))
        }
        Some(ticket) if session.protocol_version() == SslVersion::TLS1_3 => Ok(ticket.to_vec()),
        _ if session.id().is_empty() => Err(no_session()),
        _ => Ok(session.id().to_vec()),
    }
}

/// The sealing keys of all uses, each once.
struct Keys<'a>(Vec<(&'a [u8], SealingKey)>);

impl<'a> Keys<'a> {
    fn read(base: &Path, uses: &[Use<'a>]) -> Result<Self, SessionError> {
        let mut keys: Vec<(&[u8], SealingKey)> = Vec::new();
        for name in uses.iter().flat_map(|one| &one.sessions.keys) {
            if !keys.iter().any(|(known, _)| known == name) {
                keys.push((name, files::sealing_key(&files::path(base, name))?));
            }
        }
        Ok(Self(keys))
    }

    /// Under which of these keys an id was minted.
    fn recognise(&self, names: &[&[u8]], id: &[u8]) -> Option<(usize, Minted)> {
        let keys = self.0.iter().enumerate().filter(|(_, (name, _))| names.contains(name));
        keys.into_iter().find_map(|(index, (_, key))| Some((index, key.sealer.recognise(id)?)))
    }

    fn id(&self, index: usize) -> KeyId {
        self.0[index].1.id
    }
}

/// Where a session may be, each place once.
fn places<'a>(id: &[u8], uses: &[Use<'a>], keys: &Keys<'_>) -> Vec<Place<'a>> {
    let mut places: Vec<Place<'a>> = Vec::new();
    for one in uses {
        let sealing = keys.recognise(&one.sessions.keys, id);
        if sealing.is_none() && !one.sessions.keys.is_empty() {
            continue;
        }
        let name = sealing.as_ref().map_or(id, |(_, minted)| minted.name());
        let keyspace = &one.sessions.keyspace;
        let Some(key) = keyspace.key(name) else { continue };
        let stores = [Some(&one.store), one.fallback.as_ref()].into_iter().flatten().cloned();
        let is_same = |other: &&mut Place<'_>| other.key == key;
        match places.iter_mut().find(is_same) {
            Some(other) => {
                for store in stores {
                    if !other.stores.iter().any(|known| known.plan == store.plan) {
                        other.stores.push(store);
                    }
                }
            }
            None => {
                let stores = stores.collect();
                places.push(Place { stores, key, keyspace: keyspace.clone(), sealing });
            }
        }
    }
    places
}

fn tell_unknown(id: &[u8], keys: &Keys<'_>) {
    let ids: Vec<_> = keys.0.iter().map(|(_, key)| key.id.to_string()).collect();
    say!(
        "{}: none of the keys here ({}) has made this id: its session is in no store, or was made with \
         another key file",
        hex(id),
        ids.join(", ")
    );
}

/// What came of asking several servers.
#[derive(Clone, Copy, Default)]
struct Met {
    is_found: bool,
    has_failed: bool,
}

impl Met {
    fn add(&mut self, other: Self) {
        self.is_found |= other.is_found;
        self.has_failed |= other.has_failed;
    }
}

/// Asks each server that a key may lie at.
fn at_each_choice(
    base: &Path,
    stores: &[Rc<Store<'_>>],
    key: &Key,
    mut act: impl FnMut(&mut Server, &str) -> Result<bool, String>,
) -> Met {
    let mut met = Met::default();
    for store in stores {
        let (fleet, access) = match Fleet::open(base, store) {
            Ok(opened) => opened,
            Err(error) => {
                complain(format!("store {}: {error}", store.name));
                met.has_failed = true;
                continue;
            }
        };
        let choices = fleet.choices(key);
        if choices.is_empty() {
            complain(format!("store {}: the slot of the key has no master", store.name));
            met.has_failed = true;
        }
        for choice in choices {
            let spot = &fleet.members[choice].spot;
            let server = access.server(spot).map_err(|error| error.to_string());
            match server.and_then(|mut server| act(&mut server, &spot.word)) {
                Ok(is_there) => met.is_found |= is_there,
                Err(error) => {
                    complain(format!("{}: {error}", spot.word));
                    met.has_failed = true;
                }
            }
        }
    }
    met
}

fn show_record(server: &mut Server, place: &Place<'_>, keys: &Keys<'_>, id: &[u8], record: &[u8]) {
    let left = match server.ttl(&place.key) {
        Some(seconds @ 0..) => format!("deleted by the store in {seconds} s"),
        Some(-1) => "never deleted by the store".to_owned(),
        _ => "how long it stays cannot be told".to_owned(),
    };
    say!("  record: {} bytes, {left}", record.len());
    match &place.sealing {
        Some((index, minted)) => {
            say!("  sealed with key {}, site {}", keys.id(*index), minted.site());
            let sealer = &keys.0[*index].1.sealer;
            let mut buffer = Zeroizing::new(vec![0; MAX_RECORD]);
            let prefix = place.keyspace.prefix();
            // What has expired is shown as well.
            let opened =
                sealer.open(minted, prefix, 0, record, &mut buffer, |text| show_session(id, text));
            match opened {
                Ok(()) => {}
                Err(OpenError::Version) => {
                    say!("  of another format: an earlier or a later version of the module has sealed it");
                }
                Err(error) => say!("  damaged or forged: {error}"),
            }
        }
        None => match clear::read(id, record) {
            Some(text) => {
                say!("  in clear");
                show_session(id, text);
            }
            None if is_sealed(record) => {
                say!("  sealed: without key=, and the session's id in place of its name, it cannot be read");
            }
            None => say!("  damaged, or not the record of this id"),
        },
    }
}

/// By the version that a sealed record begins with (core/src/session/sealed.rs).
fn is_sealed(record: &[u8]) -> bool {
    matches!(record.first(), Some(1 | 2))
}

/// The claim has a key of its own, and may lie at another server; only the first choice ever grants it.
fn show_claim(base: &Path, place: &Place<'_>) {
    let claim = place.key.claim();
    let mut first_choice = true;
    at_each_choice(base, &place.stores[..1], &claim, |server, word| {
        if !std::mem::take(&mut first_choice) {
            return Ok(false);
        }
        match server.get(&claim).map_err(|error| error.to_string())? {
            Answer::Missing => say!("claim: none, no early data of it was accepted"),
            Answer::Refused { message, .. } => return Err(message),
            _ => say!("claim: at {word}, its early data was accepted, or it was resumed once"),
        }
        Ok(true)
    });
}

/// What of a session is no secret.
fn show_session(id: &[u8], der: &[u8]) {
    let Ok(session) = SslSession::from_der(der) else {
        say!("  not readable by this OpenSSL: another version has written it");
        return;
    };
    if session.id() != id {
        say!("  damaged: it has another id");
    }
    let cipher = asn1::fields(der).find(|(tag, _)| *tag == OCTET_STRING);
    let cipher = cipher.map_or_else(|| "unknown".to_owned(), |(_, code)| cipher_name(code));
    say!("  protocol: {}, cipher: {cipher}", version_name(session.protocol_version()));
    let name = asn1::octets(der, HOST_NAME).map_or_else(|| "none".to_owned(), text);
    say!("  server name: {name}");
    #[allow(clippy::unnecessary_cast)] // On some systems it has 32 bits.
    let made = session.time() as i64;
    let timeout = session.timeout();
    let now = unix_now() as i64;
    let age = Duration::from_secs(now.saturating_sub(made).max(0) as u64);
    say!("  made: {} ({} s ago), timeout {timeout} s", date(made), age.as_secs());
    let ends = made.saturating_add(timeout);
    let state = match ends - now {
        left @ 0.. => format!("in {left} s"),
        past => format!("expired {} s ago", -past),
    };
    say!("  expires: {} ({state})", date(ends));
    let context = asn1::octets(der, ID_CONTEXT).map_or_else(|| "none".to_owned(), hex);
    say!("  id context: {context}");
    let early = match session.max_early_data() {
        0 => "not allowed".to_owned(),
        max => format!("allowed, up to {max} bytes"),
    };
    say!("  early data: {early}");
    let peer = asn1::fields(der).any(|(tag, _)| tag == PEER);
    say!("  client certificate: {}", if peer { "yes" } else { "none" });
}

fn version_name(version: SslVersion) -> &'static str {
    match version {
        SslVersion::TLS1_3 => "TLSv1.3",
        SslVersion::TLS1_2 => "TLSv1.2",
        SslVersion::TLS1_1 => "TLSv1.1",
        SslVersion::TLS1 => "TLSv1",
        _ => "another one",
    }
}

/// OpenSSL's name of a cipher that has this number.
fn cipher_name(code: &[u8]) -> String {
    let find = || {
        let context = SslContext::builder(SslMethod::tls()).ok()?.build();
        let list = Ssl::new(&context).ok()?.bytes_to_cipher_list(code, false).ok()?;
        list.suites.iter().next().map(|cipher| cipher.name().to_owned())
    };
    find().unwrap_or_else(|| format!("0x{}", hex(code)))
}

fn date(time: i64) -> String {
    Asn1Time::from_unix(time).map_or_else(|_| time.to_string(), |time| time.to_string())
}

/// Tags of a session's fields, in ssl/ssl_asn1.c of OpenSSL 1.1.1 to 4.0: `[n] EXPLICIT`.
const PEER: u8 = 0xa3;
const ID_CONTEXT: u8 = 0xa4;
const HOST_NAME: u8 = 0xa6;
const OCTET_STRING: u8 = 0x04;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_hex() {
        let read = |text: &str| read_hex(&OsString::from(text));
        assert_eq!(read("00fF9a"), Some(vec![0, 0xff, 0x9a]));
        assert_eq!(read(&"00".repeat(32)), Some(vec![0; 32]));
        for text in ["", "0", "0g", "addr=10", &"00".repeat(33)] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn ciphers_by_number() {
        assert_eq!(cipher_name(&[0x13, 0x02]), "TLS_AES_256_GCM_SHA384");
        assert_eq!(cipher_name(&[0xc0, 0x2f]), "ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(cipher_name(&[0xee, 0xee]), "0xeeee");
    }
}
