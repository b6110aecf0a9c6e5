
"use strict";

// What the counters say. The page keeps samples of them; a figure is the difference of two.

const PERIOD = 2000, TIMEOUT = 5000, MINUTE = 60e3, KEPT = 300;
// What a point of a chart is a mean of.
const SPAN = 10e3;
// More than that between two samples is a gap.
const GAP = 10e3;
// A time above the last bucket's bound, for which no number is known.
const OVER = 2;

const RESUMED = ["hit", "local", "ticket", "ticket_old"];
const EVENTS = ["sessions_sent", "sessions_dropped", "sessions_failed", "deletes", "connections",
                "failures", "sent_bytes", "received_bytes"];

const sum = values => values.reduce((total, value) => total + value, 0);
const mapped = (object, f) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, f(value, key)]));

function countersOf(store) {
  return { ...store.lookups, ...Object.fromEntries(EVENTS.map(name => [name, store[name]])),
           buckets: store.lookup_seconds.buckets };
}

function add(a, b) {
  return mapped(b, (value, key) =>
    typeof value === "object" ? add(a[key] ?? {}, value) : (a[key] ?? 0) + value);
}

// A store that has lost its room begins at zero again: that is no negative number.
function difference(now, then) {
  return mapped(now, (value, key) => typeof value === "object"
    ? difference(value, then?.[key]) : Math.max(0, value - (then?.[key] ?? 0)));
}

function totalOf(status) {
  return status.stores.map(countersOf).reduce(add, {});
}

function sampleOf(status, at, isWell, afterGap) {
  // By name, which may be any word: so no prototype.
  const stores = Object.assign(Object.create(null),
    Object.fromEntries(status.stores.map(store => [store.name, countersOf(store)])));
  return { at, isWell, afterGap, handshakes: status.handshakes, lookups: totalOf(status), stores };
}

function isGap(before, after) {
  return after.afterGap || after.at - before.at > GAP;
}

// The first sample of a span that ends with this one. It does not reach over a gap, nor over a
// change between well and trouble, where a mean of both would look calm.
function begin(samples, end, span) {
  let index = end;
  while (index > 0 && samples[end].at - samples[index - 1].at <= span + PERIOD / 2
         && !isGap(samples[index - 1], samples[index])
         && samples[index].isWell === samples[end].isWell) index--;
  return index;
}

// What happened in that span; null if nothing is known.
function lately(samples, end = samples.length - 1, span = MINUTE) {
  const index = begin(samples, end, span);
  if (index === end || end < 0) return null;
  const [then, now] = [samples[index], samples[end]];
  return {
    seconds: (now.at - then.at) / 1000,
    handshakes: difference(now.handshakes, then.handshakes),
    lookups: difference(now.lookups, then.lookups),
    // A store that was not there before has no "before".
    stores: new Map(Object.keys(now.stores).filter(name => then.stores?.[name])
      .map(name => [name, difference(now.stores[name], then.stores[name])])),
  };
}

// Sessions of others cannot be resumed here.
function offered(handshakes) {
  return sum(Object.values(handshakes)) - handshakes.none - (handshakes.foreign ?? 0);
}

function resumed(handshakes) {
  return sum(RESUMED.map(name => handshakes[name] ?? 0));
}

function share(handshakes) {
  return offered(handshakes) > 0 ? resumed(handshakes) / offered(handshakes) : null;
}

function answered(lookups) {
  return (lookups.found ?? 0) + (lookups.missing ?? 0) + (lookups.refused ?? 0);
}

function unanswered(lookups) {
  return (lookups.timeout ?? 0) + (lookups.down ?? 0) + (lookups.full ?? 0);
}

// The time within which this part of the lookups had an answer: a bucket's bound, or Infinity if
// more of them have none at all.
function quantile(lookups, part) {
  const buckets = Object.entries(lookups.buckets ?? {})
    .map(([bound, count]) => ({ bound: bound === "inf" ? OVER : Number(bound), count }))
    .sort((a, b) => a.bound - b.bound);
  const answers = answered(lookups), all = answers + unanswered(lookups);
  if (all === 0) return null;
  // Those that ended without an answer are in the buckets too, and took longest.
  let below = 0;
  for (const { bound, count } of buckets) {
    below = Math.min(below + count, answers);
    if (below >= part * all && below > 0) return bound;
  }
  return Infinity;
}
