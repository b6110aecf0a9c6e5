
// What is wrong: each with the time since when, if nginx says so, and why.

const UNUSED = "not in use";
const RANK = { down: 0, connecting: 1, suspended: 2, up: 3, [UNUSED]: 4 };

// What a worker's connection is worth. One that was never tried, or was left on purpose, is not
// used: so an old worker after a reload, and a new one at first.
function stateOf(worker) {
  if (worker.state === "down" && !worker.reason && !worker.address && !worker.since) return UNUSED;
  return worker.state === "up" && worker.suspended ? "suspended" : worker.state;
}

// A connection that is just being made, for the first time, is no trouble.
function isTroubled(worker, now) {
  if (worker.state !== "connecting") return !["up", UNUSED].includes(stateOf(worker));
  return Boolean(worker.reason) || (worker.since > 0 && now - worker.since > 5);
}

// The servers of a store, or the store itself, as it is its only one.
function serversOf(store) {
  return store.servers ?? [store];
}

function usersOf(server) {
  return (server.workers ?? []).filter(worker => stateOf(worker) !== UNUSED);
}

function workersOf(store) {
  return serversOf(store).flatMap(usersOf);
}

function waitingIn(status) {
  return sum(status.stores.flatMap(workersOf).map(worker => worker.waiting_lookups));
}

function isDown(worker, now) {
  return isTroubled(worker, now) && worker.state !== "up";
}

// The earliest, or null if it is not known.
function earliest(workers) {
  const known = workers.map(worker => worker.since).filter(since => since > 0);
  return known.length > 0 ? Math.min(...known) : null;
}

function reasons(workers) {
  const all = [...new Set(workers.map(worker => worker.reason).filter(Boolean))];
  return all.length > 2 ? all.slice(0, 2).join("; ") + "; …" : all.join("; ");
}

function storesDown(status) {
  const gone = status.stores.filter(store => {
    const workers = workersOf(store);
    return workers.length > 0 && workers.every(worker => isDown(worker, status.now));
  });
  if (gone.length === 0) return [];
  const workers = gone.flatMap(workersOf);
  const [total, names] = [status.stores.length, gone.map(store => store.name)];
  const what = (total === 1 ? "The store is down: " : `${gone.length} of ${total} stores down: `)
    + names.join(", ");
  return [{ key: "store " + names[0], level: "bad", what, why: reasons(workers),
            since: earliest(workers),
            so: "Sessions kept there are not resumed: clients make full handshakes, none fails." }];
}

function workersDown(status) {
  return status.stores.flatMap(store => {
    const all = workersOf(store);
    if (all.every(worker => isDown(worker, status.now))) return [];
    return serversOf(store).flatMap(server => {
      const users = usersOf(server), workers = users.filter(worker => isDown(worker, status.now));
      if (workers.length === 0) return [];
      const where = workers.length === users.length ? ""
        : ` in ${workers.length} of ${plural(users.length, "worker")}`;
      const name = server === store ? `Store ${store.name}` : `Server ${server.name} of store ${store.name}`;
      return [{ key: "store " + (server === store ? store.name : name), level: "bad",
                what: `${name} is down${where}`, why: reasons(workers), since: earliest(workers) }];
    });
  });
}

function suspended(status) {
  return status.stores.flatMap(store => {
    const all = workersOf(store), workers = all.filter(worker => stateOf(worker) === "suspended");
    if (workers.length === 0) return [];
    const where = workers.length === all.length ? "" : ` in ${workers.length} of ${all.length} workers`;
    return [{ key: "store " + store.name, level: "bad", what: `Lookups in ${store.name} are suspended${where}`,
              why: reasons(workers), since: earliest(workers),
              so: "Clients make full handshakes until answers are in time again." }];
  });
}

const ERROR_LOG = "nginx's error log has the store's words";

function lookupsLost(status, minute) {
  return status.stores.flatMap(store => {
    const lookups = minute?.stores.get(store.name);
    if (!lookups || workersOf(store).some(worker => isTroubled(worker, status.now))) return [];
    const lost = unanswered(lookups), all = lost + answered(lookups);
    if (lost === 0) return [];
    const parts = [[lookups.timeout, "too late"], [lookups.down, "not sent"],
                   [lookups.full, "not sent, as too much waited"]]
      .filter(([count]) => count > 0).map(([count, why]) => `${integer.format(count)} ${why}`);
    return [{ key: "lost " + store.name, level: lost * 2 > all ? "bad" : "warn",
              what: `${integer.format(lost)} of ${plural(all, "lookup")} in ${store.name} had no answer`,
              why: parts.join(", "), lately: true }];
  });
}

function lookupsRefused(status, minute) {
  return status.stores.flatMap(store => {
    const lookups = minute?.stores.get(store.name), count = lookups?.refused;
    if (!count) return [];
    const all = unanswered(lookups) + answered(lookups), isMost = count * 2 > all;
    // Of a cluster they may be redirects, while slots move.
    if (store.servers && store.type === "redis" && !isMost) return [];
    return [{ key: "refused " + store.name, level: isMost ? "bad" : "warn", lately: true,
              what: `${integer.format(count)} of ${plural(all, "lookup")} in ${store.name} `
                + (count === 1 ? "was refused" : "were refused"),
              why: ERROR_LOG }];
  });
}

function notStored(status, minute) {
  return status.stores.flatMap(store => {
    const counts = minute?.stores.get(store.name);
    const isGone = workersOf(store).every(worker => isDown(worker, status.now));
    if (!counts || isGone) return [];
    const [dropped, failed] = [counts.sessions_dropped, counts.sessions_failed];
    if (dropped + failed === 0) return [];
    const parts = [[failed, "refused, or not confirmed, by the store"],
                   [dropped, "not sent, or too large"]]
      .filter(([count]) => count > 0).map(([count, why]) => `${integer.format(count)} ${why}`);
    return [{ key: "stored " + store.name, level: "bad", lately: true,
              what: `${plural(dropped + failed, "session")} not stored in ${store.name}`,
              why: `${parts.join(", ")}; ${ERROR_LOG}` }];
  });
}

function damaged(samples) {
  const count = index => samples[index].handshakes.invalid ?? 0;
  let last = samples.length - 1;
  while (last > 0 && count(last) <= count(last - 1)) last--;
  if (last <= 0) return [];
  const more = Math.max(0, count(samples.length - 1) - count(0));
  return [{ key: "damaged", level: "bad", what: `${plural(more, "damaged record")} came from a store`,
            why: "damaged there, or forged: someone else may write to it",
            last: samples[last].at }];
}

// A key of the epoch before is one for a while after each start, and then no trouble. Without
// clients there is none.
const isCalm = ({ state, key_age: age }) =>
  [null, "fleet"].includes(state) || (state === "ratcheted" && age <= 3600);

const derived = ({ store }) => `The ticket key of ${store} is derived from the one before`;

function ticketKeys(status) {
  return (status.tickets ?? []).filter(keys => !isCalm(keys)).map(keys => {
    const { state, store } = keys, name = `The ticket key of ${store} is `;
    const [level, what, why] = {
      own: ["bad", name + "this machine's own",
            "the store does not give the fleet's; tickets do not cross machines"],
      ratcheted: ["warn", derived(keys), "the store has not given the fleet's for this epoch yet"],
    }[state] ?? ["warn", name + state, ""];
    return { key: `ticket ${state} ${store}`, level, why, what };
  });
}

// What is worth a word, and no trouble.
function notes(status) {
  return (status.tickets ?? []).filter(keys => keys.state === "ratcheted" && isCalm(keys))
    .map(keys => derived(keys) + ", until the store tells that of this epoch.");
}

function clocks(status) {
  return (status.tickets ?? []).filter(keys => keys.clock_behind !== null).map(keys => ({
    key: "clock " + keys.store, level: "bad",
    what: `The clock of this machine is ${duration(keys.clock_behind)} behind another's`,
    why: "others seal with keys that are not known here yet; one of the two clocks is wrong" }));
}

// Troubles of the stores: while they last no figure counts that is from before.
function storeTroubles(status) {
  return [...storesDown(status), ...workersDown(status), ...suspended(status)];
}

function troubles(status, samples, minute) {
  const all = [...storeTroubles(status), ...lookupsLost(status, minute), ...lookupsRefused(status, minute),
               ...notStored(status, minute), ...damaged(samples), ...ticketKeys(status), ...clocks(status)];
  return all.sort((a, b) => (a.level === "warn") - (b.level === "warn"));
}
