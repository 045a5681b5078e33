#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measuring before start and attestation as a component's capability, on a TDX guest that another process
plays: the whole way from a policy to what a relying party concludes."""

import base64
import errno
import hashlib
import json
import pathlib

import enclave
from attestation_cases import EVENTS, FAIL, READ, SPEAK, Attestation
from enclave import python


class Tdx(Attestation):
    def value(self):
        code = SPEAK + "tell('own', attest(b'hello'))\ntell('nonce', attest(b'', b'n'))\n" + (
            "tell('random', random(32))\ntime.sleep(1000)\n")
        given = {"attest": True, "random": True, "rate": "100/s"}
        return self.policy("tdx", signer=python(code, attestation=given),
                           agent=python(code, attestation=given))

    def test_a_quote_and_the_log_say_who_asked_and_which_bundle_is_in_force(self):
        running, bundle = self.start(self.value())
        status, quote = self.told(running, "signer", "own")
        self.assertEqual(status, 0)
        self.assertEqual(self.told(running, "signer", "nonce")[0], 4)
        self.assertEqual(len(self.told(running, "signer", "random")[1]), 32)
        log = pathlib.Path(EVENTS).read_text(encoding="ascii")
        expected = self.expect(bundle)
        self.assertEqual(log.splitlines()[:2], [event["line"] for event in expected["events"]])
        # What is measured behind the boundary is the key of this run's audit log.
        event = json.loads(log.splitlines()[2])
        key = base64.b64decode(event["payload"]).hex()
        self.assertEqual(event["event"], "bulkhead-audit-key")
        self.assertIn(f"audit key ed25519:{key}\n", running.output())
        digest = hashlib.sha384(f'{{"event":"bulkhead-audit-key","event_type":134217729,"payload":"{key}",'
                                '"version":2}'.encode()).digest()
        value = self.ask(READ, self.socket + "/rtmr/rtmr3:sha384", 48)
        self.assertEqual(value, hashlib.sha384(bytes.fromhex(expected["value"]) + digest).digest())
        claims = ("--event-log", EVENTS, "--bytes", self.file("bytes", b"hello"))
        good = self.verify(bundle, quote, "--component", "signer", *claims)
        self.assertEqual(good.returncode, 0, good.stdout + good.stderr)
        self.assertIn("the quote's own signature is not checked here", good.stdout)
        self.assertIn(f"ok    audit key   ed25519:{key}\n", good.stdout)
        wrong = self.verify(bundle, quote, "--component", "agent", *claims)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("`signer`, not `agent`", wrong.stdout)
        cut = self.file("cut", log.splitlines(keepends=True)[0].encode())
        short = self.verify(bundle, quote, "--event-log", cut, *claims[2:])
        self.assertEqual(short.returncode, 1)
        self.assertIn("WRONG event log", short.stdout)
        old = self.value()
        old["components"]["agent"]["env"] = {"LEVEL": "2"}
        other = self.compile(self.write_policy(old, "other.yaml"), "other.bundle")
        another = self.verify(other, quote, *claims)
        self.assertEqual(another.returncode, 1)
        self.assertIn("another bundle is in force: the log says", another.stdout)
        self.measure_head(running)
        self.assertEqual(running.stop(), 0)
        self.assertIn("bulkhead-audit-head", pathlib.Path(EVENTS).read_text(encoding="ascii"))
        again, _ = self.start(self.value())
        again.wait_output("measured before, in this boot: rtmr3")
        _, quote = self.told(again, "signer", "own")
        good = self.verify(bundle, quote, *claims)
        self.assertEqual(good.returncode, 0, good.stdout)
        self.assertIn("1 restarts", good.stdout)
        self.assertEqual(good.stdout.count("audit key "), 2)

    def test_each_error_of_the_files_stops_the_boot_and_is_named(self):
        bundle = self.compile(self.write_policy(self.value()))
        steps = ["read", "extend", "read", "extend", "read", "read", "extend", "read"]
        for number, step in enumerate(steps, 1):
            for error in (errno.EIO, errno.EBUSY, errno.EINVAL):
                self.boot_machine()
                self.ask(FAIL, str(number), error)
                said = self.refused(bundle)
                self.assertIn(f"{step} `{self.socket}/rtmr/rtmr3:sha384`: "
                              f"{errno.errorcode[error]}", said)
        self.boot_machine()
        pathlib.Path(EVENTS).write_text("not a log\n", encoding="ascii")
        self.assertIn("line 1 is no event", self.refused(bundle))


if __name__ == "__main__":
    enclave.main()
