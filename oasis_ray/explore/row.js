// Drawing of one row, in the list and on its own. Text from the run is inserted as text nodes, never as markup.
"use strict";

const unfolded = new Set(); // titles of the open sections
const FIXED = ["accepted", "rejected", "failed"]; // outcomes that every recipe has, with colours of their own
const USUAL = [1, 5]; // the scale of a node that names none
const DOTS = 11; // the longest scale that is drawn: 0 to 10
const PALETTE = 4; // colours of other records (page.css: --record-1 and so on)

/** An element with these properties and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The CSS class with the colour of an outcome: of a recipe's own records, the first has the first of the palette. */
function tone(outcome) {
  if (FIXED.includes(outcome)) return outcome;
  const own = run.outcomes.filter((known) => !FIXED.includes(known));
  return `record-${own.indexOf(outcome) % PALETTE + 1}`;
}

function line(row, index) {
  const why = row.reason ? `${row.node}: ${row.reason}` : row.outcome;
  return make("li", {}, make("button", { type: "button", onclick: () => show(index) },
    make("bdi", { className: "said" }, row.said || "(no text)"),
    make("span", { className: "where" }, make("span", { className: `why verdict ${tone(row.outcome)}` }, why), make("bdi", {}, row.id)),
    row.mark ? make("span", { className: `marked ${row.mark}` }, row.mark) : null));
}

function drawn(row) {
  const why = row.reason ? `${row.outcome} at ${row.node}: ${row.reason}` : row.outcome;
  const head = make("div", { className: "head" },
    make("span", { className: `outcome verdict ${tone(row.outcome)}` }, why), make("bdi", { className: "id" }, row.id),
    rows[at]?.id === row.id ? make("span", { className: "place" }, `${number(at + 1)} of ${number(total)}`) : null);
  return [head, image(row), make("div", { className: "story" }, ...story(row))];
}

function image(row) {
  const figure = make("figure");
  const img = make("img", { alt: `Image of row ${row.id}`, src: `image?${new URLSearchParams({ id: row.id })}` });
  img.onload = () => img.classList.toggle("small", img.naturalWidth <= 256);
  img.onerror = async () => {
    const message = await ask("image", { id: row.id }).catch((error) => error.message);
    figure.replaceChildren(make("p", { className: "none" }, `No image: ${message ?? "it is neither in the run nor in the input on this machine"}`));
  };
  figure.append(img);
  return figure;
}

function story(row) {
  const nodes = Object.entries(row.nodes ?? {}).flatMap(([node, written]) => Array.isArray(written)
    ? written.map((one, at) => [`${node}[${at}]`, one]) : [[node, written]]).filter(([, written]) => written);
  const instruction = row.instruction ?? first(nodes, "instruction");
  const opening = instruction ?? first(nodes, "text");
  const cause = row.detail ?? row.error;
  const scored = nodes.filter(([, { score, probability }]) => typeof score === "number" || typeof probability === "number");
  const moves = (row.moves ?? []).map(({ node, route, reason, detail }) =>
    [`moved to route ${route} at ${node}${reason ? `: ${reason}` : ""}`, detail].filter(Boolean).join("\n"));
  const dropped = (row.elements ?? []).flatMap(({ node, dropped }) => dropped.map(({ element, outcome, reason, detail }) =>
    [`${node}[${element}] ${outcome}: ${reason}`, detail].filter(Boolean).join("\n")));
  const people = row.marks.map((mark) => `${mark.who}: ${mark.mark}, ${mark.at.slice(0, 16).replace("T", " ")}`);
  return [
    ...exchanges(row, instruction, opening),
    cause ? block("Reason", words(cause), "verdict") : null,
    moves.length ? block("Moves", words(moves.join("\n\n")), "verdict") : null,
    dropped.length ? block("Dropped elements", words(dropped.join("\n\n")), "verdict") : null,
    scored.length ? block("Judges", judges(scored, row.node), "verdict") : null,
    people.length ? block("Marks", words(people.join("\n")), "verdict") : null,
    nodes.length ? fold("Output of each node", facts(nodes.flatMap(([node, written]) => Object.entries(written)
      .filter(([, value]) => value !== null).map(([field, value]) => [`${node}.${field}`, value]))), "verdict") : null,
    row.lineage?.length ? fold("Lineage", steps(row.lineage), "verdict") : null,
    fold("Source", facts([
      ["shard", row.source?.file], ["row group, row", row.source && `${row.source.row_group}, ${row.source.row}`],
      ["SHA-256", row.image_sha256], ["origin", row.origin], ["data source", row.data_source],
      ["fully scored", row.scored_in_full ? "yes" : "no"],
    ].filter(([, value]) => value))),
  ].filter(Boolean);
}

function exchanges(row, instruction, opening) {
  const turns = row.conversations ?? [];
  if (turns.filter(({ from }) => from === "human").length > 1)
    return turns.map(({ from, value }) => turn({ human: "Instruction", gpt: "Response", system: "System" }[from] ?? from, value));
  return [opening ? turn(instruction ? "Instruction" : "Text", opening) : null, row.response ? turn("Response", row.response) : null];
}

const first = (nodes, field) => nodes.map(([, written]) => written[field]).find((value) => typeof value === "string" && value);
const words = (text) => make("p", { className: "words", dir: "auto" }, text);
const block = (title, content, kind = "") => make("section", { className: kind }, make("h2", {}, title), content);
const turn = (title, text) => block(title, words(text), "turn");
const number = (value) => value.toLocaleString("en");
const rounded = (score) => String(Number.isInteger(score) || Math.abs(score) >= 1000 ? Math.round(score) : Number(score.toPrecision(4)));

/** A collapsible section: once opened, it is open for the following rows too. */
function fold(title, content, kind = "") {
  const ontoggle = (event) => { event.target.open ? unfolded.add(title) : unfolded.delete(title) };
  return make("details", { className: kind, open: unfolded.has(title), ontoggle }, make("summary", {}, title), content);
}

function facts(pairs) {
  return make("dl", { className: "facts" }, ...pairs.flatMap(([name, value]) => [
    make("dt", {}, name), make("dd", { dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value))]));
}

function judges(scored, leftAt) {
  return make("table", { className: "verdicts" }, make("tbody", {}, ...scored.map(([node, { score, probability, reply }]) => make("tr",
    { className: node === leftAt ? "left" : "" }, make("th", { scope: "row" }, node),
    make("td", {}, ...typeof score === "number" ? [scale(node, score), rounded(score)] : [probability.toFixed(3)]),
    make("td", {}, typeof reply === "string" ? words(reply) : "")))));
}

/** A dot for each score of the node's scale, filled up to this one. None for a long scale, or a score with decimals. */
function scale(node, score) {
  const [low, high] = run.scales[node.replace(/\[\d+\]$/, "")] ?? USUAL;
  if (!Number.isInteger(score) || score < low || score > high || high - low >= DOTS) return null;
  const dots = Array.from({ length: high - low + 1 }, (_, at) => make("i", { className: low + at <= score ? "on" : "" }));
  return make("span", { className: "scale", ariaHidden: "true" }, ...dots);
}

const named = ({ node, element }) => element === null || element === undefined ? node : `${node}[${element}]`;

function steps(lineage) {
  const columns = ["node", "prompt_tokens", "cached_tokens", "reply_tokens", "seconds", "finish", "seed", "digest"];
  const shown = (value) => value === null || value === undefined ? "" : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : String(value);
  return make("div", { className: "wide" }, make("table", { className: "steps" },
    make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name.replace("_", " "))))),
    make("tbody", {}, ...lineage.map((step) => make("tr", {}, ...columns.map((name) => make("td", {}, shown(name === "node" ? named(step) : step[name]))))))));
}
