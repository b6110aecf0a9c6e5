//! The status page in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use core::fmt::Display;

use crate::report::json::Seconds;
use crate::report::{
    Counts, EarlyData, Event, LookupResult, Outcome, Server, Snapshot, Store, Tickets, Worker,
    BOUNDS,
};
use crate::server::State;
use crate::ticket::Origin;

const PREFIX: &str = "nginx_remote_ssl_session_cache";

/// What is shown of each worker and server.
type Gauge = (&'static str, &'static str, fn(&Worker) -> u64);

const GAUGES: [Gauge; 5] = [
    ("up", "Whether the worker's connection to the store is up.", |w| {
        (w.state == State::Up).into()
    }),
    (
        "lookups_suspended",
        "Whether no lookups are sent, or one at a time, as the store answers too late.",
        |w| w.is_paused.into(),
    ),
    ("waiting_lookups", "Lookups that handshakes wait for.", |w| w.waiting_lookups),
    ("queued_commands", "Commands without a reply.", |w| w.queued_requests),
    ("queued_bytes", "Bytes of commands without a reply.", |w| w.queued_bytes),
];

/// The page.
pub fn render(snapshot: &Snapshot) -> String {
    let mut page = Page(String::new());

    page.family("info", "gauge", "The version of the module, and how handshakes wait; always 1.");
    let labels = Labels::of("version", snapshot.version);
    page.sample("info", &labels.with("suspend", &snapshot.suspend.join(",")), 1);

    page.family("start_time_seconds", "gauge", "When counting began, as a Unix time.");
    page.sample("start_time_seconds", &Labels::default(), snapshot.since);

    page.family("handshakes_total", "counter", "Handshakes, by what became of offered sessions.");
    for frontend in snapshot.frontends() {
        let labels = Labels::of("frontend", frontend.name());
        for outcome in Outcome::ALL {
            let count = snapshot.handshakes[frontend as usize][outcome as usize];
            page.sample("handshakes_total", &labels.with("result", &outcome.label()), count);
        }
    }

    page.family("early_data_total", "counter", "Early data of sessions, by what became of it.");
    for result in EarlyData::ALL {
        let labels = Labels::of("result", &result.label());
        page.sample("early_data_total", &labels, snapshot.early_data[result as usize]);
    }

    let help = "The time of the file of a key that sessions are sealed with, as a Unix time.";
    page.family("key_timestamp_seconds", "gauge", help);
    for store in &snapshot.stores {
        for key in &store.keys {
            let labels = Labels::of_store(store).with("key_id", &key.id.to_string());
            page.sample("key_timestamp_seconds", &labels, key.time);
        }
    }

    page.family("lookup_timeout_seconds", "gauge", "The longest that a lookup may take.");
    for store in &snapshot.stores {
        let timeout = Seconds(store.timeout.as_micros() as u64);
        page.sample("lookup_timeout_seconds", &Labels::of_store(store), timeout);
    }

    page.family("lookups_total", "counter", "Lookups of sessions in the store.");
    for (labels, server) in servers(snapshot) {
        for result in LookupResult::ALL {
            let labels = labels.with("result", result.name());
            page.sample("lookups_total", &labels, server.counts.lookups[result as usize]);
        }
    }

    page.family("lookup_duration_seconds", "histogram", "Time that lookups in the store took.");
    for (labels, server) in servers(snapshot) {
        page.histogram("lookup_duration_seconds", &labels, &server.counts);
    }

    for event in Event::ALL {
        let name = format!("{}_total", event.name());
        page.family(&name, "counter", event.help());
        for (labels, server) in servers(snapshot) {
            page.sample(&name, &labels, server.counts.events[event as usize]);
        }
    }

    for (name, help, value) in GAUGES {
        page.family(name, "gauge", help);
        for (labels, worker) in workers(snapshot) {
            page.sample(name, &labels, value(worker));
        }
    }

    page.family("address", "gauge", "The address that the worker uses; always 1.");
    for (labels, worker) in workers(snapshot) {
        page.sample("address", &labels.with("address", &worker.address), 1);
    }

    page.tickets(&snapshot.tickets(), snapshot.now);
    page.0
}

fn servers(snapshot: &Snapshot) -> impl Iterator<Item = (Labels, &Server)> {
    snapshot.stores.iter().flat_map(|store| {
        store
            .servers
            .iter()
            .map(|server| (Labels::of_server(store, server.name.as_deref()), server))
    })
}

/// Each store's workers, or those of its servers.
fn workers(snapshot: &Snapshot) -> impl Iterator<Item = (Labels, &Worker)> {
    snapshot.stores.iter().flat_map(|store| {
        let named = store.named();
        let named =
            named.map(|(name, server)| (Labels::of_server(store, Some(name)), &*server.workers));
        let all = named.chain([(Labels::of_server(store, None), store.workers())]);
        all.flat_map(|(labels, workers)| {
            let with_worker =
                move |worker: &'_ Worker| labels.with("worker", &worker.number.to_string());
            workers.iter().map(move |worker| (with_worker(worker), worker))
        })
    })
}

/// Labels as they are written, without the brackets.
#[derive(Clone, Default)]
struct Labels(String);

impl Labels {
    fn of(name: &str, value: &str) -> Self {
        Self::default().with(name, value)
    }

    fn of_store(store: &Store) -> Self {
        Self::of("store", &store.name).with("type", store.type_name)
    }

    /// Of a server with this name, of none of a store of several, or of that of a store of one.
    fn of_server(store: &Store, name: Option<&str>) -> Self {
        let labels = Self::of_store(store);
        match name.or(store.address.as_deref()) {
            Some(server) => labels.with("server", server),
            None => labels,
        }
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        Self(format!("{}{comma}{name}=\"{}\"", self.0, escape(value)))
    }
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0 += &format!("# HELP {PREFIX}_{name} {help}\n# TYPE {PREFIX}_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, Labels(labels): &Labels, value: impl Display) {
        self.0 += &match &**labels {
            "" => format!("{PREFIX}_{name} {value}\n"),
            labels => format!("{PREFIX}_{name}{{{labels}}} {value}\n"),
        };
    }

    /// An age is told by when it began, as is customary.
    fn tickets(&mut self, tickets: &[Tickets], now: i64) {
        let of = |tickets: &Tickets| Labels::of("store", &tickets.store);

        self.family("ticket_key_state", "gauge", "Where the ticket key in use is from: 1 at one.");
        for tickets in tickets {
            let states = [None].into_iter().chain(Origin::ALL.map(Some));
            for state in states {
                let labels = of(tickets).with("state", state.map_or("none", Origin::name));
                self.sample("ticket_key_state", &labels, u8::from(state == tickets.state));
            }
        }

        let name = "ticket_key_start_time_seconds";
        self.family(name, "gauge", "Since when the ticket key is in use, as a Unix time.");
        for tickets in tickets.iter().filter(|tickets| tickets.state.is_some()) {
            self.sample(name, &of(tickets), now.saturating_sub_unsigned(tickets.key_age));
        }

        self.family("ticket_epochs", "gauge", "Epochs whose ticket keys are known.");
        for tickets in tickets {
            self.sample("ticket_epochs", &of(tickets), tickets.epochs);
        }

        let name = "ticket_clock_behind_seconds";
        self.family(name, "gauge", "How far the clock is behind another machine's, if too far.");
        for tickets in tickets {
            self.sample(name, &of(tickets), tickets.clock_behind.unwrap_or(0));
        }
    }

    fn histogram(&mut self, name: &str, labels: &Labels, counts: &Counts) {
        let mut count = 0;
        for (index, times) in counts.times.iter().enumerate() {
            count += times;
            let bound = BOUNDS.get(index);
            let bound = bound.map_or("+Inf".to_owned(), |bound| Seconds(*bound).to_string());
            self.sample(&format!("{name}_bucket"), &labels.with("le", &bound), count);
        }
        self.sample(&format!("{name}_sum"), labels, Seconds(counts.time_sum));
        self.sample(&format!("{name}_count"), labels, count);
    }
}

/// The value of a label.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
