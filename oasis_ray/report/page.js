"use strict";
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const figures = read("figures"), colours = read("colours"), rows = read("rows");
const dark = matchMedia("(prefers-color-scheme: dark)");

// Plots are drawn when they scroll into view, in the colours of the page.
function themed(layout) {
  const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line"), tickcolor: colour("--line") };
  const { height, ...rest } = layout;
  return {
    ...rest, autosize: true, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { color: colour("--text"), family: "system-ui, sans-serif", size: 13 },
    xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
  };
}
function draw(place) {
  const figure = figures[place.dataset.figure];
  Plotly.react(place, figure.data, themed(figure.layout), { displayModeBar: false, responsive: true });
}
const plots = [...document.querySelectorAll(".plot")];
const inView = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) if (isIntersecting) { inView.unobserve(target); draw(target); }
}, { rootMargin: "600px" });
plots.forEach((place) => inView.observe(place));
dark.addEventListener("change", () => plots.filter((place) => place.childElementCount).forEach(draw));
addEventListener("beforeprint", () => plots.forEach(draw));

// Rows: all data is inserted as text nodes, never as markup.
function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) if (value != null) element[name] = value;
  element.append(...children.filter((child) => child != null));
  return element;
}
const image = (row) => row.image ? make("img", { src: row.image, alt: "", loading: "lazy" }) : make("div", { className: "blank" }, "no image");
const outcomeOf = (row) => [row.outcome, row.node, row.reason].filter(Boolean).join(" · ");
function card(row) {
  const texts = row.said.length ? row.said[0].text : row.detail;
  const open = make("button", { type: "button", className: "card", style: `--outcome: ${colours[row.outcome]}` },
    image(row), make("span", { className: "tag" }, outcomeOf(row)),
    make("p", { className: "asked" }, row.instruction ?? texts ?? ""),
    make("p", {}, row.response ?? (row.instruction ? row.detail : "") ?? ""));
  open.addEventListener("click", () => show(row));
  return open;
}
function text(head, words) {
  return words ? [make("h3", {}, head), make("pre", {}, words)] : [];
}
function table(head, lines) {
  const cells = (tag, values) => make("tr", {}, ...values.map((value) => make(tag, { className: typeof value === "number" ? "number" : "" }, String(value ?? ""))));
  return make("div", { className: "scroll" }, make("table", {}, make("thead", {}, cells("th", head)), make("tbody", {}, ...lines.map((line) => cells("td", line)))));
}
const rounded = (score) => Math.abs(score) >= 1000 ? Math.round(score) : Number(score.toPrecision(4));
function show(row) {
  const scores = Object.entries(row.scores).map(([axis, score]) => `${axis} ${rounded(score)}`).join(" · ");
  const steps = row.lineage.map((step) => [step.element === null || step.element === undefined ? step.node : `${step.node}[${step.element}]`, step.digest, step.seed, step.finish, step.prompt_tokens, step.cached_tokens, step.reply_tokens, Math.round(step.seconds * 100) / 100]);
  document.getElementById("row").replaceChildren(
    make("p", { className: "kicker" }, [outcomeOf(row), row.origin, row.source].filter(Boolean).join(" · ")), make("h2", {}, row.id), image(row),
    ...text("Instruction", row.instruction), ...text("Response", row.response), ...row.further.flatMap(([asked, answered], at) => [...text(`Instruction ${at + 2}`, asked), ...text(`Response ${at + 2}`, answered)]), ...text("Scores", scores), ...text("Reason", row.detail),
    ...row.said.flatMap(({ node, text: words }) => text(`Output of ${node}`, words)),
    ...(steps.length ? [make("h3", {}, "Lineage"), table(["node", "digest", "seed", "finish reason", "prompt tokens", "cached", "output tokens", "seconds"], steps)] : []));
  document.getElementById("detail").showModal();
}
if (rows.length) {
  const get = (id) => document.getElementById(id), [outcome, reason, search] = ["outcome", "reason", "search"].map(get), PAGE = 24;
  let shown = PAGE;
  const fill = (select, values) => select.replaceChildren(make("option", { value: "" }, "all"), ...values.map((value) => make("option", { value }, value)));
  const unique = (values) => [...new Set(values.filter(Boolean))];
  const fillReasons = () => fill(reason, unique(rows.filter((row) => !outcome.value || row.outcome === outcome.value).map((row) => row.reason)).sort());
  const words = new Map(rows.map((row) => [row, JSON.stringify({ ...row, image: null }).toLowerCase()]));
  const update = () => {
    const found = rows.filter((row) => (!outcome.value || row.outcome === outcome.value) && (!reason.value || row.reason === reason.value) && words.get(row).includes(search.value.toLowerCase()));
    get("cards").replaceChildren(...found.slice(0, shown).map(card));
    get("shown").textContent = `${found.length} of ${rows.length} rows`;
    get("more").hidden = found.length <= shown;
  };
  fill(outcome, unique(rows.map((row) => row.outcome)));
  fillReasons();
  outcome.addEventListener("change", () => { fillReasons(); shown = PAGE; update(); });
  for (const control of [reason, search]) control.addEventListener("input", () => { shown = PAGE; update(); });
  get("more").addEventListener("click", () => { shown += PAGE; update(); });
  update();
}
