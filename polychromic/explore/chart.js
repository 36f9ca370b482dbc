/* The chart: fills the columns of the Bokeh figure (explore/chart.py), listens to it, and moves its cursor by keys. It knows points as
   {x, y, xs, ys, label, ...} and nothing of drafts. Bokeh's models are used through their properties alone. */

const MARKERS = { zero_shot: "inverted_triangle", few_shot: "triangle", lora: "square", ours: "circle" };
const PEERS = ["diamond", "hex", "star", "square_pin"];

/* A variable of the style sheet, as the present theme has it. */
function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

class Chart {
  /* onPick(index of a point, left?) is called for a click or Enter, onHover(index or -1, place) for pointer and keys. */
  constructor(place, onPick, onHover) {
    this.place = place;
    this.points = [];
    this.cursor = -1;
    this.onPick = onPick;
    this.onHover = onHover;
    this.shift = false;
    this.byKeys = false;
    const item = JSON.parse(document.getElementById("figure").textContent);
    this.ready = Bokeh.embed.embed_item(item, "chart").then(([views]) => {
      this.view = Array.isArray(views) ? views[0] : views;
      this.doc = Bokeh.documents[0];
      this.plot = this.model("front");
      const marks = this.model("marks");
      marks.selected.properties.indices.change.connect(() => {
        const [index] = marks.selected.indices;
        if (index === undefined) return;
        marks.selected.indices = [];
        this.onPick(this.points[index].index, this.shift);
      });
      marks.inspect.connect(() => {
        const [index] = marks.inspected.indices;
        if (this.byKeys) return; // the pointer rests somewhere, and is not what moves
        this.cursor = index === undefined ? -1 : index;
        this.hover();
      });
    });
    place.addEventListener("pointerdown", (event) => (this.shift = event.shiftKey), true);
    place.addEventListener("pointermove", () => (this.byKeys = false), true);
    place.addEventListener("pointerleave", () => this.leave());
    place.addEventListener("blur", () => this.leave());
    place.addEventListener("keydown", (event) => this.key(event));
  }

  model(name) {
    return this.doc.get_model_by_name(name);
  }

  set(name, columns) {
    this.model(name).data = columns;
  }

  /* points: [{index, label, x, y, low..., name, color, marker, chosen, strong}], curves: [{xs, ys, color, width, alpha}], titles of axes. */
  draw(points, curves, titles) {
    const column = (rows, key) => rows.map((row) => row[key]);
    this.points = points;
    this.cursor = -1;
    this.set("lines", Object.fromEntries(["xs", "ys", "color", "width", "alpha"].map((key) => [key, column(curves, key)])));
    this.set("marks", {
      x: column(points, "x"), y: column(points, "y"), marker: column(points, "marker"), color: column(points, "color"),
      size: points.map((p) => (p.strong ? 13 : p.main ? 9 : 6)),
      fill: points.map((p) => (p.chosen ? p.color : css("--bg"))),
      alpha: points.map((p) => (p.main || p.strong ? 1 : 0.75)),
    });
    const spans = [];
    for (const p of points.filter((p) => p.strong)) {
      if (p.xlow !== null) spans.push({ x0: p.xlow, y0: p.y, x1: p.xhigh, y1: p.y, color: p.color });
      if (p.ylow !== null) spans.push({ x0: p.x, y0: p.ylow, x1: p.x, y1: p.yhigh, color: p.color });
    }
    this.set("spans", Object.fromEntries(["x0", "y0", "x1", "y1", "color"].map((key) => [key, column(spans, key)])));
    const named = points.filter((p) => p.strong);
    const middle = (Math.min(...column(points, "x")) + Math.max(...column(points, "x"))) / 2;
    this.set("names", {
      x: column(named, "x"), y: column(named, "y"), text: column(named, "note"), color: column(named, "color"),
      align: named.map((p) => (p.x > middle ? "right" : "left")), dx: named.map((p) => (p.x > middle ? -9 : 9)), // towards the middle
      halo: named.map(() => css("--bg")),
    });
    this.set("ring", { x: [], y: [], color: [] });
    this.model("x").axis_label = titles[0];
    this.model("y").axis_label = titles[1];
    this.theme();
    this.onHover(-1);
  }

  theme() {
    for (const name of ["x", "y"]) {
      const axis = this.model(name);
      axis.axis_line_color = axis.major_tick_line_color = css("--line");
      axis.major_label_text_color = axis.axis_label_text_color = css("--soft");
      this.model(`${name}grid`).grid_line_color = css("--grid");
    }
  }

  leave() {
    this.cursor = -1;
    this.hover();
  }

  hover() {
    const point = this.points[this.cursor];
    this.set("ring", point ? { x: [point.x], y: [point.y], color: [css("--fg")] } : { x: [], y: [], color: [] });
    this.onHover(point ? point.index : -1, point && this.at(point));
  }

  /* Where a point stands, in pixels of the chart. */
  at(point) {
    const { x_scale, y_scale } = this.view.frame ?? this.view;
    return { x: x_scale.compute(point.x), y: y_scale.compute(point.y) };
  }

  /* Arrow keys: along a system, from system to system (to the nearest temperature); Enter picks. */
  key(event) {
    this.byKeys = true;
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Enter" && this.cursor >= 0) {
      this.onPick(this.points[this.cursor].index, event.shiftKey);
    } else if (event.key === "Escape") {
      this.leave();
    } else if (steps && this.points.length) {
      this.cursor = this.cursor < 0 ? 0 : this.stepped(this.points[this.cursor], ...steps);
      this.hover();
    } else {
      return;
    }
    event.preventDefault();
  }

  stepped(from, systems, along) {
    const labels = [...new Set(this.points.map((p) => p.label))];
    const label = labels[(labels.indexOf(from.label) + systems + labels.length) % labels.length];
    const own = this.points.filter((p) => p.label === label).sort((a, b) => a.t - b.t);
    const near = own.reduce((best, p) => (Math.abs(p.t - from.t) < Math.abs(best.t - from.t) ? p : best));
    const place = Math.min(Math.max(own.indexOf(near) + along, 0), own.length - 1);
    return this.points.indexOf(own[place]);
  }
}
