#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ways round half rules from inside a component of each archetype: none gets further than the
table of half_rules_table.py says. That each way works past a naive rule is half_rules_test.py's.
"""

import sys

import enclave
import half_rules_table as table
import half_rules_test as half_rules

NAME = half_rules.NAME
ARCHETYPES = ("batch", "stateful-service", "gateway", "untrusted-code")
# What the table has for a component without edges and programs of its own.
RULES = {rule: rows["plain"] for rule, rows in table.INSIDE.items() if "plain" in rows}


class Archetypes(half_rules.Compiled):
    """One enclave, a component an archetype, all with the same attempts."""

    test_the_ways_round_are_closed = None
    test_a_policy_that_opens_one_is_refused = None
    test_every_way_is_judged = None
    test_the_compiler_knows_the_same_ways = None

    def component(self, archetype):
        own = self.directory / f"own-{archetype}"
        value = self.inside("plain", profile=[archetype], places={"own": own})
        value["files"]["private"] = [str(own)]
        # The attempts put files on descriptor 100; some archetypes have fewer.
        value["limits"] = {"files": 256}
        return value

    def test_no_archetype_lets_more_pass(self):
        half_rules.leave_ipc(self)
        self.leak()
        value = enclave.policy(NAME, {name: self.component(name) for name in ARCHETYPES})
        running = self.boot(value, ready=[], pass_fds=(half_rules.LEAKED_FILE,
                                                       half_rules.LEAKED_DIRECTORY),
                            cwd=self.decoy.parent)
        self.wait_done(running, ARCHETYPES)
        running.stop()
        running.verify_audit()
        tried = 0
        for archetype in ARCHETYPES:
            seen = half_rules.Observations(running.output(), archetype)
            self.assertEqual(seen.broken, [])
            for rule, expected in RULES.items():
                with self.subTest(rule, archetype=archetype):
                    ways = seen.of(rule, "inside", "way")
                    self.assertTrue(ways)
                    tried += len(ways)
                    passed = {name for name, result in ways.items() if result == "passed"}
                    allowed = {name for name, row in expected.items() if row.result == "passed"}
                    self.assertLessEqual(passed, allowed)
        print(f"{len(ARCHETYPES)} archetypes, {tried} attempts", file=sys.stderr)


if __name__ == "__main__":
    enclave.main()
