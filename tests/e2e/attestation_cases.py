# SPDX-License-Identifier: Apache-2.0
"""What tests of attestation share: a platform that another process plays. The program under test is
bulkhead-init but for its door to the devices (tests/platform/socket_door.cc)."""

import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile

import enclave
from enclave import run, wait_until

FAKE_INIT = os.environ["BULKHEAD_FAKE_INIT"]
PLATFORM = os.environ["BULKHEAD_PLATFORM"]
CLIENT = os.environ["BULKHEAD_ATTEST"]
NAME = "e2e-attest"
AUDIT = f"/var/log/bulkhead/{NAME}.jsonl"
EVENTS = "/run/bulkhead/events.log"

NSM, READ, ROOT, FAIL = 1, 2, 7, 8

# Speaks the protocol by hand, so that a message of any form can be sent.
SPEAK = """
import os, struct, sys, time
names = os.environ.get('LISTEN_FDNAMES', '').split(':')
FD = 3 + names.index('attestation') if 'attestation' in names else -1
def raw(message):
    os.write(FD, message)
    answer = os.read(FD, 70000)
    return answer[4], answer[12:]
def attest(data=b'', nonce=b'', key=b''):
    sizes = struct.pack('<III', len(data), len(nonce), len(key))
    return raw(b'BHA1\\x02\\0\\0\\0' + sizes + data + nonce + key)
def random(count):
    return raw(b'BHA1\\x01\\0\\0\\0' + struct.pack('<III', count, 0, 0))
def tell(name, answer):
    text = answer[1].hex()
    for i in range(0, len(text), 200):
        print('part', name, text[i:i + 200], flush=True)
    print('told', name, answer[0], flush=True)
"""


class Attestation(enclave.Case):
    def setUp(self):
        super().setUp()
        # Where no component has a directory of its own.
        place = tempfile.mkdtemp(prefix="bulkhead-machine.", dir="/run")
        self.addCleanup(shutil.rmtree, place)
        self.socket = f"{place}/machine"
        self.boot_machine()
        pathlib.Path(AUDIT).unlink(missing_ok=True)

    def program(self):
        """bulkhead-attest, where no component has a /tmp of its own."""
        path = pathlib.Path("/run/programs/bulkhead-attest")
        path.parent.mkdir(exist_ok=True)
        shutil.copy(CLIENT, path)
        path.parent.chmod(0o755)
        path.chmod(0o755)
        return path

    def boot_machine(self):
        """A platform whose registers are as after a boot."""
        if hasattr(self, "machine"):
            self.machine.kill()
            self.machine.wait()
            os.unlink(self.socket)
        pathlib.Path(EVENTS).unlink(missing_ok=True)
        # pylint: disable=consider-using-with
        self.machine = subprocess.Popen([PLATFORM, self.socket])
        self.addCleanup(self.machine.kill)
        wait_until(self.machine_listens, 10, "the platform's socket")

    def machine_listens(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            return client.connect_ex(self.socket) == 0

    def ask(self, operation, path="", most=0, data=b""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(self.socket)
            name = path.encode()
            client.send(struct.pack("<BIH", operation, most, len(name)) + name + data)
            answer = client.recv(70000)
        self.assertEqual(struct.unpack("<i", answer[:4])[0], 0)
        return answer[4:]

    def register(self, index):
        """Value and lock of a PCR."""
        request = b"\xa1\x6bDescribePCR\xa1\x65index" + (
            bytes([index]) if index < 24 else bytes([0x18, index]))
        answer = self.ask(NSM, self.socket + "/nsm", 0x3000, request)
        return answer[-48:].hex(), b"lock\xf5" in answer

    def target(self, platform):
        text = run(enclave.BULKHEAD, "doctor").stdout
        text = text.replace("target: running", "target: played")
        text = text.replace("platform: none", f"platform: {platform}")
        text = text.replace("features:", f"devices: {{nsm: {self.socket}/nsm, rtmr: {self.socket}"
                            f"/rtmr, tdx: {self.socket}/tdx, tsm: {self.socket}/tsm}}\nfeatures:")
        path = self.directory / f"{platform}.yaml"
        path.write_text(text, encoding="utf-8")
        return path.name

    def policy(self, platform="nitro", **components):
        measure = ({"policy": "pcr20", "events": "pcr21"} if platform == "nitro"
                   else {"policy": "rtmr3", "events": "rtmr3"})
        return enclave.policy(NAME, components, target=self.target(platform), measure=measure)

    def start(self, value, bundle="policy.bundle", ready=None, **options):
        path = self.compile(self.write_policy(value), bundle)
        running = enclave.Enclave(self, path, AUDIT, command=[FAKE_INIT, str(path)], **options)
        for name in value["components"] if ready is None else ready:
            running.wait_event(name, "ready")
        return running, path

    def refused(self, bundle, init=FAKE_INIT, **options):
        result = run(init, str(bundle), **options)
        self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
        return result.stderr

    def measure_head(self, running):
        """The record of what `bulkhead measure` brought about."""
        before = len(running.events(action="bulkhead-audit-head"))
        asked = run(enclave.BULKHEAD, "measure", "--enclave", NAME, "--format", "json")
        self.assertEqual(asked.returncode, 0, asked.stderr)
        said = json.loads(asked.stdout)
        wait_until(lambda: len(running.events(action="bulkhead-audit-head")) > before, 20,
                   "a record of the measuring")
        record = running.events(action="bulkhead-audit-head")[-1]
        self.assertEqual((record["verdict"], record["object"], record["extra"]["head"]),
                         ("done", said["register"], said["head"]))
        return record

    def told(self, running, component, name):
        """What the component got: its status and the bytes."""
        pattern = re.compile(rf"^{component} \| (part|told) {name} (\S+)$", re.MULTILINE)
        wait_until(lambda: f"{component} | told {name} " in running.output(), 20,
                   f"{component} told {name}:\n{running.output()}")
        found = pattern.findall(running.output())
        return int(found[-1][1]), bytes.fromhex("".join(t for kind, t in found if kind == "part"))

    def file(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        return str(path)

    def verify(self, bundle, document, *options):
        root = self.file("root.pem", self.ask(ROOT))
        return run(enclave.BULKHEAD, "attest", "verify", str(bundle),
                   self.file("document", document), "--root", root, *options)

    def expect(self, bundle):
        result = run(enclave.BULKHEAD, "attest", "expect", str(bundle), "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)


GIVEN = {"attest": True, "random": True, "public-key": True, "rate": "100/s"}
