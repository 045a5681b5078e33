#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a violation comes to: who makes it does not go on where it ends the component, and nothing hides
it from the record."""

import time

import enclave
from broker_test import Broker
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
