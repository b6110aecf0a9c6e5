
// The stores, their servers and workers: what is well is folded, what is not is open.

const kept = new Map();

// The same element at each time, so that what a person has opened stays open.
function keyed(key, make) {
  if (!kept.has(key)) kept.set(key, make());
  return kept.get(key);
}

// Moves elements only if they are others: the focus would be lost.
function arrange(parent, children) {
  const same = parent.children.length === children.length
    && children.every((child, index) => parent.children[index] === child);
  if (!same) parent.replaceChildren(...children);
}

function cell(worker, now) {
  const state = stateOf(worker);
  const why = worker.reason ? `: ${worker.reason}` : "";
  const since = worker.since > 0 ? `, for ${duration(now - worker.since)}` : "";
  const title = `worker ${worker.worker}, process ${worker.pid}: ${state}${why}${since}, `
    + (worker.address || "no address");
  const kind = state in RANK ? state.replaceAll(" ", "-") : "";
  return el("span", { class: `cell ${kind}`, title, role: "img", "aria-label": title }, String(worker.worker));
}

function groups(workers, now) {
  const groups = new Map();
  for (const worker of workers) {
    const key = JSON.stringify([stateOf(worker), worker.reason, worker.address]);
    groups.set(key, [...groups.get(key) ?? [], worker]);
  }
  const sorted = [...groups.values()].sort((a, b) => RANK[stateOf(a[0])] - RANK[stateOf(b[0])]);
  return sorted.map(group => {
    const [first] = group, state = stateOf(first);
    const since = earliest(group);
    const kind = { up: "good", down: "bad", [UNUSED]: "dim" }[state] ?? "warn";
    const word = group.length === 1 ? "worker" : "workers";
    return el("li", {}, el("span", { class: kind }, state), ": ", `${word} ${ranges(group.map(w => w.worker))}`,
      first.address ? `, at ${first.address}` : "",
      since === null ? "" : `, since ${moment(since * 1000)} (${duration(now - since)})`,
      first.reason ? `: ${first.reason}` : "");
  });
}

function workerTable(workers) {
  const head = [{ name: "worker" }, { name: "process" }, { name: "state" }, { name: "address", isText: true },
                { name: "waiting lookups" }, { name: "commands without reply" }, { name: "bytes" }];
  return table(el("table"), head, workers.map(worker => ({ cells: [
    `worker ${worker.worker}`, worker.pid, stateOf(worker), worker.address || "–",
    integer.format(worker.waiting_lookups), integer.format(worker.queued_commands),
    integer.format(worker.queued_bytes)] })));
}

function more(key, title, content) {
  const details = keyed(key, () => {
    const made = el("details", { class: "more" }, el("summary", {}, title), el("div"));
    made.addEventListener("toggle", () => made.fill());
    return made;
  });
  // What is folded need not be made.
  details.fill = () => details.lastElementChild.replaceChildren(...details.open ? [content()] : []);
  details.fill();
  return details;
}

function row(store, server, now) {
  const key = JSON.stringify([store.name, server === store ? null : server.name]);
  const details = keyed("row " + key, () => el("details", { class: "row" },
    el("summary"), el("div", { class: "body" })));
  const workers = server.workers ?? [], used = usersOf(server).length;
  const up = workers.filter(worker => stateOf(worker) === "up").length;
  const troubled = workers.filter(worker => isTroubled(worker, now));
  const kind = troubled.length === 0 ? (used ? "good" : "dim") : troubled.some(w => w.state === "down") ? "bad" : "warn";
  const wasTroubled = details.dataset.troubled === "yes";
  details.dataset.troubled = troubled.length ? "yes" : "no";
  if (wasTroubled !== troubled.length > 0) details.open = troubled.length > 0;
  const parts = [el("span", { class: "cells" }, ...workers.map(worker => cell(worker, now))),
    el("span", { class: `count ${kind}` },
       used ? `${up} of ${used} up` : UNUSED)];
  if (server !== store) parts.unshift(el("span", { class: "name" }, server.name));
  details.classList.toggle("named", server !== store);
  const [summary, body] = details.children;
  summary.replaceChildren(...parts);
  arrange(body, [keyed("groups " + key, () => el("ul", { class: "groups" })),
                 more("workers " + key, "each worker", () => workerTable(workers))]);
  body.firstElementChild.replaceChildren(...groups(workers, now));
  return details;
}

function sealing(store) {
  if (store.key_age === null || store.key_age === undefined) return "no sealing key";
  return `sealed${store.key_id ? ` with key ${store.key_id},` : ", key"} ${duration(store.key_age)} old`;
}

function rates(store, minute) {
  const counts = minute?.stores.get(store.name);
  if (!counts) return "";
  const lost = unanswered(counts);
  return `${number((answered(counts) + lost) / minute.seconds)} lookups/s, `
    + `${lost ? integer.format(lost) : "none"} without an answer, p99 ${time(quantile(counts, .99))}, `
    + `${number(counts.sessions_sent / minute.seconds)} sessions sent/s`;
}

const COUNTERS = [["found", "found"], ["missing", "not there"], ["timeout", "too late"],
  ["refused", "refused"], ["down", "not sent, or lost"], ["full", "not sent, as too much waited"]];

function counterTable(store, minute) {
  const [all, recent] = [countersOf(store), minute?.stores.get(store.name)];
  const line = (name, of, say = integer.format) =>
    ({ cells: [name, recent ? say(of(recent)) : "–", say(of(all))] });
  const head = [{ name: "" }, { name: spanName(minute) }, { name: "since start" }];
  return table(el("table"), head, [
    ...COUNTERS.map(([key, name]) => line("lookups: " + name, c => c[key])),
    line("sessions sent", c => c.sessions_sent),
    line("sessions not stored", c => c.sessions_dropped + c.sessions_failed),
    line("removals", c => c.deletes),
    line("connections made", c => c.connections),
    line("connections lost, or not made", c => c.failures),
    line("sent", c => c.sent_bytes, bytes), line("received", c => c.received_bytes, bytes)]);
}

function card(store, minute, now) {
  const servers = serversOf(store);
  const article = keyed("store " + store.name, () => el("article", { class: "store" },
    el("header"), el("p", { class: "note" }), el("div")));
  const [header, note, rows] = article.children;
  const kind = store.type && !store.name.startsWith(store.type) ? store.type + ", " : "";
  const many = store.servers ? plural(servers.length, "server") + ", " : "";
  const limit = store.timeout > 0 ? `timeout ${seconds(store.timeout)}, ` : "";
  header.replaceChildren(el("h3", {}, store.name),
    el("span", { class: "dim" }, kind + many + limit + sealing(store)));
  note.textContent = rates(store, minute);
  const counters = more("counters " + store.name, "all counters", () => counterTable(store, minute));
  arrange(rows, [...servers.map(server => row(store, server, now)), counters]);
  return article;
}

function showStores(status, minute) {
  arrange($("stores"), status.stores.map(store => card(store, minute, status.now)));
  if (status.stores.length === 0) $("stores").replaceChildren(el("p", { class: "dim" }, "none"));
}
