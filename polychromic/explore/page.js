/* The page: what is chosen (state), what follows from it (draw), and the trace of every number. Data: explore/views.py says what a view is. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { view: 0, left: 0, right: 0, k: 10, prompt: 0, query: "", value: "", cost: "all", hidden: new Set() };
let chart;

const here = () => DATA.views[state.view];
const PASS = "pass@k"; // the metric whose k is the slider's
const OF_PASS = { label: PASS, percent: true, decimals: 1, direction: "up" };

/* ---- numbers ---- */

/* A value as tables print it, without unit. */
function shown(metric, value) {
  const text = (value * (metric.percent ? 100 : 1)).toFixed(metric.decimals);
  return /^-0\.?0*$/.test(text) ? text.slice(1) : text.replace("-", "\u2212");
}

function withInterval(metric, [mean, low, high]) {
  const unit = metric.percent ? " %" : "";
  return low === null ? [shown(metric, mean) + unit] : [`${shown(metric, mean)}${unit} `, make("small", {}, `[${shown(metric, low)}, ${shown(metric, high)}]`)];
}

/* A number that opens its trace; rows() are [term, ...what is said]. */
function number(children, title, rows) {
  const button = make("button", { className: "n", type: "button" }, ...children);
  button.setAttribute("aria-haspopup", "dialog");
  button.setAttribute("aria-label", `${button.textContent}, ${title}: where it is from`);
  button.addEventListener("click", () => openTrace(title, rows()));
  return button;
}

function openTrace(title, rows) {
  $("trace-title").textContent = title;
  $("trace-rows").replaceChildren(
    ...rows.filter(([, ...said]) => said.some((one) => one !== null && one !== undefined && one !== "")).flatMap(([term, ...said]) =>
      [make("dt", {}, term), make("dd", {}, ...said.map((one) => (typeof one === "number" ? String(one) : one)))]),
  );
  $("trace").showModal();
}

const code = (text) => (text ? make("code", {}, text) : null);

function files(found) {
  return Object.entries(found ?? {}).flatMap(([path, md5], place) => [place ? make("br") : null, code(`${path}  ${md5 ?? ""}`)]);
}

function params(title, values) {
  const lines = Object.entries(values ?? {}).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return lines.length ? make("details", {}, make("summary", {}, title), make("div", { className: "params" }, lines.join("\n"))) : null;
}

/* What all numbers of a view rest on, and the cell of a label. */
function originRows(label) {
  const { origin, cells = {}, shared } = here();
  const cell = cells[label];
  const commit = document.documentElement.dataset.commit;
  return [
    ["File", code(origin.file), origin.md5 ? " md5 " : null, code(origin.md5)],
    ["Stage", origin.stage, origin.command ? " runs " : null, code(origin.command)],
    ["Data", ...files(origin.data)],
    ["Drafts", cell ? code(`${cell.file}  ${cell.md5}`) : null, cell?.stage ? `, stage ${cell.stage}` : null],
    ["Parameters", origin.params ? `of ${origin.stages} stages, hash ${origin.params}` : null, params("of this system", cell?.params), params("of all systems", shared)],
    ["Made by", origin.made ?? `${DATA.made.by}, version ${DATA.made.version}`],
    ["Commit", commit || (origin.stage ? "the one whose dvc.lock has the md5 of the file; the release copy of this page names it" : null)],
    ["Ask further", origin.stage ? code(`polychromic trace ${origin.file}`) : null],
  ];
}

function valueRows(point, name) {
  const metric = here().metrics[name];
  const [mean, low, high, seeds] = point.values[name];
  const unit = metric.percent ? " %" : "";
  return [
    ["What", `${metric.label}: ${metric.source}`],
    ["System", `${point.name}${point.t === null ? "" : `, temperature ${point.t}${point.chosen ? " (chosen)" : ""}`}`],
    ["Value", `${mean}`, metric.percent ? `, printed as ${shown(metric, mean)}${unit}` : null],
    ["Interval", low === null ? null : `95 %: [${low}, ${high}], over ${point.over}`],
    ["n", `${point.prompts} prompts, ${point.drafts} drafts of each`],
    ["Seeds", point.seeds.join(", "), seeds ? ` (${seeds.map((value) => shown(metric, value)).join(", ")}${unit})` : null],
    ["Row", code(point.row)],
    ...originRows(point.label),
  ];
}

function valueButton(point, name) {
  const metric = here().metrics[name];
  return number(withInterval(metric, point.values[name]), `${metric.label}, ${point.name}`, () => valueRows(point, name));
}

/* pass@k of n drafts with c valid, 1 - C(n-c, k) / C(n, k). */
function passAtK(n, c, k) {
  let fail = 1;
  for (let i = 0; i < k; i++) fail *= Math.max(n - c - i, 0) / (n - i);
  return 1 - fail;
}

/* The same of a point, a mean over its prompts and seeds; null where the scores do not say how many drafts are valid. */
function passOf(point, k) {
  if (!point.passed || k > point.drafts) return null;
  const all = point.passed.reduce((sum, count) => sum + count, 0);
  return point.passed.reduce((sum, count, c) => sum + count * passAtK(point.drafts, c, k), 0) / all;
}

function passRows(point, k) {
  const value = passOf(point, k);
  return [
    ["What", `pass@${k}: 1 − C(n−c, ${k}) / C(n, ${k}), mean over prompts and seeds, n = ${point.drafts}`],
    ["System", `${point.name}, temperature ${point.t}`],
    ["Value", `${value.toPrecision(5)}, computed on this page`],
    ["n", `${point.prompts} prompts × ${point.seeds.length} seed(s); valid drafts c = 0, 1, …: ${point.passed.join(", ")}`],
    ["Seeds", point.seeds.join(", ")],
    ["Row", code(point.row)],
    ...originRows(point.label),
  ];
}

/* ---- fronts ---- */

function colorOf(point) {
  const family = point.label.split("@")[0];
  if (["zero_shot", "few_shot", "lora"].includes(family)) return { color: css(`--${family}`), marker: MARKERS[family] };
  if (point.group === "ours" && (point.main || point.label.includes("@"))) return { color: css("--ours"), marker: point.label.includes("@") ? "circle_dot" : MARKERS.ours };
  const peers = [...new Set(here().points.filter((p) => p.main && p.group !== "ours" && !["zero_shot", "few_shot", "lora"].includes(p.label)).map((p) => p.label))];
  const place = peers.indexOf(point.label);
  return place < 0 ? { color: css("--other"), marker: "circle" } : { color: css(`--peer${place % 4}`), marker: PEERS[(place + Math.floor(place / 4)) % 4] };
}

function visiblePoints() {
  const strong = [here().points[state.left]?.label, here().points[state.right]?.label];
  return here().points.map((point, index) => ({ point, index })).filter(({ point }) =>
    strong.includes(point.label) || (!state.hidden.has(point.label) && (state.cost === "all" || point.cost === null || String(point.cost) === state.cost)));
}

function drawFronts() {
  const view = here();
  const ofK = state.value === PASS;
  const quality = view.metrics[view.quality];
  const value = ofK ? OF_PASS : view.metrics[state.value];
  const [xs, ys] = [quality.percent ? 100 : 1, value.percent ? 100 : 1];
  const points = [];
  for (const { point, index } of visiblePoints()) {
    const x = point.values[view.quality];
    const y = ofK ? [passOf(point, state.k), null, null] : point.values[state.value];
    if (!x || !y || y[0] === null) continue;
    const strong = index === state.left || index === state.right;
    const scaled = (number, by) => (number === null ? null : number * by);
    points.push({
      index, label: point.label, t: point.t, main: point.main, chosen: point.chosen, strong, ...colorOf(point),
      note: `${point.name}${point.t === null ? "" : `, T = ${point.t}`}`,
      x: x[0] * xs, xlow: scaled(x[1], xs), xhigh: scaled(x[2], xs), y: y[0] * ys, ylow: scaled(y[1], ys), yhigh: scaled(y[2], ys),
    });
  }
  const curves = [];
  for (const label of new Set(points.map((p) => p.label))) {
    const own = points.filter((p) => p.label === label).sort((a, b) => a.t - b.t);
    const front = state.value === view.primary ? view.fronts[label] : null;
    const strong = own.some((p) => p.strong);
    curves.push({
      xs: front ? front.x.map((x) => x * xs) : own.map((p) => p.x), ys: front ? front.y.map((y) => y * ys) : own.map((p) => p.y),
      color: own[0].color, width: strong ? 2.6 : own[0].main ? 1.6 : 1, alpha: own[0].main || strong ? 0.95 : 0.5,
    });
  }
  const title = (metric, name) => `${name ?? metric.label}${metric.percent ? " (%)" : ""} ${{ up: "↑", down: "↓", none: "" }[metric.direction]}`.trim();
  chart.draw(points, curves, [title(quality), title(value, ofK ? `pass@${state.k}` : null)]);
  $("front-lead").textContent = lead(view);
}

function lead(view) {
  const about = [view.name, view.split].filter(Boolean).join(", ");
  const chosen = view.points.some((point) => point.chosen) ? ", filled where that was chosen" : "";
  const line = Object.keys(view.fronts).length ? "A line is what a system offers to who asks for a quality" : "A line joins a system's temperatures";
  return `${about[0].toUpperCase()}${about.slice(1)}: a point is a system at one temperature${chosen}; further right are better single drafts, further up is more in `
    + `a set of drafts. ${line}; crosses are 95 % intervals of the two compared.`;
}

function tip(index, place) {
  const box = $("tip");
  box.hidden = index < 0;
  if (index < 0) return;
  const point = here().points[index];
  const lines = [here().quality, state.value === PASS ? null : state.value].filter((name) => name && point.values[name]).flatMap((name) => {
    const [mean, low, high] = point.values[name];
    const metric = here().metrics[name];
    return [make("br"), `${metric.label} ${shown(metric, mean)}${metric.percent ? " %" : ""}`, low === null ? null : make("span", {}, ` [${shown(metric, low)}, ${shown(metric, high)}]`)];
  });
  if (state.value === PASS) lines.push(make("br"), `pass@${state.k} ${shown(OF_PASS, passOf(point, state.k))} %`);
  box.replaceChildren(make("b", {}, point.name), make("span", {}, [point.t === null ? "" : `temperature ${point.t}${point.chosen ? ", chosen" : ""}`,
    point.cost ? `cost ${point.cost} C` : "", `${point.prompts} prompts`].filter(Boolean).join(" · ")), ...lines);
  const width = $("chart").clientWidth;
  box.style.left = `${Math.min(Math.max(place.x + 16, 0), Math.max(width - box.offsetWidth, 0))}px`;
  box.style.top = `${place.y > box.offsetHeight + 24 ? place.y - box.offsetHeight - 14 : place.y + 18}px`;
}

function drawTable() {
  const view = here();
  const names = Object.keys(view.metrics);
  const head = make("thead", {}, make("tr", {}, ...["System", "T", "Drafts", ...names.map((name) => view.metrics[name].label)].map((text) => make("th", { scope: "col" }, text))));
  const rows = visiblePoints().map(({ point, index }) => {
    const open = (left) => {
      const button = make("button", { className: "plain", type: "button" }, left ? "left" : "right");
      button.setAttribute("aria-label", `Drafts of ${point.name}, temperature ${point.t ?? "not known"}, on the ${left ? "left" : "right"}`);
      button.addEventListener("click", () => pick(index, left));
      return button;
    };
    return make("tr", {}, make("th", { scope: "row" }, point.name), make("td", {}, point.t === null ? "" : `${point.t}${point.chosen ? " *" : ""}`),
      make("td", {}, open(true), " ", open(false)), ...names.map((name) => make("td", {}, point.values[name] ? valueButton(point, name) : "")));
  });
  $("points").replaceChildren(make("caption", { className: "small" }, "* the temperature that was chosen; 95 % intervals in brackets"), head, make("tbody", {}, ...rows));
}

const LEGEND = { without: "Without the checker", with: "With the checker", ours: "Polychromic LoRA" };
const SHAPES = { square: "M2 2h10v10h-10z", circle: "M7 1.5a5.5 5.5 0 1 0 .01 0z", circle_dot: "M7 1.5a5.5 5.5 0 1 0 .01 0z M7 5.5a1.5 1.5 0 1 0 .01 0z",
  triangle: "M7 2l5.5 10h-11z", inverted_triangle: "M7 12l5.5-10h-11z", diamond: "M7 .8l4.6 6.2-4.6 6.2-4.6-6.2z", hex: "M4 1.8h6l3 5.2-3 5.2h-6l-3-5.2z",
  star: "M7 1l1.5 4.3h4.6l-3.7 2.7 1.4 4.5-3.8-2.8-3.8 2.8 1.4-4.5-3.7-2.7h4.6z", square_pin: "M2 2q5 3 10 0q-3 5 0 10q-5-3-10 0q3-5 0-10z" };

function drawLegend() {
  const labels = [...new Map(here().points.map((point) => [point.label, point])).values()];
  const boxes = (group) => labels.filter((point) => point.group === group).map((point) => {
    const box = make("input", { type: "checkbox", checked: !state.hidden.has(point.label), data: { label: point.label } });
    box.addEventListener("change", () => {
      state.hidden[box.checked ? "delete" : "add"](point.label);
      drawFronts();
      drawTable();
    });
    const { color, marker } = colorOf(point);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 14 14");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", SHAPES[marker]);
    path.setAttribute("fill", marker === "circle_dot" ? "none" : color);
    path.setAttribute("stroke", color);
    svg.append(path);
    return make("label", {}, box, svg, make("span", {}, point.name));
  });
  const only = (title, hidden) => {
    const button = make("button", { className: "plain", type: "button" }, title);
    button.addEventListener("click", () => {
      state.hidden = new Set(labels.filter(hidden).map((point) => point.label));
      drawLegend();
      drawFronts();
      drawTable();
    });
    return button;
  };
  const groups = Object.keys(LEGEND).filter((group) => labels.some((point) => point.group === group));
  const columns = groups.flatMap((group) => [groups.length > 1 ? make("h3", {}, LEGEND[group]) : null, ...boxes(group)]);
  const some = labels.some((point) => !point.main);
  $("systems").replaceChildren(make("legend", {}, "Systems"), make("div", {}, ...columns.filter(Boolean)),
    make("div", { className: "row" }, some ? only("main ones", (point) => !point.main) : null, only("all", () => false)));
}

/* ---- drafts ---- */

function pick(index, left) {
  state[left ? "left" : "right"] = index;
  if (!rowOf(here().prompts[state.prompt] ?? { rows: [] }, index)) {
    const held = here().prompts.findIndex((prompt) => rowOf(prompt, index));
    if (held >= 0) state.prompt = held;
  }
  draw();
}

/* The point of a label at its chosen temperature, else at any. */
function pointOf(label) {
  const own = here().points.findIndex((point) => point.label === label && point.chosen);
  return own >= 0 ? own : here().points.findIndex((point) => point.label === label);
}

function drawSide(id, index, drafts, letters, row) {
  const view = here();
  const left = id === "left";
  const point = view.points[index];
  const labels = [...new Map(view.points.map((one) => [one.label, one.name])).entries()];
  const system = make("select", {}, ...labels.map(([label, name]) => make("option", { value: label, selected: label === point.label }, name)));
  system.setAttribute("aria-label", `${left ? "Left" : "Right"} system`);
  system.addEventListener("change", () => refocus(id, 0, () => pick(pointOf(system.value), left)));
  const own = view.points.map((one, place) => [one, place]).filter(([one]) => one.label === point.label);
  const heat = make("select", {}, ...own.map(([one, place]) => make("option", { value: place, selected: place === index }, `T = ${one.t}${one.chosen ? " *" : ""}`)));
  heat.setAttribute("aria-label", `${left ? "Left" : "Right"} temperature`);
  heat.hidden = point.t === null;
  heat.addEventListener("change", () => refocus(id, 1, () => pick(Number(heat.value), left)));
  const terms = [];
  const measure = (title, button) => button && terms.push(make("dt", {}, title), make("dd", {}, button));
  const prompt = view.prompts[state.prompt];
  if (row) {
    const counted = (said) => () => [["What", said], ["System", `${point.name}, temperature ${point.t ?? "not known"}`], ["Counted", `on this page, of the first ${drafts.length} drafts of one prompt`],
      ["Prompt", `${prompt.id}: ${prompt.prompt}`], ["Same", view.how.alike], ["Valid", view.how.valid],
      ["By the scores", row[2] === null ? null : `${row[2]} of all ${row[1].length} drafts are valid`],
      ["Seeds", view.cells?.[point.label]?.seed ?? point.seeds[0]], ...originRows(point.label)];
    const valid = drafts.filter((draft) => draft.mark === "1");
    const open = drafts.some((draft) => draft.mark === "?");
    measure("different here", number([`${different(drafts)} of ${drafts.length}`], "Different drafts", counted("groups of near-duplicates among the drafts")));
    if (prompt.valid) {
      measure("valid here", number([`${valid.length}${open ? " or more" : ""} of ${drafts.length}`], "Valid drafts", counted("drafts with a check mark")));
      measure("valid and different", number([`${different(valid)}${open ? " or more" : ""}`], "Valid and different drafts", counted("groups of near-duplicates among the valid drafts")));
    }
  }
  for (const name of new Set([view.quality, view.primary])) if (point.values[name]) measure(`${view.metrics[name].label}, all prompts`, valueButton(point, name));
  const passed = passOf(point, state.k);
  const stored = `pass@${state.k}`;
  if (state.k > 1 && point.values[stored]) measure(`${stored}, all prompts`, valueButton(point, stored));
  else if (passed !== null && state.k > 1) measure(`pass@${state.k}, all prompts`, number([`${shown(OF_PASS, passed)} %`], `pass@${state.k}, ${point.name}`, () => passRows(point, state.k)));
  const body = row
    ? [strip(drafts, letters, false), make("dl", { className: "measures" }, ...terms), listed(drafts, letters, view.domain === "code")]
    : [make("dl", { className: "measures" }, ...terms), make("p", { className: "small" }, missing(index))];
  $(id).replaceChildren(make("div", { className: "pick" }, system, heat), ...body);
}

/* Keep the focus on a control that is drawn anew. */
function refocus(id, place, change) {
  change();
  $(id).querySelectorAll("select")[place]?.focus();
}

function missing(index) {
  const held = here().prompts.filter((prompt) => rowOf(prompt, index)).length;
  return held ? `The page holds drafts of this point for ${held} of its prompts; choose one of the first.` : "The page holds no drafts of this point.";
}

function drawDrafts() {
  const view = here();
  const prompt = view.prompts[state.prompt];
  $("prompt").textContent = prompt ? prompt.prompt : view.how.chosen;
  const rows = [state.left, state.right].map((index) => prompt && rowOf(prompt, index));
  const sides = rows.map((row) => (row ? draftsOf(prompt, row, state.k) : []));
  const letters = lettersOf(...sides);
  drawSide("left", state.left, sides[0], letters, rows[0]);
  drawSide("right", state.right, sides[1], letters, rows[1]);
  $("legend").textContent = view.prompts.length ? `One colour and letter: ${view.how.alike}. Valid: ${view.how.valid || "not known"}. Held here: ${view.how.chosen}.` : "";
}

function drawList() {
  const view = here();
  const query = state.query.trim().toLowerCase();
  const within = (prompt) => !query || [prompt.prompt, prompt.id, ...prompt.texts].some((text) => text.toLowerCase().includes(query));
  const items = view.prompts.map((prompt, place) => ({ prompt, place })).filter(({ prompt }) => within(prompt)).map(({ prompt, place }) => {
    const rows = [state.left, state.right].map((index) => rowOf(prompt, index));
    const sides = rows.map((row) => (row ? draftsOf(prompt, row, state.k) : []));
    const letters = lettersOf(...sides);
    const button = make("button", { type: "button" }, make("span", { className: "cut" }, ...marked(prompt.prompt, query)),
      make("span", { className: "strips" }, ...sides.filter((side) => side.length).map((side) => strip(side, letters, true))));
    button.setAttribute("aria-current", String(place === state.prompt));
    button.addEventListener("click", () => {
      state.prompt = place;
      drawList();
      drawDrafts();
      $("prompt").focus({ preventScroll: matchMedia("(min-width: 62rem)").matches });
    });
    return make("li", {}, button);
  });
  $("list").replaceChildren(...items);
  $("found").textContent = `${items.length} of ${view.prompts.length} prompts on this page`;
}

/* ---- controls ---- */

function radios(id, title, name, options, current, change) {
  const labels = options.map(({ value, text, disabled }) => {
    const input = make("input", { type: "radio", name, value, checked: value === current, disabled: Boolean(disabled) });
    input.addEventListener("change", () => change(value));
    return make("label", {}, input, make("span", {}, text));
  });
  $(id).replaceChildren(make("legend", {}, title), ...labels);
}

/* A slider over stops: its text, and what a move does. Fewer than two stops: nothing to slide. */
function slider(id, stops, place, said, change) {
  const input = $(id);
  input.parentElement.hidden = stops.length < 2;
  input.max = Math.max(stops.length - 1, 0);
  input.value = Math.max(place, 0);
  const text = () => (stops.length ? (place < 0 ? "another system" : said(stops[Number(input.value)])) : "-");
  input.setAttribute("aria-valuetext", text());
  $(`${id}-said`).textContent = text();
  input.oninput = () => change(stops[Number(input.value)]);
}

function drawSliders() {
  const view = here();
  const label = view.points[state.right]?.label;
  const toRight = (stop) => pick(pointOf(stop.label), false);
  const known = (stops) => stops.filter((stop) => pointOf(stop.label) >= 0);
  const lambdas = known(view.lambdas);
  const doses = known(view.doses);
  const name = (stop) => view.points[pointOf(stop.label)].name;
  slider("lambda", lambdas, lambdas.findIndex((stop) => stop.label === label), (stop) => `${stop.value} · ${name(stop)}`, toRight);
  slider("dose", doses, doses.findIndex((stop) => stop.label === label), (stop) => `${stop.value} · ${name(stop)}`, toRight);
  const k = $("k");
  k.max = Math.max(view.n, 1);
  k.value = state.k;
  k.disabled = view.n < 2;
  k.setAttribute("aria-valuetext", `k = ${state.k}`);
  $("k-said").textContent = `k = ${state.k}`;
}

function draw() {
  drawSliders();
  drawFronts();
  drawTable();
  drawList();
  drawDrafts();
}

/* Another domain or split: two systems that are worth comparing, LoRA and the headline where there are such. */
function open(place) {
  state.view = place;
  const view = here();
  const first = (labels, fallback) => labels.map(pointOf).find((index) => index >= 0) ?? fallback;
  state.left = first(["lora"], 0);
  state.right = first(["polychromic"], Math.max(view.points.length - 1, 0));
  state.k = Math.min(10, view.n || 10);
  state.prompt = 0;
  state.hidden = new Set(view.points.filter((point) => !point.main).map((point) => point.label));
  state.cost = "all";
  state.value = view.primary;
  const costs = [...new Set(view.points.map((point) => point.cost).filter((cost) => cost))].sort((a, b) => a - b);
  radios("cost", "Cost of training", "cost", [{ value: "all", text: "all" }, ...costs.map((cost) => ({ value: String(cost), text: `${cost} C` }))], "all", (value) => {
    state.cost = value;
    if (value !== "all") state.hidden = new Set();
    drawLegend();
    drawFronts();
    drawTable();
  });
  $("cost").hidden = costs.length < 2;
  const names = Object.keys(view.metrics).filter((name) => name !== view.quality || name === view.primary);
  const ofK = view.points.some((point) => point.passed) ? [make("option", { value: PASS }, "pass@k, k of the slider")] : [];
  $("value").replaceChildren(...names.map((name) => make("option", { value: name, selected: name === view.primary }, view.metrics[name].label)), ...ofK);
  drawLegend();
  draw();
}

function theme(name) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = name === "auto" ? (dark ? "dark" : "light") : name;
  if (chart?.doc) {
    drawLegend();
    drawFronts();
  }
}

function start() {
  const chosen = () => document.querySelector("input[name=theme]:checked").value;
  theme(chosen());
  for (const input of document.querySelectorAll("input[name=theme]")) input.addEventListener("change", () => theme(input.value));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(chosen()));
  radios("views", "Results", "view", DATA.views.map((view, place) => ({ value: String(place), text: view.split ? `${view.name}, ${view.split}` : view.name })), "0", (value) => open(Number(value)));
  $("views").hidden = DATA.views.length < 2;
  $("value").addEventListener("change", (event) => {
    state.value = event.target.value;
    drawFronts();
  });
  $("k").addEventListener("input", (event) => {
    state.k = Number(event.target.value);
    drawSliders();
    if (state.value === PASS) drawFronts();
    drawList();
    drawDrafts();
  });
  $("find").addEventListener("input", (event) => {
    state.query = event.target.value;
    drawList();
  });
  const commit = document.documentElement.dataset.commit;
  $("about").textContent = `Made by ${DATA.made.by}, version ${DATA.made.version}${commit ? `, at commit ${commit}` : ""}. Numbers are rounded to five significant digits; each opens where it is from. `
    + "This page holds all it shows and asks the network for nothing. Chart: Bokeh (BSD 3-clause).";
  chart = new Chart($("chart"), pick, tip);
  chart.ready.then(() => {
    open(0);
    document.documentElement.dataset.ready = "yes";
  });
}

start();
