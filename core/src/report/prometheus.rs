//! The status page in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use core::fmt::Display;

use crate::report::json::Seconds;
use crate::report::{Event, LookupResult, Outcome, Snapshot, Store, StoreState, Worker, BOUNDS};

const PREFIX: &str = "nginx_remote_ssl_session_cache";

/// What is shown of each worker and store.
type Gauge = (&'static str, &'static str, fn(&Worker) -> u64);

const GAUGES: [Gauge; 5] = [
    ("up", "Whether the worker's connection to the store is up.", |w| {
        (w.state == StoreState::Up).into()
    }),
    ("lookups_suspended", "Whether no lookups are sent as the store answers too late.", |w| {
        w.is_suspended.into()
    }),
    ("waiting_lookups", "Lookups that handshakes wait for.", |w| w.waiting_lookups),
    ("queued_commands", "Commands without a reply.", |w| w.queued_commands),
    ("queued_bytes", "Bytes of commands without a reply.", |w| w.queued_bytes),
];

/// The page.
pub fn render(snapshot: &Snapshot) -> String {
    let mut page = Page(String::new());

    page.family("start_time_seconds", "gauge", "When counting began, as a Unix time.");
    page.sample("start_time_seconds", &[], snapshot.since);

    page.family("handshakes_total", "counter", "Handshakes, by what became of offered sessions.");
    for outcome in Outcome::ALL {
        let count = snapshot.handshakes[outcome as usize];
        page.sample("handshakes_total", &[("result", &outcome.label())], count);
    }

    page.family("key_age_seconds", "gauge", "Age of the key file that sessions are sealed with.");
    for store in &snapshot.stores {
        if let Some(age) = store.key_age {
            page.sample("key_age_seconds", &[("store", &store.name)], age);
        }
    }

    page.family("lookups_total", "counter", "Lookups of sessions in the store.");
    for store in &snapshot.stores {
        for result in LookupResult::ALL {
            let labels = [("store", &*store.name), ("result", result.name())];
            page.sample("lookups_total", &labels, store.lookups[result as usize]);
        }
    }

    page.family("lookup_duration_seconds", "histogram", "Time that lookups in the store took.");
    for store in &snapshot.stores {
        page.histogram(store);
    }

    for event in Event::ALL {
        let name = format!("{}_total", event.name());
        page.family(&name, "counter", event.help());
        for store in &snapshot.stores {
            page.sample(&name, &[("store", &store.name)], store.events[event as usize]);
        }
    }

    for (name, help, value) in GAUGES {
        page.family(name, "gauge", help);
        for store in &snapshot.stores {
            for worker in &store.workers {
                let labels = [("store", &*store.name), ("worker", &worker.number.to_string())];
                page.sample(name, &labels, value(worker));
            }
        }
    }

    page.family("address", "gauge", "The address that the worker uses; always 1.");
    for store in &snapshot.stores {
        for worker in &store.workers {
            let number = worker.number.to_string();
            let labels =
                [("store", &*store.name), ("worker", &number), ("address", &worker.address)];
            page.sample("address", &labels, 1);
        }
    }
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0 += &format!("# HELP {PREFIX}_{name} {help}\n# TYPE {PREFIX}_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        self.0 += &match &*labels {
            [] => format!("{PREFIX}_{name} {value}\n"),
            labels => format!("{PREFIX}_{name}{{{}}} {value}\n", labels.join(",")),
        };
    }

    fn histogram(&mut self, store: &Store) {
        let name = "lookup_duration_seconds";
        let mut count = 0;
        for (index, times) in store.times.iter().enumerate() {
            count += times;
            let bound = BOUNDS.get(index);
            let bound = bound.map_or("+Inf".to_owned(), |bound| Seconds(*bound).to_string());
            let labels = [("store", &*store.name), ("le", &*bound)];
            self.sample(&format!("{name}_bucket"), &labels, count);
        }
        let labels = [("store", &*store.name)];
        self.sample(&format!("{name}_sum"), &labels, Seconds(store.time_sum));
        self.sample(&format!("{name}_count"), &labels, count);
    }
}

/// The value of a label.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
