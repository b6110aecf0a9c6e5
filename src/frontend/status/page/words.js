
// How things are written, and put on the page. All that comes from nginx is put there as text.

const $ = id => document.getElementById(id);

function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const integer = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const number = value => value >= 100 || Number.isInteger(value) ? integer.format(value)
  : value.toLocaleString("en", { maximumSignificantDigits: 2 });
const percent = part => part === null ? "–" : (100 * part).toFixed(1) + " %";
const plural = (count, noun) => `${integer.format(count)} ${noun}${count === 1 ? "" : "s"}`;
const clock = ms => new Date(ms).toLocaleTimeString("en-GB");
const date = ms => new Date(ms).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
// With the date where it is not today's.
const moment = ms =>
  new Date(ms).toDateString() === new Date().toDateString() ? clock(ms) : date(ms);

const seconds = value => value >= 1 ? number(value) + " s" : number(value * 1000) + " ms";

function time(value) {
  if (value === null) return "–";
  if (value === Infinity) return "no answer";
  if (value >= OVER) return "> 1 s";
  return "≤ " + seconds(value);
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return whole + " s";
  if (whole < 7200) return Math.floor(whole / 60) + " min";
  if (whole < 172800) return Math.floor(whole / 3600) + " h";
  return plural(Math.floor(whole / 86400), "day");
}

function spanOf({ seconds }) {
  return seconds > 55 ? "minute" : duration(seconds);
}

function spanName(minute) {
  return minute ? `last ${spanOf(minute)}` : "lately";
}

function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit++; }
  return `${number(unit ? Number(count.toPrecision(3)) : count)} ${units[unit]}`;
}

// 0, 1, 2, 5 as "0–2, 5".
function ranges(numbers) {
  const runs = [];
  for (const value of [...numbers].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run && run[1] + 1 === value) run[1] = value; else runs.push([value, value]);
  }
  return runs.map(([from, to]) => from === to ? from : `${from}–${to}`).join(", ");
}

// Rows of cells: a text, or its parts. A cell without a text is left out where there is no head
// of the table, on a narrow screen.
function table(id, head, rows) {
  const cell = (tag, value, index, label) => {
    const parts = value?.nodeType ? [value] : [String(value)];
    const attributes = label && index > 0 ? { "data-label": label } : {};
    if (head[index].isText) attributes.class = "text";
    if (tag === "th") attributes.scope = label === undefined ? "col" : "row";
    return el(tag, attributes, ...parts);
  };
  const row = ({ cells, isZero }) => el("tr", isZero ? { class: "zero" } : {},
    ...cells.map((value, index) =>
      cell(index ? "td" : "th", value, index, head[index].isText ? "" : head[index].name)));
  const titles = el("tr", {}, ...head.map(({ name }, index) => cell("th", name, index)));
  const target = typeof id === "string" ? $(id) : id;
  target.replaceChildren(el("thead", {}, titles), el("tbody", {}, ...rows.map(row)));
  return target;
}
