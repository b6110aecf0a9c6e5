//! What a Memcached does and says of itself.

use std::collections::BTreeMap;

use ssl_session_cache_core::protocol::MAX_RECORD;

use crate::check::redis::{is_nearly_full, tell_clock};
use crate::check::trial::{self, Names};
use crate::check::Context;
use crate::output::bytes;
use crate::store::memcached::Memcached;
use crate::store::TalkError;

const NAMES: Names = Names { get: "get", put: "set", add: "add", delete: "delete" };

/// Its clock goes by seconds, and is behind by up to one or two.
const CLOCK: f64 = 6.0;

/// Tries what the module asks, and reads what the server says.
pub fn check(context: &mut Context<'_, '_, '_>, mut server: Memcached) {
    if let Err(error) = all(context, &mut server) {
        context.report.failure(error, "the server broke off: see its log");
    }
}

fn all(context: &mut Context<'_, '_, '_>, server: &mut Memcached) -> Result<(), TalkError> {
    let version = server.version()?;
    context.report.ok(format!("Memcached {version}"));
    for keyspace in context.used.keyspaces() {
        let Some(key) = trial::key(&keyspace, &|_| true) else { continue };
        let is_fallback = context.used.is_fallback;
        let trial = trial::run(&key, &NAMES, is_fallback, &mut |request| server.ask(request))?;
        trial::tell(context, &keyspace, &trial, NAMES.add);
    }
    if let Some(key) = context.used.keyspaces().first().and_then(|one| trial::key(one, &|_| true)) {
        trial::measure(context, &key, &mut |request| server.ask(request))?;
    }
    let stats = server.stats("")?;
    let settings = server.stats("settings")?;
    if stats.is_empty() {
        let advice = "a proxy, or a server that does not say: see its configuration";
        context.report.note("memory and clients cannot be told", advice);
        return Ok(());
    }
    memory(context, &stats, &settings);
    clients(context, &stats, &settings);
    if let Some(time) = stats.get("time").and_then(|time| time.parse::<f64>().ok()) {
        tell_clock(context, time, CLOCK);
    }
    Ok(())
}

fn memory(
    context: &mut Context<'_, '_, '_>,
    stats: &BTreeMap<String, String>,
    settings: &BTreeMap<String, String>,
) {
    let report = &mut *context.report;
    let number = |name: &str| stats.get(name).and_then(|number| number.parse::<u64>().ok());
    let line = format!(
        "{} used, limit_maxbytes {}",
        bytes(number("bytes").unwrap_or_default()),
        bytes(number("limit_maxbytes").unwrap_or_default())
    );
    match settings.get("evictions").map(String::as_str) {
        Some("off") => report.warning(
            format!("{line}, evictions off: full, it takes no sessions"),
            "start it without -M: it then forgets those that were not asked for",
        ),
        _ => report.ok(line),
    }
    if let Some(evicted) = number("evictions").filter(|count| *count > 0) {
        report.note(
            format!("{evicted} items were evicted since the server runs"),
            "if that goes on, it has too little memory (-m): clients make full handshakes",
        );
    }
    let largest = settings.get("item_size_max").and_then(|size| size.parse::<u64>().ok());
    if let Some(largest) = largest {
        let line = format!("item_size_max {}", bytes(largest));
        match largest < MAX_RECORD as u64 {
            true => report.warning(
                format!("{line}: sessions with long certificates of clients are not kept"),
                "start it with -I 1m, the default",
            ),
            false => report.ok(line),
        }
    }
}

fn clients(
    context: &mut Context<'_, '_, '_>,
    stats: &BTreeMap<String, String>,
    settings: &BTreeMap<String, String>,
) {
    let number = |from: &BTreeMap<String, String>, name: &str| from.get(name)?.parse::<u64>().ok();
    let Some(connected) = number(stats, "curr_connections") else { return };
    let max = number(settings, "maxconns").or(number(stats, "max_connections"));
    let Some(max) = max else { return };
    let line = format!("{connected} of {max} connections (maxconns)");
    match is_nearly_full(connected, max) {
        true => context.report.warning(
            line,
            "start it with a higher -c: each worker of each machine needs a connection: docs/stores.md, \
             \"Connections\"",
        ),
        false => context.report.ok(line),
    }
}
