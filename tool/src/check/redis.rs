//! What a Redis, or one of its kin, does and says of itself.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ssl_session_cache_core::plan::Shape;
use ssl_session_cache_core::protocol::Request;
use ssl_session_cache_core::session::Key;

use crate::check::trial::{self, Names, Trial};
use crate::check::Context;
use crate::output::bytes;
use crate::store::redis::{CommandError, Redis};
use crate::store::{Answer, TalkError};

const NAMES: Names = Names { get: "GET", put: "SETEX", add: "SET ... EX NX", delete: "DEL" };

/// A clock that differs by more is warned of, in seconds: early data is accepted within 10.
const CLOCK: f64 = 5.0;

/// Tries what the module asks, and reads what the server says. `fit` are the keys that lie there.
pub fn check(context: &mut Context<'_, '_, '_>, mut server: Redis, fit: &dyn Fn(&Key) -> bool) {
    if let Err(error) = all(context, &mut server, fit) {
        context.report.failure(error, "the server broke off: see its log");
    }
}

fn all(
    context: &mut Context<'_, '_, '_>,
    server: &mut Redis,
    fit: &dyn Fn(&Key) -> bool,
) -> Result<(), TalkError> {
    let (info, why, advice) = match server.info() {
        Ok(info) => (Some(info), String::new(), ""),
        Err(CommandError::Talk(error)) => return Err(error),
        Err(CommandError::Right(_)) => (
            None,
            "the user has no right to INFO".to_owned(),
            "with +info they can; nginx does not need it",
        ),
        Err(CommandError::Refused(message)) => {
            (None, format!("INFO: {message}"), "nginx does not need it")
        }
    };
    if let Some(info) = &info {
        about_version(context, info);
        let is_node = info.get("redis_mode").is_some_and(|mode| mode == "cluster");
        if is_node && context.used.store.plan.shape != Shape::Cluster {
            context.report.failure(
                "it is a node of a cluster: it refuses the keys of the others",
                "use a block with \"cluster on\": docs/stores.md, \"Redis Cluster\"",
            );
        }
    }
    role(context, server, info.as_ref())?;
    if let Answer::Refused { message, .. } = server.ask(Request::Name(b"ssl-session-cache"))? {
        let advice = "with +client|setname CLIENT LIST names the machines; nginx does without";
        context.report.note(format!("CLIENT SETNAME: {message}"), advice);
    }
    for keyspace in context.used.keyspaces() {
        let Some(key) = trial::key(&keyspace, fit) else { continue };
        let is_fallback = context.used.is_fallback;
        let mut ask = |request: Request<'_>| server.ask(request);
        let mut trial = trial::run(&key, &NAMES, is_fallback, &mut ask)?;
        connection(context, &mut trial, &mut ask)?;
        trial::tell(context, &keyspace, &trial, NAMES.add);
    }
    if let Some(key) = context.used.keyspaces().first().and_then(|one| trial::key(one, fit)) {
        trial::measure(context, &key, &mut |request| server.ask(request))?;
    }
    match &info {
        Some(info) => about_memory(context, info),
        None => context
            .report
            .note(format!("version, memory and clients cannot be told: {why}"), advice),
    }
    clients(context, server, info.as_ref())?;
    persistence(context, server, info.as_ref())?;
    clock(context, server)
}

/// What is asked of the connection, and not of a key.
fn connection(
    context: &Context<'_, '_, '_>,
    trial: &mut Trial,
    ask: &mut trial::Ask<'_>,
) -> Result<(), TalkError> {
    trial.ask("PING", Request::Probe, ask)?;
    if context.used.store.plan.shape == Shape::Cluster {
        trial.ask("ASKING", Request::Asking, ask)?;
        // It is about the request that follows.
        trial.ask("PING", Request::Probe, ask)?;
        trial.done.dedup_by(|one, other| one == other);
    }
    Ok(())
}

fn about_version(context: &mut Context<'_, '_, '_>, info: &BTreeMap<String, String>) {
    let get = |name: &str| info.get(name).map(String::as_str);
    let version = get("redis_version").unwrap_or("of an unknown version");
    let line = if let Some(version) = get("valkey_version") {
        format!("Valkey {version}")
    } else if let Some(version) = get("dragonfly_version") {
        format!("Dragonfly {version}")
    } else if info.contains_key("KeyDB") || get("executable").is_some_and(|it| it.contains("keydb"))
    {
        format!("KeyDB {version}")
    } else {
        format!("Redis {version}")
    };
    let is_old = get("redis_version").is_some_and(|version| is_before(version, [2, 6, 12]));
    match is_old {
        true => context.report.warning(
            line,
            "it cannot add what is not there in one step: a newer one is better for early data and ticket keys",
        ),
        false => context.report.ok(line),
    }
}

fn is_before(version: &str, than: [u32; 3]) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    let version = [(); 3].map(|()| parts.next().unwrap_or_default());
    version < than
}

/// A master takes records; behind Sentinels it must say that it is one.
fn role(
    context: &mut Context<'_, '_, '_>,
    server: &mut Redis,
    info: Option<&BTreeMap<String, String>>,
) -> Result<(), TalkError> {
    let shape = &context.used.store.plan.shape;
    let is_sentinel = matches!(shape, Shape::Sentinel { .. });
    let told: Result<redis::Value, _> = server.command(&["ROLE"]);
    let role = match told {
        Ok(redis::Value::Array(role)) => role.into_iter().next(),
        Ok(_) => None,
        Err(CommandError::Talk(error)) => return Err(error),
        Err(error) => {
            if is_sentinel {
                let advice = "give the user the right, +role: nginx asks the master for it";
                context.report.failure(format!("ROLE: {error}"), advice);
            }
            None
        }
    };
    let role = role.and_then(|role| redis::from_redis_value::<String>(role).ok());
    let role = role.or_else(|| info.and_then(|info| info.get("role").cloned()));
    match role.as_deref() {
        Some("master") => context.report.ok("it is a master"),
        Some("slave" | "replica") => {
            let advice = match shape {
                Shape::Servers => {
                    "name the master, or use \"sentinel\" or \"cluster\": docs/stores.md"
                }
                Shape::Cluster => "it was a master when the map was asked for: try again",
                Shape::Sentinel { .. } => "the Sentinels have not noticed yet: try again",
            };
            context.report.failure("it is a replica: it takes no records", advice);
        }
        // What stands behind a proxy, or the user may not ask: the trial tells.
        _ => {}
    }
    Ok(())
}

fn about_memory(context: &mut Context<'_, '_, '_>, info: &BTreeMap<String, String>) {
    let report = &mut *context.report;
    let number = |name: &str| info.get(name).and_then(|number| number.parse::<u64>().ok());
    let used =
        number("used_memory").map_or_else(String::new, |used| format!("{} used, ", bytes(used)));
    let policy = info.get("maxmemory_policy").map(String::as_str);
    match (number("maxmemory"), policy) {
        (Some(0), _) => report.warning(
            format!("{used}no maxmemory: it grows until the machine has no memory left"),
            "set maxmemory, and maxmemory-policy volatile-ttl: docs/operating.md, \"When it is full\"",
        ),
        (Some(max), Some("noeviction")) => report.warning(
            format!(
                "{used}maxmemory {}, maxmemory-policy noeviction: full, it takes no sessions",
                bytes(max)
            ),
            "set maxmemory-policy volatile-ttl: it then forgets those that expire soon",
        ),
        (Some(max), policy) => {
            let policy = policy.unwrap_or("unknown");
            report.ok(format!("{used}maxmemory {}, maxmemory-policy {policy}", bytes(max)));
        }
        (None, _) => report.note(
            "maxmemory and maxmemory-policy cannot be told",
            "this server does not say so in INFO: see its configuration",
        ),
    }
    if let Some(evicted) = number("evicted_keys").filter(|count| *count > 0) {
        report.note(
            format!("{evicted} keys were evicted since the server runs"),
            "if that goes on, it has too little memory: clients make full handshakes",
        );
    }
}

fn clients(
    context: &mut Context<'_, '_, '_>,
    server: &mut Redis,
    info: Option<&BTreeMap<String, String>>,
) -> Result<(), TalkError> {
    let number = |name: &str| info?.get(name)?.parse::<u64>().ok();
    let Some(connected) = number("connected_clients") else { return Ok(()) };
    let max = match number("maxclients") {
        Some(max) => Some(max),
        None => setting(server, "maxclients")?.and_then(|max| max.parse().ok()),
    };
    let advice =
        "raise maxclients: each worker of each machine needs a connection, and one more after a \
                  reload: docs/stores.md, \"Connections\"";
    match max {
        Some(max) if is_nearly_full(connected, max) => {
            context.report.warning(format!("{connected} of {max} clients (maxclients)"), advice);
        }
        Some(max) => context.report.ok(format!("{connected} of {max} clients (maxclients)")),
        None => context.report.note(
            format!("{connected} clients; maxclients cannot be told"),
            "with +config|get it can; nginx does not need it",
        ),
    }
    Ok(())
}

/// Whether four fifths are used, by numbers that a server says.
pub fn is_nearly_full(used: u64, max: u64) -> bool {
    used.saturating_mul(10) >= max.saturating_mul(8)
}

/// A parameter of the server's configuration; `None` where that may not be told.
fn setting(server: &mut Redis, name: &str) -> Result<Option<String>, TalkError> {
    match server.pairs(&["CONFIG", "GET", name]) {
        Ok(mut found) => Ok(found.remove(name)),
        Err(CommandError::Talk(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn persistence(
    context: &mut Context<'_, '_, '_>,
    server: &mut Redis,
    info: Option<&BTreeMap<String, String>>,
) -> Result<(), TalkError> {
    let save = setting(server, "save")?;
    let appends = match info.and_then(|info| info.get("aof_enabled")) {
        Some(enabled) => Some(enabled == "1"),
        None => setting(server, "appendonly")?.map(|value| value == "yes"),
    };
    let is_clear = context.used.uses.iter().any(|one| one.sessions.keys.is_empty());
    let is_sentinel = matches!(context.used.store.plan.shape, Shape::Sentinel { .. });
    let report = &mut *context.report;
    let (Some(save), Some(appends)) = (save, appends) else {
        report.note(
            "whether sessions are written to disk cannot be told",
            "with +config|get and +info it can; nginx does not need them",
        );
        return Ok(());
    };
    let is_on = appends || !save.is_empty();
    let line = format!("save \"{save}\", appendonly {}", if appends { "yes" } else { "no" });
    match (is_on, is_clear, is_sentinel) {
        (true, true, _) => report.warning(
            format!("{line}: sessions in clear are written to disk"),
            "set key=, or save \"\" and appendonly no: who reads the file can decrypt connections",
        ),
        (true, false, false) => {
            report.note(line, "of little use: sessions are soon over. save \"\" spares the disk");
        }
        (false, _, true) => report.warning(
            format!("{line}: a master that restarts at once comes back empty, and empties its replicas"),
            "do not let it restart by itself, or leave persistence on: docs/stores.md, \"Sentinel\"",
        ),
        (true, false, true) | (false, _, false) => report.ok(line),
    }
    Ok(())
}

fn clock(context: &mut Context<'_, '_, '_>, server: &mut Redis) -> Result<(), TalkError> {
    let begin = Instant::now();
    let told: Result<(u64, u64), _> = server.command(&["TIME"]);
    let half = begin.elapsed().as_secs_f64() / 2.0;
    match told {
        Ok((seconds, micros)) => {
            tell_clock(context, seconds as f64 + micros as f64 / 1e6 + half, CLOCK);
            Ok(())
        }
        Err(CommandError::Talk(error)) => Err(error),
        Err(_) => {
            let advice = "with +time it can; nginx does not need it";
            context.report.note("the clock of the server cannot be told", advice);
            Ok(())
        }
    }
}

/// Says how much a server's clock differs from that of this machine.
pub fn tell_clock(context: &mut Context<'_, '_, '_>, theirs: f64, limit: f64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let difference = theirs - now.as_secs_f64();
    let way = if difference < 0.0 { "behind" } else { "ahead of" };
    let line = format!("its clock is {:.1} s {way} this machine's", difference.abs());
    match difference.abs() > limit {
        true => {
            context.report.warning(line, "have all machines, and the store, keep their time by NTP")
        }
        false => context.report.ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size() {
        for (used, max, is_it) in [
            (79, 100, false),
            (80, 100, true),
            (0, u64::MAX, false),
            (u64::MAX, 100, true),
            (u64::MAX, u64::MAX, true),
        ] {
            assert_eq!(is_nearly_full(used, max), is_it, "{used} of {max}");
        }
    }

    #[test]
    fn versions_in_order() {
        for (version, is_old) in
            [("2.6.11", true), ("2.6.12", false), ("2.8.0", false), ("7.0.15", false), ("x", false)]
        {
            assert_eq!(is_before(version, [2, 6, 12]), is_old, "{version}");
        }
    }
}
