
// The charts. A point is read by pointing at it, or by the arrow keys.

// A lookup time that is none, in a chart.
const NO_ANSWER = 4;

const isNumber = value => value !== null && value !== undefined;
const charted = seconds => seconds === Infinity ? NO_ANSWER : seconds;
const uncharted = seconds => seconds === NO_ANSWER ? Infinity : seconds;

const CHARTS = {
  share: {
    label: "Share of offered sessions that were resumed",
    series: [{ name: "resumed", colour: "--mark", key: "" }],
    points: d => [share(d.handshakes)],
    say: percent,
    range: () => [0, 1],
    splits: () => [0, .25, .5, .75, 1],
    mark: value => 100 * value + " %",
  },
  rate: {
    label: "Lookups a second",
    series: [{ name: "answered", colour: "--mark", key: "" },
             { name: "no answer", colour: "--bad", key: "bad" }],
    points: d => [answered(d.lookups) / d.seconds, unanswered(d.lookups) / d.seconds],
    say: value => isNumber(value) ? number(value) + "/s" : "–",
    range: (u, min, max) => [0, Math.max(1, max * 1.1)],
    mark: value => number(value) + "/s",
  },
  time: {
    label: "Lookup time",
    series: [{ name: "p50", colour: "--mark", key: "" },
             { name: "p99", colour: "--second", key: "second" }],
    points: d => [.5, .99].map(part => charted(quantile(d.lookups, part))),
    say: value => time(isNumber(value) ? uncharted(value) : null),
    isLog: true,
    range: (u, min, max) => [.00007, max >= NO_ANSWER ? 6 : max > .1 ? 2.5 : max > .01 ? .12 : .012],
    splits: () => [.0001, .001, .01, .1, 1, NO_ANSWER],
    mark: value => value === NO_ANSWER ? "none" : value >= 1 ? value + " s" : value * 1000 + " ms",
  },
};

function colour(name) {
  return getComputedStyle(document.querySelector("main")).getPropertyValue(name).trim();
}

function axes(chart) {
  const common = { stroke: () => colour("--dim"), font: "12px system-ui, 'DejaVu Sans', sans-serif",
                   grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false } };
  return [
    { ...common, size: 26, gap: 8, space: 70, grid: { show: false },
      values: (u, splits) => splits.map(at => clock(at * 1000).slice(0, at % 60 ? 8 : 5)) },
    { ...common, size: 58, gap: 4, space: 24, splits: chart.splits,
      filter: (u, splits) => splits,
      values: (u, splits) => splits.map(at => chart.mark(at)) },
  ];
}

function line({ name, colour: of }, index) {
  return { label: name, stroke: () => colour(of), width: 2, spanGaps: false,
           // Two lines may lie on each other.
           dash: index > 0 ? [6, 4] : undefined,
           points: { show: false, filter: alone, size: 5, fill: () => colour(of) } };
}

// A point between two gaps has no line to be seen by.
function alone(u, series) {
  return [...u.data[series].keys()].filter(index => isNumber(u.data[series][index])
    && !isNumber(u.data[series][index - 1]) && !isNumber(u.data[series][index + 1]));
}

function makeChart(id) {
  const chart = CHARTS[id], section = $(id);
  const figures = el("div", { class: "figures" }), note = el("p", { class: "note" });
  const place = el("div", { class: "chart", tabindex: 0, role: "slider",
                            "aria-label": chart.label + ". Arrow keys read the chart." });
  const reading = el("p", { class: "reading" });
  section.append(figures, note, place, reading);
  const u = new uPlot({
    width: Math.max(1, place.clientWidth), height: place.clientHeight, legend: { show: false },
    padding: [14, 28, 0, 0],
    cursor: { y: false, drag: { setScale: false, x: false }, points: { size: 8 } },
    // A point alone is shown at the end of a minute: uPlot would take a day.
    scales: { x: { time: true, range: (u, min, max) =>
                     u.data[0].length === 1 ? [min - 60, min] : [Math.min(min, max - 60), max] },
              y: { distr: chart.isLog ? 3 : 1, range: chart.range } },
    axes: axes(chart),
    series: [{}, ...chart.series.map(line)],
    hooks: { setCursor: [() => read(id)] },
  }, [[], ...chart.series.map(() => [])], place);
  Object.assign(chart, { u, place, reading, figures, note });
  place.addEventListener("keydown", event => move(chart, event));
  place.addEventListener("blur", () => point(chart, null));
  for (const name of ["pointerdown", "pointermove"])
    u.over.addEventListener(name, event => touch(chart, event));
  new ResizeObserver(() => resize(chart)).observe(place);
}

function resize({ u, place }) {
  if (place.clientWidth > 0) u.setSize({ width: place.clientWidth, height: place.clientHeight });
}

function touch(chart, event) {
  if (event.pointerType === "mouse") return;
  const box = chart.u.over.getBoundingClientRect();
  chart.u.setCursor({ left: event.clientX - box.left, top: 0 });
}

function move(chart, event) {
  const last = chart.u.data[0].length - 1;
  const now = chart.at ?? last;
  const to = { ArrowLeft: now - 1, ArrowRight: now + 1, ArrowDown: now - 1, ArrowUp: now + 1,
               PageUp: now + 10, PageDown: now - 10, Home: 0, End: last }[event.key];
  if (event.key === "Escape") point(chart, null);
  if (to === undefined || last < 0) return;
  event.preventDefault();
  point(chart, Math.min(last, Math.max(0, to)));
}

// Puts the cursor on a point, or away.
function point(chart, index) {
  chart.at = index;
  const left = index === null ? -10 : chart.u.valToPos(chart.u.data[0][index], "x");
  chart.u.setCursor({ left, top: index === null ? -10 : 0 });
}

// Says what is at the cursor, else what is newest.
function read(id) {
  const chart = CHARTS[id], { u } = chart;
  if (!u) return;
  const last = u.data[0].length - 1;
  const index = chart.at ?? u.cursor.idx ?? last;
  if (last < 0) { chart.reading.textContent = "no data yet"; return; }
  const values = chart.series.map(({ name }, at) => ({ name, value: chart.say(u.data[at + 1][index]) }));
  const when = clock(u.data[0][index] * 1000);
  chart.reading.replaceChildren(...chart.series.map(({ key }, at) => el("span", { class: "key" },
    el("i", { class: key }), `${values[at].name} ${values[at].value}`)),
    el("span", { class: "key dim" }, `at ${when}`));
  const text = `${when}: ` + values.map(({ name, value }) => `${name} ${value}`).join(", ");
  const { place } = chart;
  place.setAttribute("aria-valuemin", 0);
  place.setAttribute("aria-valuemax", last);
  place.setAttribute("aria-valuenow", index);
  place.setAttribute("aria-valuetext", text);
}

function draw(samples) {
  const spans = samples.map((sample, index) => lately(samples, index, SPAN));
  for (const [id, chart] of Object.entries(CHARTS)) {
    const points = spans.map(span => span ? chart.points(span) : chart.series.map(() => null));
    const held = isNumber(chart.at) ? chart.u.data[0][chart.at] : null;
    const times = samples.map(sample => sample.at / 1000);
    chart.u.setData([times, ...chart.series.map((_, at) => points.map(values => values[at]))]);
    // The cursor stays at its time, while the chart moves on.
    if (held !== null) point(chart, Math.max(0, times.indexOf(held)));
    read(id);
  }
}

function redraw() {
  for (const { u } of Object.values(CHARTS)) u?.redraw();
}
