#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`bulkhead diff` on random edits of random policies.

What it says is compared with all that can be asked of both bundles: every action on every object
that either policy or its edit names, and on neighbours of these; filters by an interpreter that
shares nothing with the compiler. Then what it names as having changed is executed in the component
under the old and under the new bundle, and the kernel's two answers compared. BULKHEAD_TEST_POLICIES sets
how many edits, BULKHEAD_TEST_SEED repeats a run.
"""

import collections
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys

import agree_policies
import agree_questions
import agree_test
import bpf_sets
import diff_edits
import enclave
from agree_questions import Question
from diff_witnesses import Left, Side, Witnesses, arranged
from enclave import BULKHEAD

ON_PATHS = ["read", "list", "write", "truncate", "create", "remove", "metadata", "execute"]
RANK = {"allow": 0, "allow until ready": 1, "undecided": 2, "deny": 3}
# Files and sockets of the whole enclave, of the runtime, and of nobody.
EVERYWHERE = ["/", "/etc", "/etc/passwd", "/etc/shadow", "/dev", "/dev/null", "/dev/shm",
              "/dev/shm/x", "/proc", "/proc/self/status", "/run/notify", "/run/notify/socket",
              "/usr/bin/true", "/nobody/knows"]


def objects(policies):
    """Every path that either names, what is around it and beneath it."""
    paths = set(EVERYWHERE)
    for policy in policies:
        named = {policy.program, *policy.asset, str(policy.root)}
        for component in policy.components.values():
            for entries in component.keys["files"].values():
                named |= {e if isinstance(e, str) else e["path"] for e in entries}
        named = {path for path in named if not path.startswith("@")}
        for path in named:
            paths |= {path, path + "/x", path + ".x", os.path.dirname(path),
                      os.path.dirname(path) + "/y"}
    return sorted(paths)


def ends(policies):
    names = {"unix:@x", "vsock:3:1", "udp:2000", "tcp:2000"}
    for policy in policies:
        for component in policy.components.values():
            for path in component.listens + component.makes + component.connects:
                names |= {f"unix:{path}", f"unix:{os.path.dirname(path)}/x"}
            for port in component.tcp_listen + component.tcp_bind + component.tcp_connect:
                names |= {f"tcp:{port}", f"udp:{port}"}
    return sorted(names | {f"unix:{path}" for path in objects(policies)})


def all_questions(policies):
    for name in policies[0].components:
        for path in objects(policies):
            for action in ON_PATHS:
                yield Question(name, action, [path], [])
            yield Question(name, "rename", [path, path + ".x"], [])
        for end in ends(policies):
            yield Question(name, "connect", [end], [])
            yield Question(name, "listen", [end], [])
        for other in policies[0].components:
            for action in ("signal", "trace", "memory", "reach"):
                if action != "reach" or other != name:
                    yield Question(name, action, [other], [])
        yield Question(name, "reach", ["gold"], [])
        yield Question(name, "capability", ["CAP_SYS_ADMIN"], [])


class Comparison:
    """Two bundles, by all questions: {(component, "widened" or "narrowed"): an example}."""

    def __init__(self, case, policies, bundles):
        self.found = {}
        questions = list(all_questions(policies))
        old, new = (agree_test.ask(bundle, questions) for bundle in bundles)
        for question, before, after in zip(questions, old, new):
            self.verdicts(question, before.get("verdict"), after.get("verdict"))
        for name in policies[0].components:
            filters = [self.filter(case, bundle, name) for bundle in bundles]
            self.calls(case, name, filters, "")
            if any(p.components[name].startup for p in policies):
                # Who has none is allowed at the start what it is allowed for good.
                early = [self.startup(bundle, name) or f for bundle, f in zip(bundles, filters)]
                self.calls(case, name, early, " until ready")
            self.limits(case, bundles, name)
        self.questions = len(questions)

    def verdicts(self, question, before, after):
        if before is None or after is None or before == after:
            return
        change = "widened" if RANK[after] < RANK[before] else "narrowed"
        self.found.setdefault((question.component, change), question.line())

    def calls(self, case, name, filters, when):
        for number, (gained, lost) in bpf_sets.changes(*filters, case.machine).items():
            for change, call in (("widened", gained), ("narrowed", lost)):
                if call:
                    self.found.setdefault((name, change), f"call {number} {call}{when}")

    @staticmethod
    def startup(bundle, name):
        """The program that decides until the component is ready; empty where it has none."""
        result = subprocess.run([agree_test.ANSWERS, str(bundle), name], capture_output=True,
                                check=True, timeout=60)
        return bpf_sets.parse(result.stdout)

    @staticmethod
    def filter(case, bundle, name):
        path = case.directory / "filter.bpf"
        result = enclave.run(BULKHEAD, "export", "bpf", str(bundle), name, "-o", str(path))
        case.assertEqual(result.returncode, 0, result.stderr)
        return bpf_sets.read(path)

    def limits(self, case, bundles, name):
        old, new = (inspected(bundle)[name]["limits"] for bundle in bundles)
        for key in old:
            before, after = (value if value else float("inf") for value in (old[key], new[key]))
            if before != after:
                change = "widened" if after > before else "narrowed"
                self.found.setdefault((name, change), f"limit {key}")


def inspected(bundle):
    text = enclave.run(BULKHEAD, "inspect", str(bundle), "--format", "json").stdout
    return {c["name"]: c for c in json.loads(text)["components"]}


class Edit:
    """A policy and its edit, and what the tool, the comparison and the kernel say of them."""

    def __init__(self, case, number, tally):
        self.case, self.number, self.tally = case, number, tally
        self.rng = random.Random(f"{case.seed}/edit/{number}")

    def make(self):
        case = self.case
        old = agree_policies.Policy(self.number, case.seed, case.directory / "disk", case.machine,
                                    case.features, case.ports)
        old.loader = case.running["paths"]["loader"][0]
        new = diff_edits.copy_of(old)
        self.words = diff_edits.Editor(new, self.rng).edit()
        if self.words is None:
            return False
        self.policies, self.bundles = (old, new), []
        for index, policy in enumerate(self.policies):
            bundle, compiled = Side(case, policy, None).compile({})
            if compiled.returncode != 0:
                return False
            self.bundles.append(shutil.copy(bundle, case.directory / f"{index}.bundle"))
        return True

    def complain(self, text):
        self.tally["wrong"].append(f"edit {self.number} ({self.words}): {text}")

    def compare(self):
        result = enclave.run(BULKHEAD, "diff", *map(str, self.bundles), "--format", "json")
        self.case.assertIn(result.returncode, (0, 1), result.stderr)
        said = json.loads(result.stdout)
        self.differences = [d for d in said["differences"] if d["change"] != "neutral"]
        mine = {(d["component"], d["change"]): d["witness"] for d in self.differences}
        self.case.assertEqual(result.returncode, int(said["widened"] != 0))
        comparison = Comparison(self.case, self.policies, self.bundles)
        for key in mine.keys() | comparison.found.keys():
            if (key in mine) != (key in comparison.found):
                self.complain(f"{key}: diff {mine.get(key)}, all answers {comparison.found.get(key)}")
        kinds = {change for _, change in mine}
        self.tally["edits"][" and ".join(sorted(kinds)) or "nothing"] += 1
        self.tally["questions"] += comparison.questions

    def execute(self):
        witnesses = Witnesses(self.case, self.policies)
        self.again = []
        asked = collections.defaultdict(list)
        for difference in self.differences:
            if difference["area"] in ("limits", "component"):
                self.tally["witnesses"]["of limits"] += 1
                continue
            try:
                witness = witnesses.witness(difference)
            except Left as why:
                self.leave(str(why), difference)
                continue
            asked[witness.world].append(witness)
        host = {d for policy in self.policies for d in policy.host_directories}
        files = {**self.policies[0].host_files, **self.policies[1].host_files}
        for policy in self.policies:
            policy.host_directories, policy.host_files = host, files
        for world, some in asked.items():
            self.boot(witnesses.placed(world), some)
        # Run it was; whether to its end, another program shows, which needs no loader.
        for difference in self.again:
            witness = witnesses.witness(difference, by_loader=False)
            self.boot(witnesses.placed(witness.world), [witness])

    def boot(self, placed, some):
        """Both policies, in one world."""
        operations = arranged(self.policies, placed, some)
        results = [Side(self.case, policy, placed).results(
            [witness.questions[index] for witness in some], operations)
            for index, policy in enumerate(self.policies)]
        for witness, before, after in zip(some, *results):
            self.judge(witness.difference, witness.questions[1], before, after)

    def leave(self, why, difference):
        self.tally["witnesses"]["not executed"] += 1
        self.tally["left"][why] += 1
        if os.environ.get("BULKHEAD_TEST_VERBOSE"):
            print(f"edit {self.number} ({self.words}) {why}: {difference}", file=sys.stderr)

    def judge(self, difference, question, before, after):
        """The narrower of the two was refused, the wider passed; where one is undecided, the disk
        decides."""
        said = re.match(r"(undecided)?.*?(?:, now (undecided)?|$)", difference["text"])
        wider, narrower = (after, before) if difference["change"] == "widened" else (before, after)
        open_wider, open_narrower = said.groups()[::-1 if difference["change"] == "widened" else 1]
        # A loader that ends by itself has been run, for what it could not open.
        narrower = "refused" if narrower == "gave up" else narrower
        if wider == "gave up":
            self.again.append(difference)
            return
        if (open_narrower or narrower == "refused") and (open_wider or wider == "passed"):
            self.tally["witnesses"]["confirmed"] += 1
            return
        self.tally["witnesses"]["denied"] += 1
        self.complain(f"{difference['component']} {difference['witness']} {difference['text']}: "
                      f"{before}, then {after} by {question.operations}")


class Edits(agree_test.Agreement):
    def setUp(self):
        super().setUp()
        # Where a witness connects to, and nobody else would.
        self.elsewhere = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.elsewhere.close)

    def judge(self, edits):
        tally = {"wrong": [], "edits": collections.Counter(), "witnesses": collections.Counter(),
                 "left": collections.Counter(), "questions": 0}
        number = int(os.environ.get("BULKHEAD_TEST_FIRST", "0"))
        while tally["edits"].total() < edits:
            edit = Edit(self, number, tally)
            number += 1
            if edit.make():
                edit.compare()
                edit.execute()
        for name in ("edits", "witnesses", "left"):
            print(f"{name}: " + ", ".join(f"{k} {n}" for k, n in sorted(tally[name].items())),
                  file=sys.stderr)
        print(f"{edits} edits, {tally['questions']} questions to either bundle, "
              f"{len(tally['wrong'])} disagreements", file=sys.stderr)
        if tally["wrong"]:
            self.fail("\n".join(tally["wrong"][:60]))
        for kind in ("widened", "narrowed", "nothing"):
            self.assertTrue(tally["edits"][kind], kind)
        self.assertGreater(tally["witnesses"]["confirmed"], tally["witnesses"]["not executed"])


class QuickEdits(Edits):
    def test_diff_says_what_all_answers_and_the_kernel_say(self):
        self.judge(int(os.environ.get("BULKHEAD_TEST_POLICIES", "12")))


class AllEdits(Edits):
    def test_diff_says_what_all_answers_and_the_kernel_say(self):
        self.judge(int(os.environ.get("BULKHEAD_TEST_POLICIES", "40")))


if __name__ == "__main__":
    enclave.main()
