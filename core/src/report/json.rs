//! The status page as JSON.

use core::fmt::{self, Display};

use crate::report::{
    Counts, EarlyData, Event, Frontend, LookupResult, Outcome, Server, Snapshot, Store, Tickets,
    Worker, BOUNDS,
};

/// The page: one object, and a newline.
pub fn render(snapshot: &Snapshot) -> String {
    let frontends = Frontend::ALL
        .map(|frontend| (frontend.name(), handshakes(&snapshot.handshakes[frontend as usize])));
    let stores: Vec<_> = snapshot.stores.iter().map(|of| store(of, snapshot.now)).collect();
    let tickets: Vec<_> = snapshot.tickets().iter().map(tickets).collect();
    object([
        ("version", string(snapshot.version)),
        ("host", string(&snapshot.host)),
        ("now", snapshot.now.to_string()),
        ("since", snapshot.since.to_string()),
        ("suspend", array(&snapshot.suspend.iter().copied().map(string).collect::<Vec<_>>())),
        ("handshakes", handshakes(&snapshot.all_handshakes())),
        ("frontends", object(frontends)),
        ("early_data", early_data(&snapshot.early_data)),
        ("stores", array(&stores)),
        ("tickets", array(&tickets)),
    ]) + "\n"
}

fn handshakes(counts: &[u64; Outcome::ALL.len()]) -> String {
    object(Outcome::ALL.map(|outcome| (outcome.label(), counts[outcome as usize].to_string())))
}

fn early_data(counts: &[u64; EarlyData::ALL.len()]) -> String {
    object(EarlyData::ALL.map(|result| (result.label(), counts[result as usize].to_string())))
}

fn store(store: &Store, now: i64) -> String {
    let key = store.oldest_key();
    let mut members = vec![
        ("name", string(&store.name)),
        ("type", string(store.type_name)),
        ("key_id", or_null(key.map(|key| string(&key.id.to_string())))),
        ("key_time", or_null(key.map(|key| key.time))),
        ("key_age", or_null(key.map(|key| (now - key.time).max(0)))),
        ("timeout", Seconds(store.timeout.as_micros() as u64).to_string()),
    ];
    members.extend(counts(&store.counts()));
    members.push(match store.has_servers {
        false => ("workers", workers(store.workers())),
        true => ("servers", array(&store.named().map(server).collect::<Vec<_>>())),
    });
    object(members)
}

fn server((name, server): (&str, &Server)) -> String {
    let mut members = vec![("name", string(name))];
    members.extend(counts(&server.counts));
    members.push(("workers", workers(&server.workers)));
    object(members)
}

fn counts(counts: &Counts) -> Vec<(&'static str, String)> {
    let lookups = LookupResult::ALL
        .map(|result| (result.name(), counts.lookups[result as usize].to_string()));
    let buckets = counts.times.iter().enumerate().map(|(index, count)| match BOUNDS.get(index) {
        Some(bound) => (Seconds(*bound).to_string(), count.to_string()),
        None => ("inf".to_owned(), count.to_string()),
    });
    let times = object([
        ("count", counts.times.iter().sum::<u64>().to_string()),
        ("sum", Seconds(counts.time_sum).to_string()),
        ("buckets", object(buckets)),
    ]);
    let mut members = vec![("lookups", object(lookups)), ("lookup_seconds", times)];
    members
        .extend(Event::ALL.map(|event| (event.name(), counts.events[event as usize].to_string())));
    members
}

fn workers(workers: &[Worker]) -> String {
    array(&workers.iter().map(worker).collect::<Vec<_>>())
}

fn worker(worker: &Worker) -> String {
    object([
        ("worker", worker.number.to_string()),
        ("pid", worker.pid.to_string()),
        ("state", string(worker.state.name())),
        ("suspended", worker.is_paused.to_string()),
        ("since", worker.since.to_string()),
        ("reason", string(&worker.reason)),
        ("address", string(&worker.address)),
        ("waiting_lookups", worker.waiting_lookups.to_string()),
        ("queued_commands", worker.queued_requests.to_string()),
        ("queued_bytes", worker.queued_bytes.to_string()),
    ])
}

fn tickets(tickets: &Tickets) -> String {
    object([
        ("store", string(&tickets.store)),
        ("state", or_null(tickets.state.map(|origin| string(origin.name())))),
        ("key_age", or_null(tickets.state.map(|_| tickets.key_age))),
        ("epochs", tickets.epochs.to_string()),
        ("clock_behind", or_null(tickets.clock_behind)),
    ])
}

fn or_null(value: Option<impl Display>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

/// An object of values that are JSON already.
fn object<K: AsRef<str>>(members: impl IntoIterator<Item = (K, String)>) -> String {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, value)| format!("{}:{value}", string(name.as_ref())))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn array(values: &[String]) -> String {
    format!("[{}]", values.join(","))
}

/// RFC 8259, section 7.
fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => quoted += &format!("\\u{:04x}", c as u32),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Microseconds, shown as seconds.
pub(super) struct Seconds(pub(super) u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}
