// Small things that the other scripts share: the data, elements, and texts as people see them. Texts of users only ever
// become text nodes; nothing is parsed as HTML.
"use strict";

const report = JSON.parse(document.getElementById("data").textContent);

// The places in a run's row, as cli/report_row.c writes it.
const SEQ = 0, RUN = 1, TS = 2, AT = 3, HOST = 4, PREV = 5, SEVERITY = 6, VALUES = 7, WORSE = 8, CHANGES = 9, LEFT = 10;
// The places in a change.
const POINTER = 0, OLD = 1, NEW = 2, LEVEL = 3, DELTA = 4, MOVED = 5;

const LEVELS = ["none", "minor", "major", "critical"];
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on"))
      node.addEventListener(name.slice(2), value);
    else if (value === true)
      node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

function element(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// What cannot be seen, or turns the direction of what follows, is shown as its escape.
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

function visible(text) {
  return String(text).replace(HIDDEN,
    (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"));
}

// A text of a user's, apart from the direction of what stands around it.
function name(text) {
  return element("bdi", {}, visible(text));
}

function code(text) {
  return element("code", { dir: "auto" }, visible(text));
}

// A value of a metric is its text, or [number, cut text] where the text is long.
function valueText(value) {
  return value === null || value === undefined ? "" : Array.isArray(value) ? value[1] : value;
}

function valueNumber(value) {
  if (value === null || value === undefined)
    return NaN;
  return Array.isArray(value) ? Number(value[0]) : Number(value);
}

function count(number, one, many) {
  return number.toLocaleString("en") + " " + (number === 1 ? one : many);
}

// A number for people: at most six digits that count.
function short(number) {
  if (!Number.isFinite(number))
    return String(number);
  const size = Math.abs(number);
  if (size !== 0 && (size >= 1e9 || size < 1e-4))
    return number.toExponential(3).replace(/\.?0+e/, "e");
  return String(Number(number.toPrecision(6)));
}

function signed(number) {
  return (number > 0 ? "+" : number < 0 ? "\u2212" : "\u00b1") + short(Math.abs(number));
}

// "2026-01-02T03:04:05.678901Z" with a blank and without the parts of a second.
function timeText(time) {
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(.*)$/.exec(time || "");
  return match ? match[1] + " " + match[2] + (match[3] === "+00:00" ? "Z" : match[3]) : time || "";
}

// The last name of a JSON Pointer, unescaped.
function lastName(pointer) {
  return pointer.slice(pointer.lastIndexOf("/") + 1).replaceAll("~1", "/").replaceAll("~0", "~");
}

function dimsText(group) {
  return group.d.map(([dim, value]) => dim + "=" + value).join(" ");
}

// A digest is known by its beginning.
function groupText(group) {
  if (group.g === null)
    return "no group";
  return /^[0-9a-f]{64}$/.test(group.g) ? group.g.slice(0, 12) : group.g;
}

// Buttons that turn pages, for `total` things at `size` a page. onturn(page) is called with the new page.
function pager(what, total, size, page, onturn) {
  const last = Math.max(0, Math.ceil(total / size) - 1);
  const turn = (text, label, to, off) => element("button",
    { type: "button", "aria-label": label + " of " + what, disabled: off, onclick: () => onturn(to) }, text);
  const from = total === 0 ? 0 : page * size + 1;
  const text = from.toLocaleString("en") + " to " + Math.min(total, (page + 1) * size).toLocaleString("en") + " of " +
    total.toLocaleString("en");
  if (last === 0)
    return element("p", { class: "pager" }, element("span", {}, text));
  return element("p", { class: "pager" },
    turn("\u00ab First", "first page", 0, page === 0), turn("\u2039 Previous", "previous page", page - 1, page === 0),
    element("span", {}, text),
    turn("Next \u203a", "next page", page + 1, page === last), turn("Last \u00bb", "last page", last, page === last));
}
