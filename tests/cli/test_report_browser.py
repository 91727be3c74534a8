#!/usr/bin/env python3
"""The page of holdfast report in a real browser, without a screen: what people see and do there."""

import json
import os
import random
import unittest

from browser import CHROMIUM, DRIVER, Browser
from support import Case, main
from test_report import AUC, HOSTILE

OPEN_S_MAX = 30  # generous: a bound for a broken page, not a measurement (that is bench/report)

# For each text that is seen: its colour against what is painted behind it, as WCAG computes contrast.
CONTRAST = """
const channel = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parts = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
const behind = (e) => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
const low = [];
let texts = 0;
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.checkVisibility()) continue;
  if (e.closest("script, style, noscript, :disabled")) continue;
  const style = getComputedStyle(e);
  const [a, b] = [light(parts(e.closest("svg") ? style.fill : style.color)), light(behind(e))].sort((x, y) => y - x);
  texts++;
  if ((a + 0.05) / (b + 0.05) < 4.5) low.push(e.outerHTML.slice(0, 120) + " " + ((a + 0.05) / (b + 0.05)).toFixed(2));
}
return [texts, low];
"""

# What a screen reader would not be told: controls without a name, ids that stand twice, references that lead nowhere,
# headings that skip a level, tables without headings.
NAMES = """
const bad = [];
const named = (e) => (e.getAttribute("aria-label") || "").trim() || e.textContent.trim() ||
  e.labels && e.labels.length > 0;
const controls = "button, a[href], input, select, [role=slider], [role=region], [tabindex='0']";
for (const e of document.querySelectorAll(controls))
  if (!named(e)) bad.push("no name: " + e.outerHTML.slice(0, 120));
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
bad.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => "twice: " + id));
for (const name of ["aria-controls", "aria-labelledby", "aria-describedby", "for"])
  for (const e of document.querySelectorAll(`[${name}]`))
    if (!document.getElementById(e.getAttribute(name))) bad.push("leads nowhere: " + e.outerHTML.slice(0, 120));
let level = 0;
for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
  if (Number(e.tagName[1]) > level + 1) bad.push("skips a level: " + e.outerHTML.slice(0, 120));
  level = Number(e.tagName[1]);
}
for (const e of document.querySelectorAll("table"))
  if (!e.querySelector("thead th[scope=col]") || !(e.caption || e.getAttribute("aria-label")))
    bad.push("table: " + e.outerHTML.slice(0, 99));
if (document.documentElement.lang !== "en" || !document.title || document.querySelectorAll("main").length !== 1)
  bad.push("page");
return bad;
"""


@unittest.skipUnless(CHROMIUM and DRIVER, "there is no chromium with its chromedriver")
class BrowserCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        super().setUp()
        self.browser.scheme("light")
        self.browser.size(1280, 900)

    def fill(self, count, groups=3):
        """Runs of a few groups with a baseline each, some of them worse; what changed is known."""
        rng = random.Random(count)
        lines = []
        for i in range(count):
            group = i % groups
            doc = {
                "inputs": {"rows": 1000, "target": "y" if i != count - 1 else "z"},
                "process": {"model": {"learning_rate": 0.1 if i % 7 else 0.2}},
                "outputs": {"metrics": {"auc": round(0.8 + rng.random() / 100 - (0.2 if i % 11 == 10 else 0), 4),
                                        "loss": round(rng.random(), 3)}},
            }
            lines.append({"run_id": f"run-{i:04}", "stage": ["TRAINING", "EVALUATION"][group % 2], "group": f"g{group}",
                          "dims": {"target": f"t{group}"}, "doc": doc})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self.run_ok("save", "--batch", "-", input=text)
        for group in range(groups):
            self.run_ok("baseline", "establish", "--group", f"g{group}", "--stage", ["TRAINING",
                                                                                     "EVALUATION"][group % 2],
                        "--dim", f"target=t{group}", "--metric", AUC, "--goal", "max", "--min-runs", "2")

    def open(self, *args, fragment="", folder=None):
        page = os.path.join(folder or self.folder, "report.html")
        self.run_ok("report", "--tolerance", "0.1", *args, "--out", page)
        self.browser.complaints()
        self.browser.requests()
        seconds = self.browser.open(page, fragment)
        self.page = page
        return seconds

    def tearDown(self):
        self.assertEqual(self.browser.complaints(), [])

    def status(self):
        return self.browser.texts("#status")[0]

    def runs(self, group=0):
        """The runs that the table of this group shows."""
        return self.browser.run(
            "return [...document.querySelectorAll('.group')[arguments[0]]"
            ".querySelectorAll('.runs tbody > tr[id] > th')]"
            ".map((e) => e.innerText)", group)


class Looks(BrowserCase):
    def test_it_opens_without_complaints_and_without_any_request(self):
        self.fill(30)
        self.open()
        self.browser.run("document.querySelectorAll('.group h2 button[aria-expanded=false]').forEach((e) => e.click());"
                         "document.querySelectorAll('td button, figure button').forEach((e) => e.click())")
        self.assertEqual([url for url in self.browser.requests() if not url.startswith("data:")],
                         ["file://" + self.page])
        self.assertEqual(self.status(), "30 runs in 3 groups.")

    def test_the_network_is_forbidden_to_the_page(self):
        self.fill(6)
        self.open()
        refused = self.browser.command("POST", "/execute/async", {"script": """
            const done = arguments[0];
            fetch("http://127.0.0.1:9/").then(() => done("went"), (error) => done(String(error)));""", "args": []})
        self.assertIn("TypeError", refused)
        self.assertRegex(" ".join(self.browser.complaints()), "Content Security Policy")
        self.browser.run("const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
                         "document.body.append(script)")
        self.assertIsNone(self.browser.run("return window.ran"))
        self.assertRegex(" ".join(self.browser.complaints()), "Content Security Policy")

    def test_a_plot_has_a_point_for_each_run_and_its_marks(self):
        self.fill(60)
        self.open()
        worse = 0
        for group in range(3):
            answer = self.browser.wait("""
                const group = document.querySelectorAll(".group")[arguments[0]];
                group.scrollIntoView();
                const svg = group.querySelector("svg");
                const count = (path) => path ? path.getAttribute("d").split("M").length - 1 : 0;
                return svg.querySelector(".dots") && [
                  count(svg.querySelector(".dots")), count(svg.querySelector(".worse")),
                  svg.querySelectorAll(".baseline").length, svg.querySelectorAll(".limit").length,
                  svg.querySelectorAll(".origin").length, group.querySelector(".facts").innerText];""", group)
            self.assertEqual([answer[0], *answer[2:5]], [20, 1, 1, 1])
            self.assertIn("20 runs", answer[5])
            worse += answer[1]
        self.assertEqual(worse, len([i for i in range(60) if i % 11 == 10]))
        self.assertIn(f"Regressions\n{worse}", self.browser.texts("#facts")[0])
        self.assertEqual(self.browser.count(".group:last-of-type figure:nth-of-type(2) .baseline"),
                         0)  # loss has no goal

    def test_the_baseline_stands_where_its_value_is(self):
        self.fill(12, groups=1)
        self.open()
        line, ring, top, bottom = self.browser.wait("""
            const svg = document.querySelector("svg"), y = (e, name) => Number(e.getAttribute(name));
            return svg.querySelector(".baseline") && [
              y(svg.querySelector(".baseline"), "y1"), y(svg.querySelector(".origin"), "cy"),
              ...svg.querySelector(".dots").getAttribute("d").match(/ [\\d.]+h/g).map((t) => parseFloat(t))
                .reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [1e9, -1e9])];""")
        self.assertEqual(line, ring)
        self.assertAlmostEqual(line, top, delta=0.2)  # it is the best, and the highest is the best
        self.assertGreater(bottom, line + 50)

    def test_light_and_dark(self):
        self.fill(30)
        seen = set()
        for scheme in ("light", "dark"):
            self.browser.scheme(scheme)
            self.open()
            self.browser.run("document.querySelectorAll('td button').forEach((e, at) => at < 5 && e.click());"
                             "document.querySelector('figure button').click()")
            texts, low = self.browser.run(CONTRAST)
            self.assertGreater(texts, 150)
            self.assertEqual(low, [])
            seen.add(self.browser.run("return getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(seen), 2)

    def test_it_can_be_read_by_those_who_do_not_see_it(self):
        self.fill(30)
        self.open()
        self.browser.run("document.querySelectorAll('td button').forEach((e, at) => at < 5 && e.click());"
                         "document.querySelectorAll('figure button').forEach((e) => e.click())")
        self.assertEqual(self.browser.run(NAMES), [])

    def test_a_narrow_window_is_not_scrolled_sideways(self):
        self.fill(30)
        self.save("r" * 512, "TRAINING", {"inputs": {"n" * 400: "v" * 400}}, "--group", "g0", "--dim", "target=t0")
        self.save("q" * 512, "TRAINING", {"inputs": {"n" * 400: "w" * 400}}, "--group", "g0", "--dim", "target=t0")
        self.browser.size(320, 640)
        self.open("--title", "a_title_without_any_place_to_break_it_that_is_far_too_long_for_a_narrow_window")
        self.browser.run("document.querySelectorAll('td button').forEach((e, at) => at < 3 && e.click());"
                         "document.querySelectorAll('figure button').forEach((e) => e.click())")
        wide, outside = self.browser.run("""
            const clipped = (e) => e.closest(".scroll, .skip, .hidden, svg");
            const all = [...document.body.querySelectorAll("*")];
            return [document.documentElement.scrollWidth, all.filter((e) => e.checkVisibility()
              && !clipped(e) && e.getBoundingClientRect().right > 321).map((e) => e.outerHTML.slice(0, 120))];""")
        self.assertEqual((wide, outside), (320, []))

    def test_it_prints(self):
        self.fill(30)
        self.open()
        self.browser.devtools("Emulation.setEmulatedMedia", media="print", features=[])
        self.addCleanup(self.browser.devtools, "Emulation.setEmulatedMedia", media="", features=[])
        self.browser.run("window.dispatchEvent(new Event('beforeprint'))")
        plots, drawn = self.browser.count("svg"), self.browser.count("svg .dots")
        self.assertEqual((plots, drawn), (6, 6))  # those as well that were never on the screen
        self.assertFalse(self.browser.run("return document.getElementById('search').checkVisibility()"))
        self.assertEqual(self.browser.run("return getComputedStyle(document.body).backgroundColor"),
                         "rgb(255, 255, 255)")
        self.assertGreater(len(self.browser.devtools("Page.printToPDF")["data"]), 20000)


class Use(BrowserCase):
    def test_search_narrows(self):
        self.fill(40)
        self.open()
        self.browser.type("#words", "run-0017")
        self.browser.wait("return document.getElementById('status').textContent === '1 run of 40 in 1 group.'")
        self.assertEqual(self.runs(), ["run-0017"])
        self.browser.click("#reset")
        self.assertEqual(self.status(), "40 runs in 3 groups.")
        changed = [i for i in range(3, 40) if (i % 7 == 0) != ((i - 3) % 7 == 0)]  # of the learning rate
        for words, runs in (("g1", 13), ("target=t2", 13), ("RUN-000", 10), ("training g0 run-00", 14),
                            ("learning_rate", len(changed)),
                            ("g0 learning_rate", len([i for i in changed if i % 3 == 0])), ("nothing like that", 0)):
            with self.subTest(words=words):
                self.browser.run("const e = document.getElementById('words'); e.value = arguments[0];"
                                 "e.dispatchEvent(new Event('input'))", words)
                expected = f"{runs} run{'s' if runs != 1 else ''}" if runs else "No run is like that"
                self.browser.wait("return document.getElementById('status').textContent.startsWith(arguments[0])",
                                  expected)

    def test_filter_by_stage_and_by_kind(self):
        self.fill(40)
        self.open()
        options = self.browser.texts("#stage option")
        self.assertEqual(options, ["all stages", "EVALUATION", "TRAINING"])

        def choose(field, value):
            self.browser.run("const e = document.getElementById(arguments[0]); e.value = arguments[1];"
                             "e.dispatchEvent(new Event('change', {bubbles: true}))", field, value)
            return self.status()

        self.assertEqual(choose("stage", "EVALUATION"), "13 runs of 40 in 1 group.")
        self.assertEqual(self.browser.texts(".group .stage"), ["EVALUATION"])
        self.assertEqual(choose("stage", ""), "40 runs in 3 groups.")
        self.assertEqual(choose("show", "regressions"), "3 runs of 40 in 3 groups.")
        self.assertEqual(choose("show", "critical"), "1 run of 40 in 1 group.")
        self.assertEqual(self.runs(), ["run-0039"])
        self.assertEqual(choose("show", "first"), "3 runs of 40 in 3 groups.")
        choose("show", "all")
        choose("order", "name")
        self.assertEqual(self.browser.texts(".group .stage"), ["EVALUATION", "TRAINING", "TRAINING"])

    def test_what_changed_opens(self):
        self.fill(9)
        self.open()
        self.browser.run("document.querySelector('#run-9 button').click()")
        rows = self.browser.texts("tr.details[data-of='9'] tbody tr")
        self.assertEqual(rows[0], "inputs")
        self.assertRegex(rows[1], r"^critical\s+/inputs/target\s+\"y\"\s+\"z\"")
        told = {change["pointer"] for change in self.run_ok("diff", "--prev", "9", "--format",
                                                            "json").json["differences"]}
        self.assertEqual(set(self.browser.texts("tr.details tbody th code")), told)
        self.assertEqual(self.browser.texts("tr.details p a"), ["run-0005 (seq 6)"])
        self.browser.click("tr.details p a")  # to the previous run
        self.browser.wait("return document.activeElement.closest('tr')?.id === 'run-6'")
        self.browser.run("document.querySelector('#run-9 button').click()")
        self.assertEqual(self.browser.count("tr.details[data-of='9']"), 0)

    def test_by_keyboard_alone(self):
        self.fill(40)
        self.open()
        keys, focused = self.browser.keys, lambda: self.browser.run(
            "const e = document.activeElement; return e.getAttribute('aria-label') || e.id || e.innerText")
        keys("Tab")
        self.assertEqual(focused(), "To the groups")
        keys("Tab")
        self.assertEqual(focused(), "words")
        keys(*"g1")
        self.browser.wait("return document.getElementById('status').textContent === '13 runs of 40 in 1 group.'")
        keys("Tab", "Tab", "Tab", "Tab")
        self.assertEqual(focused(), "reset")
        keys("Tab")
        self.assertRegex(focused(), r"^EVALUATION\s+g1")
        for state in ("false", "true"):  # a group closes, and opens again
            keys("Enter")
            self.assertEqual(self.browser.run("return document.activeElement.getAttribute('aria-expanded')"), state)
        keys("Tab", "Tab")  # the link to the baseline, then the first plot
        self.assertEqual(focused(), "auc over seq")
        keys("Home")
        said = lambda: self.browser.run("return document.activeElement.getAttribute('aria-valuetext')")  # noqa: E731
        self.assertTrue(said().startswith("seq 2, run-0001, 0.8"), said())
        keys("ArrowRight", "ArrowRight", "ArrowRight")
        self.assertRegex(said(), r"^seq 11, run-0010, 0\.6\d+, .0\.2\d* from the baseline, regression$")
        keys("Enter")  # to the run in the table, opened
        self.assertEqual(focused(), "3 changes of run-0010, major")
        self.assertEqual(self.browser.run("return document.activeElement.getAttribute('aria-expanded')"), "true")
        keys("Enter")
        self.assertEqual(self.browser.count("tr.details"), 0)
        self.assertTrue(self.browser.run("return getComputedStyle(document.activeElement).outlineStyle !== 'none'"))

    def test_values_as_a_table(self):
        self.fill(40, groups=1)
        self.open()
        self.browser.click("figure button")
        rows = self.browser.texts("figure .values tbody tr")
        self.assertEqual(len(rows), 25)
        self.assertTrue(rows[0].startswith("40\trun-0039\t0."), rows[0])
        self.browser.click("figure .values .pager button:nth-of-type(4)")
        rows = self.browser.texts("figure .values tbody tr")
        self.assertEqual(len(rows), 15)
        self.assertTrue(rows[-1].startswith("1\trun-0000\t0."), rows[-1])
        self.assertEqual(len([row for row in rows if "regression" in row]), 1)

    def test_pages_and_order_of_runs(self):
        self.fill(60, groups=1)
        self.open()
        self.assertEqual(self.runs(), [f"run-{i:04}" for i in range(59, 34, -1)])
        self.browser.click(".runs .pager button:nth-of-type(3)")
        self.assertEqual(self.runs(), [f"run-{i:04}" for i in range(34, 9, -1)])
        self.browser.click(".runs th button[data-by=seq]")
        self.assertEqual(self.runs()[:2], ["run-0000", "run-0001"])
        self.browser.click(".runs th button[data-by='0']")
        values = [float(text.split()[0]) for text in self.browser.texts(".runs tbody > tr > td.number:nth-of-type(2)")]
        self.assertEqual(values, sorted(values, reverse=True))

    def test_an_address_opens_a_run(self):
        self.fill(200, groups=30)
        self.open(fragment="#seq=3")
        self.browser.wait("return document.activeElement.closest('tr')?.id === 'run-3'")
        self.browser.run("location.hash = '#seq=190'")
        self.browser.wait("return document.activeElement.closest('tr')?.id === 'run-190'")
        self.assertEqual(self.browser.count("tr.details[data-of='190']"), 1)

    def test_many_groups_are_shown_some_a_page(self):
        self.fill(90, groups=45)
        self.open()
        self.assertEqual(self.browser.count(".group"), 20)
        self.assertEqual(self.browser.count(".group h2 button[aria-expanded=true]"), 1)
        self.browser.click("#group-pages button:nth-of-type(4)")
        self.assertEqual(self.browser.count(".group"), 5)
        self.browser.type("#words", "g44")
        self.browser.wait("return document.getElementById('status').textContent === '2 runs of 90 in 1 group.'")


class Hostile(BrowserCase):
    def test_names_are_shown_and_never_run(self):
        lines = []
        for i, name in enumerate(HOSTILE):
            same = {"stage": name[:100], "group": name, "dims": {name[:60]: name[:200]}}
            lines.append({"run_id": name, "doc": {"inputs": {name[:60]: name},
                                                  "outputs": {"metrics": {name[:60]: 1}}}, **same})
            lines.append({"run_id": f"second {i}", "doc": {"inputs": {name[:60]: i},
                                                           "outputs": {"metrics": {name[:60]: 2}}}, **same})
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        self.run_ok("save", "--batch", "-", input=text)
        self.open("--title", HOSTILE[0] + HOSTILE[5])
        self.browser.run("window.alerted = 0; window.alert = () => window.alerted++;"
                         "document.querySelectorAll('.group h2 button[aria-expanded=false]').forEach((e) => e.click());"
                         "document.querySelectorAll('td button, figure button').forEach((e) => e.click())")
        self.assertEqual(self.browser.run("return [window.alerted, document.images.length, document.scripts.length]"),
                         [0, 0, 2])
        shown = set(self.browser.texts(".runs tbody > tr > th bdi"))
        for name in HOSTILE:
            seen = "".join(c if c not in "\u2028\u2029\u202e\u200d" else f"\\u{ord(c):04x}" for c in name)
            self.assertIn(seen, shown)
        self.assertEqual(self.browser.texts("h1"), [HOSTILE[0] + HOSTILE[5]])
        self.assertEqual(self.browser.run(NAMES), [])

    def test_odd_documents(self):
        docs = [
            '{"outputs": {"metrics": {"m": 1e400}}}', '{"outputs": {"metrics": {"m": -0}}}',
            '{"outputs": {"metrics": {"m": 1e-400}}}',
            '{"outputs": {"metrics": {"m": "text"}}}', '{"outputs": {"metrics": {"m": 9007199254740993}}}', "{}",
            '{"outputs": {"metrics": {"m": %s}}}' % ("9" * 500), '{"outputs": {"metrics": {"": 1, "a/b~c": 2}}}',
        ]
        for i, doc in enumerate(docs):
            self.save(f"r{i}", "s", doc, "--group", "g")
        self.save("alone", "s", {"x": 1})  # comparable with nothing
        self.save("one", "s", {"outputs": {"metrics": {"m": 5}}}, "--group", "single")
        self.open()
        self.browser.run("document.querySelectorAll('td button, figure button').forEach((e) => e.click())")
        self.assertEqual(self.status(), "10 runs in 3 groups.")
        self.assertIn("comparable with nothing", self.browser.texts(".runs tbody td"))
        self.assertIn("a/b~c", self.browser.texts("figure h3 bdi"))
        self.assertEqual(self.browser.run(
            "return [...document.querySelectorAll('svg path, svg line, svg circle, svg text')].filter((e) => "
            "[...e.attributes].some((a) => /NaN|Infinity|undefined/.test(a.value)))"
            ".map((e) => e.outerHTML.slice(0, 200))"), [])

    def test_an_empty_store(self):
        self.open()
        self.assertEqual(self.status(), "There is no run in this report.")


class Many(BrowserCase):
    def test_a_thousand_runs(self):
        self.fill(1000, groups=4)
        self.assertLess(self.open(), OPEN_S_MAX)
        self.assertEqual(self.status(), "1,000 runs in 4 groups.")
        self.assertEqual(self.browser.wait(
            "return document.querySelector('svg .dots')?.getAttribute('d').split('M').length - 1"), 250)
        self.assertLess(self.browser.run("return document.querySelectorAll('*').length"),
                        3000)  # the rest is not drawn yet


if __name__ == "__main__":
    main()
