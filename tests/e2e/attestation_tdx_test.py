#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measuring before start and attestation as a component's capability, on a TDX guest that another process
plays: the whole way from a policy to what a relying party concludes."""

import base64
import errno
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

import enclave
from attestation_cases import EVENTS, FAIL, READ, SPEAK, Attestation
from enclave import python

NODE = "/dev/tdx_guest"


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
        look = [("read", "rtmr/rtmr3:sha384"), ("ask", "tdx")]
        extend = [("extend", "rtmr/rtmr3:sha384"), *look]
        # At boot, then for the audit log's key.
        steps = [*look, *extend, *extend, *look, *extend]
        for number, (step, where) in enumerate(steps, 1):
            for error in (errno.EIO, errno.EBUSY, errno.EINVAL):
                self.boot_machine()
                self.ask(FAIL, str(number), error)
                said = self.refused(bundle)
                self.assertIn(f"{step} `{self.socket}/{where}`: "
                              f"{errno.errorcode[error]}", said)
                self.assertNotIn(": : ", said)
        self.boot_machine()
        pathlib.Path(EVENTS).write_text("not a log\n", encoding="ascii")
        self.assertIn("line 1 is no event", self.refused(bundle))


LEFT = 77  # the descriptor that a careless starter leaves open
ASK = f"""
import errno, fcntl, os, time
def report(fd):
    request = bytearray(64 + 1024)
    fcntl.ioctl(fd, 0xC4405401, request, True)
    return request[64]
def tell(name, attempt):
    try: print('tried', name, 'passed', attempt(), flush=True)
    except OSError as error: print('tried', name, errno.errorcode[error.errno], flush=True)
"""


class Device(Attestation):
    """The guest's device is a node of its own, asked by the ioctl: for guests, as it is the machine's."""

    def setUp(self):
        super().setUp()
        # pylint: disable=consider-using-with
        self.device = subprocess.Popen([os.environ["BULKHEAD_TDX"], f"{self.socket}/tdx"],
                                       stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        self.assertEqual(self.device.stdout.readline(), "ready\n")

    def end(self):
        self.device.kill()
        self.device.wait()
        self.device.stdout.close()
        enclave.wait_until(lambda: not os.path.exists(NODE), 10, "no device")

    def target(self, platform):
        path = self.directory / super().target(platform)
        text = path.read_text(encoding="utf-8").replace(f"tdx: {self.socket}/tdx", f"tdx: {NODE}")
        # Its registers are files, as Linux has them since then.
        path.write_text(re.sub(r"^kernel: .*$", "kernel: 6.16", text, flags=re.MULTILINE), encoding="utf-8")
        return path.name

    def test_the_report_is_asked_for_by_the_ioctl_and_by_no_component(self):
        code = ASK + f"""
tell('node', lambda: report(os.open('{NODE}', os.O_RDWR)))
tell('left', lambda: report({LEFT}))
tell('all', lambda: 0)
time.sleep(1000)
"""
        value = self.policy("tdx", plain=python(code), root=python(code, user=0))
        value["waivers"] = [{"component": "root", "statement": "user", "reason": "as strong as it gets",
                             "until": "2099-12-31"}]
        left = os.open(NODE, os.O_RDWR)
        os.dup2(left, LEFT)
        self.addCleanup(os.close, left)
        self.addCleanup(os.close, LEFT)
        running, bundle = self.start(value, pass_fds=(LEFT,))
        self.assertIn("measured: rtmr3 holds", running.output())
        for who in ("plain", "root"):
            running.wait_output(f"{who} | tried all passed", 60)
            self.assertIn(f"{who} | tried node ENOENT", running.output())
            self.assertIn(f"{who} | tried left EPERM", running.output())
        # Positive control: the descriptor that was left gives reports.
        done = enclave.run("/usr/bin/python3", "-I", "-c", ASK + f"tell('left', lambda: report({LEFT}))",
                           pass_fds=(LEFT,))
        self.assertEqual(done.stdout, f"tried left passed {0x81}\n", done.stderr)
        self.assertEqual(running.stop(), 0)
        self.end()
        self.device = subprocess.Popen(["/bin/true"], stdout=subprocess.PIPE, text=True)
        self.assertIn(f"ask `{NODE}`: ENOENT", self.refused(bundle))


if __name__ == "__main__":
    if "Device" in sys.argv and not enclave.in_guest():
        enclave.can_not("the device would be one of this machine's")
    enclave.main()
