#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `bulkhead why` says, against what the kernel does: random questions about random policies.

Each question is asked of the evaluator and executed by e2e-asker inside the component that it is
about, in an enclave that bulkhead-init boots. The two share no code. BULKHEAD_TEST_SEED repeats a
run, BULKHEAD_TEST_POLICIES sets its length.
"""

import collections
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest

import agree_policies
import agree_questions
import enclave
from enclave import BULKHEAD

ASKER = os.environ["BULKHEAD_ASKER"]
ASKER_LOADED = os.environ["BULKHEAD_ASKER_LOADED"]
ANSWERS = os.environ["BULKHEAD_ANSWERS"]
CAP_LINES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
AF_PACKET, RAW = 17, (3, 10)
REFUSALS = {"EPERM", "EACCES", "ENOSYS"}
# No policy of this language grants them.
NEVER_ALLOWED = {"trace", "memory", "capability"}
MODES = (0o777, 0o700, 0o4755, 0o2755, 0o600, 0o666)
UNTIL_READY = "allow until ready"
AGREES = {("allow", "passed"), (UNTIL_READY, "until ready"), (UNTIL_READY, "passed"),
          (UNTIL_READY, "excluded"), (UNTIL_READY, "nothing"), ("deny", "refused"), ("undecided", "both"),
          ("undecided", "excluded"), ("allow", "nothing"), ("allow", "excluded"),
          ("deny", "excluded")}


class Ports:
    """Ports with a listener, and ports that nobody has."""

    def __init__(self, case):
        self.given = set()
        self.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
        for listener in self.listeners:
            case.addCleanup(listener.close)
        self.open = [listener.getsockname()[1] for listener in self.listeners]

    def fresh(self):
        while True:
            port = enclave.free_port()
            if port not in self.given:
                self.given.add(port)
                return port


class Tally:
    """What was asked and how it came out; `disagreements` are texts."""

    def __init__(self):
        self.cells = collections.Counter()
        self.targets = collections.Counter()
        self.records = collections.Counter()
        self.disagreements = []
        self.policies = 0
        self.not_compiled = 0

    def add(self, question, verdict, seen, target):
        self.cells[question.action, verdict, seen] += 1
        self.targets[target, verdict] += 1

    def count(self, **wanted):
        names = ("action", "verdict", "seen")
        return sum(n for key, n in self.cells.items()
                   if all(dict(zip(names, key))[k] == v for k, v in wanted.items()))

    def text(self):
        columns = sorted({key[1:] for key in self.cells})
        width = {column: max(14, len(" ".join(column)) + 2) for column in columns}
        lines = [f"{'':12}" + "".join(f"{' '.join(c):>{width[c]}}" for c in columns)]
        for action in agree_questions.KINDS:
            row = "".join(f"{self.cells[action, *c] or '':>{width[c]}}" for c in columns)
            lines.append(f"{action:12}{row}")
        for target in sorted({key[0] for key in self.targets}):
            row = ", ".join(f"{v} {n}" for (t, v), n in sorted(self.targets.items()) if t == target)
            lines.append(f"{target}: {row}")
        lines.append("refusals looked up in the audit log: " + ", ".join(
            f"{recorder}, {'there' if found else 'missing'} {n}"
            for (recorder, found), n in sorted(self.records.items())))
        lines.append(f"{self.policies} policies, {self.cells.total()} questions, "
                     f"{len(self.disagreements)} disagreements; "
                     f"{self.not_compiled} policies did not compile")
        return "\n".join(lines)


def ask(bundle, questions):
    """The evaluator's answers, as `why --format json` gives them."""
    lines = "".join(question.line() + "\n" for question in questions)
    result = subprocess.run([ANSWERS, str(bundle)], input=lines, capture_output=True, text=True,
                            timeout=120, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def registers(question, call):
    """Of an example call of an answer; nothing where it could do harm, or be refused by the kernel
    itself."""
    if question.action == "socket":
        names = ("domain", "type", "protocol")
        values = [call["arguments"].get(name, 0) for name in names]
        known = values[0] & 0xFFFFFFFF != AF_PACKET and values[1] & 15 not in RAW
        return values if known else None
    choices = agree_questions.CALLS[call["call"]]
    values = []
    for name, harmless in choices.items():
        value = call["arguments"].get(name, 0)
        if (harmless is not agree_questions.POINTER and value not in harmless
                and call["call"] not in agree_questions.ALWAYS_HARMLESS):
            return None
        values.append(value)
    return values


def settle_calls(maker, questions, answers):
    """Where arguments decide, both examples of the answer are executed."""
    for question, answer in zip(questions, answers):
        if question.how == "calls" and answer.get("verdict") == UNTIL_READY:
            early = registers(question, answer["calls"][0])
            question.operations = [] if early is None else [
                maker.raw(answer["calls"][0]["call"], early)]
            question.how = "none" if early is None else "until ready"
        if question.how != "calls" or answer.get("verdict") != "undecided":
            continue
        both = [registers(question, call) for call in answer["calls"]]
        if len(both) == 2 and None not in both:
            question.operations = [maker.raw(answer["calls"][0]["call"], r) for r in both]
            question.how = "both"
        else:
            question.operations = []
            question.how = "none"


def arguments(policy, questions, answers=None):
    """Each component's operations, numbered. What hangs on a component's start is tried before it
    says that it is ready; what is refused from then on is tried again. Without answers it never
    says so."""
    rng = random.Random(len(questions))
    early = {name: [] for name in policy.components}
    rest = {name: [] for name in policy.components}
    late = {name: [] for name in policy.components}
    loads = {name: [] for name in policy.components}
    numbers = collections.Counter()

    def put(place, question, operation):
        question.numbers.append(numbers[question.component])
        numbers[question.component] += 1
        place[question.component].append(f"{question.numbers[-1]} {operation}")

    for question, answer in zip(questions, answers or [{}] * len(questions)):
        question.numbers = []
        starts = policy.components[question.component].startup
        before = answer.get("verdict") == UNTIL_READY or question.how == "both"
        place = early if starts and before else loads if "loader" in question.tags else rest
        for operation in question.operations:
            put(place, question, operation)
        if question.how == "until ready":
            put(late, question, f"later {question.operations[0]}")
    of = {}
    for name, component in policy.components.items():
        told = [f"{numbers[name]} ready"] if component.startup and answers else []
        half = rng.randint(0, len(rest[name]))
        of[name] = [*early[name], *rest[name][:half], *told, *late[name], *rest[name][half:],
                    *loads[name]] or ["0 call 0"]
    return of


class Run:
    """One policy: compiled, asked about, booted, executed, compared."""

    def __init__(self, case, tally, number, seed, count):
        self.case, self.tally, self.count = case, tally, count
        self.gave_up = set()
        self.policy = agree_policies.Policy(number, seed, case.directory / "disk", case.machine, case.features,
                                            case.ports)
        self.policy.loader = case.running["paths"]["loader"][0]
        self.maker = agree_questions.Maker(self.policy, seed, case.numbers, case.abstract)

    def compile(self, given):
        directory = self.case.directory
        target = self.policy.target(self.case.running)
        (directory / "target.yaml").write_text(json.dumps(target), encoding="utf-8")
        path = self.case.write_policy(self.policy.value(given))
        bundle = directory / "policy.bundle"
        return bundle, enclave.run(BULKHEAD, "compile", str(path), "-o", str(bundle))

    def inspected(self, bundle):
        text = enclave.run(BULKHEAD, "inspect", str(bundle), "--format", "json").stdout
        return {c["name"]: c for c in json.loads(text)["components"]}

    def run(self):
        bundle, compiled = self.compile({})
        if compiled.returncode != 0:
            self.tally.not_compiled += 1
            return False
        before = self.inspected(bundle)
        questions = self.maker.questions(self.count)
        answers = ask(bundle, questions)
        settle_calls(self.maker, questions, answers)
        self.operations = arguments(self.policy, questions, answers)
        bundle, compiled = self.compile(self.operations)
        self.case.assertEqual(compiled.returncode, 0, compiled.stderr)
        after = self.inspected(bundle)
        for name, component in before.items():
            component["argv"] = after[name]["argv"]
        self.case.assertEqual(before, after)
        again = ask(bundle, questions)
        self.case.assertEqual([a.get("verdict") for a in answers],
                              [a.get("verdict") for a in again])
        self.boot(bundle, {name: c["uid"] for name, c in after.items()})
        self.asked = list(zip(questions, again))
        for question, answer in self.asked:
            self.judge(question, answer, self.tally)
            self.look_up(question, answer)
        self.ask_the_command(bundle)
        self.check_all_answered(questions)
        self.tally.policies += 1
        return True

    def look_up(self, question, answer):
        """What `why` says that records a refusal has recorded it, if this is how it was tried."""
        seen, results = self.executed(question)
        # What is not there is refused by nobody.
        if answer.get("verdict") != "deny" or seen != "refused" or results[-1] not in REFUSALS:
            return
        events = [e for e in self.events if e["component"] == question.component]
        if answer["recorder"] == "notification":
            calls = {c["call"] for c in answer["calls"]}
            found = any(e["control"] == "seccomp" and e["action"] in calls for e in events)
        elif answer["recorder"] == "landlock record":
            found = any(e["control"] == "landlock" for e in events)
        else:
            return
        self.tally.records[answer["recorder"], found] += 1
        if not found:
            self.tally.disagreements.append(
                f"policy {self.policy.number} ({self.policy.target_kind()}), {question.line()}: "
                f"no record by {answer['recorder']} of {[c['call'] for c in answer['calls']]}: {results}")

    def ask_the_command(self, bundle):
        """What stands in for `why` prints what it prints."""
        question, answer = self.policy.rng.choice(self.asked)
        result = enclave.run(BULKHEAD, "why", str(bundle), question.component, question.action,
                             *question.words, "--format", "json")
        self.case.assertIn(result.returncode, (0, 1), result.stderr)
        self.case.assertEqual(json.loads(result.stdout), answer, question.line())

    # --- execution ---

    def boot(self, bundle, uids):
        self.policy.root.mkdir(parents=True)
        shutil.copy(ASKER, self.policy.program)
        os.chmod(self.policy.program, 0o755)
        unknown, loaded = self.policy.root / "unknown", self.policy.root / "loaded"
        for source, copy in ((ASKER, unknown), (ASKER_LOADED, loaded)):
            shutil.copy(source, copy)
            copy.chmod(0o755)
        listeners = agree_questions.prepare(self.maker, uids, str(unknown), str(loaded))
        audit = f"/var/log/bulkhead/{self.policy.name}.jsonl"
        self.enclave = enclave.Enclave(self.case, bundle, audit)
        self.place_inside()
        try:
            enclave.wait_until(self.all_said, 60, "all answers")
        except AssertionError as error:
            raise AssertionError(f"policy {self.policy.number}: {error}\n{self.last_lines()}"
                                 ) from error
        self.pids = {name: self.main_pid(name) for name in self.policy.components}
        self.status = {n: enclave.process_status(p) if p else None for n, p in self.pids.items()}
        self.environ = {n: self.environment(p) for n, p in self.pids.items()}
        self.seen_outside = {}
        self.connect_outside()
        self.case.assertEqual(self.enclave.stop(), 0, self.enclave.output())
        for listener in listeners:
            listener.close()
        self.output = self.enclave.output()
        self.events = self.enclave.events()
        self.asset_size = os.stat(self.policy.asset[1]).st_size
        shutil.rmtree(self.policy.root)

    def place_inside(self):
        """What questions need in a component's own file systems: of these questions, nothing."""

    def last_lines(self):
        """How far each component came, and what it was to do next."""
        self.output = self.enclave.output()
        ends = re.findall(r"(?m)^bulkhead-init: .*$", self.output)
        for name, operations in self.operations.items():
            said = self.said(name)
            ends.append(f"{name} did not answer {[o for i, o in enumerate(operations) if i not in said][:2]}")
        return "\n".join(ends)

    def main_pid(self, name):
        pids = [e["pid"] for e in self.enclave.events(name, "start")]
        return pids[-1] if pids else None

    def environment(self, pid):
        try:
            text = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode()
        except OSError:
            return {}
        return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)

    def connect_outside(self):
        for component in self.policy.components.values():
            for where in [*component.listens, *component.tcp_listen]:
                address = where if isinstance(where, str) else ("127.0.0.1", where)
                family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
                with socket.socket(family) as client:
                    client.settimeout(5)
                    self.seen_outside["connects", address] = client.connect_ex(address) == 0

    def all_said(self):
        output = self.enclave.output()
        self.case.assertIsNone(self.enclave.process.poll(), output)
        return all(f"{name} | all done" in output or f"`{name}` exit" in output
                   for name in self.policy.components)

    def said(self, component):
        pattern = rf"(?m)^{component} \| (\d+) (\S+)$"
        return {int(n): result for n, result in re.findall(pattern, self.output)}

    def check_all_answered(self, questions):
        """A component that ended in the middle says nothing more: once, why."""
        for name in self.policy.components:
            if f"{name} | all done" not in self.output and name not in self.gave_up:
                ends = re.findall(rf"(?m)^bulkhead-init: `{name}` .*$", self.output)
                said = self.said(name)
                rest = [f"{n} {o}" for q in questions if q.component == name
                        for n, o in zip(q.numbers, q.operations) if n not in said]
                self.tally.disagreements.append(
                    f"policy {self.policy.number} ({self.policy.target_kind()}): {name} ended "
                    f"({ends}) with the question {rest[:1]}")

    def outside(self, question, kind, what):
        if kind == "capability":
            status = self.status[question.component]
            return any(int(status[line], 16) for line in CAP_LINES)
        if kind == "shortened":
            return self.asset_size == 0
        if kind == "holds":
            names = self.environ[question.component].get("LISTEN_FDNAMES", "").split(":")
            return what in names
        return self.seen_outside[kind, what]

    # --- comparison ---

    def executed(self, question):
        """passed, refused, both, nothing, excluded, or what else came of it."""
        said = self.said(question.component)
        results = [said.get(number, "unanswered") for number in question.numbers]
        if question.how == "none":
            return "excluded", results
        if question.how in ("calls", "both"):
            plain = ["refused" if r in REFUSALS else "unanswered" if r == "unanswered" else "passed"
                     for r in results]
            if question.how == "calls":
                return plain[0], results
            return "both" if plain == ["passed", "refused"] else " ".join(plain), results
        if question.how == "until ready":
            plain = ["refused" if r in REFUSALS else "unanswered" if r == "unanswered" else "passed"
                     for r in results]
            return "until ready" if plain == ["passed", "refused"] else " ".join(plain), results
        # What no loader is for was let through. A tripwire that is cut off is not the asset.
        passed = [r == "passed" or (operation.startswith("execute") and r == "ENOEXEC")
                  for r, operation in zip(results, question.operations)
                  if question.action != "reach" or not operation.startswith("shorten")]
        if question.how == "any":
            if "unanswered" in results:
                return "unanswered", results
            if any(passed):
                return "passed", results
            if question.outside and self.status[question.component] is None:
                return "excluded", results
            outside = any(self.outside(question, *what) for what in question.outside)
            return ("passed" if outside else "refused"), results
        if passed[-1]:
            return "passed", results
        if results[-1] == "unanswered" and "loader" in question.tags:
            # The kernel ran it, and it ended: how much it needs is its own.
            self.gave_up.add(question.component)
            return "gave up", results
        if results[-1] == "unanswered":
            return "unanswered", results
        if "absent" in question.tags or ("own" in question.tags and results[0] == "nothing"):
            return "nothing", results
        return "refused", results

    def judge(self, question, answer, tally):
        verdict = answer.get("verdict", "error")
        seen, results = self.executed(question)
        if verdict == "deny" and seen in ("nothing", "gave up"):
            seen = "refused"
        elif seen == "gave up":
            seen = "excluded"
        if verdict == "undecided" and question.how not in ("both", "none"):
            seen = "excluded"
        tally.add(question, verdict, seen, self.policy.target_kind())
        # A test of the mode may leave one that asker/files.cc does not try.
        if verdict == "allow" and seen == "refused" and any(
                c["arguments"].get("mode", 0o777) not in MODES for c in answer["calls"]
                if "chmod" in c["call"]):
            seen = "excluded"
        if seen != "unanswered" and (verdict, seen) not in AGREES:
            controls = [f"{c['layer']} {c['verdict']} {c['text']}"
                        for c in answer.get("controls", [])]
            tally.disagreements.append(
                f"policy {self.policy.number} ({self.policy.target_kind()}), {question.line()}: "
                f"why: {verdict} {answer.get('error', '')} ({'; '.join(controls)}); "
                f"kernel: {seen} {results} by {question.operations}")


class Agreement(enclave.Case):
    def setUp(self):
        super().setUp()
        doctor = enclave.run(BULKHEAD, "doctor", "--format", "json")
        self.running = json.loads(doctor.stdout)["target"]
        self.machine, self.features = self.running["arch"], self.running["features"]
        self.numbers = agree_questions.numbers(self.machine)
        self.ports = Ports(self)
        self.abstract = f"bulkhead-agree-{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind("\0" + self.abstract)
        listener.listen(4096)
        # The same policies each time; `BULKHEAD_TEST_SEED=new` draws others.
        self.seed = os.environ.get("BULKHEAD_TEST_SEED") or "7"
        if self.seed == "new":
            self.seed = str(random.randrange(10**9))
        print(f"BULKHEAD_TEST_SEED={self.seed}", file=sys.stderr)

    def agree(self, policies, questions):
        tally = Tally()
        self.runs = []
        number = int(os.environ.get("BULKHEAD_TEST_FIRST", "0"))
        while tally.policies < policies:
            run = Run(self, tally, number, self.seed, questions)
            if run.run():
                self.runs = [run]
            number += 1
        print(tally.text(), file=sys.stderr)
        if tally.disagreements:
            self.fail("\n".join(tally.disagreements[:100]))
        self.covers(tally)

    def covers(self, tally):
        """Every kind was asked with both answers, and hardly any answer was left open."""
        for action in agree_questions.KINDS:
            self.assertTrue(tally.count(action=action, verdict="deny", seen="refused"), action)
            if action not in NEVER_ALLOWED:
                self.assertTrue(tally.count(action=action, verdict="allow", seen="passed"), action)
        self.assertTrue(tally.count(verdict="undecided", seen="both"))
        self.assertTrue(tally.count(verdict=UNTIL_READY, seen="until ready"))
        self.assertLess(tally.count(seen="nothing"), tally.cells.total() / 20)
        self.assertLess(tally.count(seen="excluded"), tally.cells.total() / 20)

    def wrong_answers_are_reported(self):
        """Each answer turned round, judged by what the kernel did."""
        run, tally = self.runs[-1], Tally()
        other = {"allow": "deny", "deny": "allow"}
        flipped = [(q, {**a, "verdict": other[a["verdict"]]}) for q, a in run.asked
                   if a["verdict"] in other and run.executed(q)[0] in ("passed", "refused")
                   and not any("chmod" in call["call"] for call in a["calls"])]
        for question, answer in flipped:
            run.judge(question, answer, tally)
        self.assertGreater(len(flipped), 50)
        self.assertEqual(len(tally.disagreements), len(flipped))


class Quick(Agreement):
    def test_answers_agree_with_the_kernel(self):
        self.agree(int(os.environ.get("BULKHEAD_TEST_POLICIES", "20")), 100)
        self.wrong_answers_are_reported()


class All(Agreement):
    def test_answers_agree_with_the_kernel(self):
        self.agree(int(os.environ.get("BULKHEAD_TEST_POLICIES", "100")), 100)


if __name__ == "__main__":
    enclave.main()
