#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the trusted runtime is made of: one small static program without a policy reader in it."""

import pathlib
import re
import shutil
import unittest

import enclave

SIZE = 2_000_000
# What stays in a program when its symbols are stripped: the names of types with virtual functions,
# and the names by which libseccomp resolves calls, those of other architectures too.
YAML = re.compile(rb"N4YAML|yaml-cpp")
SECCOMP = re.compile(rb"libseccomp|s390_pci_mmio_read")


class Binary(enclave.Case):
    def test_static(self):
        static = enclave.run("ldd", enclave.BULKHEAD_INIT)
        self.assertIn("not a dynamic executable", static.stdout + static.stderr)
        self.assertIn("libc.so", enclave.run("ldd", "/usr/bin/true").stdout)
        headers = enclave.run("readelf", "--program-headers", "--wide", enclave.BULKHEAD_INIT)
        self.assertEqual(headers.returncode, 0, headers.stderr)
        self.assertIn("LOAD", headers.stdout)
        self.assertNotIn("INTERP", headers.stdout)

    def test_size(self):
        copy = self.directory / "stripped"
        shutil.copy(enclave.BULKHEAD_INIT, copy)
        self.assertEqual(enclave.run("strip", str(copy)).returncode, 0)
        size = copy.stat().st_size
        print(f"{size} bytes", end=" ")
        self.assertLess(size, SIZE)
        self.assertIn("usage: bulkhead-init", enclave.run(str(copy), "--help").stdout)

    def test_no_policy_reader_and_no_libseccomp(self):
        program = pathlib.Path(enclave.BULKHEAD_INIT).read_bytes()
        self.assertIsNone(YAML.search(program))
        self.assertIsNone(SECCOMP.search(program))
        # Beside it: where they are, they are found.
        self.assertIsNotNone(YAML.search(pathlib.Path(enclave.BULKHEAD).read_bytes()))
        libraries = list(pathlib.Path("/usr/lib").glob("*/libseccomp.*"))
        self.assertTrue(libraries, "libseccomp-dev is not installed")
        for library in libraries:
            self.assertIsNotNone(SECCOMP.search(library.read_bytes()), library)

    def test_no_such_symbols(self):
        listed = enclave.run("nm", "-C", enclave.BULKHEAD_INIT)
        symbols = listed.stdout
        if not symbols:  # as shipped; the test above still looks at the bytes
            self.assertIn("no symbols", listed.stderr)
            return
        self.assertIn("bulkhead::DecodeBundle", symbols)
        for name in ("YAML::", "seccomp_rule_add", "seccomp_init", "seccomp_syscall_resolve"):
            self.assertNotIn(name, symbols)


if __name__ == "__main__":
    enclave.main()
