//! `count`, `list` and `flush`: all that lies under a prefix.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::rc::Rc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ssl_session_cache_core::ticket::RECORD_LEN;
use thiserror::Error;

use crate::output::{complain, say, tell, text};
use crate::store::memcached::{self, DumpError, Memcached};
use crate::store::redis::{CommandError, Redis};
use crate::store::{unix_now, Fleet, Server, TalkError};
use crate::target::{stores, Source, Store, TargetArgs, TargetError};

/// Count the sessions in the stores.
#[derive(Args)]
#[command(long_about = COUNT, after_long_help = COUNT_EXAMPLES)]
pub struct CountArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// List what lies in the stores: a line for each key.
#[derive(Args)]
#[command(long_about = LIST, after_long_help = LIST_EXAMPLES)]
pub struct ListArgs {
    #[command(flatten)]
    target: TargetArgs,

    /// Stop after so many keys of each server and prefix
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// Delete all sessions from the stores.
#[derive(Args)]
#[command(long_about = FLUSH, after_long_help = FLUSH_EXAMPLES)]
pub struct FlushArgs {
    #[command(flatten)]
    target: TargetArgs,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

const COUNT: &str = "\
Count the sessions in the stores, by the keys under the prefix: sessions, claims on sessions (docs/early-data.md), the \
records of ticket keys (docs/tickets.md), and other keys, which are none of nginx's.

Each server of a store is asked, and each master of a cluster; no replica. Redis is asked by SCAN, which does not hold \
it up: nginx goes on meanwhile. Redis must be 2.8 or later, and the user needs +scan and +strlen, and +dbsize for the progress that is shown on a \
terminal; with +strlen missing, records of ticket keys count as sessions. Memcached 1.4.31 or later lists its keys by \
its LRU crawler, in the time that it takes; what changes meanwhile may be missed. With -o no_lru_crawler, and before, \
it cannot.

Exit status: 0 if all servers were counted, 1 if one was not, 2 for wrong words.";

const COUNT_EXAMPLES: &str = "\
Examples:
  ssl-session-cache count addr=10.0.0.5 user=admin auth_file=admin.password
  ssl-session-cache count -c /etc/nginx/nginx.conf --store fleet";

const LIST: &str = "\
List what lies in the stores, a line for each key: its name, what it is (session, claim, ticket-key or other), for how \
many seconds it is still there (- for ever, ? if that cannot be told), and its length in bytes. Of Memcached, the length \
is what the item takes of its memory.

The servers are asked as by count. The user needs +scan, +ttl and +strlen.

Exit status: 0 if all servers were listed, 1 if one was not, 2 for wrong words.";

const LIST_EXAMPLES: &str = "\
Examples:
  ssl-session-cache list addr=10.0.0.5 auth_file=redis.password --limit 20
  ssl-session-cache list type=memcached addr=10.0.0.6 prefix=tls:";

const FLUSH: &str = "\
Delete all keys under the prefix from the stores: sessions, claims and the records of ticket keys. On a terminal it asks \
first; without one it needs --yes. An empty prefix is refused: it would be all that lies in the store.

What it costs: one full handshake for each client. While sessions are also in the local cache of a machine \
(ssl_session_cache shared:), they are resumed there until they expire, and so is what is in tickets: docs/emergency.md \
says how to end these. Seeds of ticket keys are put back by the machines that know them.

Early data: with the claims it is forgotten whose early data was accepted already. That is safe as long as the sessions \
go with them, as they do here; those that are in the local cache of a machine are without claims in the store, and early \
data of them can be accepted once more: SECURITY.md, \"Early data\". Set ssl_early_data off until they have expired if \
that matters.

Keys are deleted by UNLINK, or DEL where there is none; the user needs +scan and +unlink. Memcached deletes what its LRU \
crawler lists: what is stored meanwhile may stay.

Exit status: 0 if all was deleted, 1 if not, 2 for wrong words or without an answer.";

const FLUSH_EXAMPLES: &str = "\
Examples:
  ssl-session-cache flush addr=10.0.0.5 user=admin auth_file=admin.password
  ssl-session-cache flush -c /etc/nginx/nginx.conf --store fleet --yes";

/// What keeps a command from its work.
#[derive(Debug, Error)]
pub enum RecordsError {
    /// It is not known about what.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Nobody has said yes.
    #[error("nothing is deleted without a yes: say --yes where no terminal is")]
    NoYes,
}

/// Why a server is left out.
#[derive(Debug, Error)]
enum ServerError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Talk(#[from] TalkError),
    #[error(transparent)]
    Dump(#[from] DumpError),
    #[error("it says again and again that there is more (SCAN)")]
    Endless,
    #[error(
        "{0} keys were not deleted: they are on another server by now, or are none of the module's"
    )]
    Left(usize),
}

/// What a key is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Session,
    Claim,
    TicketKey,
    Other,
}

/// A key that was found.
struct Found {
    key: Vec<u8>,
    kind: Kind,
    /// Seconds; below 0 for ever, `None` where it is not known.
    ttl: Option<i64>,
    length: Option<u64>,
}

/// What is done with keys as they come.
trait Visitor {
    /// Whether the time to live and the length of each are needed.
    const NEEDS_ALL: bool;

    /// The keys of a server, in parts; false to see no more.
    fn visit(&mut self, server: &mut Redis, found: Vec<Found>) -> Result<bool, ServerError>;

    /// The same of a Memcached, which has told all.
    fn visit_all(&mut self, server: &mut Memcached, found: Vec<Found>) -> Result<(), ServerError>;
}

/// How many keys there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    sessions: usize,
    claims: usize,
    ticket_keys: usize,
    others: usize,
}

/// Counts.
pub fn count(args: CountArgs) -> Result<bool, RecordsError> {
    let mut total = Counts::default();
    let mut servers = 0;
    let is_whole = each_server(args.target, |at| {
        let mut counts = Counter::default();
        at.walk(&mut counts)?;
        say!("{}: {}", at.title, counts.0);
        total.add(counts.0);
        servers += 1;
        Ok(())
    })?;
    if servers != 1 {
        say!("total: {total}");
    }
    Ok(is_whole)
}

/// Lists.
pub fn list(args: ListArgs) -> Result<bool, RecordsError> {
    let limit = args.limit;
    Ok(each_server(args.target, |at| {
        say!("# {}", at.title);
        at.walk(&mut Lister { left: limit })
    })?)
}

/// Deletes.
pub fn flush(args: FlushArgs) -> Result<bool, RecordsError> {
    let source = Source::read(args.target)?;
    let mut places = Vec::new();
    for used in stores(&source.uses()?) {
        for keyspace in used.keyspaces() {
            places.push(format!("\"{}\" in store {}", text(keyspace.prefix()), used.store.name));
        }
    }
    let keys = places.join(", ");
    tell!(
        "All keys that begin with {keys} will be deleted: each client will make a full handshake."
    );
    if !args.yes && !asks("Delete them?") {
        return Err(RecordsError::NoYes);
    }
    let mut total = 0;
    let is_whole = each(&source, |at| {
        let mut remover = Remover::default();
        let walked = at.walk(&mut remover);
        say!("{}: {} deleted", at.title, remover.removed);
        total += remover.removed;
        match remover.left {
            0 => walked,
            left => walked.and(Err(ServerError::Left(left))),
        }
    })?;
    say!("total: {total} deleted");
    say!(
        "Machines with \"ssl_session_cache shared:\" still resume what they have in it, and tickets are not \
         ended: see docs/emergency.md."
    );
    Ok(is_whole)
}

/// Whether somebody at a terminal says yes.
fn asks(question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// A prefix at a server.
struct At<'s> {
    title: String,
    prefix: &'s [u8],
    server: Server,
}

fn each_server(
    args: TargetArgs,
    act: impl FnMut(&mut At<'_>) -> Result<(), ServerError>,
) -> Result<bool, TargetError> {
    each(&Source::read(args)?, act)
}

/// Acts on each prefix at each server of each store; false where one failed.
fn each(
    source: &Source,
    mut act: impl FnMut(&mut At<'_>) -> Result<(), ServerError>,
) -> Result<bool, TargetError> {
    let uses = source.uses()?;
    let mut is_whole = true;
    let stores = stores(&uses);
    for used in &stores {
        let keyspaces = used.keyspaces();
        let failed = each_of_store(source.folder(), used.store, |server, word| {
            for keyspace in &keyspaces {
                let title = match (stores.len(), keyspaces.len()) {
                    (1, 1) => word.to_owned(),
                    (_, 1) => format!("store {}, {word}", used.store.name),
                    _ => format!(
                        "store {}, {word}, \"{}\"",
                        used.store.name,
                        text(keyspace.prefix())
                    ),
                };
                let server = server()?;
                act(&mut At { title, prefix: keyspace.prefix(), server })
                    .map_err(|error| format!("{word}: {error}"))?;
            }
            Ok(())
        });
        is_whole &= !failed;
    }
    Ok(is_whole)
}

/// Connects to each server of a store; true where one failed.
fn each_of_store(
    base: &Path,
    store: &Rc<Store<'_>>,
    mut act: impl FnMut(&dyn Fn() -> Result<Server, String>, &str) -> Result<(), String>,
) -> bool {
    let (fleet, access) = match Fleet::open(base, store) {
        Ok(opened) => opened,
        Err(error) => {
            complain(format!("store {}: {error}", store.name));
            return true;
        }
    };
    let mut has_failed = false;
    if fleet.unserved() > 0 {
        complain(format!("{} slots of the cluster have no master", fleet.unserved()));
        has_failed = true;
    }
    for member in &fleet.members {
        let word = &member.spot.word;
        let server = || access.server(&member.spot).map_err(|error| format!("{word}: {error}"));
        if let Err(error) = act(&server, word) {
            complain(error);
            has_failed = true;
        }
    }
    has_failed
}

impl At<'_> {
    fn walk<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), ServerError> {
        let prefix = self.prefix;
        match &mut self.server {
            Server::Redis(server) => walk_redis(server, prefix, visitor),
            Server::Memcached(server) => walk_memcached(server, prefix, visitor),
        }
    }
}

fn walk_redis<V: Visitor>(
    server: &mut Redis,
    prefix: &[u8],
    visitor: &mut V,
) -> Result<(), ServerError> {
    let progress = progress(server.command(&["DBSIZE"]).ok());
    let mut seen = Seen::default();
    let mut cursor = 0;
    loop {
        let part = server.scan(cursor, prefix)?;
        if part.next == cursor && cursor != 0 {
            return Err(ServerError::Endless);
        }
        cursor = part.next;
        progress.inc(part.looked_at);
        let keys: Vec<_> = part
            .keys
            .into_iter()
            .filter(|key| key.starts_with(prefix) && seen.is_new(key))
            .collect();
        let found = describe(server, prefix, keys, V::NEEDS_ALL)?;
        let goes_on = progress.suspend(|| visitor.visit(server, found))?;
        if !goes_on || cursor == 0 {
            progress.finish_and_clear();
            return Ok(());
        }
    }
}

/// On a terminal, how many keys were looked at.
fn progress(size: Option<u64>) -> ProgressBar {
    let Some(size) = size else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} keys, {eta} left");
    let bar = ProgressBar::new(size);
    style.into_iter().for_each(|style| bar.set_style(style));
    bar
}

/// What was told already: a SCAN tells some keys twice. Two keys in 2^64 are taken for one.
#[derive(Default)]
struct Seen(HashSet<u64>);

impl Seen {
    fn is_new(&mut self, key: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.0.insert(hasher.finish())
    }
}

fn describe(
    server: &mut Redis,
    prefix: &[u8],
    keys: Vec<Vec<u8>>,
    needs_all: bool,
) -> Result<Vec<Found>, ServerError> {
    let ttls = match needs_all {
        true => may(server.ttls(&keys))?,
        false => None,
    };
    let may_be_ticket_keys = |key: &Vec<u8>| needs_all || kind(prefix, key, None) == Kind::Session;
    let asked: Vec<_> = keys.iter().filter(|key| may_be_ticket_keys(key)).cloned().collect();
    let lengths = may(server.lengths(&asked))?;
    let mut lengths = lengths.into_iter().flatten();
    let describe = |(index, key): (usize, Vec<u8>)| {
        let length = may_be_ticket_keys(&key).then(|| lengths.next()).flatten();
        let length = length.and_then(|length| u64::try_from(length).ok());
        let ttl = ttls.as_ref().and_then(|ttls| ttls.get(index)).copied();
        Found { kind: kind(prefix, &key, length), key, ttl, length }
    };
    Ok(keys.into_iter().enumerate().map(describe).collect())
}

/// What a user may lack the right to.
fn may<T>(result: Result<T, CommandError>) -> Result<Option<T>, CommandError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(CommandError::Right(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn walk_memcached<V: Visitor>(
    server: &mut Memcached,
    prefix: &[u8],
    visitor: &mut V,
) -> Result<(), ServerError> {
    let now = unix_now();
    let mut found = Vec::new();
    server.dump(|item| {
        if item.key.starts_with(prefix) {
            let ttl = item.expires.map_or(-1, |expires| expires.saturating_sub(now) as i64);
            let kind = kind_of_item(prefix, &item.key, item.size);
            found.push(Found { kind, key: item.key, ttl: Some(ttl), length: Some(item.size) });
        }
    })?;
    visitor.visit_all(server, found)
}

/// The length of a ticket key's record, and of its name in hex. No sealed record of a session is so short.
const TICKET_KEY: u64 = RECORD_LEN as u64;
const TICKET_KEY_NAME: usize = 32;

/// By the name behind the prefix, and by the length of what lies there.
fn kind(prefix: &[u8], key: &[u8], length: Option<u64>) -> Kind {
    /// Digits of the longest id.
    const MAX: usize = 64;

    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let name = key.strip_prefix(prefix).unwrap_or_default();
    match name.split_last() {
        Some((last, rest))
            if name.len() % 2 == 0 && name.len() <= MAX && rest.iter().all(is_digit) =>
        {
            match last {
                b'+' => Kind::Claim,
                last if !is_digit(last) => Kind::Other,
                _ if length == Some(TICKET_KEY) && name.len() == TICKET_KEY_NAME => Kind::TicketKey,
                _ => Kind::Session,
            }
        }
        _ => Kind::Other,
    }
}

/// Of an item the whole size is known: a header, the key, and the value with a line end.
fn kind_of_item(prefix: &[u8], key: &[u8], size: u64) -> Kind {
    /// The header is of 48 bytes, or 56 with a number for each change.
    const HEADERS: [u64; 2] = [48, 56];

    let key_len = key.len() as u64;
    let is_ticket_key = HEADERS.iter().any(|header| {
        // With a zero behind the key, and flags in some versions.
        let least = header + key_len + 1 + TICKET_KEY + 2;
        (least..=least + 4).contains(&size)
    });
    kind(prefix, key, is_ticket_key.then_some(TICKET_KEY))
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Claim => "claim",
            Self::TicketKey => "ticket-key",
            Self::Other => "other",
        }
    }
}

#[derive(Default)]
struct Counter(Counts);

impl Counter {
    fn count(&mut self, found: &[Found]) {
        for one in found {
            match one.kind {
                Kind::Session => self.0.sessions += 1,
                Kind::Claim => self.0.claims += 1,
                Kind::TicketKey => self.0.ticket_keys += 1,
                Kind::Other => self.0.others += 1,
            }
        }
    }
}

impl Visitor for Counter {
    const NEEDS_ALL: bool = false;

    fn visit(&mut self, _server: &mut Redis, found: Vec<Found>) -> Result<bool, ServerError> {
        self.count(&found);
        Ok(true)
    }

    fn visit_all(&mut self, _server: &mut Memcached, found: Vec<Found>) -> Result<(), ServerError> {
        self.count(&found);
        Ok(())
    }
}

struct Lister {
    left: Option<usize>,
}

impl Lister {
    /// False where no more are wanted.
    fn list(&mut self, mut found: Vec<Found>) -> bool {
        found.truncate(self.left.unwrap_or(usize::MAX));
        for Found { key, kind, ttl, length } in &found {
            let ttl = match ttl {
                Some(seconds @ 0..) => seconds.to_string(),
                Some(_) => "-".to_owned(),
                None => "?".to_owned(),
            };
            let length = length.map_or("?".to_owned(), |length| length.to_string());
            say!("{} {} {ttl} {length}", text(key), kind.name());
        }
        if let Some(left) = &mut self.left {
            *left -= found.len();
        }
        self.left != Some(0)
    }
}

impl Visitor for Lister {
    const NEEDS_ALL: bool = true;

    fn visit(&mut self, _server: &mut Redis, found: Vec<Found>) -> Result<bool, ServerError> {
        Ok(self.list(found))
    }

    fn visit_all(&mut self, _server: &mut Memcached, found: Vec<Found>) -> Result<(), ServerError> {
        self.list(found);
        Ok(())
    }
}

#[derive(Default)]
struct Remover {
    removed: usize,
    left: usize,
}

impl Visitor for Remover {
    const NEEDS_ALL: bool = false;

    fn visit(&mut self, server: &mut Redis, found: Vec<Found>) -> Result<bool, ServerError> {
        let keys: Vec<_> = found.into_iter().map(|one| one.key).collect();
        let (removed, left) = server.remove(&keys)?;
        self.removed += removed;
        self.left += left;
        Ok(true)
    }

    fn visit_all(&mut self, server: &mut Memcached, found: Vec<Found>) -> Result<(), ServerError> {
        /// So many are sent before replies are read.
        const BATCH: usize = 500;

        let keys = found.into_iter().map(|one| one.key);
        let (keys, others): (Vec<_>, Vec<_>) = keys.partition(|key| memcached::is_text(key));
        self.left += others.len();
        for batch in keys.chunks(BATCH) {
            self.removed += server.remove(batch)?;
        }
        Ok(())
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.claims += other.claims;
        self.ticket_keys += other.ticket_keys;
        self.others += other.others;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, claims, ticket_keys, others } = self;
        write!(
            f,
            "{sessions} sessions, {claims} claims, {ticket_keys} ticket keys, {others} others"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_keys() {
        let sealed = "0123456789abcdef0123456789abcdef";
        let clear = &sealed.repeat(2);
        for (name, length, expected) in [
            (sealed, None, Kind::Session),
            (sealed, Some(300), Kind::Session),
            (sealed, Some(TICKET_KEY), Kind::TicketKey),
            (clear, Some(TICKET_KEY), Kind::Session),
            ("0123456789abcde+", None, Kind::Claim),
            ("0123456789abcde-", None, Kind::Other),
            ("0123456789abcdeF", None, Kind::Other),
            ("012", None, Kind::Other),
            ("", None, Kind::Other),
            ("keys:0123", None, Kind::Other),
            (&format!("{clear}00"), None, Kind::Other),
        ] {
            let key = format!("p:{name}");
            assert_eq!(kind(b"p:", key.as_bytes(), length), expected, "{name}");
        }
    }

    #[test]
    fn a_key_is_seen_once() {
        let mut seen = Seen::default();
        assert!(seen.is_new(b"a") && seen.is_new(b"b") && !seen.is_new(b"a"));
    }
}
