// The page: its facts, the search, and the groups that it found, some a page.
"use strict";

const PAGE = { groups: 20, open: 3, wait: 100 };
const views = new Map();
let found = []; // {group, rows} in the order in which they are shown
let groupPage = 0;
let seqs = null; // seq -> [row, group]

function bySeq(seq) {
  const entry = seqEntry(seq);
  return entry ? entry[0] : null;
}

function seqEntry(seq) {
  if (seqs === null) {
    seqs = new Map();
    for (const group of report.groups)
      for (const row of group.r)
        seqs.set(row[SEQ], [row, group]);
  }
  return seqs.get(seq);
}

function view(group) {
  if (!views.has(group))
    views.set(group, new GroupView(group, views.size));
  return views.get(group);
}

// ---- the search ----

// What the words are looked for in. Made when somebody first searches.
function runWords(row) {
  if (row.words === undefined)
    row.words = [row[RUN], row[SEQ], row[HOST] === null ? "" : report.hosts[row[HOST]]].join("\n").toLowerCase();
  return row.words;
}

function groupWords(group) {
  if (group.words === undefined)
    group.words = [group.s, group.g || "", dimsText(group)].join("\n").toLowerCase();
  return group.words;
}

const KINDS = {
  all: () => true,
  regressions: isWorse,
  critical: (row) => row[SEVERITY] === 3,
  major: (row) => row[SEVERITY] >= 2,
  changed: (row) => row[SEVERITY] >= 1,
  first: (row) => row[PREV] === 0,
};

// A run is found where each word stands in its own names, in those of its group, or in the pointer of a change.
function search(words, stage, kind) {
  const places = words.map((word) => new Set(report.pointers.flatMap(
    (pointer, at) => pointer.toLowerCase().includes(word) ? [at] : [])));
  const result = [];
  for (const group of report.groups) {
    if (stage !== "" && group.s !== stage)
      continue;
    const missing = words.flatMap((word, at) => groupWords(group).includes(word) ? [] : [at]);
    const rows = missing.length === 0 && kind === KINDS.all ? group.r : group.r.filter((row) => kind(row) &&
      missing.every((at) => runWords(row).includes(words[at]) ||
        places[at].size > 0 && row[CHANGES].some((change) => places[at].has(change[POINTER]))));
    if (rows.length > 0)
      result.push({ group, rows });
  }
  return result;
}

const ORDERS = {
  latest: (a, b) => b.group.r.at(-1)[SEQ] - a.group.r.at(-1)[SEQ],
  regressions: (a, b) => b.group.worse - a.group.worse || ORDERS.latest(a, b),
  runs: (a, b) => b.group.r.length - a.group.r.length || ORDERS.latest(a, b),
  name: (a, b) => groupName(a.group).localeCompare(groupName(b.group), "en") || ORDERS.latest(a, b),
};

function groupName(group) {
  return group.s + "\n" + dimsText(group) + "\n" + (group.g || "");
}

function look() {
  const words = document.getElementById("words").value.toLowerCase().split(/\s+/).filter((word) => word !== "");
  found = search(words, document.getElementById("stage").value, KINDS[document.getElementById("show").value]);
  found.sort(ORDERS[document.getElementById("order").value]);
  groupPage = 0;
  drawGroups();
  const runs = found.reduce((sum, entry) => sum + entry.rows.length, 0);
  document.getElementById("status").textContent = runs === 0
    ? (report.runs === 0 ? "There is no run in this report." : "No run is like that. Reset the search to see all.")
    : count(runs, "run", "runs") + (runs < report.runs ? " of " + report.runs.toLocaleString("en") : "") + " in " +
      count(found.length, "group", "groups") + ".";
}

// ---- the groups ----

function drawGroups() {
  const shown = found.slice(groupPage * PAGE.groups, (groupPage + 1) * PAGE.groups);
  const untouched = !shown.some((entry) => views.has(entry.group));
  document.getElementById("groups").replaceChildren(...shown.map((entry) => view(entry.group).section));
  for (const entry of shown)
    view(entry.group).setRows(entry.rows);
  if (untouched || shown.every((entry) => view(entry.group).body.hidden))
    for (const entry of shown.slice(0, found.length <= PAGE.open ? PAGE.open : 1))
      view(entry.group).toggle(true);
  const pages = document.getElementById("group-pages");
  pages.replaceChildren();
  pages.hidden = found.length <= PAGE.groups;
  if (!pages.hidden)
    pages.append(pager("groups", found.length, PAGE.groups, groupPage, (to) => {
      groupPage = to;
      drawGroups();
      document.getElementById("groups").focus();
      window.scrollTo(0, document.getElementById("status").offsetTop);
    }));
}

// #seq=N in the address opens that run, whatever was searched for before.
function follow() {
  const match = /^#seq=(\d+)$/.exec(location.hash);
  const entry = match ? seqEntry(Number(match[1])) : null;
  if (!entry)
    return;
  const [row, group] = entry;
  let at = found.findIndex((one) => one.group === group && one.rows.includes(row));
  if (at < 0) {
    document.getElementById("search").reset();
    at = found.findIndex((one) => one.group === group);
  }
  const page = Math.floor(at / PAGE.groups);
  if (page !== groupPage) {
    groupPage = page;
    drawGroups();
  }
  view(group).reveal(row);
}

// ---- the page ----

function drawFacts() {
  const worse = report.groups.reduce((sum, group) => sum + group.worse, 0);
  const facts = [["Store", name(report.store)], ["Made", timeText(report.made) + ", as of seq " + report.head],
    ["Runs", report.runs.toLocaleString("en")], ["Groups", report.groups.length.toLocaleString("en")],
    ["Regressions", worse.toLocaleString("en")]];
  document.getElementById("facts").append(...facts.map(([term, text]) =>
    element("div", { class: term === "Store" ? "wide" : false }, element("dt", {}, term), element("dd", {}, text))));
  if (report.filters.length > 0) {
    const place = document.getElementById("filters");
    place.append("Made with ", ...report.filters.flatMap((text) => [code(text), " "]));
    place.hidden = false;
  }
  if (report.damaged > 0)
    document.getElementById("status").before(element("p", { class: "notice" }, count(report.damaged, "record",
      "records") +
      " could not be read, and what they hold is not in this page: run holdfast verify."));
}

function start() {
  for (const group of report.groups)
    group.worse = group.r.filter(isWorse).length;
  drawFacts();
  const stages = [...new Set(report.groups.map((group) => group.s))].sort();
  const select = document.getElementById("stage");
  select.append(element("option", { value: "" }, "all stages"));
  for (const stage of stages)
    select.append(element("option", { value: stage }, visible(stage)));
  const form = document.getElementById("search");
  let waiting = 0;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => event.target.id === "words" || look());
  form.addEventListener("reset", () => {
    for (const field of form.querySelectorAll("input, select"))
      field.tagName === "INPUT" ? field.value = "" : field.selectedIndex = 0;
    look();
  });
  document.getElementById("words").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(look, PAGE.wait);
  });
  window.addEventListener("hashchange", follow);
  window.addEventListener("beforeprint", () => {
    for (const one of views.values())
      if (!one.body.hidden && one.section.isConnected)
        one.drawAllPlots();
  });
  look();
  follow();
  document.documentElement.dataset.ready = "yes";
}

start();
