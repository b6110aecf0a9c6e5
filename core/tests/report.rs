//! The pages for programs: what JSON says once it is parsed, and each line of the text for
//! Prometheus.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{json, Value};
use ssl_session_cache_core::report::{
    json, prometheus, Counts, EarlyData, Event, Frontend, LookupResult, Outcome, SealingKey,
    Server, Snapshot, Store, Tickets, Worker, BOUNDS,
};
use ssl_session_cache_core::server::State;
use ssl_session_cache_core::session::sealed::{BlockCipher, KeyId};
use ssl_session_cache_core::ticket::Origin;

const PREFIX: &str = "nginx_remote_ssl_session_cache_";

#[test]
fn nothing_counted() {
    let host = "web1".to_owned();
    let snapshot = Snapshot { version: "1.2.3", host, now: 7, since: 5, ..Snapshot::default() };

    let text = json::render(&snapshot);
    let none =
        "{\"none\":0,\"foreign\":0,\"ticket_unknown\":0,\"miss\":0,\"invalid\":0,\"full\":0,\
        \"down\":0,\"timeout\":0,\"unused\":0,\"used\":0,\"local\":0,\"hit\":0,\"ticket_old\":0,\"ticket\":0}";
    let frontends = format!("{{\"http\":{none},\"stream\":{none},\"mail\":{none}}}");
    let early_data = "{\"claimed\":0,\"replayed\":0,\"unclaimed\":0}";
    assert_eq!(
        text,
        format!(
            "{{\"version\":\"1.2.3\",\"host\":\"web1\",\"now\":7,\"since\":5,\"suspend\":[],\
             \"handshakes\":{none},\"frontends\":{frontends},\"early_data\":{early_data},\"stores\":[],\"tickets\":[]}}\n"
        )
    );

    let samples = samples(&prometheus::render(&snapshot));
    assert_eq!(samples["info{version=\"1.2.3\",suspend=\"\"}"], "1");
    assert_eq!(samples["start_time_seconds"], "5");
    for result in ["claimed", "replayed", "unclaimed"] {
        assert_eq!(samples[&early_data_total(result)], "0");
    }
    assert_eq!(samples.len(), 2 + EarlyData::ALL.len());
}

#[test]
fn handshakes_by_frontend() {
    let mut snapshot = snapshot(Vec::new());
    let [_, stream, mail] = &mut snapshot.handshakes;
    stream[Outcome::Hit as usize] = 3;
    mail[Outcome::Hit as usize] = 4;
    mail[Outcome::Ticket as usize] = 7;

    let parsed = parse(&snapshot);
    let samples = samples(&prometheus::render(&snapshot));
    for (result, sum, counts) in [
        ("none", 5, [5, 0, 0]),
        ("hit", 31, [24, 3, 4]),
        ("ticket", 7, [0, 0, 7]),
        ("miss", 0, [0, 0, 0]),
    ] {
        assert_eq!(parsed["handshakes"][result], sum, "all of them: {result}");
        for (frontend, count) in ["http", "stream", "mail"].into_iter().zip(counts) {
            assert_eq!(parsed["frontends"][frontend][result], count, "{frontend}: {result}");
            let sample = &samples[&handshakes_total(frontend, result)];
            assert_eq!(*sample, count.to_string(), "{frontend}: {result}");
        }
    }
}

#[test]
fn early_data() {
    let mut snapshot = snapshot(Vec::new());
    snapshot.early_data[EarlyData::Claimed as usize] = 8;
    snapshot.early_data[EarlyData::Replayed as usize] = 9;
    snapshot.early_data[EarlyData::Unclaimed as usize] = 10;
    snapshot.handshakes[Frontend::Http as usize][Outcome::Used as usize] = 11;

    let parsed = parse(&snapshot);
    assert_eq!(parsed["early_data"], json!({ "claimed": 8, "replayed": 9, "unclaimed": 10 }));
    assert_eq!(parsed["handshakes"]["used"], 11);
    let samples = samples(&prometheus::render(&snapshot));
    for (result, count) in [("claimed", "8"), ("replayed", "9"), ("unclaimed", "10")] {
        assert_eq!(samples[&early_data_total(result)], count, "{result}");
    }
    assert_eq!(samples[&handshakes_total("http", "used")], "11");
}

#[test]
fn one_store_in_json() {
    let parsed = parse(&snapshot(vec![store("redis 10.0.0.5:6379", vec![whole(3)])]));

    assert_eq!(parsed["handshakes"]["hit"], 24);
    assert_eq!(parsed["handshakes"]["none"], 5);
    let store = &parsed["stores"][0];
    let names: BTreeSet<_> = store.as_object().unwrap().keys().map(String::as_str).collect();
    let counters = Event::ALL.map(Event::name);
    let others = [
        "name",
        "type",
        "key_id",
        "key_time",
        "key_age",
        "timeout",
        "lookups",
        "lookup_seconds",
        "workers",
    ];
    assert_eq!(names, counters.into_iter().chain(others).collect());
    assert_eq!(store["name"], "redis 10.0.0.5:6379");
    assert_eq!(store["type"], "redis");
    assert_eq!(store["timeout"], json!(0.25));
    assert_eq!(
        store["lookups"],
        json!({ "found": 3, "missing": 6, "timeout": 9, "refused": 12, "down": 15, "full": 18 })
    );
    assert_eq!(store["sessions_sent"], 3);
    assert_eq!(store["failures"], 3 * Event::ALL.len());
    assert_eq!(
        store["workers"],
        json!([worker_json(0, "up", false), worker_json(3, "down", true)])
    );
}

#[test]
fn order_of_members() {
    let mut snapshot = snapshot(vec![store("redis", vec![whole(0)])]);
    snapshot.tickets = vec![tickets("redis", Some(Origin::Store))];
    let text = json::render(&snapshot);
    let names = [
        "version",
        "now",
        "since",
        "handshakes",
        "none",
        "foreign",
        "ticket_unknown",
        "ticket_old",
        "ticket",
        "frontends",
        "http",
        "none",
        "ticket",
        "stream",
        "none",
        "ticket",
        "mail",
        "none",
        "ticket",
        "early_data",
        "claimed",
        "replayed",
        "unclaimed",
        "stores",
        "name",
        "type",
        "key_id",
        "key_time",
        "key_age",
        "timeout",
        "lookups",
        "found",
        "lookup_seconds",
        "count",
        "sum",
        "buckets",
        "0.0001",
        "0.00025",
        "0.0005",
        "0.001",
        "0.0025",
        "0.005",
        "0.01",
        "0.025",
        "0.05",
        "0.1",
        "0.25",
        "0.5",
        "1",
        "inf",
        "sessions_sent",
        "sessions_dropped",
        "sessions_failed",
        "deletes",
        "sent_bytes",
        "received_bytes",
        "connections",
        "failures",
        "workers",
        "worker",
        "pid",
        "state",
        "suspended",
        "since",
        "reason",
        "address",
        "waiting_lookups",
        "queued_commands",
        "queued_bytes",
        "tickets",
        "store",
        "state",
        "key_age",
        "epochs",
        "clock_behind",
    ];

    let mut rest = &*text;
    for name in names {
        let quoted = format!("\"{name}\":");
        let at = rest.find(&quoted).unwrap_or_else(|| panic!("{name} in {rest}"));
        rest = &rest[at + quoted.len()..];
    }
}

#[test]
fn sealing_keys() {
    let mut sealed = store("sealed", vec![whole(0)]);
    sealed.keys = vec![sealing_key(0xab, 1_795_233_600), sealing_key(0x01, 1_795_233_578)];
    let mut ahead = store("ahead", vec![whole(0)]);
    ahead.keys = vec![sealing_key(0x02, 1_795_234_000)];
    let snapshot = snapshot(vec![sealed, ahead, store("clear", vec![whole(0)])]);

    // JSON says the one with the oldest file.
    let parsed = parse(&snapshot);
    let cases = [
        (json!("01010101"), json!(1_795_233_578), json!(100)),
        (json!("02020202"), json!(1_795_234_000), json!(0)),
        (Value::Null, Value::Null, Value::Null),
    ];
    for (index, (id, time, age)) in cases.into_iter().enumerate() {
        let store = &parsed["stores"][index];
        assert_eq!([&store["key_id"], &store["key_time"], &store["key_age"]], [&id, &time, &age]);
    }

    let samples = samples(&prometheus::render(&snapshot));
    let of = |store, id| {
        let labels = format!("store=\"{store}\",type=\"redis\",key_id=\"{id}\"");
        samples[&format!("key_timestamp_seconds{{{labels}}}")].as_str()
    };
    assert_eq!(of("sealed", "abababab"), "1795233600");
    assert_eq!(of("sealed", "01010101"), "1795233578");
    assert_eq!(of("ahead", "02020202"), "1795234000");
    let keys = samples.keys().filter(|sample| sample.starts_with("key_timestamp"));
    assert_eq!(keys.count(), 3);
}

#[test]
fn the_server_of_a_store_of_one() {
    let mut one = store("fleet", vec![whole(1)]);
    one.address = Some("cache:11211".to_owned());
    one.type_name = "memcached";
    let snapshot = snapshot(vec![one]);

    assert_eq!(parse(&snapshot)["stores"][0]["type"], "memcached");
    let samples = samples(&prometheus::render(&snapshot));
    let of = "store=\"fleet\",type=\"memcached\",server=\"cache:11211\"";
    assert_eq!(samples[&format!("lookups_total{{{of},result=\"found\"}}")], "1");
    assert_eq!(samples[&format!("lookup_duration_seconds_sum{{{of}}}")], "0");
    assert_eq!(samples[&format!("deletes_total{{{of}}}")], "4");
    assert_eq!(samples[&format!("up{{{of},worker=\"0\"}}")], "1");
    let timeout = "lookup_timeout_seconds{store=\"fleet\",type=\"memcached\"}";
    assert_eq!(samples[timeout], "0.25");
}

#[test]
fn how_handshakes_wait() {
    let suspend = vec!["async", "hello"];
    let snapshot = Snapshot { version: "1.2.3", suspend, ..snapshot(Vec::new()) };
    assert_eq!(parse(&snapshot)["suspend"], json!(["async", "hello"]));
    let samples = samples(&prometheus::render(&snapshot));
    assert_eq!(samples["info{version=\"1.2.3\",suspend=\"async,hello\"}"], "1");
}

#[test]
fn frontends_that_are_configured_or_have_counts() {
    let shown = |frontends, handshakes| {
        let snapshot = Snapshot { frontends, handshakes, ..Snapshot::default() };
        let samples = samples(&prometheus::render(&snapshot));
        let is_shown = |of: &Frontend| {
            let results = Outcome::ALL.map(|result| handshakes_total(of.name(), &result.label()));
            let count = results.iter().filter(|sample| samples.contains_key(*sample)).count();
            assert!(count == 0 || count == results.len(), "all results or none");
            count > 0
        };
        Frontend::ALL.iter().filter(|of| is_shown(of)).map(|of| of.name()).collect::<Vec<_>>()
    };
    let mut counts = [[0; Outcome::ALL.len()]; Frontend::ALL.len()];
    assert_eq!(shown([false, true, false], counts), ["stream"]);
    counts[Frontend::Mail as usize][Outcome::Miss as usize] = 1;
    assert_eq!(shown([true, false, false], counts), ["http", "mail"]);
}

#[test]
fn ticket_keys() {
    let cases = [
        (None, Value::Null, Value::Null, [1, 0, 0, 0]),
        (Some(Origin::Own), json!("own"), json!(78), [0, 1, 0, 0]),
        (Some(Origin::Ratchet), json!("ratcheted"), json!(78), [0, 0, 1, 0]),
        (Some(Origin::Store), json!("fleet"), json!(78), [0, 0, 0, 1]),
    ];
    for (state, name, age, states) in cases {
        let mut snapshot = snapshot(Vec::new());
        snapshot.tickets = vec![tickets("redis", state)];

        let expected = json!({
            "store": "redis", "state": name, "key_age": age, "epochs": 3, "clock_behind": null,
        });
        assert_eq!(parse(&snapshot)["tickets"], json!([expected]));

        let samples = samples(&prometheus::render(&snapshot));
        for (label, value) in ["none", "own", "ratcheted", "fleet"].iter().zip(states) {
            let sample = format!("ticket_key_state{{store=\"redis\",state=\"{label}\"}}");
            assert_eq!(samples[&sample], value.to_string(), "{state:?}: {label}");
        }
        let start = samples.get("ticket_key_start_time_seconds{store=\"redis\"}");
        assert_eq!(start.map(String::as_str), state.map(|_| "1795233600"));
        assert_eq!(samples["ticket_epochs{store=\"redis\"}"], "3");
        assert_eq!(samples["ticket_clock_behind_seconds{store=\"redis\"}"], "0");
    }
}

#[test]
fn several_ticket_keys_of_one_store() {
    let mut snapshot = snapshot(Vec::new());
    let behind = Tickets { clock_behind: Some(900), ..tickets("one", Some(Origin::Store)) };
    let older = Tickets { key_age: 99, ..tickets("one", Some(Origin::Own)) };
    let fewer = Tickets { epochs: 1, ..tickets("one", Some(Origin::Ratchet)) };
    let none = Tickets { key_age: 0, ..tickets("two", None) };
    let some = tickets("two", Some(Origin::Store));
    snapshot.tickets = vec![some, behind, older, fewer, none];

    // What is worst of each: a sample that were there twice would be lost.
    let worst = |store, state, age: Value, epochs, clock: Value| {
        json!({
            "store": store, "state": state, "key_age": age, "epochs": epochs, "clock_behind": clock,
        })
    };
    let two = worst("two", Value::Null, Value::Null, 3, Value::Null);
    let one = worst("one", json!("own"), json!(99), 1, json!(900));
    assert_eq!(parse(&snapshot)["tickets"], json!([two, one]));

    let samples = samples(&prometheus::render(&snapshot));
    assert_eq!(samples["ticket_key_state{store=\"one\",state=\"own\"}"], "1");
    assert_eq!(samples["ticket_key_state{store=\"one\",state=\"fleet\"}"], "0");
    assert_eq!(samples["ticket_clock_behind_seconds{store=\"one\"}"], "900");
}

#[test]
fn times_in_seconds() {
    for (micros, seconds) in [(0, "0"), (1, "0.000001"), (1_569, "0.001569"), (250_000, "0.25")] {
        time_sum(micros, seconds);
    }
    for (micros, seconds) in [(1_000_000, "1"), (10_000_000, "10"), (100_500_000, "100.5")] {
        time_sum(micros, seconds);
    }
}

fn time_sum(micros: u64, seconds: &str) {
    let mut server = whole(0);
    server.counts.time_sum = micros;
    let snapshot = snapshot(vec![store("redis", vec![server])]);

    assert!(json::render(&snapshot).contains(&format!("\"sum\":{seconds},")), "{micros}");
    let samples = samples(&prometheus::render(&snapshot));
    assert_eq!(samples["lookup_duration_seconds_sum{store=\"redis\",type=\"redis\"}"], seconds);
}

#[test]
fn buckets() {
    let snapshot = snapshot(vec![store("redis", vec![whole(1)])]);
    let bounds = BOUNDS.map(|bound| bound as f64 / 1e6);

    // Each for itself in JSON; each with those before it for Prometheus.
    let parsed = parse(&snapshot);
    let times = &parsed["stores"][0]["lookup_seconds"];
    let samples = samples(&prometheus::render(&snapshot));
    let mut sum = 0;
    for (index, bound) in bounds.iter().map(f64::to_string).enumerate() {
        let count = index as u64 + 1;
        sum += count;
        assert_eq!(times["buckets"][&bound], count, "{bound}");
        let name = format!(
            "lookup_duration_seconds_bucket{{store=\"redis\",type=\"redis\",le=\"{bound}\"}}"
        );
        assert_eq!(samples[&name], sum.to_string(), "{bound}");
    }
    sum += bounds.len() as u64 + 1;
    assert_eq!(times["buckets"]["inf"], bounds.len() + 1);
    assert_eq!(times["count"], sum);
    for name in [
        "bucket{store=\"redis\",type=\"redis\",le=\"+Inf\"}",
        "count{store=\"redis\",type=\"redis\"}",
    ] {
        assert_eq!(samples[&format!("lookup_duration_seconds_{name}")], sum.to_string());
    }
}

#[test]
fn several_stores_and_workers_for_prometheus() {
    let snapshot = snapshot(vec![store("one", vec![whole(1)]), store("two", vec![whole(2)])]);

    let samples = samples(&prometheus::render(&snapshot));
    assert_eq!(samples[&handshakes_total("http", "hit")], "24");
    for (name, factor) in [("one", 1), ("two", 2)] {
        for result in LookupResult::ALL {
            let sample = format!(
                "lookups_total{{store=\"{name}\",type=\"redis\",result=\"{}\"}}",
                result.name()
            );
            assert_eq!(samples[&sample], (factor * (result as u64 + 1)).to_string());
        }
        for event in Event::ALL {
            let sample = format!("{}_total{{store=\"{name}\",type=\"redis\"}}", event.name());
            assert_eq!(samples[&sample], (factor * (event as u64 + 1)).to_string());
        }
        for (number, up) in [(0, "1"), (3, "0")] {
            let of = format!("{{store=\"{name}\",type=\"redis\",worker=\"{number}\"");
            assert_eq!(samples[&format!("up{of}}}")], up);
            assert_eq!(samples[&format!("lookups_suspended{of}}}")], (number / 3).to_string());
            assert_eq!(samples[&format!("waiting_lookups{of}}}")], "1");
            assert_eq!(samples[&format!("queued_commands{of}}}")], "2");
            assert_eq!(samples[&format!("queued_bytes{of}}}")], "3");
            assert_eq!(samples[&format!("address{of},address=\"10.0.0.5:6379\"}}")], "1");
        }
    }
}

#[test]
fn several_servers() {
    let servers = [("a:1", 1), ("b:2", 2)]
        .map(|(name, factor)| Server { name: Some(name.to_owned()), ..whole(factor) });
    // All of the store is none of its servers: it has neither their workers nor their numbers.
    let all = Server { workers: whole(0).workers, ..whole(4) };
    let servers = [&[all], &servers[..]].concat();
    let snapshot = snapshot(vec![Store { has_servers: true, ..store("cluster", servers) }]);

    // The store's numbers are those of all its servers, and its own.
    let parsed = parse(&snapshot);
    let store = &parsed["stores"][0];
    assert_eq!(store["lookups"]["found"], 7);
    assert_eq!(store["sessions_sent"], 7);
    assert_eq!(store["lookup_seconds"]["buckets"]["inf"], 7 * (BOUNDS.len() + 1));
    assert_eq!(store["servers"][2], Value::Null);
    assert_eq!(store["workers"], Value::Null);
    assert_eq!(store["servers"][0]["name"], "a:1");
    assert_eq!(store["servers"][1]["lookups"]["found"], 2);
    assert_eq!(store["servers"][1]["workers"][0]["state"], "up");

    let samples = samples(&prometheus::render(&snapshot));
    let of = "store=\"cluster\",type=\"redis\",server=\"b:2\"";
    assert_eq!(samples[&format!("lookups_total{{{of},result=\"found\"}}")], "2");
    assert_eq!(samples[&format!("deletes_total{{{of}}}")], "8");
    assert_eq!(samples[&format!("up{{{of},worker=\"0\"}}")], "1");
    assert_eq!(samples["deletes_total{store=\"cluster\",type=\"redis\"}"], "16");
    assert!(!samples.contains_key("up{store=\"cluster\",type=\"redis\",worker=\"0\"}"));
}

#[test]
fn a_store_whose_servers_are_not_known_yet() {
    let unknown = Store { has_servers: true, ..store("cluster", vec![whole(0)]) };
    let snapshot = snapshot(vec![unknown]);

    let parsed = parse(&snapshot);
    assert_eq!(parsed["stores"][0]["lookups"]["found"], 0);
    assert_eq!(parsed["stores"][0]["servers"], json!([]));
    let samples = samples(&prometheus::render(&snapshot));
    assert!(
        samples.contains_key("up{store=\"cluster\",type=\"redis\",worker=\"0\"}"),
        "an alert finds it"
    );
}

#[test]
fn texts_are_escaped() {
    let name = "redis unix:/a \"b\" \\n\n\r\t\u{1}\u{7f}é.sock";
    let mut server = whole(0);
    server.workers[0].address = name.to_owned();
    let snapshot = snapshot(vec![store(name, vec![server])]);

    let text = json::render(&snapshot);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    let parsed = parse(&snapshot);
    assert_eq!(parsed["stores"][0]["name"], name);
    assert_eq!(parsed["stores"][0]["workers"][0]["address"], name);

    let escaped = "redis unix:/a \\\"b\\\" \\\\n\\n\r\t\u{1}\u{7f}é.sock";
    let samples = samples(&prometheus::render(&snapshot));
    let sample =
        format!("address{{store=\"{escaped}\",type=\"redis\",worker=\"0\",address=\"{escaped}\"}}");
    assert_eq!(samples[&sample], "1");
}

#[test]
fn metrics_of_alerts() {
    let keys = vec![sealing_key(1, 0)];
    let sealed = Store { keys, ..store("redis", vec![whole(1)]) };
    let mut snapshot = snapshot(vec![sealed]);
    snapshot.tickets = vec![tickets("redis", Some(Origin::Store))];
    let samples = samples(&prometheus::render(&snapshot));

    let mut names = BTreeSet::new();
    for metric in include_str!("../../examples/alerts.yml").split(PREFIX).skip(1) {
        let name = metric.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
        let matcher = metric[name.len()..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (label, values) = match matcher {
            None => ("", ""),
            Some((matcher, _)) => matcher.trim_end_matches('"').split_once('"').unwrap(),
        };
        for value in values.split('|') {
            let label = format!("{}=\"{value}\"", label.trim_end_matches(['=', '~', '!']));
            let is_it = |sample: &String| {
                let (of, labels) = sample.split_once('{').unwrap_or((sample, ""));
                of == name && (matcher.is_none() || labels.contains(&label))
            };
            assert!(samples.keys().any(is_it), "no {name} {label}: an alert would never come");
        }
        names.insert(name);
    }
    assert!(names.len() >= 5, "{names:?}");
}

fn snapshot(stores: Vec<Store>) -> Snapshot {
    let mut snapshot = Snapshot { now: 1_795_233_678, since: 1_795_230_000, ..Snapshot::default() };
    let http = &mut snapshot.handshakes[Frontend::Http as usize];
    http[Outcome::None as usize] = 5;
    http[Outcome::Hit as usize] = 24;
    snapshot.stores = stores;
    snapshot
}

fn handshakes_total(frontend: &str, result: &str) -> String {
    format!("handshakes_total{{frontend=\"{frontend}\",result=\"{result}\"}}")
}

fn early_data_total(result: &str) -> String {
    format!("early_data_total{{result=\"{result}\"}}")
}

fn store(name: &str, servers: Vec<Server>) -> Store {
    Store {
        name: name.to_owned(),
        type_name: "redis",
        timeout: Duration::from_millis(250),
        servers,
        ..Store::default()
    }
}

/// The key whose id has this byte alone.
fn sealing_key(byte: u8, time: i64) -> SealingKey {
    SealingKey { id: KeyId::of(&Always(byte)).unwrap(), time }
}

/// A cipher that makes the same of everything.
struct Always(u8);

impl BlockCipher for Always {
    fn encrypt(&self, block: &mut [u8]) -> bool {
        block.fill(self.0);
        true
    }
}

fn tickets(store: &str, state: Option<Origin>) -> Tickets {
    Tickets { store: store.to_owned(), state, key_age: 78, epochs: 3, clock_behind: None }
}

/// A server that is all of its store: the counter at each number is that and one, so many times.
fn whole(factor: u64) -> Server {
    let mut counts = Counts::default();
    for counters in [&mut counts.lookups[..], &mut counts.times, &mut counts.events] {
        counters.iter_mut().zip(1..).for_each(|(counter, number)| *counter = factor * number);
    }
    let worker = |number, state, is_paused| Worker {
        number,
        pid: 100 + number as i64,
        state,
        is_paused,
        since: 1_700_000_000,
        reason: "connect() \"failed\"".to_owned(),
        address: "10.0.0.5:6379".to_owned(),
        waiting_lookups: 1,
        queued_requests: 2,
        queued_bytes: 3,
    };
    let workers = vec![worker(0, State::Up, false), worker(3, State::Down, true)];
    Server { name: None, counts, workers }
}

fn worker_json(number: usize, state: &str, is_paused: bool) -> Value {
    json!({
        "worker": number, "pid": 100 + number, "state": state, "suspended": is_paused,
        "since": 1_700_000_000, "reason": "connect() \"failed\"",
        "address": "10.0.0.5:6379", "waiting_lookups": 1, "queued_commands": 2, "queued_bytes": 3,
    })
}

fn parse(snapshot: &Snapshot) -> Value {
    let text = json::render(snapshot);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Each sample, without the prefix, and its value. Checks the form of every line: the help and the
/// type of a family stand in front of its samples, which stand together; no sample is there twice.
fn samples(page: &str) -> BTreeMap<String, String> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    let mut family = (String::new(), String::new());
    let mut lines = page.strip_suffix('\n').expect("a newline at the end").split('\n');
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a text");
            assert!(!text.is_empty() && name.starts_with(PREFIX), "{line}");
            let of_type = lines.next().unwrap().strip_prefix("# TYPE ").expect("a type");
            let (same, kind) = of_type.split_once(' ').unwrap();
            assert_eq!(same, name);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(families.insert(name.to_owned()), "{line}");
            family = (name.to_owned(), kind.to_owned());
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = labels_checked(sample);
        let (of, kind) = (&*family.0, &*family.1);
        let suffixes: &[_] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(suffixes.iter().any(|suffix| name == format!("{of}{suffix}")), "{line}");
        value.parse::<f64>().unwrap_or_else(|error| panic!("{error}: {line}"));
        let sample = sample.strip_prefix(PREFIX).unwrap().to_owned();
        assert_eq!(samples.insert(sample, value.to_owned()), None, "{line}");
    }
    samples
}

/// The name of a sample, once its labels were found to be well formed.
fn labels_checked(sample: &str) -> &str {
    let Some((name, labels)) = sample.split_once('{') else { return sample };
    let mut rest = labels.strip_suffix('}').unwrap_or_else(|| panic!("{sample}"));
    while !rest.is_empty() {
        let (label, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{sample}"));
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{sample}");
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("{sample}")) {
                (_, '\\') => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n')))),
                (at, '"') => break at,
                _ => {}
            }
        };
        rest = &value[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(more) => more,
            None => {
                assert_eq!(rest, "", "{sample}");
                rest
            }
        };
    }
    name
}
