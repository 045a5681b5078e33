#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A machine with /dev/nsm, in a guest of ours, and the bulkhead-init that ships.

Without bulkhead nobody's user extends and locks a register there and has a document made for a key of
its own. With it no component can, one that is root and one that was left a descriptor no more than
another; what a component with `attestation:` gets verifies for it, and for nobody else. The module is
played behind a character device (tests/platform/cuse_nsm.cc), so both go by the ioctl."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import attestation_cases
import enclave
from enclave import python

NSM = os.environ["BULKHEAD_NSM"]
NODE = "/dev/nsm"
NAME = "e2e-nsm"
AUDIT = f"/var/log/bulkhead/{NAME}.jsonl"
NOBODY = 65534
FREE = 22  # a register that nobody uses
DATA = bytes(range(48))
KEY = b"a key of the attacker's own"
LEFT = 77  # the descriptor that a careless starter leaves open

# The module's messages by hand, so that what attacks is the same with bulkhead and without.
CLIENT = f"""
import array, errno, fcntl, os, stat, struct, time
KEY, DATA = {KEY!r}, {DATA!r}
def ask(fd, request):
    question, answer = array.array('B', request), array.array('B', bytes(0x3000))
    raw = bytearray(struct.pack('<QQQQ', question.buffer_info()[0], len(question),
                                answer.buffer_info()[0], len(answer)))
    fcntl.ioctl(fd, 0xC0200A00, raw, True)
    return bytes(answer[:struct.unpack('<QQQQ', raw)[3]])
def words(name): return bytes([0x60 + len(name)]) + name
def about(name): return b'\\xa1' + words(name)
INDEX = words(b'index') + bytes([{FREE}])
EXTEND = about(b'ExtendPCR') + b'\\xa2' + INDEX + words(b'data') + b'\\x58\\x30' + DATA
LOCK = about(b'LockPCR') + b'\\xa1' + INDEX
DESCRIBE = about(b'DescribePCR') + b'\\xa1' + INDEX
DOCUMENT = (about(b'Attestation') + b'\\xa3' + words(b'user_data') + b'\\xf6' + words(b'nonce') + b'\\xf6'
            + words(b'public_key') + b'\\x58' + bytes([len(KEY)]) + KEY)
"""
CONTROL = CLIENT + f"""
fd = os.open('{NODE}', os.O_RDWR)
for request in (EXTEND, LOCK, DOCUMENT): print(ask(fd, request).hex())
"""


def attempts(device):
    """What a component tries; told line by line."""
    return CLIENT + f"""
def tell(name, attempt):
    try: print('tried', name, 'passed', attempt(), flush=True)
    except OSError as error: print('tried', name, errno.errorcode[error.errno], flush=True)
def use(path):
    fd = os.open(path, os.O_RDWR)
    return [ask(fd, request) for request in (EXTEND, LOCK, DOCUMENT)]
tell('node', lambda: use('{NODE}'))
tell('root', lambda: use('/proc/1/root{NODE}'))
tell('mknod', lambda: os.mknod('/tmp/nsm', stat.S_IFCHR | 0o666, {device}))
tell('made', lambda: use('/tmp/nsm'))
tell('left', lambda: ask({LEFT}, EXTEND))
for fd in range(64): tell('fd', lambda: ask(fd, EXTEND))
tell('all', lambda: '')
time.sleep(1000)
"""


class Nsm(attestation_cases.Attestation):
    def setUp(self):
        # pylint: disable=non-parent-init-called,super-init-not-called
        enclave.Case.setUp(self)
        place = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-nsm.", dir="/run"))
        self.addCleanup(shutil.rmtree, place)
        self.root = place / "root.pem"
        # pylint: disable=consider-using-with
        self.device = subprocess.Popen([NSM, str(self.root)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        self.assertEqual(self.device.stdout.readline(), "ready\n")
        self.assertEqual(os.stat(NODE).st_mode & 0o777, 0o666)
        pathlib.Path(AUDIT).unlink(missing_ok=True)

    def end(self):
        self.device.kill()
        self.device.wait()
        self.device.stdout.close()
        enclave.wait_until(lambda: not os.path.exists(NODE), 10, "no device")

    def ask(self, operation, path="", most=0, data=b""):
        self.assertEqual(operation, attestation_cases.ROOT)
        return self.root.read_bytes()

    def by_root(self, request):
        """The module's answer to one of CLIENT's requests, outside of every compartment."""
        done = enclave.run("/usr/bin/python3", "-I", "-c", CLIENT +
                           f"print(ask(os.open('{NODE}', os.O_RDWR), {request}).hex())")
        self.assertEqual(done.returncode, 0, done.stderr)
        return bytes.fromhex(done.stdout)

    def test_without_bulkhead_everybody_is_the_enclave(self):
        done = enclave.run("/usr/bin/python3", "-I", "-c", CONTROL, user=NOBODY, group=NOBODY,
                           extra_groups=[])
        self.assertEqual(done.returncode, 0, done.stderr)
        extended, locked, answer = map(bytes.fromhex, done.stdout.split())
        value = hashlib.sha384(bytes(48) + DATA).digest()
        self.assertTrue(extended.endswith(value))
        self.assertEqual(locked, b"\x67LockPCR")
        now = self.by_root("DESCRIBE")
        self.assertIn(value, now)
        self.assertIn(b"lock\xf5", now)
        # The document is good for whoever trusts this machine, and speaks of the attacker's key.
        document = answer[answer.index(b"document") + 8:]
        document = document[3:] if document[0] == 0x59 else document[2:]
        self.assertIn(KEY, document)
        bundle = self.compile(self.write_policy(self.two()))
        said = self.verify(bundle, document)
        self.assertIn("ok    signature", said.stdout, said.stderr)
        self.assertIn(hashlib.sha384(KEY).hexdigest(), said.stdout)
        self.assertEqual(said.returncode, 1)

    def two(self, **components):
        code = attestation_cases.SPEAK + "tell('own', attest(b'hello', b'nonce', b'key'))\ntime.sleep(1000)\n"
        given = attestation_cases.GIVEN
        return enclave.policy(NAME, {"signer": python(code, attestation=given),
                                     "agent": python(code, attestation=given), **components},
                              target="nitro-custom", measure={"policy": "pcr20", "events": "pcr21"})

    def boot_beside(self, value, **options):
        bundle = self.compile(self.write_policy(value))
        running = enclave.Enclave(self, bundle, AUDIT, **options)
        for name in value["components"]:
            running.wait_event(name, "ready", seconds=60)
        return running, bundle

    def test_with_bulkhead_no_component_is(self):
        code = attempts(os.stat(NODE).st_rdev)
        private = {"private": [{"path": "/tmp", "size": "1M"}]}
        value = self.two(plain=python(code, files=private), root=python(code, files=private, user=0))
        value["waivers"] = [{"component": "root", "statement": "user", "reason": "as strong as it gets",
                             "until": "2099-12-31"}]
        left = os.open(NODE, os.O_RDWR)
        os.dup2(left, LEFT)
        self.addCleanup(os.close, left)
        self.addCleanup(os.close, LEFT)
        running, bundle = self.boot_beside(value, pass_fds=(LEFT,))
        # To group 0 PID 1 is there, and still no way to its root.
        for who, by_root in (("plain", "ENOENT"), ("root", "EACCES")):
            running.wait_output(f"{who} | tried all passed", 60)
            tried = [line.split()[3:5] for line in running.output().splitlines()
                     if line.startswith(f"{who} | tried ")]
            self.assertEqual([name for name, result in tried if result == "passed"], ["all"], tried)
            told = dict(tried)
            self.assertEqual((told["node"], told["root"], told["mknod"], told["made"]),
                             ("ENOENT", by_root, "EPERM", "ENOENT"), tried)
            # The filter answers before the kernel looks whether there is such a descriptor.
            self.assertEqual({result for name, result in tried if name in ("left", "fd")}, {"EPERM"}, tried)
            calls = {e["action"] for e in running.events(who) if e["kind"] == "violation"}
            self.assertLessEqual({"ioctl", "mknodat"}, calls)
        # Positive control: the descriptor that was left is one of the module's.
        self.assertEqual(self.by_root("DESCRIBE")[-48:].hex(), bytes(48).hex())
        self.assertIn(b"lock\xf4", self.by_root("DESCRIBE"))
        self.documents_are_their_askers(running, bundle)
        self.assertEqual(running.stop(), 0)
        running.verify_audit()
        # Of the log itself, too: by the document that the supervisor asked for.
        said = self.verify(bundle, pathlib.Path(AUDIT).read_bytes())
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        key = re.search(r"audit key (ed25519:[0-9a-f]{64})", running.output()).group(1)
        self.assertIn(f"ok    audit key   {key}\n", said.stdout)

    def documents_are_their_askers(self, running, bundle):
        claims = ("--bytes", self.file("bytes", b"hello"), "--nonce", self.file("nonce", b"nonce"))
        names = ("signer", "agent", "plain", "root")
        for who in ("signer", "agent"):
            status, document = self.told(running, who, "own")
            self.assertEqual(status, 0)
            for name in names:
                said = self.verify(bundle, document, "--component", name, *claims)
                self.assertEqual(said.returncode, 0 if name == who else 1, said.stdout + said.stderr)
                self.assertIn("ok    signature", said.stdout)
                self.assertIn("is in force: pcr20 is locked", said.stdout)
            other = self.verify(bundle, document, "--bytes", self.file("other", b"hellp"))
            self.assertEqual(other.returncode, 1)
            self.assertIn("no component of this bundle", other.stdout)
        self.assertEqual(json.loads(enclave.run(enclave.BULKHEAD, "attest", "expect", str(bundle), "--format",
                                                "json").stdout)["register"], "pcr20")


if __name__ == "__main__":
    if not enclave.in_guest():
        enclave.can_not("the device would be one of this machine's")
    enclave.main()
