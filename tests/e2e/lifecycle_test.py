#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How components start, end and come back, with real processes under a real supervisor."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import enclave
from enclave import python

SLEEP = "import time; print('up'); time.sleep(1000)"

# Forks children that fork and end at once: each grandchild outlives its parent, sees PID 1 take it
# over, and ends. One child is never waited for, so that the count of zombies has something to find.
ORPHANS = """
import os, time
wanted, batch = 1000, 20
unwaited = os.fork()
if unwaited == 0:
    os._exit(0)
adopted = 0
for _ in range(wanted // batch):
    read, write = os.pipe()
    children = []
    for _ in range(batch):
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                while os.getppid() != 1:
                    time.sleep(0.001)
                os.write(write, b'.')
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    os.close(write)
    while got := os.read(read, 64):
        adopted += len(got)
    os.close(read)
print('adopted', adopted)
time.sleep(1000)
"""

IGNORES_TERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('deaf')
time.sleep(1000)
"""

FAMILY = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
print('up')
time.sleep(1000)
"""


# Tries a call, says what came of it, before it says that it is ready and after; so do a thread and
# a child that were there before.
STARTS_UP = """
import errno, os, socket, threading, time
def attempt(call):
    try:
        call()
        return 'passed'
    except OSError as error:
        return errno.errorcode[error.errno]
early = lambda: attempt(lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)))
read, write = os.pipe()
answer, said = os.pipe()
child = os.fork()
if child == 0:
    os.read(read, 1)
    os.write(said, early().encode())
    os._exit(0)
ready = threading.Event()
results = []
thread = threading.Thread(target=lambda: (ready.wait(), results.append(early())))
thread.start()
print('before', early(), 'never', attempt(lambda: os.chroot('/')))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.connect(os.environ['NOTIFY_SOCKET'])
    notify.send(b'READY=1')
while early() == 'passed':
    time.sleep(0.01)
ready.set()
thread.join()
os.write(write, b'.')
print('after', early(), 'thread', results[0], 'child', os.read(answer, 16).decode())
time.sleep(1000)
"""


def seconds_between(first, second):
    return float(second["time"]) - float(first["time"])


# Says that it lives for as long as it is told, and then stays silent.
WATCHED = """
import os, socket, time
print(os.environ['WATCHDOG_USEC'], os.environ['WATCHDOG_PID'] == str(os.getpid()))
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ['NOTIFY_SOCKET'])
notify.send(b'STATUS=here\\nREADY=1\\n')
for _ in range(12):
    time.sleep(0.25)
    notify.send(b'WATCHDOG=1')
print('silent')
time.sleep(1000)
"""


class Lifecycle(enclave.Case):
    def test_silence_is_ended_by_the_watchdog(self):
        pathlib.Path("/var/log/bulkhead/e2e-watchdog.jsonl").unlink(missing_ok=True)
        running = self.boot(enclave.policy("e2e-watchdog", {
            "watched": python(WATCHED, ready="notify", watchdog="2s"),
            # Beside it: nobody watches it, and it is silent, too.
            "other": python(WATCHED.replace("os.environ['WATCHDOG_USEC']", "0").replace(
                "os.environ['WATCHDOG_PID'] == str(os.getpid())", "0"), ready="notify"),
        }))
        running.wait_output("watched | 2000000 True")
        running.wait_output("watched | silent")
        event = running.wait_event("watched", "watchdog")
        self.assertEqual(event["verdict"], "killed")
        ready = running.events("watched", "ready")[0]
        self.assertGreater(seconds_between(ready, event), 4.5)
        # It is a failure like another: started again.
        running.wait_event("watched", "ready", 2)
        self.assertEqual(running.events("other", "exit"), [])
        self.assertEqual(running.stop(), 0)
        running.verify_audit()

    def test_python_without_a_handler_stops_by_the_signal(self):
        running = self.boot(
            enclave.policy(
                "e2e-stop",
                {
                    "plain": python(SLEEP, stop={"within": "10s"}),
                    "deaf": python(IGNORES_TERM, stop={"within": "1s"}),
                },
            )
        )
        running.wait_output("plain | up")
        running.wait_output("deaf | deaf")
        self.assertEqual(running.stop(), 0)
        stop, ended = running.events("plain", "stop")[0], running.events("plain", "exit")[0]
        self.assertEqual(enclave.detail(ended), "killed by SIGTERM")
        self.assertEqual(ended["verdict"], "done")
        self.assertLess(seconds_between(stop, ended), 5)
        self.assertEqual(running.events("plain", "stop-timeout"), [])
        # Beside it: who does not hear the signal is killed at the end of its grace time.
        stop, ended = running.events("deaf", "stop")[0], running.events("deaf", "exit")[0]
        self.assertEqual(enclave.detail(ended), "killed with all its processes")
        self.assertEqual(running.events("deaf", "stop-timeout")[0]["verdict"], "killed")
        self.assertGreaterEqual(seconds_between(stop, ended), 0.99)
        self.assertLess(seconds_between(stop, ended), 3)
        running.verify_audit()

    def order(self, value, **keys):
        """Three, each after the one before, each ready or gone after a while."""
        slow = ("import os, signal, socket, sys, time\n"
                "def end(*_):\n    time.sleep(0.3)\n    sys.exit(0)\n"
                "signal.signal(signal.SIGTERM, end)\ntime.sleep(0.3)\n"
                "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                "s.connect(os.environ['NOTIFY_SOCKET'])\ns.send(b'READY=1')\n"
                "while True:\n    time.sleep(1000)\n")
        after = {"one": [], "two": ["one"], "three": ["two"], "beside": ["one"]}
        return enclave.policy(value, {
            name: python(slow, ready="notify", **({"after": names} if names else {}), **keys)
            for name, names in after.items()})

    def seq(self, running, name, action):
        return running.events(name, action)[0]["seq"]

    def test_starts_and_stops_are_in_the_order_of_the_policy(self):
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            running = self.boot(self.order("e2e-order"))
            seq = lambda name, action: self.seq(running, name, action)
            self.assertLess(seq("one", "ready"), seq("two", "start"))
            self.assertLess(seq("two", "ready"), seq("three", "start"))
            # What waits for the same starts beside each other.
            self.assertLess(seq("beside", "start"), seq("two", "ready"))
            self.assertLess(seq("two", "start"), seq("beside", "ready"))
            os.kill(running.pid, signal_number)
            self.assertEqual(running.wait(), 0)
            self.assertLess(seq("three", "exit"), seq("two", "stop"))
            self.assertLess(seq("two", "exit"), seq("one", "stop"))
            self.assertLess(seq("beside", "exit"), seq("one", "stop"))
            self.assertLess(seq("beside", "stop"), seq("three", "exit"))
            running.verify_audit()
            running.audit.unlink()

    def test_a_second_request_waits_for_nobody(self):
        running = self.boot(enclave.policy("e2e-twice", {
            "deaf": python(IGNORES_TERM, stop={"within": "60s"})}))
        running.wait_output("deaf | deaf")
        os.kill(running.pid, signal.SIGTERM)
        running.wait_event("deaf", "stop")
        # It is given its time.
        time.sleep(0.5)
        self.assertIsNone(running.process.poll())
        os.kill(running.pid, signal.SIGTERM)
        self.assertEqual(running.wait(10), 0)
        self.assertEqual(enclave.detail(running.events("deaf", "exit")[0]), "killed with all its processes")
        running.verify_audit()

    def test_a_hang_up_opens_the_log_again_and_nothing_else(self):
        running = self.boot(enclave.policy("e2e-hup", {"one": python(SLEEP)}))
        pid = running.main_pid("one")
        old = running.audit.with_suffix(".1")
        self.addCleanup(old.unlink, missing_ok=True)
        running.audit.rename(old)
        os.kill(running.pid, signal.SIGHUP)
        enclave.wait_until(running.audit.exists, 10, "a new log")
        os.kill(pid, signal.SIGKILL)
        running.wait_event("one", "ready")
        self.assertEqual([e["pid"] for e in running.events("one", "exit")], [pid])
        self.assertNotIn('"exit"', old.read_text(encoding="utf-8"))
        self.assertEqual(running.stop(), 0)

    def test_a_thousand_orphans_leave_no_zombie(self):
        # Orphans that wait for a busy machine's reaper count against the limit.
        value = python(ORPHANS, syscalls={"allow": ["@processes"]}, limits={"processes": 1100})
        running = self.boot(enclave.policy("e2e-orphans", {"parent": value}))
        running.wait_output("adopted 1000", 60)
        main = str(running.main_pid("parent"))
        # The one that its own parent never waits for is seen, so the others would be too.
        enclave.wait_until(
            lambda: [s["PPid"] for s in running.processes("parent").values()
                     if enclave.is_zombie(s)] == [main],
            5,
            "no zombie but the one left on purpose",
        )
        self.assertEqual(len(running.processes("parent")), 2)
        self.assertEqual(running.stop(), 0)
        running.verify_audit()

    def test_what_is_for_the_start_ends_with_it_for_all_threads_and_processes(self):
        value = python(STARTS_UP, ready="notify",
                       syscalls={"allow": ["@processes"], "startup": ["sched_setaffinity"]})
        running = self.boot(enclave.policy("e2e-startup", {"one": value}))
        running.wait_output("one | after")
        self.assertIn("one | before passed never EPERM\n", running.output())
        self.assertIn("one | after EPERM thread EPERM child EPERM\n", running.output())
        # It starts anew, and so does this; nothing of what passed is on record.
        os.kill(running.main_pid("one"), signal.SIGKILL)
        enclave.wait_until(lambda: running.output().count("one | after EPERM") == 2, 20, "again")
        self.assertEqual(running.output().count("one | before passed"), 2)
        self.assertEqual(running.stop(), 0)
        events = running.events("one", "sched_setaffinity")
        # Each time: who waits for the refusal, itself once more, its thread and its child.
        self.assertEqual(sum(event["count"] for event in events), 8)
        self.assertEqual({event["verdict"] for event in events}, {"refused"})
        running.verify_audit()

    def test_a_killed_service_comes_back_alone(self):
        names = ["first", "second", "third"]
        running = self.boot(enclave.policy("e2e-restart", {n: python(SLEEP) for n in names}))
        others = {n: (running.main_pid(n), running.starttime(n)) for n in ("first", "third")}
        killed = running.main_pid("second")
        os.kill(killed, signal.SIGKILL)
        started = running.wait_event("second", "start", 2)
        self.assertNotEqual(started["pid"], killed)
        ended = running.events("second", "exit")[0]
        self.assertEqual((enclave.detail(ended), ended["verdict"]), ("killed by SIGKILL", "failed"))
        self.assertLess(seconds_between(ended, started), 2)
        running.wait_event("second", "ready", 2)
        self.assertIsNotNone(enclave.process_status(started["pid"]))
        for name, before in others.items():
            self.assertEqual((running.main_pid(name), running.starttime(name)), before)
            self.assertEqual(len(running.events(name, "start")), 1)
        self.assertEqual(running.stop(), 0)
        running.verify_audit()

    def give_up(self, name, critical):
        value = {
            "failing": python(
                "import sys; sys.exit(7)",
                restart={"when": "on-failure", "at-most": 2, "within": "60s"},
                critical=critical,
            ),
            "bystander": python(SLEEP),
        }
        return self.boot(enclave.policy(name, value), ready=["bystander"])

    def test_a_used_up_budget_of_a_critical_component_ends_the_enclave(self):
        running = self.give_up("e2e-critical", critical=True)
        self.assertEqual(running.wait(30), 1)
        self.assertEqual(len(running.events("failing", "start")), 3)
        self.assertEqual(len(running.events("failing", "give-up")), 1)
        self.assertIn("7", enclave.detail(running.events("failing", "exit")[0]))
        self.assertIn("critical", running.output())
        ended = running.events("bystander", "exit")[0]
        self.assertEqual(enclave.detail(ended), "killed by SIGTERM")
        self.assertEqual(enclave.processes_of(set(running.uids.values())), {})
        running.verify_audit()

    def test_a_used_up_budget_of_another_component_does_not(self):
        running = self.give_up("e2e-not-critical", critical=False)
        running.wait_event("failing", "give-up")
        time.sleep(0.5)
        self.assertIsNone(running.process.poll())
        self.assertEqual(len(running.events("failing", "start")), 3)
        self.assertIsNotNone(enclave.process_status(running.main_pid("bystander")))
        self.assertEqual(running.stop(), 0)
        running.verify_audit()

    def test_an_enclave_that_ends_by_itself_says_whether_all_went_well(self):
        for code, wanted in ((0, 0), (7, 1)):
            name = f"e2e-once-{code}"
            value = {
                "once": python(f"import sys; sys.exit({code})", restart={"when": "never"}),
                "good": python("pass", restart={"when": "never"}),
            }
            running = self.boot(enclave.policy(name, value), ready=["good"])
            self.assertEqual(running.wait(30), wanted, running.output())
            for component in value:
                ended, started = (running.events(component, what)[0] for what in ("exit", "start"))
                self.assertEqual(ended["pid"], started["pid"])
            running.verify_audit()

    def test_the_last_words_of_a_component_are_passed_on_whole(self):
        # More than one read takes, less than a pipe holds, with the end right behind it.
        code = "import os; os.write(1, b''.join(b'%05d\\n' % i for i in range(10000)))"
        value = {"talker": python(code, restart={"when": "never"})}
        running = self.boot(enclave.policy("e2e-words", value), ready=[])
        self.assertEqual(running.wait(30), 0, running.output())
        said = [line for line in running.output().splitlines() if line.startswith("talker | ")]
        self.assertEqual(said, [f"talker | {i:05d}" for i in range(10000)])

    def test_no_process_outlives_a_killed_supervisor(self):
        value = {
            "family": python(FAMILY, syscalls={"allow": ["@processes"]}),
            "deaf": python(IGNORES_TERM),
        }
        running = self.boot(enclave.policy("e2e-orphaned", value))
        running.wait_output("family | up")
        running.wait_output("deaf | deaf")
        self.addCleanup(enclave.remove_groups, "e2e-orphaned")
        uids = set(running.uids.values())
        self.assertEqual(len(enclave.processes_of(uids)), 5)
        os.kill(running.pid, signal.SIGKILL)
        self.assertEqual(running.wait(), -signal.SIGKILL)
        enclave.wait_until(lambda: not enclave.processes_of(uids), 1, "no component process left")
        # What was written holds together, and that there was no end in order shows.
        self.assertRegex(running.verify_audit(), r"(?m)^1 .* open ")

    def test_an_enclave_boots_again_after_its_supervisor_was_killed(self):
        value = enclave.policy("e2e-again", {"service": python(SLEEP)})
        first = self.boot(value)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        uids = set(first.uids.values())
        enclave.wait_until(lambda: not enclave.processes_of(uids), 1, "no component process left")
        second = enclave.Enclave(self, self.directory / "policy.bundle", first.audit)
        second.wait_event("service", "ready", 2)
        self.assertEqual(second.stop(), 0)
        second.verify_audit()

    def test_a_start_that_takes_too_long_is_killed_and_recorded(self):
        value = {
            "slow": python(SLEEP, ready="notify", **{"start-within": "1s"},
                           restart={"when": "never"}),
            "bystander": python(SLEEP),
        }
        running = self.boot(enclave.policy("e2e-start", value), ready=["bystander"])
        ended = running.wait_event("slow", "exit")
        self.assertEqual(enclave.detail(ended), "killed with all its processes")
        self.assertEqual(ended["verdict"], "failed")
        timeout = running.events("slow", "start-timeout")[0]
        self.assertEqual(timeout["verdict"], "killed")
        elapsed = seconds_between(running.events("slow", "start")[0], timeout)
        self.assertGreaterEqual(elapsed, 0.9)
        self.assertLess(elapsed, 3)
        self.assertEqual(running.events("slow", "ready"), [])
        self.assertEqual(running.processes("slow"), {})
        self.assertEqual(running.stop(), 0)
        running.verify_audit()

    def test_a_component_does_not_run_beside_its_enclave(self):
        running = self.boot(enclave.policy("e2e-beside", {"one": python(SLEEP)}))
        bundle = str(self.directory / "policy.bundle")
        beside = enclave.run(enclave.BULKHEAD, "exec", bundle, "one", "--", "true")
        self.assertEqual(beside.returncode, 3, beside.stderr)
        self.assertIn("another bulkhead-init", beside.stderr)
        self.assertEqual(running.stop(), 0)
        # Control: alone it does.
        alone = enclave.run(enclave.BULKHEAD, "exec", bundle, "one", "--",
                            "/usr/bin/python3", "-c", "pass")
        self.assertEqual(alone.returncode, 0, alone.stderr)
        # It is no service: nobody starts it again.
        failing = enclave.run(enclave.BULKHEAD, "exec", bundle, "one", "--",
                              "/usr/bin/python3", "-c", "print('ran'); raise SystemExit(3)")
        self.assertEqual((failing.returncode, failing.stdout.count("ran\n")), (1, 1), failing.stderr)
        running.verify_audit()

    def test_standard_output_in_a_file_holds_every_record(self):
        policy = enclave.policy("e2e-stdout", {"one": python("print('said')", restart={
            "when": "never"})})
        policy["audit"] = {"sinks": ["stdout"]}
        bundle = self.compile(self.write_policy(policy))
        output = self.directory / "both"
        with open(output, "wb") as file:  # without O_APPEND, one offset for both, as `> FILE 2>&1`
            done = subprocess.run([enclave.BULKHEAD_INIT, str(bundle)], stdin=subprocess.DEVNULL,
                                  stdout=file, stderr=file, timeout=60, check=False)
        text = output.read_text(encoding="utf-8")
        self.assertEqual(done.returncode, 0, text)
        records = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        self.assertEqual([r["seq"] for r in records], list(range(1, len(records) + 1)))
        self.assertEqual(records[-1]["action"], "log-close")
        self.assertIn("bulkhead-init: `one` start\n", text)
        self.assertIn("one | said\n", text)

    def test_a_file_beneath_a_private_directory_is_there(self):
        given = self.directory / "given"
        given.write_text("here", encoding="utf-8")
        given.chmod(0o644)
        code = f"import os; print(open({str(given)!r}).read(), os.listdir({str(given.parent)!r}))"
        value = {
            "one": python(code, files={"private": ["/tmp"], "read": [str(given)]},
                          restart={"when": "never"}),
        }
        running = self.boot(enclave.policy("e2e-beneath", value), ready=[])
        self.assertEqual(running.wait(30), 0, running.output())
        self.assertIn("one | here ['given']", running.output())


if __name__ == "__main__":
    enclave.main()
