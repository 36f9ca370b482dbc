/* Drafts side by side. Two drafts of one colour and letter say nearly the same; letters are given in the order in which groups are met,
   left side first, and are the same on both sides. Every text is written as a text (textContent), never as HTML. */

const HUES = [25, 250, 145, 85, 310, 190, 55, 275, 120, 340, 220, 165];

/* An element with properties and children; children are nodes or texts. */
function make(tag, properties = {}, ...children) {
  const { data, ...plain } = properties;
  const element = Object.assign(document.createElement(tag), plain);
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function lettered(number) {
  return number < 26 ? String.fromCharCode(65 + number) : lettered(Math.floor(number / 26) - 1) + String.fromCharCode(65 + (number % 26));
}

/* The row of a point at a prompt, undefined where the page does not hold it. */
function rowOf(prompt, point) {
  return prompt.rows.find(([index]) => index === point);
}

/* The first k drafts of a row: [{text, group, mark}]; mark: "1" valid, "0" not, "?" open. */
function draftsOf(prompt, row, k) {
  return row[1].slice(0, k).map((place) => ({ text: prompt.texts[place], group: prompt.group[place], mark: prompt.valid[place] ?? "" }));
}

/* Group -> its number among those met, over several sides. */
function lettersOf(...sides) {
  const found = new Map();
  for (const draft of sides.flat()) if (!found.has(draft.group)) found.set(draft.group, found.size);
  return found;
}

function different(drafts) {
  return new Set(drafts.map((draft) => draft.group)).size;
}

function hued(element, number) {
  element.classList.add("hued");
  element.style.setProperty("--h", HUES[number % HUES.length]);
  element.style.setProperty("--g", number % HUES.length);
  return element;
}

const SIGNS = { 1: "✓ valid", 0: "not valid", "?": "? rules only", "": "" };
const STATES = { 1: "yes", 0: "no", "?": "open", "": "yes" };

/* A cell per draft in its colour: at a glance, how different a set is. tiny: without letters, for lists. */
function strip(drafts, letters, tiny) {
  const cells = drafts.map((draft) => {
    const number = letters.get(draft.group);
    return hued(make("i", { className: STATES[draft.mark], textContent: tiny ? "" : lettered(number) }), number);
  });
  const said = drafts.map((draft) => lettered(letters.get(draft.group)) + (draft.mark === "0" ? " not valid" : "")).join(", ");
  const holder = make("div", { className: tiny ? "tiny" : "strip" }, ...cells);
  holder.setAttribute("role", "img");
  holder.setAttribute("aria-label", tiny ? `${different(drafts)} different of ${drafts.length} drafts` : said);
  return holder;
}

/* The drafts as a list. Hovering or focusing one outlines those of its group on both sides. */
function listed(drafts, letters, code) {
  const items = drafts.map((draft) => {
    const number = letters.get(draft.group);
    const text = draft.text === "" ? make("em", {}, "(nothing)") : make("span", { dir: "auto" }, draft.text);
    const item = make(
      "li",
      { className: `draft ${STATES[draft.mark]}${code ? " code" : ""}`, data: { group: draft.group } },
      make("span", { className: "letter" }, lettered(number)),
      text,
      make("span", { className: "sign" }, SIGNS[draft.mark]),
    );
    item.addEventListener("pointerenter", () => outline(draft.group));
    item.addEventListener("pointerleave", () => outline(null));
    return hued(item, number);
  });
  return make("ol", { className: "drafts" }, ...items);
}

function outline(group) {
  for (const item of document.querySelectorAll(".draft")) item.classList.toggle("same", group !== null && item.dataset.group === String(group));
}

/* Text with what was searched for marked. */
function marked(text, query) {
  const place = query ? text.toLowerCase().indexOf(query) : -1;
  if (place < 0) return [text];
  return [text.slice(0, place), make("mark", {}, text.slice(place, place + query.length)), text.slice(place + query.length)];
}
