#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a component does to use everything up, or to stop: the supervisor goes on answering others.

In each case somebody else's refused calls are answered promptly, the supervisor's memory and
descriptors stay what they were, it ends in order, and nothing is left behind.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

import enclave
import hostile_components as components
import hostile_cases as hostile
from enclave import python

# How much the supervisor may grow, in KiB: its buffers are bounded.
GROWTH = 4096
EDGE = "/run/edges/exhaustion/s"

FORKS = """
import os, time
made = refused = 0
while refused < 2000:
    try:
        if os.fork() == 0:
            time.sleep(1000)
        made += 1
    except OSError:
        refused += 1
print('bomb', made, flush=True)
time.sleep(1000)
"""

DESCRIPTORS = """
import os, socket, time
held = []
try:
    while True:
        held.append(os.open('/dev/null', os.O_RDONLY))
except OSError as error:
    print('full', len(held), error.errno, flush=True)
for fd in held[-8:]:
    os.close(fd)
# Those in flight are nobody's: each message carries many.
sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
receiver.setblocking(False)
sender.setblocking(False)
sent = 0
try:
    while sent < 100000:
        socket.send_fds(sender, [b'x'], held[:32])
        sent += 32
except OSError as error:
    print('in flight', sent, error.errno, flush=True)
time.sleep(1000)
"""

MEMORY = """
import sys
print('filling', flush=True)
held = []
while True:
    held.append(bytearray(1 << 20))
"""

# Messages in sockets of its own that nobody reads, each of them sent by the broker.
MESSAGES = """
import socket
print('filling', flush=True)
pairs, held = [], 0
while held < 160 << 20:
    for one in socket.socketpair():
        pairs.append(one)
        one.setblocking(False)
        try:
            while True:
                held += one.sendmsg([bytes(60000)])
        except BlockingIOError:
            pass
    print('held', held >> 20, flush=True)
print('all', flush=True)
import time
time.sleep(1000)
"""

# Bytes that are no line, bytes that drive a terminal, lines without end.
LOGS = """
import os, sys, time
piece = {piece}
end = time.monotonic() + 3
sent = 0
while time.monotonic() < end:
    try:
        sent += os.write(1, piece)
    except OSError:
        pass
os.write(1, b'\\nwrote %d\\n' % sent)
time.sleep(1000)
"""

STOPS = """
import os, signal
print('stopping', flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


# Sends itself a file in memory through somebody who never takes it.
PINS = """
import os, socket, sys
fd = os.open('/run/own/file', os.O_RDWR | os.O_CREAT, 0o600)
for _ in range(20):
    os.write(fd, bytes(1 << 20))
socket.send_fds(socket.socket(fileno=3), [b'x'], [fd])
print('pinned', flush=True)
sys.exit(1)
"""


def shared_memory():
    """Bytes of files in memory, all of the machine's."""
    text = pathlib.Path("/proc/meminfo").read_text("ascii")
    return int(re.search(r"(?m)^Shmem: +(\d+) kB", text)[1]) << 10


def status(pid, key):
    return int(enclave.process_status(pid)[key].split()[0])


class Exhaustion(hostile.Case):
    def enclave(self, name, attacker, **keys):
        caller = self.script(components.CALLER)
        if "network" in attacker:
            caller["network"] = {"unix": {"connect": [EDGE]}}
        value = {"attacker": attacker, "caller": caller}
        running = self.boot(enclave.policy(name, value), ready=["caller"], **keys)
        self.answers_go_on(running, 2)
        return running

    def goes_on(self, running, before):
        """The supervisor is as it was, and everybody else is answered."""
        self.answers_go_on(running)
        self.assertLessEqual(status(running.pid, "VmRSS") - before["memory"], GROWTH)
        # A component that has ended gives some back.
        self.assertLessEqual(self.descriptors(running), before["descriptors"])

    def before(self, running):
        return {"memory": status(running.pid, "VmRSS"), "descriptors": self.descriptors(running)}

    def descriptors(self, running):
        return len(os.listdir(f"/proc/{running.pid}/fd"))

    def nothing_left(self, running):
        events = self.ends(running)
        self.assertEqual(enclave.processes_of(set(running.uids.values())), {})
        return events

    def test_a_fork_bomb_is_its_own(self):
        attacker = self.script(FORKS, limits={"processes": 16}, syscalls={"allow": ["@processes"]})
        running = self.enclave("e2e-bomb", attacker)
        running.wait_output("attacker | bomb")
        before = self.before(running)
        self.assertLessEqual(self.last(running, "attacker | bomb"), 16)
        self.assertGreaterEqual(self.last(running, "attacker | bomb"), 8)
        self.assertLessEqual(len(running.processes("attacker")), 16)
        self.goes_on(running, before)
        self.nothing_left(running)

    def test_descriptors_run_out_for_who_holds_them(self):
        attacker = self.script(DESCRIPTORS, limits={"files": 128},
                               network={"unix": {"listen": [
                                   {"path": EDGE, "name": "edge", "from": ["caller"]}]}})
        running = self.enclave("e2e-descriptors", attacker)
        running.wait_output("attacker | full")
        running.wait_output("attacker | in flight")
        self.goes_on(running, self.before(running))
        self.nothing_left(running)

    def test_memory_runs_out_for_who_takes_it(self):
        attacker = self.script(MEMORY, limits={"memory": "32M"})
        running = self.enclave("e2e-memory", attacker)
        before = self.before(running)
        running.wait_event("attacker", "exit")
        self.goes_on(running, before)
        events = self.nothing_left(running)
        exits = [enclave.detail(e) for e in events
                 if e["component"] == "attacker" and e["action"] == "exit"]
        self.assertIn("killed by SIGKILL", exits[0])
        self.assertTrue([e for e in events if e["component"] == "attacker"
                         and e["control"] == "cgroup"], exits)
        # The other one is still the first.
        self.assertEqual(len([e for e in events if e["component"] == "caller"
                              and e["action"] == "start"]), 1)

    def test_what_the_broker_holds_for_a_component_is_its_memory(self):
        """Messages that it sent itself are charged to who sends them: its worker is in its cgroup."""
        network = {"udp": {"connect": [{"to": "127.0.0.1", "port": 9}]}}
        for memory, whole in (("512M", True), ("48M", False)):
            attacker = self.script(MESSAGES, network=network,
                                   limits={"memory": memory, "files": 4096})
            running = self.boot(enclave.policy(f"e2e-messages-{memory.lower()}", {
                "attacker": attacker, "caller": self.script(components.CALLER)}), ready=["caller"])
            self.answers_go_on(running, 2)
            if whole:
                running.wait_output("attacker | all")
            else:
                running.wait_event("attacker", "exit")
                self.assertLessEqual(self.last(running, "attacker | held"), 48)
            self.answers_go_on(running, 2)
            events = self.nothing_left(running)
            killed = [e for e in events if e["component"] == "attacker" and e["control"] == "cgroup"]
            self.assertEqual([e["action"] for e in killed[:1]], [] if whole else ["memory"])
            # What was sent is on no record: it went where the sockets were connected.
            self.assertFalse([e for e in events if e["kind"] == "violation" and e["control"] == "broker"])

    def test_what_a_run_leaves_in_memory_counts_for_the_next(self):
        """A file on its tmpfs that is in flight to who never takes it outlives its run."""
        pinner = python(PINS, limits={"memory": "32M"}, files={"runtime": ["/run/own"]},
                        restart={"when": "on-failure", "at-most": 20, "within": "1h"})
        keeper = self.script("import time\ntime.sleep(1000)")
        before = shared_memory()
        running = self.boot(enclave.policy("e2e-pins", {"pinner": pinner, "keeper": keeper},
                                           channels=[{"name": "pins", "from": "pinner",
                                                      "to": "keeper"}]), ready=["keeper"])
        running.wait_event("pinner", "exit", count=6, seconds=60)
        # The first gets through: 20 MiB of 32. Without a limit over all runs it were 120.
        running.wait_output("pinner | pinned")
        self.assertLessEqual(shared_memory() - before, 48 << 20)
        events = self.nothing_left(running)
        killed = [e for e in events if e["component"] == "pinner" and e["control"] == "cgroup"]
        self.assertTrue(killed)
        # Each is on record once, whatever the kernel's counter says from the runs before.
        exits = [e for e in events if e["component"] == "pinner" and e["action"] == "exit"]
        self.assertLessEqual(sum(e["count"] for e in killed), len(exits))

    def test_where_the_machine_has_no_memory_components_are_ended_first(self):
        running = self.enclave("e2e-order", self.script("import time\ntime.sleep(1000)"))
        adjusted = pathlib.Path("/proc") / str(running.main_pid("attacker")) / "oom_score_adj"
        self.assertEqual(adjusted.read_text("ascii").strip(), "1000")
        own = pathlib.Path(f"/proc/{running.pid}/oom_score_adj").read_text("ascii").strip()
        self.assertEqual(own, pathlib.Path("/proc/self/oom_score_adj").read_text("ascii").strip())
        self.nothing_left(running)

    def test_output_without_end_costs_no_memory(self):
        for name, piece in (("line", "b'a' * 65536"), ("lines", "b'\\n' * 65536"),
                            ("control", "b'\\x1b[2J\\x00\\xff' * 8192")):
            with self.subTest(name):
                running = self.enclave(f"e2e-log-{name}", self.script(LOGS.format(piece=piece)))
                before = self.before(running)
                time.sleep(1)
                self.goes_on(running, before)
                running.wait_output("attacker | wrote")
                self.nothing_left(running)
                # Cut, marked, made harmless; what can't be seen in a line is not there.
                output = running.output_file.read_bytes()
                self.assertIsNone(re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", output))
                longest = max(len(line) for line in output.split(b"\n"))
                self.assertLess(longest, 4 * 4096 + 200)

    def test_refusals_at_full_speed_by_threads(self):
        running = self.enclave("e2e-threads", self.hostile("calls", 8))
        self.wait_more(running, "attacker | refused", 2000)
        before = self.before(running)
        self.goes_on(running, before)
        events = self.nothing_left(running)
        tried = self.last(running, "attacker | total")
        self.assertEqual(hostile.total(
            [e for e in events if e["component"] == "attacker" and e["kind"] == "violation"]), tried)

    def test_who_stops_itself_is_ended_all_the_same(self):
        attacker = self.script(STOPS, stop={"within": "1s"})
        running = self.enclave("e2e-stopped-itself", attacker)
        running.wait_output("attacker | stopping")
        pid = running.main_pid("attacker")
        enclave.wait_until(lambda: enclave.process_status(pid)["State"].startswith("T"), 5,
                           "it has stopped itself")
        self.goes_on(running, self.before(running))
        begun = time.monotonic()
        self.nothing_left(running)
        self.assertLess(time.monotonic() - begun, 8)

    def test_a_sink_that_nobody_reads_holds_up_nobody(self):
        """Events go to a pipe that is full, and to a file: the file has all of them."""
        value = enclave.policy("e2e-slow-sink", {
            "attacker": self.hostile("call", 3000), "caller": self.script(components.CALLER)})
        value["audit"]["sinks"].append("stdout")
        bundle = self.compile(self.write_policy(value))
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        errors = open(self.directory / "errors", "wb")
        self.addCleanup(errors.close)
        process = subprocess.Popen([enclave.BULKHEAD_INIT, bundle], stdin=subprocess.DEVNULL,
                                   stdout=writer, stderr=errors)
        os.close(writer)
        self.addCleanup(process.kill)
        audit = pathlib.Path(value["audit"]["sinks"][0]["file"])

        def refused(component):
            if not audit.exists():
                return 0
            found = re.findall(rf'"component":"{component}".*"kind":"violation".*"count":(\d+)',
                               audit.read_text(encoding="utf-8"))
            return sum(map(int, found))

        enclave.wait_until(lambda: refused("attacker") > 2000, 30, "the file's records")
        answered = refused("caller")
        enclave.wait_until(lambda: refused("caller") > answered + 4, 20, "answers to others")
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        checked = enclave.run(enclave.BULKHEAD, "audit", "verify", audit)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_cgroups_are_out_of_reach(self):
        code = """
import os, time
for path in ('/sys/fs/cgroup', '/proc/self/cgroup', '/proc/1/cgroup', '/proc/self/mountinfo'):
    try:
        os.stat(path)
        print('reached', path, flush=True)
    except OSError as error:
        print('refused', path, error.errno, flush=True)
print('looked', flush=True)
time.sleep(1000)
"""
        attacker = python(code, limits={"memory": "64M", "processes": 8})
        running = self.enclave("e2e-cgroups", attacker)
        running.wait_output("attacker | looked")
        self.assertIn("attacker | refused /sys/fs/cgroup 2", running.output())
        # Positive control: from outside they are there.
        text = pathlib.Path(f"/proc/{running.main_pid('attacker')}/cgroup").read_text("utf-8")
        self.assertIn("bulkhead-e2e-cgroups", text)
        for line in re.findall(r"attacker \| reached (\S+)", running.output()):
            # Its own entry says where it is, and leads nowhere.
            self.assertTrue(line.startswith("/proc/"), line)
        self.nothing_left(running)

    def test_the_runtime_reads_no_memory_of_others(self):
        """Pages that block their reader (userfaultfd, FUSE) block nobody who does not read them."""
        # The broker opens it and a worker, who may hang, reads it; an observer is a process as well.
        apart = {"broker.cc", "caller.cc", "observer.cc"}
        calls = re.compile(r"process_vm_readv|process_vm_writev|PTRACE_PEEK|/mem\"")
        read = 0
        for folder in ("engine", "sandbox"):
            for source in sorted((enclave.SOURCE / folder).glob("*.cc")):
                text = re.sub(r"//.*", "", source.read_text(encoding="utf-8"))
                read += 1
                if source.name not in apart:
                    self.assertEqual(calls.findall(text), [], source)
        self.assertGreater(read, 40)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    enclave.main()
