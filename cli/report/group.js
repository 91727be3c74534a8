// One group: its plots, and the table of its runs, in which each run's difference from its previous one opens. What is
// not open, or not on the screen yet, is not drawn.
"use strict";

const GROUP = { rows: 25, columns: 4, parts: ["inputs", "process", "outputs", "other"] };

// Plots are drawn when they come near the screen, and again where the width changes.
const near = new IntersectionObserver((entries) => {
  for (const entry of entries)
    if (entry.isIntersecting)
      entry.target.plot.draw();
}, { rootMargin: "400px" });
const resized = new ResizeObserver((entries) => {
  for (const entry of entries)
    if (entry.target.plot.width > 0)
      entry.target.plot.draw();
});

function isWorse(row) {
  return row[WORSE] === 1;
}

// [text, bytes] is a text that the report cut.
function changeText(value) {
  if (value === null)
    return element("span", { class: "absent" }, "not there");
  if (Array.isArray(value))
    return element("span", {}, code(value[0]), element("span", { class: "cut" },
      " \u2026 cut: " + count(value[1], "byte", "bytes")));
  return code(value);
}

function changeDelta(change) {
  const [before, after] = [change[OLD], change[NEW]];
  if (!/^-?\d/.test(before) || !/^-?\d/.test(after) || Array.isArray(before) || Array.isArray(after))
    return "";
  if (change[DELTA]) // what doubles cannot tell
    return (change[DELTA].startsWith("-") ? "\u25bc " : "\u25b2 +") + change[DELTA].replace("-", "\u2212");
  const delta = Number(after) - Number(before);
  if (!Number.isFinite(delta))
    return "";
  const percent = Number(before) !== 0 ? delta / Math.abs(Number(before)) * 100 : NaN;
  const arrow = delta > 0 ? "\u25b2 " : delta < 0 ? "\u25bc " : "";
  return arrow + signed(delta) +
    (Number.isFinite(percent) ? " (" + signed(Number(percent.toPrecision(3))) + " %)" : "");
}

function level(number) {
  return element("span", { class: "level " + LEVELS[number] }, LEVELS[number]);
}

class GroupView {
  constructor(group, index) {
    this.group = group;
    this.index = index;
    this.rows = group.r;
    this.page = 0;
    this.sort = { by: "seq", down: true };
    this.opened = new Set();
    this.plots = null;
    this.section = this.build();
  }

  title() {
    return [this.group.s, groupText(this.group), dimsText(this.group)].filter((text) => text !== "").join(" \u00b7 ");
  }

  build() {
    const id = "group-" + this.index, group = this.group;
    this.body = element("div", { id: id + "-body", class: "body", hidden: true });
    this.button = element("button", { type: "button", "aria-expanded": "false", "aria-controls": id + "-body",
      onclick: () => this.toggle(this.body.hidden) },
    element("span", { class: "stage" }, name(group.s)), " ",
    element("span", { class: "name", title: group.g === null ? false : visible(group.g) }, name(groupText(group))),
    ...group.d.flatMap(([dim, value]) => [" ", element("span", { class: "dim" }, name(dim), "=", name(value))]));
    this.facts = element("p", { class: "facts" });
    return element("section", { class: "group", "aria-labelledby": id },
      element("h2", { id }, this.button), this.facts, this.body);
  }

  // Shows these rows of the group, those that the search found.
  setRows(rows) {
    this.rows = rows;
    this.page = 0;
    const all = this.group.r, last = all.at(-1);
    const parts = [count(all.length, "run", "runs")];
    if (rows.length < all.length)
      parts.push(rows.length.toLocaleString("en") + " found");
    parts.push(all.length > 1 ? "seq " + all[0][SEQ] + " to " + last[SEQ] : "seq " + last[SEQ],
      "last saved " + timeText(last[AT]));
    this.facts.replaceChildren(parts.join(" \u00b7 "));
    if (this.group.b !== null)
      this.facts.append(" \u00b7 baseline ", element("a", { href: "#seq=" + this.group.b.of }, name(this.group.b.run)));
    if (this.group.worse > 0)
      this.facts.append(" \u00b7 ", element("span", { class: "worse" },
        "\u25bc " + count(this.group.worse, "run is a regression", "runs are regressions")));
    if (!this.body.hidden)
      this.drawTable();
  }

  toggle(open) {
    this.body.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (!open)
      return;
    if (this.plots === null)
      this.drawPlots();
    this.drawTable();
  }

  drawPlots() {
    this.plots = this.group.m.map((_, metric) => new Plot(this.group, metric, (row) => this.reveal(row)));
    const box = element("div", { class: "plots" }, ...this.plots.map((plot) => plot.figure));
    const note = this.group.left > 0
      ? element("p", { class: "notice" }, count(this.group.left, "more metric is", "more metrics are") +
        " not in this page: choose by --metric POINTER.") : null;
    const none = this.plots.length === 0
      ? element("p", { class: "notice" }, "No numbers were found in the documents of these runs to draw.") : null;
    this.table = element("div", { class: "runs" });
    this.body.append(...[box, note, none, this.table].filter((node) => node !== null));
    for (const plot of this.plots) {
      plot.slider.plot = plot;
      near.observe(plot.slider);
      resized.observe(plot.slider);
    }
  }

  drawAllPlots() {
    for (const plot of this.plots || [])
      plot.draw();
  }

  sorted() {
    const by = this.sort.by, rows = this.rows.slice();
    const value = (row) => by === "seq" ? row[SEQ] : valueNumber(row[VALUES][by]);
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) // what has none stands last
        return Number.isNaN(x) - Number.isNaN(y) || a[SEQ] - b[SEQ];
      const order = x < y ? -1 : x > y ? 1 : a[SEQ] - b[SEQ];
      return this.sort.down ? -order : order;
    });
    return rows;
  }

  heading(by, text) {
    const own = this.sort.by === by;
    return element("th", { scope: "col", class: "number",
      "aria-sort": own ? (this.sort.down ? "descending" : "ascending") : "none" },
      element("button", { type: "button", class: "sort", onclick: () => {
        this.sort = { by, down: own ? !this.sort.down : true };
        this.page = 0;
        this.drawTable();
        this.table.querySelector(`th button[data-by="${by}"]`).focus();
      }, "data-by": by }, element("bdi", {}, text), element("span", { "aria-hidden": "true" },
        own ? (this.sort.down ? " \u2193" : " \u2191") : " \u2195")));
  }

  drawTable() {
    const rows = this.sorted(), shown = rows.slice(this.page * GROUP.rows, (this.page + 1) * GROUP.rows);
    const metrics = this.group.m.slice(0, GROUP.columns).map((pointer) => visible(lastName(report.pointers[pointer])));
    const columns = 4 + metrics.length;
    const body = element("tbody");
    for (const row of shown)
      this.drawRow(body, row, columns);
    const title = "Runs of " + visible(this.title());
    this.table.replaceChildren(
      element("h3", {}, "Runs"),
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
        element("table", {}, element("caption", { class: "hidden" }, title),
          element("thead", {}, element("tr", {}, this.heading("seq", "seq"), element("th", { scope: "col" }, "run"),
            ...metrics.map((text, metric) => this.heading(metric, text)),
            element("th", { scope: "col" }, "since the previous run"), element("th", { scope: "col" }, "saved"))),
          body)),
      pager(title, rows.length, GROUP.rows, this.page, (to) => {
        this.page = to;
        this.drawTable();
        this.table.querySelector(".scroll").focus();
      }));
  }

  drawRow(body, row, columns) {
    const id = "run-" + row[SEQ], metrics = this.group.m.slice(0, GROUP.columns);
    const values = metrics.map((_, metric) => {
      const worse = isWorse(row) && this.group.b.m === metric;
      return element("td", { class: worse ? "number worse" : "number" }, valueText(row[VALUES][metric]),
        worse ? element("span", { role: "img", "aria-label": "regression" }, " \u25bc") : null);
    });
    const line = element("tr", { id, class: isWorse(row) ? "bad" : false },
      element("td", { class: "number" }, String(row[SEQ])), element("th", { scope: "row" }, name(row[RUN])),
      ...values, element("td", {}, ...this.changesCell(row, columns)),
      element("td", { class: "time" }, timeText(row[AT])));
    body.append(line);
    if (this.opened.has(row[SEQ]))
      line.after(this.details(row, columns));
  }

  changesCell(row, columns) {
    if (row[PREV] === 0)
      return [element("span", { class: "absent" }, this.group.g === null ? "comparable with nothing" : "the first")];
    if (row[SEVERITY] < 0)
      return [element("span", { class: "absent" }, "not compared: a document is gone")];
    const all = row[CHANGES].length + row[LEFT];
    if (all === 0)
      return [level(0)];
    const open = this.opened.has(row[SEQ]);
    const button = element("button", { type: "button", class: "small", "aria-expanded": String(open),
      "aria-label": count(all, "change", "changes") + " of " + visible(row[RUN]) + ", " + LEVELS[row[SEVERITY]],
      onclick: () => {
        const line = button.closest("tr"), opened = !this.opened.has(row[SEQ]);
        button.setAttribute("aria-expanded", String(opened));
        if (opened) {
          this.opened.add(row[SEQ]);
          line.after(this.details(row, columns));
        } else {
          this.opened.delete(row[SEQ]);
          line.nextElementSibling.remove();
        }
      } }, count(all, "change", "changes"));
    return [level(row[SEVERITY]), " ", button];
  }

  details(row, columns) {
    const previous = bySeq(row[PREV]);
    const since = previous ? [name(previous[RUN]), " (seq " + row[PREV] + ")"] : ["seq " + row[PREV]];
    const parts = new Map(GROUP.parts.map((part) => [part, []]));
    for (const change of row[CHANGES]) {
      const part = report.pointers[change[POINTER]].split("/")[1];
      parts.get(parts.has(part) ? part : "other").push(change);
    }
    const bodies = [...parts].filter(([, changes]) => changes.length > 0).map(([part, changes]) => element("tbody", {},
      element("tr", { class: "part" }, element("th", { colspan: "5", scope: "rowgroup" }, part)),
      ...changes.map((change) => element("tr", {}, element("td", { class: "grade" }, level(change[LEVEL])),
        element("th", { scope: "row" }, code(report.pointers[change[POINTER]]), change[MOVED] === undefined ? null
          : element("span", { class: "cut" }, " before: ", code(report.pointers[change[MOVED]]))),
        element("td", { "data-label": "before" }, changeText(change[OLD])),
        element("td", { "data-label": "after" }, changeText(change[NEW])),
        element("td", { class: "delta" }, changeDelta(change))))));
    const title = element("p", {}, "From ", previous ? element("a", { href: "#seq=" + row[PREV] }, ...since) : since[0],
      " to ", name(row[RUN]), " (seq " + row[SEQ] + ")",
      row[HOST] === null ? "" : element("span", {}, ", saved on ", name(report.hosts[row[HOST]])),
      row[TS] === null || row[TS] === 0 ? "" : ", its own time " + timeText(row[TS]), ":");
    const left = row[LEFT] > 0 ? element("p", { class: "notice" }, count(row[LEFT], "more change is",
      "more changes are") +
      " not in this page: holdfast diff --prev " + row[SEQ]) : null;
    const names = ["severity", "where", "before", "after", "difference"];
    return element("tr", { class: "details", "data-of": row[SEQ] }, element("td", { colspan: columns }, element("div",
      {}, title,
      element("table", { "aria-label": "Changes of " + visible(row[RUN]) },
        element("thead", {}, element("tr", {}, ...names.map((text) => element("th", { scope: "col" }, text)))),
        ...bodies), left)));
  }

  // Brings a run's row onto the screen, opened, and the keyboard to it.
  reveal(row) {
    if (!this.rows.includes(row))
      return false;
    this.toggle(true);
    this.page = Math.floor(this.sorted().indexOf(row) / GROUP.rows);
    if (row[CHANGES].length > 0)
      this.opened.add(row[SEQ]);
    this.drawTable();
    const line = document.getElementById("run-" + row[SEQ]);
    line.scrollIntoView({ block: "center" });
    const target = line.querySelector("button") || line.querySelector("th");
    if (target.tagName === "TH")
      target.setAttribute("tabindex", "-1");
    target.focus({ preventScroll: true });
    return true;
  }
}
