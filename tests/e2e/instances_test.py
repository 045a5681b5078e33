#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A fresh compartment for each connection, with real clients."""

import os
import pathlib
import socket
import subprocess
import time
import unittest

import enclave
from enclave import python

# What a request may do. It leaves a file, a segment of shared memory and a process; or looks for
# what others have left.
HANDLE = """
import os, signal, socket, sys, time
def handle(connection):
    lines = connection.makefile('rw')
    for word in lines:
        word = word.strip()
        if word == 'leave':
            for path in ('/tmp/left', '/dev/shm/left', '/run/own/left'):
                with open(path, 'w') as file:
                    file.write('secret')
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(1000)
            answer = 'left'
        elif word == 'look':
            found = [p for p in ('/tmp/left', '/dev/shm/left', '/run/own/left') if os.path.exists(p)]
            processes = [p for p in os.listdir('/proc') if p.isdigit() and int(p) > 2]
            answer = f'files {len(found)} processes {len(processes)}'
        elif word == 'who':
            answer = ' '.join([os.environ.get(n, '-') for n in ('LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PID')]
                              + [str(os.getpid()), str(sorted(map(int, os.listdir('/proc/self/fd')))[:4])])
        elif word.startswith('/'):
            with open(word) as file:
                answer = file.read()
        elif word == 'fail':
            os._exit(7)
        else:
            answer = word
        lines.write(answer + '\\n')
        lines.flush()
"""
ONE = HANDLE + "handle(socket.socket(fileno=3))\n"
# The control: the same by one process for all.
ALL = HANDLE + """
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        handle(connection)
        os._exit(0)
    connection.close()
"""


def component(name, code, **keys):
    return python(
        code,
        network={"unix": {"listen": [{"path": f"/run/edges/{name}/s", "name": name, "from": ["client"]}]}},
        files={"private": [{"path": "/tmp", "size": "1M"}], "runtime": ["/run/own"]},
        syscalls={"allow": ["@processes"]},
        **keys,
    )


def client():
    names = ("fresh", "shared", "few", "short")
    return python("import time; time.sleep(1000)",
                  network={"unix": {"connect": [f"/run/edges/{name}/s" for name in names]}})


class Client:
    def __init__(self, case, name):
        self.socket = socket.socket(socket.AF_UNIX)
        case.addCleanup(self.socket.close)
        self.socket.settimeout(20)
        self.socket.connect(f"/run/edges/{name}/s")
        self.lines = self.socket.makefile("rw")

    def ask(self, word):
        """The answer, or nothing when the other side has ended."""
        try:
            self.lines.write(word + "\n")
            self.lines.flush()
            return self.lines.readline().strip()
        except (BrokenPipeError, ConnectionResetError):
            return ""

    def close(self):
        try:
            self.lines.close()
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.socket.close()


class Instances(enclave.Case):
    def boot_all(self):
        """Clients are the test's own: what connects is root's, from outside."""
        pathlib.Path("/var/log/bulkhead/e2e-instances.jsonl").unlink(missing_ok=True)
        value = enclave.policy("e2e-instances", {
            "fresh": component("fresh", ONE, instances={"per": "connection"}),
            "few": component("few", ONE, instances={"per": "connection", "at-most": 2}),
            "short": component("short", ONE, instances={"per": "connection", "lifetime": "3s"}),
            "shared": component("shared", ALL),
            "client": client(),
        })
        self.running = self.boot(value)
        return self.running

    def ask(self, name, word):
        one = Client(self, name)
        answer = one.ask(word)
        one.close()
        return answer

    def test_nothing_of_one_is_left_for_the_next(self):
        running = self.boot_all()
        # The control: the next request to one process for all finds everything.
        self.assertEqual(self.ask("shared", "leave"), "left")
        self.assertRegex(self.ask("shared", "look"), r"^files 3 processes [1-9]")
        for _ in range(5):
            self.assertEqual(self.ask("fresh", "leave"), "left")
            self.assertEqual(self.ask("fresh", "look"), "files 0 processes 0")
        # Nor of one that runs beside it.
        first = Client(self, "fresh")
        self.assertEqual(first.ask("leave"), "left")
        self.assertEqual(self.ask("fresh", "look"), "files 0 processes 0")
        self.assertEqual(first.ask("look"), "files 3 processes 1")
        first.close()
        # What it left is gone with it.
        uid = running.uids["fresh"]
        enclave.wait_until(lambda: not enclave.processes_of({uid}), 10, "no process of an instance")
        self.assertTrue(enclave.processes_of({running.uids["shared"]}))
        self.assertEqual(running.stop(), 0, running.output())
        running.verify_audit()

    def test_an_instance_has_its_connection_and_nothing_else(self):
        self.boot_all()
        # As PID 2 of its namespace; descriptor 4 is the listing's own.
        self.assertEqual(self.ask("fresh", "who"), "1 fresh 2 2 [0, 1, 2, 3]")
        with socket.socket(socket.AF_UNIX) as connected:
            connected.connect("/run/edges/fresh/s")
            # Who connects sees the component, and no process of it.
            credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = self.running.uids["fresh"]
        self.assertEqual(int.from_bytes(credentials[4:8], "little"), uid)

    def test_the_end_of_one_is_its_own(self):
        running = self.boot_all()
        self.assertEqual(self.ask("fresh", "fail"), "")
        enclave.wait_until(lambda: running.events("fresh", "exit"), 10, "the exit on record")
        self.assertEqual(enclave.detail(running.events("fresh", "exit")[0]), "exit status 7")
        self.assertEqual(self.ask("fresh", "again"), "again")
        self.assertEqual(running.events("fresh", "give-up"), [])
        self.assertIsNone(running.process.poll())

    def test_at_most_so_many_at_a_time(self):
        self.boot_all()
        first, second, third = (Client(self, "few") for _ in range(3))
        self.assertEqual(first.ask("1"), "1")
        self.assertEqual(second.ask("2"), "2")
        third.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            third.ask("3")
        # It is served when another ends; the others are not disturbed.
        third.socket.close()
        third = Client(self, "few")
        first.close()
        self.assertEqual(third.ask("3"), "3")
        self.assertEqual(second.ask("2"), "2")

    def test_a_lifetime_ends_it(self):
        running = self.boot_all()
        one = Client(self, "short")
        self.assertEqual(one.ask("here"), "here")
        started = time.monotonic()
        self.assertEqual(one.lines.readline(), "")
        self.assertLess(time.monotonic() - started, 10)
        enclave.wait_until(lambda: running.events("short", "exit"), 10, "the exit on record")
        self.assertEqual(running.events("short", "lifetime")[0]["verdict"], "killed")
        self.assertEqual(self.ask("short", "again"), "again")

    def test_a_stop_ends_those_that_run(self):
        running = self.boot_all()
        one = Client(self, "fresh")
        self.assertEqual(one.ask("here"), "here")
        self.assertEqual(running.stop(), 0, running.output())
        self.assertEqual(one.lines.readline(), "")
        self.assertEqual(enclave.processes_of(set(running.uids.values())), {})
        with socket.socket(socket.AF_UNIX) as late:
            self.assertNotEqual(late.connect_ex("/run/edges/fresh/s"), 0)

    def test_a_file_of_the_enclave_stands_in_a_private_directory(self):
        top = self.directory / "top"
        (top / "tree").mkdir(parents=True)
        (top / "tree/leaf").write_text("leaf")
        (top / "file").write_text("file")
        value = enclave.policy("e2e-instances-within", {
            "fresh": component("fresh", ONE, instances={"per": "connection"}), "client": client()})
        value["components"]["client"]["network"]["unix"]["connect"] = ["/run/edges/fresh/s"]
        files = value["components"]["fresh"]["files"]
        files["private"] = [{"path": str(top), "size": "1M"}, {"path": "/tmp", "size": "1M"}]
        files["read"] = [str(top / "tree"), str(top / "file")]
        running = self.boot(value)
        for _ in range(2):
            self.assertEqual(self.ask("fresh", str(top / "tree/leaf")), "leaf")
            self.assertEqual(self.ask("fresh", str(top / "file")), "file")
            self.assertEqual(self.ask("fresh", "leave"), "left")
            self.assertEqual(self.ask("fresh", "look"), "files 0 processes 0")
        self.assertEqual(running.stop(), 0, running.output())

    def test_one_that_can_not_be_confined_is_nobody_elses_end(self):
        running = self.boot_all()
        # The image changes under it; at boot this would have been refused.
        path = self.directory / "late"
        value = enclave.policy("e2e-instances-late", {
            "late": component("late", ONE, instances={"per": "connection"}),
            "client": python("import time; time.sleep(1000)",
                             network={"unix": {"connect": ["/run/edges/late/s"]}}),
        })
        value["components"]["late"]["files"]["read"] = [str(path)]
        bundle = self.compile(self.write_policy(value, "late.yaml"), "late.bundle")
        self.refuses_to_boot(bundle)
        path.write_text("here")
        late = enclave.Enclave(self, bundle, value["audit"]["sinks"][0]["file"])
        late.wait_event("late", "ready")
        self.assertEqual(self.ask("late", "here"), "here")
        path.unlink()
        self.assertEqual(self.ask("late", "here"), "")
        path.write_text("here")
        self.assertEqual(self.ask("late", "again"), "again")
        self.assertEqual(late.stop(), 0)
        self.assertIsNone(running.process.poll())

    def test_those_that_end_at_once_have_begun(self):
        value = enclave.policy("e2e-instances-quick", {
            "quick": {
                "profile": ["stateful-service"], "exec": ["/usr/bin/true"],
                "files": {"execute": ["/usr/bin/true", "@loader"], "read": ["@libraries"]},
                "network": {"unix": {"listen": [
                    {"path": "/run/edges/quick/s", "name": "quick", "from": ["client"]}]}},
                "instances": {"per": "connection", "at-most": 4}},
            "client": python("import time; time.sleep(1000)",
                             network={"unix": {"connect": ["/run/edges/quick/s"]}}),
        })
        pathlib.Path(value["audit"]["sinks"][0]["file"]).unlink(missing_ok=True)
        running = self.boot(value)
        for _ in range(20):
            clients = [Client(self, "quick") for _ in range(6)]
            for one in clients:
                self.assertEqual(one.lines.readline(), "")
                one.close()
        enclave.wait_until(lambda: len(running.events("quick", "exit")) == 120, 10, "every exit")
        # The component itself, and each of its runs.
        self.assertEqual(len(running.events("quick", "start")), 121)
        self.assertEqual({e["verdict"] for e in running.events("quick", "exit")}, {"done"})
        self.assertEqual(running.stop(), 0, running.output())
        running.verify_audit()

    def calls_of_another_architecture(self):
        """Whether this machine has them at all; on some a fault comes of it."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with subprocess.Popen([os.environ["BULKHEAD_FOREIGN"]], close_fds=False,
                                  preexec_fn=lambda: os.dup2(theirs.fileno(), 3)) as process:
                ours.sendall(b"reaped\n")
                answer = ours.recv(16)
                process.kill()
        return answer == b"not\n"

    def boot_strict(self, on_violation):
        """Runs of a program that violates its policy on request (foreign.cc)."""
        program = os.environ["BULKHEAD_FOREIGN"]
        value = enclave.policy("e2e-instances-strict", {
            "strict": {
                "profile": ["stateful-service"], "exec": [program],
                "files": {"execute": [program]},
                "network": {"unix": {"listen": [
                    {"path": "/run/edges/strict/s", "name": "strict", "from": ["client"]}]}},
                "syscalls": {"allow": ["@processes"]}, "on-violation": on_violation,
                "instances": {"per": "connection", "at-most": 4}},
            "client": python("import time; time.sleep(1000)",
                             network={"unix": {"connect": ["/run/edges/strict/s"]}}),
        })
        pathlib.Path(value["audit"]["sinks"][0]["file"]).unlink(missing_ok=True)
        return self.boot(value)

    def violate(self, running, word):
        """Two runs, of which one violates; whether that one goes on. The other one does."""
        before = len(running.events("strict", "exit"))
        violations = len([e for e in running.events("strict") if e["kind"] == "violation"])
        one, other = Client(self, "strict"), Client(self, "strict")
        self.assertEqual((one.ask("here"), other.ask("here")), ("done", "done"))
        self.assertIn(one.ask(word), ("done", ""))
        enclave.wait_until(
            lambda: len([e for e in running.events("strict") if e["kind"] == "violation"]) > violations,
            10, f"the record of {word}")
        time.sleep(0.3)
        self.assertEqual(other.ask("here"), "done", word)
        goes_on = one.ask("here") == "done"
        self.assertEqual(len(running.events("strict", "exit")) - before, 0 if goes_on else 1)
        one.close()
        other.close()
        # The component's own start is no run's.
        enclave.wait_until(
            lambda: len(running.events("strict", "exit")) == len(running.events("strict", "start")) - 1,
            10, "the end of both")
        return goes_on

    def test_a_violation_ends_the_run_that_made_it(self):
        running = self.boot_strict("kill")
        self.assertFalse(self.violate(running, "call"))
        self.assertEqual(running.events("strict", "violation")[-1]["verdict"], "killed")
        # What the filter kills by itself is told by the kernel's audit.
        has_records = running.inspected["target"]["features"].get("landlock-audit")
        if has_records and self.calls_of_another_architecture():
            self.assertFalse(self.violate(running, "child"))
            # Waited for by its parent it may be gone when the record is read: which run it was of
            # is not known then, and nobody else pays for it.
            for _ in range(10):
                self.violate(running, "reaped")
        self.assertEqual(running.stop(), 0, running.output())
        running.verify_audit()

    def test_where_violations_are_refused_all_go_on(self):
        running = self.boot_strict("refuse")
        self.assertTrue(self.violate(running, "call"))

    def test_what_can_not_be_an_instance_is_refused(self):
        def compiled(**keys):
            value = enclave.policy("e2e-instances-refused", {
                "fresh": component("fresh", ONE, instances={"per": "connection"}), "client": client()})
            value["components"]["client"]["network"]["unix"]["connect"] = ["/run/edges/fresh/s"]
            value["components"]["fresh"] |= keys
            return enclave.run(enclave.BULKHEAD, "check", str(self.write_policy(value)))
        self.assertEqual(compiled().returncode, 0, compiled().stderr)
        # Whatever a profile says of restarts: the next connection starts another.
        self.assertEqual(compiled(restart={"when": "always"}).returncode, 0)
        for keys, said in (
                ({"ready": "notify"}, "E0559"),
                ({"critical": True}, "E0559"),
                ({"network": {"unix": {"listen": []}}}, "E0"),
                ({"files": {"write": ["/srv/left"], "private": [{"path": "/tmp", "size": "1M"}]}}, "E0560"),
                ({"files": {"write": ["/srv/left"], "private": [{"path": "/srv/left/own", "size": "1M"}]}},
                 "E0565")):
            result = compiled(**keys)
            self.assertEqual(result.returncode, 1, keys)
            self.assertIn(said, result.stderr)


if __name__ == "__main__":
    enclave.main()
