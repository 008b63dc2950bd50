// Page of `oasis-ray browse`. Text from the run is inserted as text nodes, never as markup.
"use strict";

const PAGE = 100;
const POLL_MS = 10000;
const CHOICES = ["node", "reason", "axis", "language", "mark"];
const FIELDS = ["outcome", ...CHOICES, "least", "most", "text"];
const $ = (id) => document.getElementById(id);

let run = null; // overview of the run: values to filter by, and counts
let filter = {}; // the selected values
let rows = []; // rows loaded into the list so far
let total = 0;
let at = -1; // index of the row that is shown
let whole = null; // the row that is shown, with all its fields
let asked = 0; // number of list requests: answers to earlier ones are dropped
let looked = 0; // number of overview requests: answers to earlier ones are dropped
let loading = false;
let marking = Promise.resolve(); // marks are sent one after another, so that the last key press counts
let marked = 0; // number of saved marks
const saved = new Map(); // the mark that was saved last for each row id, and its number

async function ask(path, values = {}, options = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(values)}`, options);
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const body = await answer.text();
  let message = body;
  try { message = JSON.parse(body).detail } catch { /* plain text */ }
  throw new Error(typeof message === "string" ? message : body);
}

function tell(error) {
  const message = error instanceof TypeError ? "the server does not respond; is `oasis-ray browse` still running?" : error.message;
  $("notes").textContent = [message, ...notes()].join("\n");
  $("notes").hidden = false;
}

function notes() {
  if (!run) return [];
  const parts = run.unreadable.map((why) => `can't be read: ${why}`);
  return run.skipped_marks ? [...parts, `marks.jsonl: ${run.skipped_marks} invalid lines are skipped`] : parts;
}

// The overview: counts, and the values to filter by

async function look() {
  const request = ++looked;
  const answer = await ask("api/run");
  if (request !== looked) return;
  run = answer;
  const counts = Object.fromEntries(run.outcomes.map((outcome) => [outcome, 0]));
  for (const place of run.places) counts[place.outcome] += place.rows;
  const ended = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const mine = run.marks.filter((mark) => mark.who === run.who).reduce((sum, mark) => sum + mark.rows, 0);
  document.title = `${run.name} · oasis-ray browse`;
  $("name").textContent = run.name;
  $("state").textContent = `${run.recipe}, ${run.state} · ${number(ended)} of ${number(run.input_rows)} rows ended · ` +
    `${number(mine)} marked by ${run.who}`;
  $("outcomes").replaceChildren(...["", ...run.outcomes].map((outcome) => make("button",
    { type: "button", ariaPressed: String((filter.outcome ?? "") === outcome), onclick: () => choose({ outcome, node: "", reason: "" }) },
    outcome || "all", make("span", {}, number(outcome ? counts[outcome] : ended)))));
  const ofOutcome = run.places.filter((place) => !filter.outcome || place.outcome === filter.outcome);
  const ofNode = ofOutcome.filter((place) => !filter.node || place.node === filter.node);
  const order = new Map(run.nodes.map((node, index) => [node, index]));
  const nodes = counted(ofOutcome, "node").sort(([a], [b]) => (order.get(a) ?? -1) - (order.get(b) ?? -1));
  options("node", nodes);
  options("reason", counted(ofNode, "reason").sort(([, a], [, b]) => b - a));
  options("axis", run.axes.map((axis) => [axis.axis, `${rounded(axis.least)} to ${rounded(axis.most)}`]));
  options("language", run.languages.map(({ language, rows: count }) => [language, count]));
  const marks = run.marks.filter((mark) => mark.who === run.who).map((mark) => [mark.mark, mark.rows]);
  options("mark", [...marks, ["none", ended - mine]]);
  for (const bound of ["least", "most"]) {
    $(bound).parentElement.hidden = !filter.axis;
    $(bound).value = filter[bound] ?? "";
    $(bound).classList.toggle("set", Boolean(filter[bound]));
  }
  if (document.activeElement !== $("text")) $("text").value = filter.text ?? "";
  $("text").classList.toggle("set", Boolean(filter.text));
  $("clear").disabled = !FIELDS.some((field) => filter[field]);
  $("more").textContent = $("clear").disabled ? "Filter" : "Filter •";
  $("notes").textContent = notes().join("\n");
  $("notes").hidden = notes().length === 0;
}

function counted(places, key) {
  const counts = new Map();
  for (const place of places) if (place[key] !== null) counts.set(place[key], (counts.get(place[key]) ?? 0) + place.rows);
  return [...counts];
}

function options(id, values) {
  const chosen = filter[id] ?? "";
  const known = chosen && !values.some(([value]) => value === chosen) ? [[chosen, 0], ...values] : values;
  const shown = known.map(([value, note]) => make("option", { value, selected: value === chosen },
    `${value}  (${typeof note === "number" ? number(note) : note})`));
  $(id).replaceChildren(make("option", { value: "" }, "any"), ...shown);
  $(id).value = chosen;
  $(id).classList.toggle("set", Boolean(chosen));
}

const chosen = () => Object.fromEntries(FIELDS.filter((field) => filter[field]).map((field) => [field, filter[field]]));

function choose(changes) {
  filter = { ...filter, ...changes };
  if (!filter.axis) filter.least = filter.most = "";
  list();
}

// The list

/** Load the list, and show the row with the id `selected`, else the first one. */
async function list(selected) {
  const mine = ++asked;
  loading = true;
  $("count").textContent = filter.text ? "searching …" : "loading …";
  try {
    await look();
    const since = marked;
    const page = await ask("api/rows", { ...chosen(), limit: PAGE });
    if (mine !== asked) return;
    if (filter.text) await look(); // a search can discover that a part is unreadable
    if (mine !== asked) return;
    loading = false;
    rows = page.rows.map((row) => withMark(row, since));
    total = page.total;
    $("list").replaceChildren(...rows.map(line));
    count();
    const index = rows.findIndex((row) => row.id === selected);
    if (index >= 0) await show(index);
    else if (selected) await only(selected);
    else if (rows.length && !phone()) await show(0);
    else nothing();
  } catch (error) {
    if (mine === asked) { loading = false; $("count").textContent = ""; tell(error) }
  }
}

async function further() {
  if (loading || rows.length >= total || !rows.length) return;
  const mine = asked, since = marked, last = rows[rows.length - 1];
  loading = true;
  try {
    const page = await ask("api/rows", { ...chosen(), limit: PAGE, after_outcome: last.outcome, after_id: last.id });
    if (mine !== asked) return;
    const more = page.rows.map((row) => withMark(row, since));
    $("list").append(...more.map((row, index) => line(row, rows.length + index)));
    rows.push(...more);
    total = more.length ? page.total : rows.length;
    count();
  } catch (error) {
    tell(error);
  } finally {
    if (mine === asked) loading = false;
  }
}

function count() {
  $("count").textContent = total === 1 ? "1 row" : `${number(total)} rows`;
  $("end").hidden = rows.length > 0;
  $("end").textContent = FIELDS.some((field) => filter[field]) ? "No row matches the filter. Clear removes it." : "No row has ended yet.";
}

// One row

async function show(index) {
  if (index < 0 || index >= rows.length) return;
  $("list").children[at]?.firstChild.removeAttribute("aria-current");
  at = index;
  const button = $("list").children[at].firstChild;
  button.setAttribute("aria-current", "true");
  button.scrollIntoView({ block: "nearest" });
  if (whole?.id !== rows[at].id) { // no marks until it is loaded: they would go to the previous row
    whole = null;
    $("row").ariaBusy = "true";
    buttons();
  }
  if (rows.length - at < PAGE / 2) further();
  await only(rows[at].id);
}

/** Show the row with this id, whether or not it is in the list. */
async function only(id) {
  const mine = asked, since = marked;
  let row;
  try {
    row = withMark(await ask("api/row", { id }), since);
  } catch (error) {
    tell(error);
    return;
  }
  if (mine !== asked || (rows[at] && rows[at].id !== id)) return;
  whole = row;
  $("row").ariaBusy = "false";
  $("row").replaceChildren(...drawn(row));
  $("row").scrollTop = 0;
  document.body.classList.add("reading");
  buttons();
  remember();
}

function nothing() {
  at = -1;
  whole = null;
  $("row").ariaBusy = "false";
  $("row").replaceChildren(make("p", { className: "empty" }, rows.length ? "Choose a row." : "Nothing to show."));
  document.body.classList.remove("reading");
  buttons();
  remember();
}

// Marks

function myMark() {
  return whole?.marks.find((mark) => mark.who === run.who)?.mark ?? null;
}

/** A row of an answer, with the mark that was saved after the answer was asked for (when `since` marks were saved). */
function withMark(row, since) {
  const last = saved.get(row.id);
  if (!last || last.number <= since) return row;
  const { mark } = last;
  return row.marks ? { ...row, marks: [...row.marks.filter(({ who }) => who !== mark.who), ...(mark.mark ? [mark] : [])] }
    : { ...row, mark: mark.mark };
}

function mark(value) {
  if (!whole) return;
  const { id } = whole;
  marking = marking.then(() => save(id, value));
}

async function save(id, value) {
  const since = marked;
  try {
    const body = JSON.stringify({ id, mark: value });
    const answer = await ask("api/marks", {}, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    saved.set(id, { mark: answer, number: ++marked });
    for (const [index, row] of rows.entries()) {
      if (row.id !== id) continue;
      rows[index] = withMark(row, since);
      const item = line(rows[index], index);
      if (index === at) item.firstChild.setAttribute("aria-current", "true");
      $("list").children[index].replaceWith(item);
    }
    if (whole?.id === id) {
      whole = withMark(whole, since);
      $("row").lastChild.replaceChildren(...story(whole));
      buttons();
    }
    look().catch(tell); // not awaited: the next mark need not wait for the counts
  } catch (error) {
    tell(error);
  }
}

function buttons() {
  const mine = myMark();
  $("good").ariaPressed = String(mine === "good");
  $("bad").ariaPressed = String(mine === "bad");
  $("good").disabled = $("bad").disabled = !whole;
  $("previous").disabled = at <= 0;
  $("next").disabled = at >= rows.length - 1;
}

const toggle = (value) => mark(myMark() === value ? null : value);

// The fragment of the address holds filter and row, so that a reload shows the same

function remember() {
  const kept = new URLSearchParams(chosen());
  if (whole) kept.set("id", whole.id);
  history.replaceState(null, "", `#${kept}`);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  filter = Object.fromEntries(FIELDS.filter((field) => kept.get(field)).map((field) => [field, kept.get(field)]));
  list(kept.get("id") ?? undefined);
}

const phone = () => matchMedia("(max-width: 48rem)").matches;

function blind() {
  const on = document.body.classList.toggle("blind");
  $("blind").ariaPressed = String(on);
}

const KEYS = {
  j: () => show(at + 1), ArrowDown: () => show(at + 1), ArrowRight: () => show(at + 1),
  k: () => show(at - 1), ArrowUp: () => show(at - 1), ArrowLeft: () => show(at - 1),
  g: () => mark("good"), b: () => mark("bad"), u: () => mark(null),
  "/": () => { document.body.classList.remove("reading"); $("text").focus(); $("text").select() },
  v: blind, r: () => list(whole?.id), "?": () => $("keys").showModal(), Escape: () => document.body.classList.remove("reading"),
};

document.addEventListener("keydown", (event) => {
  if ($("keys").open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key]() }
});

for (const id of [...CHOICES, "least", "most"]) {
  $(id).addEventListener("change", () => {
    $(id).blur(); // keys act on the rows again
    choose({ [id]: $(id).value, ...(id === "node" ? { reason: "" } : {}), ...(id === "axis" ? { least: "", most: "" } : {}) });
  });
}
$("text").addEventListener("change", () => choose({ text: $("text").value }));
$("text").addEventListener("search", () => { if ((filter.text ?? "") !== $("text").value) choose({ text: $("text").value }) });
$("text").addEventListener("keydown", (event) => { if (event.key === "Enter") $("text").blur() });
$("clear").onclick = () => choose(Object.fromEntries(FIELDS.map((field) => [field, ""])));
$("more").onclick = () => { $("more").ariaExpanded = String($("sift").classList.toggle("open")) };
$("blind").onclick = blind;
$("help").onclick = KEYS["?"];
$("back").onclick = KEYS.Escape;
$("previous").onclick = KEYS.k;
$("next").onclick = KEYS.j;
$("good").onclick = () => toggle("good");
$("bad").onclick = () => toggle("bad");
document.querySelector("nav").addEventListener("scroll", (event) => {
  const { scrollTop, clientHeight, scrollHeight } = event.target;
  if (scrollTop + clientHeight > scrollHeight - 800) further();
});
setInterval(() => { if (run?.state === "running" && !document.hidden && !loading) look().catch(tell) }, POLL_MS);
recall();
