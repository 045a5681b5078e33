#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a violation comes to: who makes it does not go on where it ends the component, and nothing hides
it from the record."""

import ctypes
import os
import signal
import threading
import time

import enclave
import hostile_components as components
from broker_test import TRY, Broker, Listener
from enclave import python
from hostile_cases import Case, total


class Violation(Case, Broker):
    def test_what_ends_by_a_violation_does_not_go_on_from_it(self):
        # Refused by its registers, with a path that is read for the record, by the broker.
        kinds, runs = ("registers", "path", "address"), 6
        for action, wanted in (("refuse", runs), ("kill", 0)):
            value = {kind: self.hostile("once", kind, ready="started", **{
                "on-violation": action,
                "restart": {"when": "always", "at-most": runs - 1, "within": "60s"},
                "network": {"tcp": {"connect": [{"to": "127.0.0.1", "port": 9}]}}}) for kind in kinds}
            running = self.boot(enclave.policy("e2e-once-" + action, value), ready=[])
            running.wait(60)
            for kind in kinds:
                said = running.output().count
                self.assertEqual(said(f"{kind} | tries\n"), runs, running.output())
                self.assertEqual(said(f"{kind} | goes on\n"), wanted, running.output())
                violations = [e for e in running.events(kind) if e["kind"] == "violation"]
                self.assertEqual(total(violations), runs, violations)
                answers = {(e["verdict"], e["errno"]) for e in violations}
                self.assertEqual(answers, {("refused", "EPERM") if wanted else ("killed", "")})
            running.verify_audit()

    def hold_at_its_end(self, pid, seconds):
        """Who is killed stays that long before it closes anything (ptrace(2), PTRACE_O_TRACEEXIT)."""
        seize, go_on, trace_exit, all_kinds = 0x4206, 7, 0x40, 0x40000000
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long] * 4
        seized = threading.Event()

        def trace():
            if libc.ptrace(seize, pid, 0, trace_exit) != 0:
                return
            seized.set()
            while True:
                _, status = os.waitpid(pid, all_kinds)
                if not os.WIFSTOPPED(status):
                    return
                at_exit = status >> 16 == 6  # PTRACE_EVENT_EXIT
                if at_exit:
                    time.sleep(seconds)
                libc.ptrace(go_on, pid, 0, 0 if status >> 16 else os.WSTOPSIG(status))

        thread = threading.Thread(target=trace)
        thread.start()
        self.addCleanup(thread.join)
        self.assertTrue(seized.wait(5))

    def test_who_ends_by_a_violation_is_answered_nothing_more(self):
        # Though its reaper, whose end is its other processes', has much to do before. They connect all
        # the while, each time to an address of its own, so that none of the records is folded.
        granted = Listener(self, "0.0.0.0")
        processes, each = range(1, 33), range(1, 17)
        code = TRY + f"""
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
say('waits', 1)
signal.sigwait([signal.SIGUSR1])
begin = time.monotonic() + 1.5
for process in {processes}:
    if os.fork() == 0:
        time.sleep(begin - time.monotonic())
        for number in {each}:
            connect('made', (f'127.0.{{process}}.{{number}}', {granted.port}))
            time.sleep(0.02)
        os._exit(0)
time.sleep(begin + 0.15 - time.monotonic())
connect('other', ('127.0.0.1', 9))
time.sleep(1000)
"""
        running = self.boot(enclave.policy("e2e-ended", {"ended": python(code, **{
            "on-violation": "kill", "restart": {"when": "never"}, "env": {"HOME": "/"},
            "syscalls": {"allow": ["@processes"]}, "ready": "started",
            "network": {"tcp": {"connect": [{"to": f"127.0.{process}.{number}", "port": granted.port}
                                            for process in processes for number in each]}}})}))
        running.wait_output("ended | waits")
        self.hold_at_its_end(self.reaper(running, "ended"), 2)
        os.kill(running.main_pid("ended"), signal.SIGUSR1)
        end = running.wait_event("ended", "violation")
        running.wait(60)
        events = running.events("ended")
        made = [e for e in events if e["kind"] == "brokered"]
        self.assertGreater(total(made), 16)
        # What its workers had made by then is on record: it has four.
        self.assertLessEqual(total(e for e in made if e["seq"] > end["seq"]), 4)
        self.assertIn(("tcp:127.0.0.1:9", "killed"), [(e["object"], e["verdict"]) for e in events])
        self.assertNotIn("ended | other", running.output())
        running.verify_audit()

    def test_more_calls_than_are_kept(self):
        # To take and answer a call is the longer the more there are. Where a violation ends it, nobody
        # has so many that one of them could be taken back unseen.
        for threads, action, ends in ((800, "kill", False), (1500, "kill", True), (1500, "refuse", False)):
            with self.subTest(f"{threads} {action}"):
                value = {
                    "many": self.hostile("absent", threads, ready="started", limits={
                        "processes": 2000, "memory": "1G"}, **{"on-violation": action}),
                    "caller": self.script(components.CALLER),
                }
                running = self.boot(enclave.policy(f"e2e-many-{threads}-{action}", value), ready=["caller"])
                if ends:
                    running.wait_event("many", "exit")
                    end = next(e for e in running.events("many") if e["action"] == "violation")
                    self.assertIn("1024 of its calls wait", end["extra"]["detail"])
                else:
                    self.wait_more(running, "many | refused", 3000)
                    self.answers_go_on(running, 20)
                    self.assertEqual(running.events("many", "exit"), [])
                worst = max(self.numbers(running, "caller | answered after"))
                print(f"{threads} {action}: {worst * 1000:.0f} ms", end=" ", flush=True)
                self.ends(running)

    def test_what_a_signal_takes_back_is_seen(self):
        # While calls that are over its budget wait, and while others wait for the broker: the kernel
        # lets a signal take a call back until the supervisor has it.
        full = self.full_queue()
        for name, fill, port in (("budget", 1500, 0), ("broker", 0, full)):
            for action in ("refuse", "kill"):
                with self.subTest(name + " " + action):
                    component = self.hostile("hidden", fill, port, ready="started", **{
                        "on-violation": action,
                        "network": {"tcp": {"connect": [{"to": "127.0.0.1", "port": full}]}}})
                    running = self.boot(enclave.policy(f"e2e-hidden-{name}-{action}",
                                                       {"hides": component}), ready=[])
                    begun = time.monotonic()
                    running.wait(60)
                    # Nor does the one kind wait for the other.
                    self.assertLess(time.monotonic() - begun, 8)
                    records = [e for e in running.events("hides") if e["action"] == "setns"]
                    if action == "kill":
                        self.assertNotIn("hides | taken", running.output())
                        self.assertEqual([e["verdict"] for e in records], ["killed"])
                    else:
                        self.assertGreaterEqual(total(records) + int(self.last(running, "hides | taken")), 50)
                        self.assertGreaterEqual(total(records), 45)
                    running.verify_audit()


if __name__ == "__main__":
    enclave.main()
