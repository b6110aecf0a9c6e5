
// Asks nginx, keeps what it said, and shows it.

const MEANING = {
  hit: "resumed from the store", local: "resumed on this machine",
  ticket: "resumed by a ticket", ticket_old: "resumed by a ticket of another key",
  used: "found, and used before", unused: "found, and of no use here", miss: "not in the store",
  foreign: "not one of ours", ticket_unknown: "ticket of an unknown key",
  invalid: "damaged or forged", timeout: "the store was too late", down: "the store was not reached, or refused",
  full: "too much waited", none: "nothing offered",
};
const ORIGIN = {
  fleet: ["the fleet's", "good"], ratcheted: ["derived from the one before", "warn"],
  own: ["this machine's own", "bad"], none: ["none yet", ""],
};

const HISTORY = "tls-status";
const page = { samples: [], firstSeen: {}, status: null, at: 0, error: null, afterGap: false, isAsking: false,
               timer: null };

// What was shown before a reload of the page, if nginx still counts from the same time.
function restore(since) {
  try {
    const old = JSON.parse(sessionStorage.getItem(HISTORY));
    if (old?.since === since && old.url === location.href) Object.assign(page, old.kept);
  } catch { /* a browser that keeps nothing */ }
}

function keep() {
  if (!page.status) return;
  const { samples, firstSeen } = page;
  try {
    sessionStorage.setItem(HISTORY, JSON.stringify(
      { since: page.status.since, url: location.href, kept: { samples, firstSeen } }));
  } catch { /* the same */ }
}

function remember(status) {
  if (page.status?.since !== status.since) {
    Object.assign(page, { samples: [], firstSeen: {} });
    if (!page.status) restore(status.since);
  }
  const isWell = storeTroubles(status).length === 0 && !losesAll(status);
  const at = Date.now(), last = page.samples.at(-1);
  // The clock of this machine may have been set.
  if (last && last.at >= at) page.samples = [];
  page.samples.push(sampleOf(status, at, isWell, page.afterGap));
  page.samples.splice(0, page.samples.length - KEPT);
  // Stores are many, perhaps, and shown for the last minute only.
  for (const sample of page.samples) if (at - sample.at > MINUTE + GAP) delete sample.stores;
  Object.assign(page, { status, at, error: null, afterGap: false });
}

// Whether no lookup has been answered since the last sample, but some should have been.
function losesAll(status) {
  const before = page.samples.at(-1);
  if (!before) return false;
  const now = difference(totalOf(status), before.lookups);
  return answered(now) === 0 && (unanswered(now) > 0 || (waitingIn(status) > 0 && !before.isWell));
}

// Since when a trouble is: as nginx says, or as this page has seen. A store that was late and is
// down now has been in trouble for longer than nginx says.
function sinceWhen(trouble) {
  const seen = page.firstSeen[trouble.key] ??= page.status.now;
  return Math.min(trouble.since ?? seen, seen);
}

function forgetTroubles(found) {
  const keys = new Set(found.map(({ key }) => key));
  for (const key of Object.keys(page.firstSeen)) if (!keys.has(key)) delete page.firstSeen[key];
}

function when(trouble, minute) {
  if (trouble.lately) return `in the last ${spanOf(minute)}`;
  if (trouble.last) return `the last one ${duration((page.at - trouble.last) / 1000)} ago`;
  const since = sinceWhen(trouble);
  return `for ${duration(page.status.now - since)}, since ${moment(since * 1000)}`;
}

function troubleItem(trouble, minute) {
  const why = trouble.why ? `: ${trouble.why}` : "";
  return el("li", {}, el("strong", { class: trouble.level }, trouble.what), `${why}, ${when(trouble, minute)}`,
            trouble.so ? el("div", { class: "dim" }, trouble.so) : "");
}

function calm(status, minute) {
  if (status.stores.length === 0) return el("li", {}, "No server uses the cache.");
  const servers = status.stores.flatMap(serversOf).filter(server => usersOf(server).length);
  const count = new Set(status.stores.flatMap(workersOf).map(worker => worker.worker)).size;
  const p99 = minute ? quantile(minute.lookups, .99) : null;
  const up = servers.length === 0 ? "no server is in use yet"
    : `${plural(status.stores.length, "store")} up in ${plural(count, "worker")}`;
  return el("li", {}, el("strong", { class: "good" }, "All is well"), `: ${up}`,
            p99 === null ? ", no lookups lately" : `, 99 of 100 lookups in ${time(p99)}`);
}

function announce(text) {
  if ($("announce").textContent !== text) $("announce").textContent = text;
}

function showVerdict(status, found, minute) {
  const list = found.length ? found.map(trouble => troubleItem(trouble, minute)) : [calm(status, minute)];
  list.push(...notes(status).map(note => el("li", { class: "dim" }, note)));
  const level = found[0]?.level ?? (status.stores.length ? "good" : "none");
  $("verdict").className = level;
  $("verdict").replaceChildren(el("ul", {}, ...list));
  // Without the times, which change.
  announce(found.length ? found.map(({ what, why }) => why ? `${what}: ${why}` : what).join(". ")
    : status.stores.length ? "All is well" : "No server uses the cache");
  forgetTroubles(found);
  document.title = `${found.length ? "⚠ " : ""}${status.host ? status.host + " – " : ""}TLS sessions`;
}

function showAbout(status) {
  $("heading").textContent = status.host ? `TLS sessions on ${status.host}` : "TLS sessions";
  const ways = (status.suspend ?? []).map(way => `suspend=${way}`);
  $("about").textContent = [`module ${status.version}`, ...ways,
    `counted since ${date(status.since * 1000)}`].join(" · ");
}

function figure(value, name, kind) {
  return el("span", { class: `value ${kind}` }, name ? el("small", {}, `${name} `) : "", value);
}

function showTile(id, figures, note) {
  CHARTS[id].figures.replaceChildren(...figures);
  CHARTS[id].note.textContent = note;
}

function showFigures(status, minute) {
  const start = { handshakes: status.handshakes, lookups: totalOf(status) };
  const span = minute ? `in the last ${spanOf(minute)}` : "";
  const lost = minute ? unanswered(minute.lookups) : 0;
  const isRefused = minute?.lookups.refused * 2 > answered(minute?.lookups ?? {}) + lost;
  const kind = isRefused || (lost > 0 && !page.samples.at(-1).isWell) ? "bad" : "";

  showTile("share", [figure(minute ? percent(share(minute.handshakes)) : "–", "", kind)],
    (minute ? `${integer.format(resumed(minute.handshakes))} of `
      + `${integer.format(offered(minute.handshakes))} ${span}; ` : "") + `${percent(share(start.handshakes))} since start`);

  const total = answered(start.lookups) + unanswered(start.lookups);
  const rate = minute ? number((answered(minute.lookups) + lost) / minute.seconds) : "–";
  showTile("rate", [figure(rate, "", lost ? "bad" : kind)],
    (lost ? `${integer.format(lost)} without an answer ${span}; ` : span ? `${span}; ` : "")
      + `${integer.format(waitingIn(status))} waiting, ${integer.format(total)} since start`);

  const [p50, p99] = [.5, .99].map(part => minute ? quantile(minute.lookups, part) : null);
  const of = value => value === Infinity ? "bad" : kind;
  const old = [.5, .99].map(part => quantile(start.lookups, part));
  showTile("time", [figure(time(p50), "p50", of(p50)), figure(time(p99), "p99", of(p99))],
    (minute && p50 === null ? `no lookups ${span}; ` : span ? `${span}; ` : "")
      + `since start ${time(old[0])}, ${time(old[1])}`);
}

function advice(status) {
  const code = text => el("code", {}, text);
  const { handshakes } = status;
  if (status.stores.length === 0)
    return ["No server of this nginx keeps its sessions in a store. Write into ", code("http {}"), " or a server of it: ",
            code("remote_ssl_session_cache on addr=redis.example.net;"), " and reload nginx."];
  if (sum(Object.values(handshakes)) === 0)
    return ["There was no TLS handshake yet. Check that clients come to this machine, to a server with ",
            code("listen … ssl"), " that has ", code("remote_ssl_session_cache"), "."];
  if (offered(handshakes) + (handshakes.foreign ?? 0) === 0)
    return ["No client has offered a session yet. One that comes back does so. To try: ",
            code("openssl s_client -connect HOST:443 -sess_out FILE"), ", and again with ", code("-sess_in FILE"),
            ". If clients come back and still offer none, something before nginx may end their TLS."];
  return null;
}

function showHelp(status) {
  const text = advice(status);
  $("help").hidden = text === null;
  $("help").lastElementChild.replaceChildren(...text ?? []);
}

function showTickets(status) {
  const tickets = status.tickets ?? [];
  $("tickets-card").hidden = tickets.length === 0;
  const head = [{ name: "store" }, { name: "key in use", isText: true }, { name: "epoch began" },
                { name: "epochs with keys" }, { name: "clock behind by" }];
  table("tickets", head, tickets.map(keys => {
    const [text, kind] = ORIGIN[keys.state ?? "none"] ?? [keys.state, "warn"];
    return { cells: [keys.store, el("span", { class: kind === "warn" && isCalm(keys) ? "" : kind }, text),
      keys.key_age === null ? "–" : `${duration(keys.key_age)} ago`, keys.epochs,
      keys.clock_behind === null ? "–" : el("span", { class: "bad" }, duration(keys.clock_behind))] };
  }));
}

// Which of http, stream and mail have had handshakes, if more than one has.
function frontendsOf(status) {
  const used = ["http", "stream", "mail"]
    .filter(name => sum(Object.values(status.frontends?.[name] ?? {})) > 0);
  return used.length > 1 ? used : [];
}

function showHandshakes(status, minute) {
  const { handshakes } = status, total = sum(Object.values(handshakes));
  const frontends = frontendsOf(status);
  const names = [...new Set([...Object.keys(MEANING), ...Object.keys(handshakes)])]
    .filter(name => name in handshakes);
  const head = [{ name: "" }, { name: "what happened", isText: true },
                { name: spanName(minute) }, { name: "since start" },
                { name: "share" }, ...frontends.map(name => ({ name }))];
  table("handshakes", head, names.map(name => ({ isZero: handshakes[name] === 0, cells: [
    name, MEANING[name] ?? "",
    minute ? integer.format(minute.handshakes[name]) : "–", integer.format(handshakes[name]),
    total ? percent(handshakes[name] / total) : "–",
    ...frontends.map(frontend => integer.format(status.frontends[frontend][name]))] })));
  for (const name of RESUMED) {
    const part = keyed("bar " + name, () => $("bar").appendChild(el("i", { class: name })));
    part.style.width = total ? 100 * handshakes[name] / total + "%" : 0;
  }
  const early = Object.entries(status.early_data ?? {});
  $("early-data").textContent = sum(early.map(([, count]) => count)) === 0 ? ""
    : "Early data: " + early.map(([name, count]) => `${integer.format(count)} ${name}`).join(", ");
}

function show() {
  const { status, samples } = page;
  const minute = lately(samples);
  showVerdict(status, troubles(status, samples, minute), minute);
  showAbout(status);
  showFigures(status, minute);
  showHelp(status);
  showStores(status, minute);
  showTickets(status);
  showHandshakes(status, minute);
  draw(samples);
}

// What is on the page is old: all of it.
function showAge() {
  const isOld = page.error !== null && page.status !== null;
  if (document.body.classList.contains("old") !== isOld) {
    document.body.classList.toggle("old", isOld);
    redraw();
  }
  if (page.error === null) return;
  const age = duration((Date.now() - page.at) / 1000);
  document.body.style.setProperty("--age", JSON.stringify(`${age} old`));
  const what = el("strong", { class: "bad" }, page.status ? `No answer for ${age}` : "No answer");
  const shown = page.status ? el("div", { class: "dim" }, `What is shown is from ${moment(page.at)}.`) : "";
  $("verdict").className = "bad";
  $("verdict").replaceChildren(el("ul", {}, el("li", {}, what, `: ${page.error}`, shown)));
  announce(`No answer: ${page.error}`);
  document.title = "⚠ no answer – " + document.title.replace(/^⚠ (no answer – )?/, "");
}

function explain(error) {
  if (error.name === "TimeoutError") return `nginx says nothing within ${TIMEOUT / 1000} s`;
  if (error instanceof SyntaxError) return "what nginx says is not JSON";
  if (error.name === "TypeError" && error.isOfFetch) return "nginx is not reached";
  return error.message;
}

async function ask() {
  const signal = AbortSignal.timeout(TIMEOUT);
  const answer = await fetch("?format=json", { cache: "no-store", signal }).catch(error => {
    if (error.name === "TypeError") error.isOfFetch = true;
    throw error;
  });
  if (!answer.ok) throw new Error(`nginx says ${answer.status} ${answer.statusText}`);
  return answer.json();
}

async function refresh() {
  clearTimeout(page.timer);
  if (page.isAsking) return;
  page.isAsking = true;
  try {
    remember(await ask());
    show();
  } catch (error) {
    Object.assign(page, { error: explain(error), afterGap: true });
  }
  page.isAsking = false;
  showAge();
  if (!document.hidden) page.timer = setTimeout(refresh, PERIOD);
}

// A hidden page asks nothing.
function pause() {
  clearTimeout(page.timer);
  if (document.hidden) { page.afterGap = true; keep(); } else refresh();
}

Object.keys(CHARTS).forEach(makeChart);
document.addEventListener("visibilitychange", pause);
addEventListener("pagehide", keep);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
setInterval(() => { if (page.error !== null && !document.hidden) showAge(); }, 1000);
refresh();
