#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An enclave that can't be confined does not boot: exit 3, and it says what is missing."""

import hashlib
import os
import pathlib
import re
import shutil
import unittest

import enclave
from enclave import python

NOBODY = ["setpriv", "--reuid", "65534", "--clear-groups", "--no-new-privs"]


class Refusal(enclave.Case):
    def setUp(self):
        super().setUp()
        # Copies that any uid may run.
        for name in (enclave.BULKHEAD, enclave.BULKHEAD_INIT):
            shutil.copy(name, self.directory)
        self.bulkhead = str(self.directory / os.path.basename(enclave.BULKHEAD))
        self.init = str(self.directory / os.path.basename(enclave.BULKHEAD_INIT))
        job = python("print('ran')", ready={"exit": 0}, restart={"when": "never"})
        self.policy = enclave.policy("e2e-refusal", {"job": job})
        self.source = self.write_policy(self.policy)
        self.target = self.directory / "own.yaml"
        self.target.write_text(enclave.run(enclave.BULKHEAD, "doctor").stdout, encoding="utf-8")
        self.bundle = self.compile(self.source)
        for path in (self.source, self.target, self.bundle):
            path.chmod(0o644)

    def ways(self):
        """Every way into the runtime."""
        return (
            [self.init, str(self.bundle)],
            [self.bulkhead, "run", str(self.bundle)],
            [self.bulkhead, "run", str(self.source)],
            [self.bulkhead, "exec", str(self.bundle), "job"],
        )

    def refused(self, prefix, *wanted):
        for way in self.ways():
            with self.subTest(way=way):
                result = enclave.run(*prefix, *way)
                self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
                for text in wanted:
                    self.assertIn(text, result.stderr)
                self.assertNotIn("ran", result.stdout)

    def test_with_all_privileges_it_runs(self):
        for way in self.ways():
            with self.subTest(way=way):
                result = enclave.run(*way)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn("ran", result.stdout)
        audit = self.policy["audit"]["sinks"][0]["file"]
        verified = enclave.run(self.bulkhead, "audit", "verify", audit)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def test_without_root(self):
        self.refused(NOBODY, "missing: uid 0", "does not boot")

    def test_without_one_capability(self):
        for name in ("sys_admin", "setuid", "setgid", "setpcap", "kill", "chown"):
            with self.subTest(capability=name):
                without = ["setpriv", "--bounding-set", f"-{name}", "--inh-caps", f"-{name}"]
                self.refused(without, "missing: ", "CAP_" + name.upper())

    def test_a_kernel_with_less_than_the_bundle_needs(self):
        own = self.target.read_text(encoding="utf-8")
        offered = re.search(r"(?m)^  landlock: +(\d+)$", own)[1]
        better = self.directory / "better.yaml"
        better.write_text(
            re.sub(r"(?m)^  landlock: +\d+$", "  landlock: 99", own), encoding="utf-8"
        )
        # Beside it: the same file of this kernel's own is enough.
        bundle = self.compile(self.source, "own.bundle", "--target", str(self.target))
        self.assertEqual(enclave.run(self.init, str(bundle)).returncode, 0)
        bundle = self.compile(self.source, "better.bundle", "--target", str(better))
        text = self.refuses_to_boot(bundle)
        self.assertRegex(text, r"`components\.job\S*` needs .*99, this kernel has " + offered)
        self.assertIn("the enclave does not boot", text)


class Slow(enclave.Case):
    """A supervisor that looks late, as on a busy machine: each wait for events begins late."""

    LATE = ["strace", "-q", "-o", "/dev/null", "-e", "trace=epoll_wait,epoll_pwait",
            "-e", "inject=epoll_wait,epoll_pwait:delay_enter=1000000"]
    PROGRAM = "/usr/bin/true"  # a small one, which is hashed in no time
    NAMES = [f"pinned{number}" for number in range(6)]

    def boot(self, sha384):
        if shutil.which("strace") is None:
            enclave.can_not("needs strace")
        pinned = {"profile": ["batch"], "exec": [{"path": self.PROGRAM, "sha384": sha384}],
                  "files": {"execute": [self.PROGRAM, "@loader"], "read": ["@libraries"]}}
        value = enclave.policy("e2e-slow", {name: pinned for name in self.NAMES})
        return enclave.run(*self.LATE, enclave.BULKHEAD_INIT, str(self.compile(self.write_policy(value))))

    def test_launches_that_have_failed_before_anybody_looks_are_known(self):
        result = self.boot("0" * 96)
        self.assertEqual(result.returncode, 3, result.stderr)
        said = re.findall(r"`(\w+)` can't be confined: (.*)", result.stderr)
        why = f"its program (`{self.PROGRAM}`) is not the one that the policy pins, sha384:" + "0" * 96
        self.assertEqual(sorted(said), [(name, why) for name in self.NAMES])

    def test_programs_that_have_ended_before_anybody_looks_have_run(self):
        result = self.boot(hashlib.sha384(pathlib.Path(self.PROGRAM).read_bytes()).hexdigest())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("can't be confined", result.stderr)


if __name__ == "__main__":
    enclave.main()
