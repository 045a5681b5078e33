#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rules that look closed, and what passes them: each on the running kernel, three times.

A naive rule is in force: it refuses what it names (baseline). All the same the way round it passes
(control). From inside a component whose policy has the same intent it doesn't, what the intent
allows works, and the refusal is on record where the ledger says so. tests/attacks holds rules and
ways; they are the same for both.
"""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import sys
import time

import enclave
import half_rules_table as table
from enclave import BULKHEAD, BULKHEAD_INIT, python

ATTACKS = os.environ["BULKHEAD_ATTACKS"]
LOADER = os.path.realpath("/lib64/ld-linux-x86-64.so.2" if os.uname().machine == "x86_64"
                          else "/lib/ld-linux-aarch64.so.1")
PYTHON = "/usr/bin/python3"
TRUE = "/usr/bin/true"
IPC_KEY = 0x68616C66
NAME = "half-rules"
GIVEN, OTHER = "/run/edges/given/s", "/run/edges/other/s"
# Descriptors of attacks.h.
LEAKED_FILE, LEAKED_DIRECTORY = 77, 78


CLONE_NEWIPC = 0x08000000


def leave_ipc(case):
    """A memory segment, queues and a shared file that are not this machine's."""
    libc = ctypes.CDLL(None, use_errno=True)
    case.assertEqual(libc.unshare(CLONE_NEWIPC), 0)
    case.assertEqual(enclave.run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm").returncode, 0)
    case.assertGreaterEqual(libc.shmget(IPC_KEY, 4096, 0o1666), 0)
    case.assertGreaterEqual(libc.msgget(IPC_KEY, 0o1666), 0)
    queue = libc.mq_open(b"/half-rules", os.O_RDONLY | os.O_CREAT, 0o666, None)
    case.assertGreaterEqual(queue, 0)
    os.close(queue)
    pathlib.Path("/dev/shm/half-rules").write_text("decoy", encoding="ascii")


class Observations:
    """What bulkhead-attacks printed: (id, phase, kind, name) -> result."""

    def __init__(self, text, component=None):
        self.results = {}
        self.broken = re.findall(r"(?m)^.*broken: .*$", text)
        start = "" if component is None else re.escape(component) + r" \| "
        pattern = rf"(?m)^{start}(\S+) (bare|rule|inside) (named|intended|way) (\S+) (\S+)$"
        for rule, phase, kind, name, result in re.findall(pattern, text):
            self.results[rule, phase, kind, name] = result

    def of(self, rule, phase, kind):
        return {key[3]: result for key, result in self.results.items()
                if key[:3] == (rule, phase, kind)}

    def rules(self):
        return {key[0] for key in self.results}


class Naive(enclave.Case):
    """Baseline and control: in namespaces of their own, on decoys of their own."""

    @classmethod
    def setUpClass(cls):
        directory = pathlib.Path("/run/half-rules")
        directory.mkdir()
        result = enclave.run(ATTACKS, "naive", directory, LOADER)
        directory.rmdir()
        if result.returncode != 0:
            raise AssertionError(result.stdout + result.stderr)
        cls.seen = Observations(result.stdout)

    def test_nothing_is_broken(self):
        self.assertEqual(self.seen.broken, [])
        self.assertEqual(self.seen.rules(), set(table.CLASSES))

    def test_the_rules_are_in_force(self):
        for rule in table.CLASSES:
            with self.subTest(rule):
                bare = self.seen.of(rule, "bare", "named")
                self.assertTrue(bare)
                self.assertEqual(set(bare.values()), {"passed"}, bare)
                for name, result in self.seen.of(rule, "rule", "named").items():
                    self.assertIn(result, ("EPERM", "EACCES", "ENOENT", "SIGKILL"), name)
                intended = self.seen.of(rule, "rule", "intended")
                self.assertEqual(list(intended.values()), ["passed"])

    def test_the_ways_round_pass(self):
        for rule in table.CLASSES:
            with self.subTest(rule):
                ways = self.seen.of(rule, "rule", "way")
                self.assertTrue(ways)
                for name, result in ways.items():
                    self.passes(rule, name, result)

    def passes(self, rule, name, result):
        if result == "passed":
            return
        way = f"{rule} {name}"
        bare = self.seen.of(rule, "bare", "way")[name]
        # Without the rule it is the same: this kernel has no such thing, or closes it by itself.
        self.assertEqual(result, bare, way)
        if way in table.KERNEL_CLOSES:
            self.assertEqual(result, table.KERNEL_CLOSES[way][0], way)
            print(f"closed by the kernel: {way}: {table.KERNEL_CLOSES[way][1]}", file=sys.stderr)
            return
        self.assertIn(result, table.MAY_BE_ABSENT.get(way, ()), way)
        print(f"not in this kernel: {way}: {result}", file=sys.stderr)


class Compiled(enclave.Case):
    """The same ways from inside components: one enclave for all of them."""

    def setUp(self):
        super().setUp()
        self.program = self.directory / "half-rules"
        shutil.copy(ATTACKS, self.program)
        self.program.chmod(0o755)
        self.set_id = self.directory / "set-id"
        shutil.copy(ATTACKS, self.set_id)
        self.set_id.chmod(0o4755)
        # Not by its mode is it closed to writing.
        self.granted = self.file("granted", 0o666)
        self.decoy = self.file("others/decoy", 0o666)
        self.given = self.file("given/decoy", 0o644)
        self.created = self.directory / "created"
        self.created.mkdir()
        self.created.chmod(0o777)
        self.own = self.directory / "own"

    def file(self, name, mode):
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("decoy", encoding="ascii")
        path.chmod(mode)
        return path

    def inside(self, name, *, places=None, files=None, allow=(), deny=(), **keys):
        """A component that tries what the table says it does."""
        places = {
            "program": self.program, "granted": self.granted, "decoy": self.decoy,
            "own": self.own, "foreign": BULKHEAD_INIT, "set-id": self.set_id, "loader": LOADER,
            "dynamic": TRUE, "interpreter": PYTHON, "edge": GIVEN, "other-edge": OTHER,
            "policy": self.directory / "policy.bundle", "audit": f"/var/log/bulkhead/{NAME}.jsonl",
            "ipc-key": IPC_KEY, **(places or {}),
        }
        rules = [rule for rule, components in table.INSIDE.items() if name in components]
        component = {
            "profile": ["stateful-service"],
            "exec": [str(self.program), "inside", *(f"{k}={v}" for k, v in places.items()), *rules],
            "files": {"execute": [str(self.program)], "read": [str(self.granted)],
                      "private": [str(self.own)]},
            "syscalls": {"allow": ["@processes", *allow]},
            "restart": {"when": "never"},
            **keys,
        }
        if deny:
            component["syscalls"]["deny"] = list(deny)
        for verb, paths in (files or {}).items():
            component["files"][verb] = component["files"].get(verb, []) + list(map(str, paths))
        return component

    def components(self, ports):
        edges = [
            {"path": GIVEN, "name": "given", "from": ["client", "served", "taker"]},
            {"path": OTHER, "name": "other", "from": ["runner"]},
        ]
        given = {"unix": {"connect": [GIVEN]}}
        front = ports.pop("front")
        no_code = {"shmat": {"shmflg": {"bits-clear": [0o100000]}}}  # SHM_EXEC
        giver = self.inside("giver", files={"read": [self.given.parent]},
                            network={"unix": {"listen": edges},
                                     "tcp": {"connect": [ports["allowed-port"]]}})
        giver["exec"] = [str(self.program), "give", "listener=3", f"decoy={self.given}"]
        return {
            "giver": giver,
            # All that the language lets it have of what the view and namespaces are to close.
            "plain": self.inside("plain", allow=[
                "@file-modes", "fchownat", "utimensat", "setxattr", "mq_open", "shmget", "shmctl",
                no_code, {"prctl": {"option": ["PR_SET_PDEATHSIG"]}},
                {"ioctl": {"request": ["TIOCSTI", "TIOCLINUX"]}}]),
            "creator": self.inside("creator", files={"create": [self.created]},
                                   places={"own": self.created}),
            "client": self.inside(
                "client", places=ports,
                network={"tcp": {"connect": [ports["allowed-port"]]}, **given}),
            "served": self.inside(
                "served", places={**ports, "listener": 3},
                network={"tcp": {"listen": [{"port": front, "name": "front"}]}, **given}),
            "runner": self.inside(
                "runner", allow=["@file-modes"], network={"unix": {"connect": [OTHER]}},
                files={"execute": [TRUE, self.set_id, "@loader"], "read": ["@libraries"]}),
            "script": self.inside("script", profile=["stateful-service", "python"],
                                  allow=["@file-modes"]),
            "signals": self.inside("signals", allow=["@master-worker", "@posix-timers"]),
            "values": self.inside("values", deny=[
                {"ioctl": {"request": ["FIONREAD"]}},
                {"lseek": {"offset": {"from": 4097, "to": 2**63 - 1}}},
                {"mmap": {"length": {"from": 2**20 + 1, "to": 2**64 - 1}}}]),
            "taker": self.inside("taker", places={**ports, "decoy": self.given}, network=given),
        }

    def leak(self):
        """What whoever starts the supervisor has left open; it is gone with this test."""
        for path, number in ((self.decoy, LEAKED_FILE), (self.decoy.parent, LEAKED_DIRECTORY)):
            fd = os.open(path, os.O_RDWR if path == self.decoy else os.O_RDONLY)
            os.dup2(fd, number)
            os.close(fd)
            self.addCleanup(os.close, number)

    def listeners(self):
        """What there is to be reached in the enclave's network."""
        ports = {}
        for name in ("allowed-port", "other-port"):
            listener = socket.create_server(("127.0.0.1", 0))
            self.addCleanup(listener.close)
            ports[name] = listener.getsockname()[1]
        abstract = socket.socket(socket.AF_UNIX)
        self.addCleanup(abstract.close)
        abstract.bind("\0half-rules")
        abstract.listen()
        ports["front"] = enclave.free_port()
        return ports

    def wait_clients(self, port, count):
        """Clients of the listener that is handed over, once it listens."""
        def connected():
            try:
                return socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                return None

        for _ in range(count):
            self.addCleanup(enclave.wait_until(connected, 20, "a listener").close)

    def wait_done(self, running, components):
        text = [f"{name} | done" for name in components]
        enclave.wait_until(lambda: all(t in running.output() for t in text), 60, "all attempts")

    def test_the_ways_round_are_closed(self):
        leave_ipc(self)
        self.leak()
        ports = self.listeners()
        front = ports["front"]
        value = enclave.policy(NAME, self.components(ports))
        running = self.boot(value, ready=[], pass_fds=(LEAKED_FILE, LEAKED_DIRECTORY),
                            cwd=self.decoy.parent)
        self.wait_clients(front, 3)
        self.wait_done(running, [name for name in value["components"] if name != "giver"])
        self.assertEqual(running.stop(), 0, running.output())
        running.verify_audit()
        self.tried = 0
        for rule, components in table.INSIDE.items():
            for component, expected in components.items():
                with self.subTest(rule, component=component):
                    self.judge(running, rule, component, expected, ports)
        self.assertEqual([e for e in running.events() if e["kind"] == "loss"], [])
        print(f"{len(table.CLASSES)} classes, {self.tried} attempts inside", file=sys.stderr)

    def judge(self, running, rule, component, expected, ports):
        seen = Observations(running.output(), component)
        self.assertEqual(seen.broken, [])
        intended = seen.of(rule, "inside", "intended")
        if (rule, component) not in table.INTENDED_ELSEWHERE:
            self.assertEqual(list(intended.values()), ["passed"])
            intended = {}
        tried = {**intended, **seen.of(rule, "inside", "named"), **seen.of(rule, "inside", "way")}
        # A kernel without the entry ends who uses it before any filter is asked.
        for name, result in tried.items():
            if result == "SIGSEGV" == table.MAY_BE_ABSENT.get(f"{rule} {name}", ("",))[0]:
                print(f"not in this kernel: {rule} {name}: {result}", file=sys.stderr)
                expected = {k: v for k, v in expected.items() if k != name}
        tried = {name: result for name, result in tried.items() if name in expected or
                 result != "SIGSEGV"}
        wanted = {name: refusal.result for name, refusal in expected.items()}
        self.assertEqual(tried, wanted)
        self.assertTrue(seen.of(rule, "inside", "way"))
        self.tried += len(tried)
        for name, refusal in expected.items():
            with self.subTest(name):
                self.is_on_record(running, component, refusal, ports)
        self.is_closed_by_the_compiler(running, rule, component)

    def is_on_record(self, running, component, refusal, ports):
        if refusal.control:
            pattern = refusal.object.replace("{other_port}", str(ports["other-port"]))
            found = [e for e in running.events(component, refusal.action)
                     if e["control"] == refusal.control and e["kind"] == refusal.kind
                     and e["verdict"] == refusal.verdict and re.search(pattern, e.get("extra", {}).get("registers", e["object"]))]
            self.assertTrue(found, refusal)
            if refusal.verdict == "refused":
                self.assertEqual({e["errno"] for e in found}, {refusal.result})
        elif refusal.statement:
            rows = [r for r in running.inspected["ledger"]
                    if r["statement"] == f"components.{component}.{refusal.statement}"]
            self.assertEqual(len(rows), 1, refusal)
            unrecorded = rows[0]["recorder"] == "none"
            self.assertTrue(unrecorded or (refusal.reason and refusal.reason in rows[0]["note"]),
                            (refusal, rows[0]))
        else:
            self.assertTrue(refusal.reason or refusal.result == "passed", refusal)

    def is_closed_by_the_compiler(self, running, rule, component):
        """The compiler's table of ways round says the same."""
        ways = {c["name"]: {w["way"]: w["closed_by"] for w in c["ways_round"]}
                for c in running.inspected["components"]}[component]
        if rule in ways:
            self.assertNotEqual(ways[rule], "nothing")
        else:
            self.assertIn(rule, table.LEFT)

    def test_the_compiler_knows_the_same_ways(self):
        text = (enclave.SOURCE / "docs/CLOSURE.md").read_text(encoding="utf-8")
        known = set(re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", text))
        self.assertEqual(known - set(table.CLASSES) - set(table.LEFT), set())
        self.assertEqual(set(table.CLASSES) - known, set())
        for name, reason in sorted(table.LEFT.items()):
            print(f"left: {name}: {reason}", file=sys.stderr)

    def test_every_way_is_judged(self):
        listed = enclave.run(ATTACKS, "list").stdout.split("\n")
        ways = {tuple(line.split()) for line in listed if line}
        judged = {(rule, name) for rule, components in table.INSIDE.items()
                  for expected in components.values() for name in expected}
        alone = {rule for rule, components in table.INSIDE.items() if not components}
        self.assertEqual({w for w in ways - judged if w[0] not in alone}, set())
        self.assertEqual({rule for rule, _ in ways}, set(table.CLASSES))
        self.assertEqual(set(table.INSIDE), set(table.CLASSES))

    def test_a_policy_that_opens_one_is_refused(self):
        fine = self.write_policy(enclave.policy(NAME, {"plain": self.inside("plain")}))
        self.compile(fine)
        for rule, keys, code in table.REFUSED_POLICIES:
            with self.subTest(rule):
                keys = dict(keys)
                files = {"create": [self.created]} if keys.pop("create", False) else {}
                files["write"] = keys.pop("write", [])
                files = {verb: paths for verb, paths in files.items() if paths}
                component = self.inside("plain", files=files, **keys)
                path = self.write_policy(enclave.policy(NAME, {"plain": component}))
                result = enclave.run(BULKHEAD, "compile", path, "-o", self.directory / "none")
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(f"[{code}", result.stderr)


class PolicyEmpty(enclave.Case):
    def test_nothing_is_no_policy(self):
        for text in ("", "{}", "# nothing\n", "---\n"):
            with self.subTest(text):
                path = self.directory / "policy.yaml"
                path.write_text(text, encoding="utf-8")
                self.is_refused(path)
        self.is_refused(self.directory / "absent.yaml", 3)
        for components in ({}, {"a": {}}, {"a": {"profile": ["batch"]}}):
            with self.subTest(components):
                self.is_refused(self.write_policy(enclave.policy("e2e-empty", components)))

    def is_refused(self, path, code=1):
        bundle = self.directory / "policy.bundle"
        result = enclave.run(BULKHEAD, "compile", path, "-o", bundle)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertFalse(bundle.exists())

    def test_nothing_is_no_bundle(self):
        bundle = self.directory / "policy.bundle"
        self.assertIn("No such file", self.refuses_to_boot(bundle))
        bundle.write_bytes(b"")
        self.refuses_to_boot(bundle)


class Supervisor(enclave.Case):
    """What a component does while its supervisor can't look."""

    def setUp(self):
        super().setUp()
        self.shared = self.directory / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o777)

    def start(self, name, code):
        component = python(code, files={"create": [str(self.shared)]}, restart={"when": "never"},
                           syscalls={"allow": ["@processes"]})
        component["exec"].append(str(self.shared))
        running = self.boot(enclave.policy(name, {"caller": component}))
        self.wait_said("ready")
        return running

    def said(self, name):
        path = self.shared / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def wait_said(self, name):
        return enclave.wait_until(lambda: self.said(name), 20, name)

    def say(self, name):
        (self.shared / name).write_text("go", encoding="utf-8")

    def test_a_call_does_not_pass_while_it_is_stopped_or_killed(self):
        running = self.start("e2e-stopped", ATTEMPTS)
        self.say("go-1")
        self.assertEqual(self.wait_said("result-1"), "EPERM")
        self.assertEqual(running.wait_event("caller", "memfd_create")["verdict"], "refused")
        uids = set(running.uids.values())
        os.kill(running.pid, signal.SIGSTOP)
        try:
            self.say("go-2")
            self.wait_said("trying-2")
            time.sleep(0.5)
            self.assertEqual(self.said("result-2"), "")
            self.assertTrue(enclave.processes_of(uids))
        finally:
            os.kill(running.pid, signal.SIGKILL)
        running.wait()
        enclave.wait_until(lambda: not enclave.processes_of(uids), 5, "no component process left")
        # What the kernel answers where nobody is left to ask.
        self.assertIn(self.said("result-2"), ("", "ENOSYS"))
        enclave.remove_groups("e2e-stopped")

    def test_an_answer_does_not_meet_who_got_the_number(self):
        running = self.start("e2e-reuse", REUSE)
        os.kill(running.pid, signal.SIGSTOP)
        try:
            self.say("go")
            caller = int(self.wait_said("killed"))
            command = f"echo {caller - 1} > /proc/sys/kernel/ns_last_pid"
            main = running.main_pid("caller")
            enter = enclave.run("nsenter", f"--pid=/proc/{main}/ns/pid", "sh", "-c", command)
            self.assertEqual(enter.returncode, 0, enter.stderr)
            self.say("again")
            self.assertEqual(self.wait_said("innocent"), str(caller))
            time.sleep(0.3)
        finally:
            os.kill(running.pid, signal.SIGCONT)
        # It lives, its own call is its own refusal, and the supervisor goes on.
        self.assertEqual(self.wait_said("result"), "EPERM 42")
        self.assertEqual(running.stop(), 0)
        refused = sum(e["count"] for e in running.events("caller", "chroot"))
        self.assertIn(refused, (1, 2))
        running.verify_audit()


HELPERS = """
import errno, os, sys, time
def say(name, text):
    with open(sys.argv[1] + '/new', 'w') as file:
        file.write(str(text))
    os.rename(sys.argv[1] + '/new', sys.argv[1] + '/' + name)
def wait(name):
    while not os.path.exists(sys.argv[1] + '/' + name):
        time.sleep(0.01)
def result(attempt):
    try:
        attempt()
        return 'passed'
    except OSError as error:
        return errno.errorcode[error.errno]
say('ready', 'yes')
"""

ATTEMPTS = HELPERS + """
for i in ('1', '2'):
    wait('go-' + i)
    say('trying-' + i, 'yes')
    say('result-' + i, result(lambda: os.memfd_create('half-rule')))
time.sleep(1000)
"""

REUSE = HELPERS + """
wait('go')
caller = os.fork()
if caller == 0:
    result(lambda: os.chroot('/'))
    os._exit(1)
time.sleep(0.3)
os.kill(caller, 9)
os.waitpid(caller, 0)
say('killed', caller)
wait('again')
innocent = os.fork()
if innocent == 0:
    say('said', result(lambda: os.chroot('/')))
    os._exit(42)
say('innocent', innocent)
status = os.waitpid(innocent, 0)[1]
wait('said')
with open(sys.argv[1] + '/said') as file:
    say('result', file.read() + ' ' + str(os.waitstatus_to_exitcode(status)))
time.sleep(1000)
"""


def has_landlock():
    """Naive rules and expected records are those of a kernel with all of Landlock up to ABI 7."""
    text = enclave.run(BULKHEAD, "doctor").stdout
    found = re.search(r"(?m)^  landlock: +(\d+)$", text)
    return found and int(found[1]) >= 7 and re.search(r"(?m)^  landlock-audit: +true$", text)


if __name__ == "__main__":
    if os.geteuid() == 0 and not has_landlock():
        enclave.can_not("needs Landlock ABI 7 and its records")
    enclave.main()
