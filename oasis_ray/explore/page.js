// The page of `oasis-ray browse`. All words of the run are put in as text, never as markup.
"use strict";

const PAGE = 100;
const POLL_MS = 10000;
const OUTCOMES = ["accepted", "captions", "rejected", "failed"];
const CHOICES = ["node", "reason", "axis", "language", "mark"];
const FIELDS = ["outcome", ...CHOICES, "least", "most", "text"];
const $ = (id) => document.getElementById(id);

let run = null; // what there is to choose from
let filter = {}; // what is chosen
let rows = []; // the rows listed so far
let total = 0;
let at = -1; // the row that is shown
let whole = null; // all that is known of it
let asked = 0; // counts questions, so that a late answer to an old one is dropped
let loading = false;

async function ask(path, values = {}, options = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(values)}`, options);
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const said = await answer.text();
  let told = said;
  try { told = JSON.parse(said).detail } catch { /* plain text */ }
  throw new Error(typeof told === "string" ? told : said);
}

function tell(error) {
  const lost = error instanceof TypeError ? "the server does not answer; is `oasis-ray browse` still running?" : error.message;
  $("notes").textContent = [lost, ...notes()].join("\n");
  $("notes").hidden = false;
}

function notes() {
  if (!run) return [];
  const parts = run.unreadable.map((why) => `can't be read: ${why}`);
  return run.skipped_marks ? [...parts, `marks.jsonl: ${run.skipped_marks} lines are no marks and are passed over`] : parts;
}

// What there is to choose from

async function look() {
  run = await ask("api/run");
  const counts = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0]));
  for (const place of run.places) counts[place.outcome] += place.rows;
  const ended = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const mine = run.marks.filter((mark) => mark.who === run.who).reduce((sum, mark) => sum + mark.rows, 0);
  document.title = `${run.name} · oasis-ray browse`;
  $("name").textContent = run.name;
  $("state").textContent = `${run.recipe}, ${run.state} · ${number(ended)} of ${number(run.input_rows)} rows ended · ` +
    `${number(mine)} marked by ${run.who}`;
  $("outcomes").replaceChildren(...["", ...OUTCOMES].map((outcome) => make("button",
    { type: "button", ariaPressed: String((filter.outcome ?? "") === outcome), onclick: () => choose({ outcome, node: "", reason: "" }) },
    outcome || "all", make("span", {}, number(outcome ? counts[outcome] : ended)))));
  const here = run.places.filter((place) => !filter.outcome || place.outcome === filter.outcome);
  const there = here.filter((place) => !filter.node || place.node === filter.node);
  const order = new Map(run.nodes.map((node, place) => [node, place]));
  const nodes = counted(here, "node").sort(([a], [b]) => (order.get(a) ?? -1) - (order.get(b) ?? -1));
  options("node", nodes);
  options("reason", counted(there, "reason").sort(([, a], [, b]) => b - a));
  options("axis", run.axes.map((axis) => [axis.axis, `${axis.least} to ${axis.most}`]));
  options("language", run.languages.map((one) => [one.language, one.rows]));
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

async function list(wanted) {
  const mine = ++asked;
  loading = true;
  $("count").textContent = filter.text ? "searching …" : "looking …";
  try {
    await look();
    const found = await ask("api/rows", { ...chosen(), limit: PAGE });
    if (mine !== asked) return;
    if (filter.text) await look(); // a search may find that a part can't be read
    loading = false;
    rows = found.rows;
    total = found.total;
    $("list").replaceChildren(...rows.map(line));
    count();
    const place = rows.findIndex((row) => row.id === wanted);
    if (place >= 0) await show(place);
    else if (wanted) await only(wanted);
    else if (rows.length && !phone()) await show(0);
    else nothing();
  } catch (error) {
    if (mine === asked) { loading = false; $("count").textContent = ""; tell(error) }
  }
}

async function further() {
  if (loading || rows.length >= total || !rows.length) return;
  const mine = asked, last = rows[rows.length - 1];
  loading = true;
  try {
    const found = await ask("api/rows", { ...chosen(), limit: PAGE, after_outcome: last.outcome, after_id: last.id });
    if (mine !== asked) return;
    $("list").append(...found.rows.map((row, place) => line(row, rows.length + place)));
    rows.push(...found.rows);
    total = found.rows.length ? found.total : rows.length;
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
  $("end").textContent = FIELDS.some((field) => filter[field]) ? "No row is like this. Clear takes the filter off." : "No row has ended yet.";
}

// One row

async function show(place) {
  if (place < 0 || place >= rows.length) return;
  $("list").children[at]?.firstChild.removeAttribute("aria-current");
  at = place;
  const button = $("list").children[at].firstChild;
  button.setAttribute("aria-current", "true");
  button.scrollIntoView({ block: "nearest" });
  if (whole?.id !== rows[at].id) { // until it is there no mark is taken: it would go to the row that was shown before
    whole = null;
    $("row").ariaBusy = "true";
    buttons();
  }
  if (rows.length - at < PAGE / 2) further();
  await only(rows[at].id);
}

/** Show the row of this id, be it in the list or not. */
async function only(id) {
  const mine = asked;
  let found;
  try {
    found = await ask("api/row", { id });
  } catch (error) {
    tell(error);
    return;
  }
  if (mine !== asked || (rows[at] && rows[at].id !== id)) return;
  whole = found;
  $("row").ariaBusy = "false";
  $("row").replaceChildren(...drawn(found));
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

async function mark(value) {
  if (!whole) return;
  const { id } = whole, place = rows[at]?.id === id ? at : -1;
  try {
    const body = JSON.stringify({ id, mark: value });
    const made = await ask("api/marks", {}, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (place >= 0 && rows[place]?.id === id) {
      rows[place].mark = made.mark;
      const old = $("list").children[place];
      const fresh = line(rows[place], place);
      if (place === at) fresh.firstChild.setAttribute("aria-current", "true");
      old.replaceWith(fresh);
    }
    if (whole?.id === id) {
      whole.marks = [...whole.marks.filter((one) => one.who !== made.who), ...(made.mark ? [made] : [])];
      $("row").lastChild.replaceChildren(...story(whole));
      buttons();
    }
    await look();
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

// The address keeps what is shown, so that a reload comes back to it

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
    $(id).blur(); // keys are for the rows again
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
