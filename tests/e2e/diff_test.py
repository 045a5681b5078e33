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
import shutil
import socket
import sys

import agree_policies
import agree_questions
import agree_test
import bpf_sets
import diff_edits
import enclave
from agree_questions import Question
from enclave import BULKHEAD

ON_PATHS = ["read", "list", "write", "truncate", "create", "remove", "metadata", "execute"]
# Whatever their arguments: no component has a socket as its descriptor 0.
HARMLESS = ("socket", "accept", "accept4")
RANK = {"allow": 0, "undecided": 1, "deny": 2}
# Files and sockets of the whole enclave, of the runtime, and of nobody.
EVERYWHERE = ["/", "/etc", "/etc/passwd", "/etc/shadow", "/dev", "/dev/null", "/dev/shm",
              "/dev/shm/x", "/proc", "/proc/self/status", "/run/notify", "/run/notify/socket",
              "/usr/bin/true", "/nobody/knows"]


class Side(agree_test.Run):
    """One of the two policies, booted to execute what is said to have changed."""

    def __init__(self, case, policy, maker):
        self.case, self.policy, self.maker = case, policy, maker
        self.gave_up = set()

    def results(self, questions, operations):
        bundle, compiled = self.compile(operations)
        self.case.assertEqual(compiled.returncode, 0, compiled.stderr)
        self.operations = operations
        self.boot(bundle, {n: c["uid"] for n, c in self.inspected(bundle).items()})
        return [self.executed(question)[0] for question in questions]

    def outside(self, question, kind, what):
        if kind == "connects" and (kind, what) not in self.seen_outside:
            return False  # the other policy's
        return super().outside(question, kind, what)


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
            for number, (gained, lost) in bpf_sets.changes(*filters, case.machine).items():
                for change, call in (("widened", gained), ("narrowed", lost)):
                    if call:
                        self.found.setdefault((name, change), f"call {number} {call}")
            self.limits(case, bundles, name)
        self.questions = len(questions)

    def verdicts(self, question, before, after):
        if before is None or after is None or before == after:
            return
        change = "widened" if RANK[after] < RANK[before] else "narrowed"
        self.found.setdefault((question.component, change), question.line())

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


class Witnesses:
    """Questions that the kernel is asked, made of what `diff` printed."""

    def __init__(self, case, policies, maker):
        self.case, self.policies, self.maker = case, policies, maker
        self.directories = {d for p in policies for d in p.host_directories}
        self.own = {d for p in policies for c in p.components.values() for d in c.own}
        self.absent = {d for p in policies for c in p.components.values() for d in c.absent}
        self.handed = {f"{kind}:{where}": ("127.0.0.1", where) if kind == "tcp" else where
                       for p in policies for c in p.components.values()
                       for kind, some in (("tcp", c.tcp_listen), ("unix", c.listens))
                       for where in some}
        self.files = {f for p in policies for c in p.components.values()
                      for f in [*c.files, p.program, p.loader, p.asset[1]]}

    def questions(self, difference):
        """For the old and for the new policy; None where it can't be executed without harm, or not
        as it is."""
        name, (action, *words) = difference["component"], difference["witness"].split(" ")
        if action == "reach":
            return self.reach(name, words[0])
        if difference["beneath"] and words[0] not in self.files:
            words[0] += "/elsewhere"  # where a file or a socket can be
        question = self.question(name, action, words, difference["area"])
        return None if question is None else [question, question]

    def question(self, name, action, words, area):
        if area == "files":
            return self.on_file(name, action, words)
        if action in ("connect", "listen"):
            return self.on_socket(name, action, words[0])
        if action == "syscall":
            values = {k: int(v, 16) for k, v in (word.split("=") for word in words[1:])}
            if words[0] in HARMLESS:
                call = {"call": words[0], "arguments": values}
                registers = (agree_test.registers(Question(name, "socket", words, []), call)
                             if words[0] == "socket" else list(values.values()))
                return None if registers is None else Question(
                    name, action, words, [self.maker.raw(words[0], registers)], "calls")
            if words[0] not in agree_questions.CALLS or words[0] not in self.maker.numbers:
                return None
            registers = agree_test.registers(Question(name, "syscall", words, []),
                                             {"call": words[0], "arguments": values})
            if registers is None:
                return None
            return Question(name, action, words, [self.maker.raw(words[0], registers)], "calls")
        return None

    def on_file(self, name, action, words):
        path = words[0]
        # Not there; the loader's, which would take the component along; owned by root.
        if (any(path.startswith(absent) for absent in self.absent)
                or (action == "execute" and any(p.components[name].loader for p in self.policies))
                or (action == "metadata" and path.startswith(self.policies[0].asset[0]))
                or (action == "list" and path in self.files)):
            return None
        if path in self.directories | self.own:
            if action not in ("list", "metadata", "rename"):
                return None  # not as a directory
        elif path.startswith("/proc") or path in ("/", "/elsewhere"):
            return None
        elif os.path.dirname(path) in self.files:
            return None  # nothing is beneath a file
        before = []
        what = {"list": "directory", "create": "nothing", "execute": "program"}.get(action, "file")
        if path not in self.directories | self.own | self.files:
            parent = os.path.dirname(path)
            if parent in self.own or parent == "/dev/shm":
                path = f"{parent}/{action}"
                before = {"file": [f"make {path}"], "directory": [f"make-dir {path}"]}.get(what, [])
                if what == "program":
                    return None
            elif parent in self.directories:
                path = f"{parent}/elsewhere-{action}-{name}"
                made = (what, path, name)
                if what != "nothing" and made not in self.maker.made:
                    self.maker.made.append(made)
        operations = [*before, " ".join([action, path, *([path + ".new"] if len(words) > 1 else [])])]
        question = Question(name, action, [path, *([path + ".new"] if len(words) > 1 else [])],
                            operations)
        if before:
            question.tags.add("own")
        return question

    def on_socket(self, name, action, end):
        kind, _, rest = end.partition(":")
        if action == "listen" and end in self.handed:
            return Question(name, action, [end], [f"{action}-{kind} {rest}"], "any",
                            [("connects", self.handed[end])])
        if kind == "vsock":
            return Question(name, action, [end], ["vsock"])
        if kind == "udp":
            return Question(name, action, [end], [f"{action}-udp {self.case.ports.fresh()}"])
        if kind == "tcp":
            return Question(name, action, [end], [f"{action}-tcp {rest}"])
        if rest.startswith("@"):
            self.maker.count += 1
            other = self.case.abstract + (f"-{self.maker.count}" if action == "listen" else "")
            return Question(name, action, [end], [f"{action}-abstract {other}"])
        directory = os.path.dirname(rest)
        if (not rest.startswith((str(self.policies[0].root), "/run", "/dev"))
                or any(rest.startswith(absent) for absent in self.absent)):
            return None
        if rest in self.directories | self.own | self.files or directory in self.own | self.files:
            return None  # no socket can be there before the component makes one
        if directory in self.directories and rest.endswith("/elsewhere"):
            rest = f"{directory}/{action}-{name}"
            if action == "connect":
                self.maker.made.append(("socket", rest, name))
        return Question(name, action, [end], [f"{action}-unix {rest}"])

    def reach(self, name, target):
        """By whatever each of the two policies gives."""
        questions = []
        for policy in self.policies:
            maker = agree_questions.Maker(policy, "", self.maker.numbers, "")
            maker.rng = random.Random(0)
            maker.rng.choice = lambda some: target if target in some else some[0]
            questions.append(maker.reach(policy.components[name]))
        return questions


class Edit:
    """A policy and its edit, and what the tool, the comparison and the kernel say of them."""

    def __init__(self, case, number, tally):
        self.case, self.number, self.tally = case, number, tally
        self.rng = random.Random(f"{case.seed}/edit/{number}")

    def make(self):
        case = self.case
        old = agree_policies.Policy(self.number, case.seed, case.directory / "disk", case.machine,
                                    case.features, case.ports, startups=False)
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
        maker = agree_questions.Maker(self.policies[1], self.case.seed, self.case.numbers,
                                      self.case.abstract)
        witnesses = Witnesses(self.case, self.policies, maker)
        first = [maker.first(name) for name, c in self.policies[1].components.items() if c.makes]
        asked = []
        for difference in self.differences:
            if difference["area"] in ("limits", "component"):
                self.tally["witnesses"]["of limits"] += 1
                continue
            pair = witnesses.questions(difference)
            if pair is None:
                self.leave(f"{difference['area']} {difference['witness'].split()[0]}")
                continue
            asked.append((difference, *pair))
        if not asked:
            return
        # A directory whose mode was changed may let nobody in afterwards.
        asked.sort(key=lambda item: item[1].action == "metadata")
        questions = first + [old for _, old, _ in asked]
        questions += [new for _, old, new in asked if new is not old]
        operations = agree_test.arguments(self.policies[1], questions)
        host = {d for policy in self.policies for d in policy.host_directories}
        files = {**self.policies[0].host_files, **self.policies[1].host_files}
        results = []
        for index, policy in enumerate(self.policies):
            policy.host_directories, policy.host_files = host, files
            side = Side(self.case, policy, maker)
            results.append(side.results([pair[index] for _, *pair in asked], operations))
        for (difference, _, question), before, after in zip(asked, *results):
            self.judge(difference, question, before, after)

    def leave(self, kind):
        self.tally["witnesses"]["not executed"] += 1
        self.tally["left"][kind] += 1

    def judge(self, difference, question, before, after):
        refused, passed = (before, after) if difference["change"] == "widened" else (after, before)
        old, new = difference["text"].split(", now ")[0], difference["text"].split(", now ")[-1]
        if "undecided" in (old, new):
            self.tally["witnesses"]["undecided"] += 1
            return
        if (before, after) == ("nothing", "nothing"):
            return self.leave("what it can't make first")
        refused = "refused" if refused == "nothing" else refused
        if (refused, passed) == ("refused", "passed"):
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
        self.judge(int(os.environ.get("BULKHEAD_TEST_POLICIES", "80")))


if __name__ == "__main__":
    enclave.main()
