"""holdfast diff on a random store of 2,000 snapshots against a model of it. HF_TEST_SEED is another
seed; a failure names the pair."""

import copy
import json
import os
import random

from diff_model import SEVERITIES, Diff, Maker, Rules, apply_patch, meaning, read
from support import CONFLICT, DIFFERS, DONE, NOT_FOUND, Case, main

SNAPSHOTS = 2000
PAIRS = 120
STAGES = ("a", "b", "c:d")
GROUPS = (None, "g1", "g2", "g3")
DIMS = ({}, {"view": "x"}, {"target": "y", "view": "x"}, {"target": "z"})


class Snapshot:
    def __init__(self, seq, line, document, text):
        self.seq = seq
        self.run_id, self.stage = line["run_id"], line["stage"]
        self.dims, self.group = line["dims"], line.get("group")
        self.document, self.text = document, text

    @property
    def key(self):
        return self.run_id, self.stage, tuple(sorted(self.dims.items()))

    def comparable(self, other):
        return (
            self.group is not None
            and self.group == other.group
            and self.key[1:] == other.key[1:]
            and self.run_id != other.run_id
        )


class DiffModel(Case):
    def make(self, seed):
        """The store, by one batch; a key saved again has another document."""
        choose = random.Random(seed)
        maker = Maker(seed)
        documents = [maker.document() for _ in range(20)]
        lines, self.snapshots, texts = [], [], set()
        while len(lines) < SNAPSHOTS:
            document = maker.changed_document(choose.choice(documents))
            if choose.randrange(10) == 0:
                documents[choose.randrange(len(documents))] = document
            text = maker.text(document)
            if text in texts:
                continue
            texts.add(text)
            line = {
                "run_id": f"run:{choose.randrange(300)}",
                "stage": choose.choice(STAGES),
                "dims": choose.choice(DIMS),
            }
            group = choose.choice(GROUPS)
            if group is not None:
                line["group"] = group
            lines.append(f"{json.dumps(line)[:-1]},\"doc\":{text}}}\n")
            self.snapshots.append(Snapshot(len(lines), line, read(text), text))
        saved = self.run_ok("save", "--batch", "-", input="".join(lines)).jsonl
        self.assertEqual(saved, list(range(1, SNAPSHOTS + 1)))

    def previous(self, snapshot):
        lower = [one for one in self.snapshots[: snapshot.seq - 1] if snapshot.comparable(one)]
        return lower[-1] if lower else None

    def named(self, snapshot, choose):
        """A way to name it: by its seq, or by its key where it is the current revision."""
        current = [one for one in self.snapshots if one.key == snapshot.key][-1]
        if current is not snapshot or ":" in snapshot.stage or choose.randrange(2):
            return [str(snapshot.seq)], None
        dims = [word for name, value in snapshot.dims.items() for word in ("--dim", f"{name}={value}")]
        return [f"{snapshot.run_id}:{snapshot.stage}"], dims

    def check(self, args, a, b, what):
        model = Diff(copy.deepcopy(a.document), copy.deepcopy(b.document), self.rules)
        found = self.run_any("diff", *args, "--force", "--json")
        self.assertEqual(found.status, DONE, (what, found))
        found = read(found.out)
        self.assertEqual((found["a"]["seq"].text, found["b"]["seq"].text), (str(a.seq), str(b.seq)), what)
        self.assertEqual(found["comparable"], a.comparable(b), what)
        told = sorted(
            (one["kind"], one["section"], one["severity"], one["pointer"], one.get("old_pointer") or "",
             repr(one.get("old", "-")), repr(one.get("new", "-")))
            for one in found["differences"]
        )  # fmt: skip
        wanted = sorted(
            (kind, section, severity, pointer, old_pointer or "",
             repr("-" if kind == "added" else old), repr("-" if kind == "removed" else new))
            for kind, section, severity, pointer, old_pointer, old, new in model.changes
        )  # fmt: skip
        self.assertEqual(told, wanted, what)
        self.assertEqual(found["severity"], model.severity, what)
        self.assertEqual((found["close"].text, found["left_out"].text), (str(model.close), str(model.left_out)), what)
        self.assertEqual(found["identical"], meaning(a.document) == meaning(b.document), what)
        patch = read(self.run_ok("diff", *args, "--force", "--format", "patch").out)
        made = apply_patch(copy.deepcopy(a.document), patch)
        self.assertEqual(meaning(made, True), meaning(b.document, True), what)
        return model

    def check_status(self, args, a, b, model, limit, what):
        result = self.run_any("diff", *args, "--fail-on", limit)
        fails = SEVERITIES.index(model.severity) >= SEVERITIES.index(limit)
        wanted = CONFLICT if not a.comparable(b) else DIFFERS if fails else DONE
        self.assertEqual(result.status, wanted, (what, result))
        if wanted == CONFLICT:
            words = (("stage", "the stages differ"), ("dims", "the dims differ"), ("run_id", None), ("group", None))
            for member, says in words:
                same = getattr(a, member) == getattr(b, member)
                if member == "run_id":
                    self.assertEqual("both are of run" in result.err, same, what)
                elif member == "group":
                    said = "the groups differ" in result.err
                    self.assertEqual(said, not same, what)
                    self.assertEqual("neither has a group" in result.err, same and a.group is None, what)
                else:
                    self.assertEqual(says in result.err, not same, what)
        else:
            self.assertLessEqual(max(len(line) for line in result.lines), 80, what)

    def test_as_the_model_says(self):
        seed = int(os.environ.get("HF_TEST_SEED", "1"))
        choose = random.Random(seed + 1)
        self.rules = Rules(self.run_ok("diff", "--rules").out)
        self.make(seed)
        seen = {"comparable": 0, "previous": 0, "none": 0}
        for i in range(PAIRS):
            b = choose.choice(self.snapshots)
            if i % 2:
                a = self.previous(b)
                name, dims = self.named(b, choose)
                args = ["--prev", *name, *(dims or [])]
                what = f"seed {seed}: --prev of seq {b.seq}"
                seen["previous" if a else "none"] += 1
                if a is None:
                    self.assertEqual(self.run_any("diff", *args).status, NOT_FOUND, what)
                    continue
            else:
                near = [one for one in self.snapshots if b.comparable(one)]
                a = choose.choice(near if near and i % 4 else self.snapshots)
                args = [str(a.seq), str(b.seq)]
                what = f"seed {seed}: seq {a.seq} and {b.seq}"
                seen["comparable"] += a.comparable(b)
            model = self.check(args, a, b, what)
            self.check_status(args, a, b, model, choose.choice(SEVERITIES[1:]), what)
        self.assertGreater(min(seen.values()), 5, seen)


if __name__ == "__main__":
    main()
