// The plot of one metric of one group over seq. It is a slider for the keyboard and for those who do not see it: the
// arrows go from run to run, and Enter opens the run in the table.
"use strict";

const PLOT = { height: 190, top: 10, right: 12, bottom: 34, character: 6.6, rows: 25 };

// Round numbers from low to high, at most `wanted` of them.
function ticks(low, high, wanted, whole) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span))
    return [low];
  const power = 10 ** Math.floor(Math.log10(span / wanted));
  const count = (step) => Math.floor(high / step) - Math.ceil(low / step) + 1;
  let step = [1, 2, 2.5, 5, 10, 20].map((factor) => factor * power).find((candidate) => count(candidate) <= wanted);
  if (whole)
    step = Math.max(1, Math.round(step));
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9 && found.length < 20; at++)
    found.push(Number((at * step).toPrecision(12)));
  return found.length > 0 ? found : [low];
}

class Plot {
  constructor(group, metric, open) {
    this.group = group;
    this.metric = metric;
    this.base = group.b;
    this.judged = this.base !== null && this.base.m === metric; // the others have no goal
    this.open = open;
    this.points = [];
    this.huge = 0; // 1e400: a number, and no double
    for (const row of group.r) {
      const number = valueNumber(row[VALUES][metric]);
      this.huge += !Number.isFinite(number) && valueText(row[VALUES][metric]) !== "" ? 1 : 0;
      if (Number.isFinite(number))
        this.points.push({ row, number, worse: this.judged && row[WORSE] === 1 });
    }
    this.missing = group.r.length - this.points.length;
    this.worse = this.points.filter((point) => point.worse).length;
    this.at = this.points.length - 1;
    this.width = 0;
    this.figure = this.build();
  }

  pointer() {
    return report.pointers[this.group.m[this.metric]];
  }

  label() {
    return visible(lastName(this.pointer()));
  }

  goalText() {
    return !this.judged ? "" : this.base.goal === "max" ? "higher is better" : "lower is better";
  }

  build() {
    this.canvas = drawn("svg", { "aria-hidden": "true", focusable: "false" });
    this.slider = element("div", {
      class: "plot", role: "slider", tabindex: "0", "aria-label": this.label() + " over seq",
      "aria-valuemin": "1", "aria-valuemax": String(Math.max(1, this.points.length)),
      onkeydown: (event) => this.key(event), onpointermove: (event) => this.point(event),
      onclick: (event) => { this.point(event); this.choose(); }, onfocus: () => this.move(this.at),
    }, this.canvas);
    this.reading = element("p", { class: "reading" });
    this.table = element("div", { class: "values", hidden: true });
    this.button = element("button", { type: "button", class: "small", "aria-expanded": "false",
      onclick: () => this.toggleTable() }, "Values as a table");
    return element("figure", {},
      element("figcaption", {},
        element("h3", {}, element("bdi", {}, this.label()), " ", element("small", {}, this.goalText())),
        element("p", { class: "path" }, code(this.pointer()))),
      this.slider, this.reading, element("p", { class: "summary" }, ...this.summary()), this.button, this.table);
  }

  summary() {
    const parts = [count(this.points.length, "run", "runs")];
    if (this.points.length > 0) {
      const numbers = this.points.map((point) => point.number);
      const low = numbers.reduce((a, b) => Math.min(a, b)), high = numbers.reduce((a, b) => Math.max(a, b));
      parts[0] += low === high ? (numbers.length > 1 ? ", all " : ": ") + short(low) + "."
        : " from " + short(low) + " to " + short(high) + ", the last " + short(numbers.at(-1)) + ".";
    }
    if (this.missing > 0)
      parts.push(" " + count(this.missing, "run has",
        "runs have") + " no number here" + (this.huge > 0 ? " that can be drawn." : "."));
    if (this.judged) {
      parts.push(element("span", { class: "key base" }, " Baseline " + valueText(this.base.value) + " of run "),
        element("a", { href: "#seq=" + this.base.of }, name(this.base.run), " (seq " + this.base.of + ")"), ".");
      parts.push(this.worse > 0
        ? element("span", { class: "key worse" }, " \u25bc " + count(this.worse, "regression", "regressions") + ".")
        : " No regressions.");
    }
    return parts;
  }

  // Draws for the width that there is; a plot that was drawn for it already stays.
  draw() {
    const width = Math.max(220, Math.floor(this.slider.clientWidth || 320));
    if (width === this.width)
      return;
    this.width = width;
    this.canvas.replaceChildren();
    this.canvas.setAttribute("viewBox", `0 0 ${width} ${PLOT.height}`);
    if (this.points.length === 0)
      return;
    this.scale();
    this.drawAxes();
    this.drawPoints();
    this.drawBaseline();
    this.drawMarks();
    this.cursor = drawn("g", { class: "cursor", visibility: "hidden" },
      drawn("line", { y1: PLOT.top, y2: PLOT.height - PLOT.bottom }), drawn("circle", { r: 6 }));
    this.canvas.append(this.cursor);
  }

  scale() {
    const numbers = this.points.map((point) => point.number);
    let low = numbers.reduce((a, b) => Math.min(a, b)), high = numbers.reduce((a, b) => Math.max(a, b));
    for (const edge of this.edges()) {
      low = Math.min(low, edge);
      high = Math.max(high, edge);
    }
    const pad = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.05 || 1;
    this.low = low - pad;
    this.high = high + pad;
    this.first = this.points[0].row[SEQ];
    this.last = this.points.at(-1).row[SEQ];
    this.marks = ticks(this.low, this.high, 5, false);
    this.left = 10 + PLOT.character * Math.max(...this.marks.map((mark) => short(mark).length));
    const wide = this.width - this.left - PLOT.right, tall = PLOT.height - PLOT.top - PLOT.bottom;
    const span = this.last - this.first;
    this.x = (seq) => this.left + (span > 0 ? (seq - this.first) / span * wide : wide / 2);
    this.y = (number) => PLOT.top + (1 - (number - this.low) / (this.high - this.low)) * tall;
  }

  // The baseline, and the value beyond which a run is a regression.
  edges() {
    const edges = this.judged ? [valueNumber(this.base.value), valueNumber(this.base.limit)] : [];
    return edges.filter(Number.isFinite);
  }

  drawAxes() {
    const bottom = PLOT.height - PLOT.bottom, axes = drawn("g", { class: "axes" });
    for (const mark of this.marks) {
      const y = this.y(mark).toFixed(1);
      axes.append(drawn("line", { x1: this.left, x2: this.width - PLOT.right, y1: y, y2: y }),
        drawn("text", { x: this.left - 6, y, "text-anchor": "end", dy: "0.32em" }, short(mark)));
    }
    const across = ticks(this.first, this.last, Math.max(2, Math.floor(this.width / 80)), true);
    for (const mark of across)
      axes.append(drawn("text", { x: this.x(mark).toFixed(1), y: bottom + 14,
        "text-anchor": this.x(mark) > this.width - 24 ? "end" : "middle" }, String(mark)));
    axes.append(drawn("text", { x: this.width - PLOT.right, y: PLOT.height - 4, "text-anchor": "end" }, "seq"));
    this.canvas.append(axes);
  }

  drawBaseline() {
    const [base, limit] = this.edges();
    const line = (number, kind) => drawn("line",
      { class: kind, x1: this.left, x2: this.width - PLOT.right, y1: this.y(number).toFixed(1),
        y2: this.y(number).toFixed(1) });
    if (base !== undefined)
      this.canvas.append(line(base, "baseline"));
    if (limit !== undefined && limit !== base)
      this.canvas.append(line(limit, "limit"));
  }

  // All points are one path of dots, as all regressions are one path of triangles: 20,000 runs are few elements.
  drawPoints() {
    let way = "", dots = "";
    for (const point of this.points) {
      const place = this.x(point.row[SEQ]).toFixed(1) + " " + this.y(point.number).toFixed(1);
      way += (way === "" ? "M" : "L") + place;
      dots += `M${place}h0`;
    }
    const crowd = this.points.length / this.width;
    this.kind = crowd > 3 ? " crowd" : crowd > 1 / 4 ? " many" : "";
    if (crowd <= 3)
      this.canvas.append(drawn("path", { class: "way" + this.kind, d: way }));
    this.canvas.append(drawn("path", { class: "dots" + this.kind, d: dots, "data-points": this.points.length }));
  }

  drawMarks() {
    const size = this.kind === " crowd" ? 3 : this.kind === " many" ? 4 : 5;
    const marks = this.points.filter((point) => point.worse).map((point) =>
      `M${(this.x(point.row[SEQ]) - size).toFixed(1)} ${(this.y(point.number) - size * 0.8).toFixed(1)}` +
      `h${2 * size}l-${size} ${1.7 * size}z`).join("");
    const own = this.base && this.points.find((point) => point.row[SEQ] === this.base.of);
    if (own)
      this.canvas.append(drawn("circle", { class: "origin", r: 6, cx: this.x(this.base.of).toFixed(1),
        cy: this.y(own.number).toFixed(1) }));
    if (marks !== "")
      this.canvas.append(drawn("path", { class: "worse" + this.kind, d: marks, "data-points": this.worse }));
  }

  key(event) {
    const far = Math.max(10, Math.round(this.points.length / 20));
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: far, PageDown: -far,
      Home: -this.points.length, End: this.points.length };
    if (event.ctrlKey || event.altKey || event.metaKey)
      return;
    if (event.key in moves)
      this.move(this.at + moves[event.key]);
    else if (event.key === "Enter" || event.key === " ")
      this.choose();
    else
      return;
    event.preventDefault();
  }

  point(event) {
    if (this.points.length === 0 || this.width === 0)
      return;
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * this.width / box.width;
    const y = (event.clientY - box.top) * PLOT.height / box.height;
    let from = 0, to = this.points.length;
    while (from < to) { // the first point at or right of the pointer
      const middle = (from + to) >> 1;
      if (this.x(this.points[middle].row[SEQ]) < x)
        from = middle + 1;
      else
        to = middle;
    }
    let best = Math.min(from, this.points.length - 1), nearest = Infinity;
    for (let at = Math.max(0, from - 40); at < Math.min(this.points.length, from + 40); at++) {
      const away = Math.hypot(this.x(this.points[at].row[SEQ]) - x, (this.y(this.points[at].number) - y) / 4);
      if (away < nearest) {
        nearest = away;
        best = at;
      }
    }
    this.move(best);
  }

  move(to) {
    if (this.points.length === 0)
      return;
    this.at = Math.min(this.points.length - 1, Math.max(0, to));
    const point = this.points[this.at], base = this.edges()[0];
    const parts = ["seq " + point.row[SEQ], visible(point.row[RUN]), valueText(point.row[VALUES][this.metric])];
    if (base !== undefined)
      parts.push(point.number === base ? "as the baseline" : signed(point.number - base) + " from the baseline");
    if (point.worse)
      parts.push("regression");
    this.slider.setAttribute("aria-valuenow", String(this.at + 1));
    this.slider.setAttribute("aria-valuetext", parts.join(", "));
    this.reading.replaceChildren(parts[0] + " \u00b7 ", element("bdi", {}, parts[1]), " \u00b7 ",
      element("b", {}, parts[2]), parts.slice(3).map((part) => " \u00b7 " + part).join(""));
    if (!this.cursor)
      return;
    const x = this.x(point.row[SEQ]).toFixed(1);
    this.cursor.setAttribute("visibility", "visible");
    this.cursor.firstChild.setAttribute("x1", x);
    this.cursor.firstChild.setAttribute("x2", x);
    this.cursor.lastChild.setAttribute("cx", x);
    this.cursor.lastChild.setAttribute("cy", this.y(point.number).toFixed(1));
  }

  choose() {
    if (this.points.length > 0)
      this.open(this.points[this.at].row);
  }

  toggleTable() {
    const shown = this.table.hidden;
    this.table.hidden = !shown;
    this.button.setAttribute("aria-expanded", String(shown));
    this.figure.classList.toggle("wide", shown);
    if (shown)
      this.drawTable(0);
  }

  drawTable(page) {
    const points = this.points.slice().reverse(), base = this.edges()[0];
    const rows = points.slice(page * PLOT.rows, (page + 1) * PLOT.rows).map((point) => element("tr", {},
      element("td", {}, element("a", { href: "#seq=" + point.row[SEQ] }, String(point.row[SEQ]))),
      element("td", {}, name(point.row[RUN])),
      element("td", { class: "number" }, valueText(point.row[VALUES][this.metric])),
      base === undefined ? null : element("td", { class: "number" }, signed(point.number - base)),
      element("td", { class: "mark" }, point.worse ? element("span", { class: "worse" }, "\u25bc regression") : "")));
    const head = [["seq"], ["run"], [this.label(), "number"], ...(base === undefined ? [] : [["from the baseline",
      "number"]]), ["mark"]];
    this.table.replaceChildren(
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Values of " + this.label() },
        element("table", {}, element("caption", {}, element("bdi", {}, this.label()), ", the latest run first"),
          element("thead", {}, element("tr", {}, ...head.map(([text, kind]) => element("th", { scope: "col",
            class: kind }, text)))),
          element("tbody", {}, ...rows))),
      pager("the values of " + this.label(), points.length, PLOT.rows, page, (to) => this.drawTable(to)));
  }
}
