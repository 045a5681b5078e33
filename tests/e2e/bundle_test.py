#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What bulkhead-init makes of a bundle that is not what the compiler wrote: exit 3 and a reason."""

import concurrent.futures
import os
import subprocess
import unittest

import enclave

WORKERS = 2


def flip_and_boot(path, original, positions):
    """Boots the bundle once for each bit position; returns the flips that were not refused."""
    missed = []
    command = [enclave.BULKHEAD_INIT, path]
    with open(path, "wb") as file:
        file.write(original)
    descriptor = os.open(path, os.O_WRONLY)
    for byte, bit in positions:
        os.pwrite(descriptor, bytes([original[byte] ^ (1 << bit)]), byte)
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        )
        os.pwrite(descriptor, original[byte : byte + 1], byte)
        start = f"bulkhead-init: bundle `{path}` refused: ".encode()
        reason = result.stderr[len(start) :].strip()
        if result.returncode != 3 or not result.stderr.startswith(start) or not reason:
            missed.append((byte, bit, result.returncode, result.stderr))
    os.close(descriptor)
    return missed


class BundleCase(enclave.Case):
    def setUp(self):
        super().setUp()
        job = {
            "exec": ["/usr/bin/true"],
            "files": {"execute": ["/usr/bin/true", "@loader"], "read": ["@libraries"]},
            "syscalls": {"allow": ["@service"]},
            "ready": {"exit": 0},
            "restart": {"when": "never"},
        }
        self.bundle = self.compile(self.write_policy(enclave.policy("e2e-bundle", {"job": job})))
        self.bytes = self.bundle.read_bytes()

    def boots(self, path):
        result = enclave.run(enclave.BULKHEAD_INIT, str(path))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("`job` ready", result.stderr)

    def flip(self, positions):
        """Every flip in this list is refused; the bundle itself boots before and after."""
        self.boots(self.bundle)
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            shares = [
                pool.submit(
                    flip_and_boot,
                    str(self.directory / f"flipped-{share}.bundle"),
                    self.bytes,
                    positions[share::WORKERS],
                )
                for share in range(WORKERS)
            ]
            missed = [miss for share in shares for miss in share.result()]
        self.assertEqual(missed[:10], [], f"{len(missed)} of {len(positions)} flips")
        for share in range(WORKERS):
            path = self.directory / f"flipped-{share}.bundle"
            self.assertEqual(path.read_bytes(), self.bytes)
            self.boots(path)
        audit = "/var/log/bulkhead/e2e-bundle.jsonl"
        verified = enclave.run(enclave.BULKHEAD, "audit", "verify", audit)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)


class Flips(BundleCase):
    def test_one_flipped_bit_of_each_byte(self):
        self.flip([(byte, byte % 8) for byte in range(len(self.bytes))])


class EveryFlip(BundleCase):
    def test_every_flipped_bit(self):
        self.flip([(byte, bit) for byte in range(len(self.bytes)) for bit in range(8)])


class Files(BundleCase):
    def refused(self, content):
        path = self.directory / "changed.bundle"
        path.write_bytes(content)
        text = self.refuses_to_boot(path)
        self.assertIn(f"bundle `{path}` refused: ", text)
        return text.split(" refused: ")[1]

    def test_cut_off_at_any_length(self):
        self.boots(self.bundle)
        lengths = sorted({*range(1, 200), *range(200, len(self.bytes), 37), len(self.bytes) - 1})
        for length in lengths:
            self.assertTrue(self.refused(self.bytes[:length]).strip(), length)

    def test_bytes_behind_the_end(self):
        self.assertTrue(self.refused(self.bytes + b"\0").strip())

    def test_empty(self):
        self.assertTrue(self.refused(b"").strip())

    def test_directory(self):
        self.assertIn(f"`{self.directory}` is not a file", self.refuses_to_boot(self.directory))

    def test_missing(self):
        path = self.directory / "no.bundle"
        text = self.refuses_to_boot(path)
        self.assertIn(f"cannot open bundle `{path}`: No such file or directory", text)

    def test_too_large(self):
        path = self.directory / "large.bundle"
        path.write_bytes(self.bytes)
        os.truncate(path, 16 * 1024 * 1024 + 1)
        self.assertIn("larger than 16 MiB", self.refuses_to_boot(path))

    def test_a_policy_is_not_a_bundle(self):
        self.assertTrue(self.refused((self.directory / "policy.yaml").read_bytes()).strip())


if __name__ == "__main__":
    enclave.main()
