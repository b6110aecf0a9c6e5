//! What the module asks of a server, tried on keys that no session has.

use std::time::{Duration, Instant};

use openssl::rand::rand_bytes;
use ssl_session_cache_core::plan::SingleUse;
use ssl_session_cache_core::protocol::Request;
use ssl_session_cache_core::session::{Key, Keyspace};

use crate::check::Context;
use crate::output::{text, time};
use crate::store::{put, Answer, TalkError};

/// So many lookups are measured.
const LOOKUPS: usize = 200;

/// How long a record of ours stays where it cannot be deleted, in seconds.
const TTL: u32 = 10;

/// What a server has refused.
pub struct Refused {
    /// What was asked, as the server calls it.
    pub command: &'static str,
    /// Whether that is for a lack of rights.
    pub is_right: bool,
    /// As the server says it.
    pub message: String,
}

/// What became of a trial.
#[derive(Default)]
pub struct Trial {
    /// The commands that were carried out.
    pub done: Vec<&'static str>,
    /// Those that were not.
    pub refused: Vec<Refused>,
}

/// How the commands are called.
pub struct Names {
    pub get: &'static str,
    pub put: &'static str,
    pub add: &'static str,
    pub delete: &'static str,
}

/// Who is asked.
pub type Ask<'a> = dyn FnMut(Request<'_>) -> Result<Answer, TalkError> + 'a;

impl Trial {
    /// Asks, and keeps what comes of it.
    pub fn ask(
        &mut self,
        command: &'static str,
        request: Request<'_>,
        ask: &mut Ask<'_>,
    ) -> Result<(), TalkError> {
        match ask(request) {
            Ok(Answer::Refused { is_right, message }) => {
                self.refused.push(Refused { command, is_right, message });
            }
            Ok(_) => self.done.push(command),
            // The connection goes on: only to the module it is of no more use.
            Err(TalkError::Protocol(error)) => {
                let message = error.to_string();
                let is_right = message.contains("NOPERM");
                self.refused.push(Refused { command, is_right, message });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Tries to look up, add, put and delete; only to look up where the store is a fallback.
pub fn run(
    key: &Key,
    names: &Names,
    is_fallback: bool,
    ask: &mut Ask<'_>,
) -> Result<Trial, TalkError> {
    let mut trial = Trial::default();
    trial.ask(names.get, Request::Get(key), ask)?;
    if !is_fallback {
        let record = [b'x'; 300];
        trial.ask(names.add, Request::Add(put(key, &record, TTL)), ask)?;
        trial.ask(names.put, Request::Put(put(key, &record, TTL)), ask)?;
        trial.ask(names.delete, Request::Delete(key), ask)?;
    }
    Ok(trial)
}

/// A key under the prefix that nobody uses, of those that are `fit`.
pub fn key(keyspace: &Keyspace, fit: &dyn Fn(&Key) -> bool) -> Option<Key> {
    // One of a thousand masters has 16 slots.
    for _ in 0..100_000 {
        let mut name = [0; 16];
        rand_bytes(&mut name).ok()?;
        let key = keyspace.key(&name)?.unused();
        if fit(&key) {
            return Some(key);
        }
    }
    None
}

/// Says what came of it. `add` is the command without which only some things do not work.
pub fn tell(context: &mut Context<'_, '_, '_>, keyspace: &Keyspace, trial: &Trial, add: &str) {
    let prefix = text(keyspace.prefix());
    let of_prefix = |one: &&&crate::target::Use<'_>| one.sessions.keyspace == *keyspace;
    let uses = || context.used.uses.iter().filter(of_prefix);
    let needs_add = uses().any(|one| one.adds || one.sessions.single_use == SingleUse::On);
    if !trial.done.is_empty() {
        let done = trial.done.join(", ");
        context.report.ok(format!("{done} work for keys under \"{prefix}\""));
    }
    for Refused { command, is_right, message } in &trial.refused {
        let line = format!("{command}: {message}");
        let advice = match is_right {
            true if message.contains("key") => {
                format!("give the user the keys, ~{prefix}*: docs/stores.md, \"Rights\"")
            }
            true => {
                let right = command.split(' ').next().unwrap_or_default().to_ascii_lowercase();
                format!("give the user the right, +{right}: docs/stores.md, \"Rights\"")
            }
            false => advice(message).to_owned(),
        };
        if *is_right && *command == add && !needs_add {
            let advice = format!("{advice}; early data, single_use=on and ticket keys need it");
            context.report.warning(line, &advice);
        } else {
            context.report.failure(line, &advice);
        }
    }
}

fn advice(message: &str) -> &'static str {
    let has = |part: &str| message.contains(part);
    match () {
        () if has("OOM") => {
            "the memory is full, and no session is taken: set maxmemory-policy volatile-ttl, or more maxmemory"
        }
        () if has("READONLY") => {
            "it is a replica, which takes no records: name the master, or use \"sentinel\" or \"cluster\""
        }
        () if has("MISCONF") => "it cannot write its snapshot: repair its disk, or set save \"\"",
        () if has("NOREPLICAS") => "it has too few replicas: see min-replicas-to-write",
        () if has("MOVED") || has("CLUSTERDOWN") => {
            "it is in a cluster: use a block with \"cluster on\": docs/stores.md, \"Redis Cluster\""
        }
        () if has("out of memory") => "the memory is full: start it with more (-m), and without -M",
        () if has("too large") => "its items are too small: start it with -I 1m",
        () if has("syntax") || has("wrong number") || has("unknown command") => {
            "the server does not know this command: is it older than docs/install.md says?"
        }
        () => "see the log and the configuration of the server",
    }
}

/// Measures lookups of what there is not.
pub fn measure(
    context: &mut Context<'_, '_, '_>,
    key: &Key,
    ask: &mut Ask<'_>,
) -> Result<(), TalkError> {
    let mut took = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        let begin = Instant::now();
        if let Answer::Refused { .. } = ask(Request::Get(key))? {
            return Ok(());
        }
        took.push(begin.elapsed());
    }
    took.sort_unstable();
    let plan = &context.used.store.plan;
    // The first of two that may be asked has half of the time.
    let has_second = plan.servers.len() > 1
        && plan.shape == ssl_session_cache_core::plan::Shape::Servers
        || plan.fallback.is_some();
    let timeout = if has_second { plan.timeout / 2 } else { plan.timeout };
    let (p50, p99, max) = (took[LOOKUPS / 2], took[LOOKUPS * 99 / 100], took[LOOKUPS - 1]);
    let line = format!(
        "{LOOKUPS} lookups took {} (p50), {} (p99), {} at most; of {}",
        time(p50),
        time(p99),
        time(max),
        time(timeout)
    );
    tell_latency(context, line, [p50, p99, max], timeout);
    Ok(())
}

fn tell_latency(
    context: &mut Context<'_, '_, '_>,
    line: String,
    [p50, p99, max]: [Duration; 3],
    timeout: Duration,
) {
    if p50 > timeout {
        let advice = "most lookups are given up: set timeout= longer, or find out what is slow \
                      (redis-cli --latency, slowlog get)";
        context.report.failure(line, advice);
    } else if p99 > timeout / 2 || max > timeout {
        let advice =
            "some lookups are given up, and their clients make full handshakes: find out what is \
                      slow, or set timeout= longer";
        context.report.warning(line, advice);
    } else {
        context.report.ok(line);
    }
}
