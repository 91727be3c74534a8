"""verify and doctor: what they print and how they end. What verify finds, other tests check."""

import os
import re

from support import DONE, FAILED, USAGE, Case, every_file, main

KEY = ("--run-id", "r", "--stage", "s")


class Verify(Case):
    mode = "publish"

    def setUp(self):
        super().setUp()
        for i in range(1, 6):
            self.save(f"r{i}", "s", {"i": i, "text": "x" * 200})

    def damage(self, seq):
        path = os.path.join(self.store, "log", "%020d.json" % seq)
        with open(path, "rb+") as f:
            content = f.read()
            f.seek(len(content) // 2)
            f.write(bytes([content[len(content) // 2] ^ 1]))

    def test_clean(self):
        for args in ((), ("--deep",)):
            result = self.run_ok("verify", *args)
            self.assertEqual(result.out, "")
            self.assertIn("5 records", result.err)
            self.assertEqual(self.run_ok("-q", "verify", *args).err, "")
        report = self.run_ok("--json", "verify", "--deep").json
        self.assertEqual(
            list(report),
            "findings complete head records snapshots blobs damaged remarks repaired".split(),
        )
        self.assertEqual(report["findings"], [])
        self.assertEqual((report["head"], report["records"], report["damaged"]), (5, 5, 0))
        self.assertIs(report["complete"], True)

    def test_damage(self):
        self.damage(3)
        before = every_file(self.store)
        result = self.run_any("verify")
        self.assertEqual(result.status, FAILED, result)
        self.assertEqual(len(result.lines), 1, result)
        self.assertRegex(result.lines[0], r"^[a-z-]+ seq=3 log/\S+: \S")
        report = self.run_any("--json", "verify")
        self.assertEqual(report.status, FAILED)
        finding = report.json["findings"][0]
        self.assertEqual(list(finding), "kind seq path text damage repaired".split())
        self.assertEqual((finding["seq"], finding["damage"], finding["repaired"]), (3, True, False))
        self.assertEqual(report.json["damaged"], 1)
        self.assertEqual(every_file(self.store), before)

    def test_repair(self):
        self.damage(3)
        self.run_bad(FAILED, "save", *KEY, "-", input="{}", says="verify --repair")
        result = self.run_any("verify", "--repair")
        self.assertEqual(result.status, FAILED, result)
        self.assertIn("(repaired)", result.out)
        self.assertTrue(os.listdir(os.path.join(self.store, "quarantine")))
        for i in (1, 2, 4, 5):
            self.assertEqual(self.run_ok("get", "--seq", str(i)).json["i"], i)
        self.assertEqual(self.head(), 5)
        self.assertNotEqual(self.run_any("get", "--seq", "3").status, DONE)
        self.assertEqual(self.run_any("verify", "--deep").status, DONE)
        self.assertEqual(self.save("r", "s", {}), 6)
        self.assertEqual(self.run_any("list").status, DONE)

    def test_a_store_that_cannot_be_opened(self):
        with open(os.path.join(self.store, "holdfast.json"), "w", encoding="utf-8") as f:
            f.write("{")
        self.run_bad(FAILED, "head")
        result = self.run_any("verify")
        self.assertEqual(result.status, FAILED, result)
        self.assertIn("manifest", result.out + result.err)

    def test_a_name_with_control_characters(self):
        with open(os.path.join(self.store, "log", "evil\x1b[31m\nname"), "w", encoding="utf-8"):
            pass
        result = self.run_any("verify")
        self.assertNotIn("\x1b", result.out)
        self.assertEqual(len(result.lines), 1, result)
        self.assertIn("evil", result.lines[0])
        finding = self.run_any("--json", "verify").json["findings"][0]
        self.assertIn("\x1b[31m\n", finding["path"])

    def test_a_remark_is_no_damage(self):
        with open(os.path.join(self.store, "stage", "01JGX2M8Q6T4ZV0C9K7W3R5YHB"), "wb") as f:
            f.write(b'{"half a rec')
        result = self.run_any("verify")
        self.assertEqual(result.status, DONE, result)


class Doctor(Case):
    def test_lines(self):
        result = self.run_any("doctor", self.folder, store=None)
        self.assertIn(result.status, (DONE, FAILED))
        for line in result.lines:
            self.assertRegex(line, r"^(good|caution|bad) +\S")
        verdict = result.lines[-1].split()[0]
        self.assertEqual(result.status, FAILED if verdict == "bad" else DONE)
        worst = {"good": 0, "caution": 1, "bad": 2}
        self.assertEqual(
            worst[verdict], max(worst[line.split()[0]] for line in result.lines[:-1])
        )
        for check in ("filesystem", "link", "rename", "fsync"):
            self.assertRegex(result.out, rf"(?m)^\w+ +{check}")

    def test_json(self):
        result = self.run_any("--json", "doctor", self.folder, store=None)
        report = result.json
        self.assertEqual(list(report), ["checks", "path", "verdict"])
        self.assertEqual(list(report["checks"][0]), "name verdict text value unit".split())
        self.assertIn(report["verdict"], ("good", "caution", "bad"))
        measured = [c for c in report["checks"] if c["unit"]]
        self.assertTrue(measured)
        for check in measured:
            self.assertIsInstance(check["value"], (int, float))
        free = next(c for c in measured if c["name"] == "space")["value"]
        disk = os.statvfs(self.folder)
        self.assertAlmostEqual(free, disk.f_bavail * disk.f_frsize, delta=1 << 30)

    def test_leaves_nothing(self):
        empty = self.path("empty")
        os.mkdir(empty)
        self.run_any("doctor", empty, store=None)
        self.assertEqual(os.listdir(empty), [])
        self.save("r", "s", {})
        before = {k: v[:2] for k, v in every_file(self.store).items()}
        self.assertIn(self.run_any("doctor").status, (DONE, FAILED))
        self.assertEqual({k: v[:2] for k, v in every_file(self.store).items()}, before)

    def test_where(self):
        result = self.run_any("--json", "doctor", store=None, cwd=os.path.join(self.store, "log"))
        self.assertEqual(os.path.realpath(result.json["path"]), os.path.realpath(self.store))
        self.run_bad(USAGE, "doctor", self.folder, says="--store")
        result = self.run_any("doctor", self.path("absent"), store=None)
        self.assertEqual(result.status, FAILED, result)
        self.assertTrue(re.search("absent", result.err), result)


if __name__ == "__main__":
    main()
