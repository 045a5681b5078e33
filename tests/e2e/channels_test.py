#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Channels of memory: one end writes, the other reads, neither does anything else with it."""

import os
import re
import shutil
import signal
import unittest

import enclave
from enclave import python

PROGRAM = os.environ["BULKHEAD_CHANNELS"]
SAID = r"(?m)^{} \| found (\d+) shrink (\w+) grow (\w+) write-map (\w+) code (\w+) private-code (\w+) reopen (\w+) read (\w+)$"


class Memory(enclave.Case):
    def setUp(self):
        super().setUp()
        self.program = self.directory / "channels"
        shutil.copy(PROGRAM, self.program)

    def component(self, role):
        return {"profile": ["stateful-service"], "exec": [str(self.program), role],
                "files": {"execute": [str(self.program)]},
                "syscalls": {"allow": ["ftruncate"], "deny": [{"mmap": {"prot": {"bits-set": ["PROT_EXEC"]}}}]}}

    def policy(self, **channel):
        return enclave.policy("e2e-channels", {"one": self.component("writer"),
                                               "two": self.component("reader")},
                              channels=[{"name": "ring", "from": "one", "to": "two",
                                         "kind": "memory", "size": "64K", **channel}])

    def said(self, running, name, count=1):
        pattern = SAID.format(name)
        enclave.wait_until(lambda: len(re.findall(pattern, running.output())) >= count, 20,
                           running.output())
        return re.findall(pattern, running.output())[-1]

    def test_one_writes_and_the_other_reads(self):
        running = self.boot(self.policy())
        enclave.wait_until(lambda: running.output().count("two | changed") > 5, 20, "changes")
        # found, shrink, grow, mapped to write, code twice, opened to write, opened to read
        self.assertEqual(self.said(running, "one")[1:],
                         ("EPERM", "EPERM", "done", "EPERM", "EPERM", "EACCES", "done"))
        self.assertEqual(self.said(running, "two")[1:],
                         ("EINVAL", "EINVAL", "EACCES", "EPERM", "EPERM", "EACCES", "done"))
        # It stays what it is when an end begins anew.
        os.kill(running.main_pid("one"), signal.SIGKILL)
        self.assertGreater(int(self.said(running, "one", 2)[0]), 0)
        os.kill(running.main_pid("two"), signal.SIGKILL)
        self.assertGreater(int(self.said(running, "two", 2)[0]), 0)
        self.assertEqual(running.stop(), 0)

    def refused(self, value):
        path = self.write_policy(value)
        result = enclave.run(enclave.BULKHEAD, "compile", str(path), "-o", str(self.directory / "b"))
        self.assertEqual(result.returncode, 1)
        return result.stderr

    def test_who_maps_code_has_no_such_end(self):
        value = self.policy()
        del value["components"]["two"]["syscalls"]["deny"]
        self.assertIn("memory-wx-remap", self.refused(value))
        value = self.policy(to="three")
        value["components"]["three"] = python("import time; time.sleep(1000)")
        self.assertIn("memory-wx-remap", self.refused(value))
        for channel in ({"size": "4G"}, {"kind": "memory"}):
            self.assertEqual(self.compile(self.write_policy(self.policy(**channel))).name,
                             "policy.bundle")
        value = self.policy()
        del value["channels"][0]["size"]
        self.assertIn("shared memory needs a `size`", self.refused(value))
        self.assertIn("only shared memory has a size", self.refused(self.policy(kind="pipe")))

    def test_answers_know_its_direction(self):
        path = str(self.write_policy(self.policy()))
        for source, target, code in (("one", "two", 0), ("two", "one", 1)):
            result = enclave.run(enclave.BULKHEAD, "why", path, source, "reach", target)
            self.assertEqual(result.returncode, code, result.stdout)
        value = self.policy()
        value["invariants"] = ["two must not influence one"]
        self.compile(self.write_policy(value))
        value["invariants"] = ["one must not influence two"]
        self.assertIn("E0703", self.refused(value))


if __name__ == "__main__":
    enclave.main()
