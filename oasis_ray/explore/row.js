// How one row is drawn, in the list and by itself. All words of the run are put in as text, never as markup.
"use strict";

const unfolded = new Set(); // titles of what is opened

/** An element with these properties and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function line(row, place) {
  const why = row.reason ? `${row.node}: ${row.reason}` : row.outcome;
  return make("li", {}, make("button", { type: "button", onclick: () => show(place) },
    make("bdi", { className: "said" }, row.said || "(no text)"),
    make("span", { className: "where" }, make("span", { className: `why verdict ${row.outcome}` }, why), make("bdi", {}, row.id)),
    row.mark ? make("span", { className: `marked ${row.mark}` }, row.mark) : null));
}

function drawn(row) {
  const why = row.reason ? `${row.outcome} at ${row.node}: ${row.reason}` : row.outcome;
  const head = make("div", { className: "head" },
    make("span", { className: `outcome verdict ${row.outcome}` }, why), make("bdi", { className: "id" }, row.id),
    rows[at]?.id === row.id ? make("span", { className: "place" }, `${number(at + 1)} of ${number(total)}`) : null);
  return [head, picture(row), make("div", { className: "story" }, ...story(row))];
}

function picture(row) {
  const figure = make("figure");
  const image = make("img", { alt: `The picture of row ${row.id}`, src: `image?${new URLSearchParams({ id: row.id })}` });
  image.onload = () => image.classList.toggle("small", image.naturalWidth <= 256);
  image.onerror = async () => {
    const told = await ask("image", { id: row.id }).catch((error) => error.message);
    figure.replaceChildren(make("p", { className: "none" }, `No picture: ${told ?? "neither the run nor its input here holds it"}`));
  };
  figure.append(image);
  return figure;
}

function story(row) {
  const nodes = Object.entries(row.nodes ?? {}).filter(([, written]) => written);
  const instruction = row.instruction ?? first(nodes, "instruction");
  const opening = instruction ?? first(nodes, "text");
  const told = row.detail ?? row.error;
  const scored = nodes.filter(([, written]) => typeof written.score === "number");
  const people = row.marks.map((mark) => `${mark.who}: ${mark.mark}, ${mark.at.slice(0, 16).replace("T", " ")}`);
  return [
    opening ? turn(instruction ? "Instruction" : "Text", opening) : null,
    row.response ? turn("Response", row.response) : null,
    told ? block("Why it left", words(told), "verdict") : null,
    scored.length ? block("Judges", judges(scored, row.node), "verdict") : null,
    people.length ? block("People", words(people.join("\n")), "verdict") : null,
    nodes.length ? fold("What each node wrote", facts(nodes.flatMap(([node, written]) => Object.entries(written)
      .filter(([, value]) => value !== null).map(([field, value]) => [`${node}.${field}`, value]))), "verdict") : null,
    row.lineage?.length ? fold("Lineage", steps(row.lineage), "verdict") : null,
    fold("Source", facts([
      ["shard", row.source?.file], ["row group, row", row.source && `${row.source.row_group}, ${row.source.row}`],
      ["SHA-256", row.image_sha256], ["origin", row.origin], ["record", row.data_source],
      ["scored in full", row.scored_in_full ? "yes" : "no"],
    ].filter(([, value]) => value))),
  ].filter(Boolean);
}

const first = (nodes, field) => nodes.map(([, written]) => written[field]).find((value) => typeof value === "string" && value);
const words = (text) => make("p", { className: "words", dir: "auto" }, text);
const block = (title, content, kind = "") => make("section", { className: kind }, make("h2", {}, title), content);
const turn = (title, text) => block(title, words(text), "turn");
const number = (value) => value.toLocaleString("en");

/** A part that is opened by a click, and stays open in the rows that follow. */
function fold(title, content, kind = "") {
  const ontoggle = (event) => { event.target.open ? unfolded.add(title) : unfolded.delete(title) };
  return make("details", { className: kind, open: unfolded.has(title), ontoggle }, make("summary", {}, title), content);
}

function facts(pairs) {
  return make("dl", { className: "facts" }, ...pairs.flatMap(([name, value]) => [
    make("dt", {}, name), make("dd", { dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value))]));
}

function judges(scored, leftAt) {
  return make("table", { className: "verdicts" }, make("tbody", {}, ...scored.map(([node, { score, reply }]) => make("tr",
    { className: node === leftAt ? "left" : "" }, make("th", { scope: "row" }, node), make("td", {}, scale(score), String(score)),
    make("td", {}, typeof reply === "string" ? words(reply) : "")))));
}

/** Five dots, of which the score's are filled. */
function scale(score) {
  const dots = [1, 2, 3, 4, 5].map((dot) => make("i", { className: dot <= score ? "on" : "" }));
  return make("span", { className: "scale", ariaHidden: "true" }, ...dots);
}

function steps(lineage) {
  const columns = ["node", "prompt_tokens", "cached_tokens", "reply_tokens", "seconds", "finish", "seed", "digest"];
  const shown = (value) => value === null || value === undefined ? "" : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : String(value);
  return make("div", { className: "wide" }, make("table", { className: "steps" },
    make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name.replace("_", " "))))),
    make("tbody", {}, ...lineage.map((step) => make("tr", {}, ...columns.map((name) => make("td", {}, shown(step[name]))))))));
}
