#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measuring before start and attestation as a component's capability, on a Nitro enclave that another
process plays: the whole way from a policy to what a relying party concludes. And images with a key."""

import errno
import hashlib
import os
import pathlib
import re
import subprocess

import enclave
from attestation_cases import AUDIT, FAIL, FAKE_INIT, GIVEN, PLATFORM, SPEAK, Attestation
from enclave import python, run, wait_until


class Nitro(Attestation):
    def two(self, extra=""):
        code = SPEAK + "tell('own', attest(b'hello', b'nonce', b'key'))\n" + extra + (
            "time.sleep(1000)\n")
        return self.policy(signer=python(code, attestation=GIVEN),
                           agent=python(code, attestation=GIVEN),
                           other=python("import os; print('names', os.environ.get('LISTEN_FDNAMES'))"
                                        "\nimport time; time.sleep(1000)"))

    def test_a_document_says_who_asked_and_which_bundle_is_in_force(self):
        running, bundle = self.start(self.two())
        digest = running.inspected["digest"].removeprefix("sha384:")
        expected = self.expect(bundle)
        self.assertEqual(expected["value"], hashlib.sha384(bytes(48) + bytes.fromhex(digest))
                         .hexdigest())
        self.assertEqual(self.register(20), (expected["value"], True))
        self.assertIn(f"measured: pcr20 holds sha384:{expected['value']}", running.output())
        self.assertEqual(expected["kms_condition"], {"StringEqualsIgnoreCase": {
            "kms:RecipientAttestation:PCR20": expected["value"],
            "kms:RecipientAttestation:PCR0": "PCR0 of the image"}})
        bytes_file, nonce = self.file("bytes", b"hello"), self.file("nonce", b"nonce")
        claims = ("--bytes", bytes_file, "--nonce", nonce)
        for who, another in (("signer", "agent"), ("agent", "signer")):
            status, document = self.told(running, who, "own")
            self.assertEqual(status, 0)
            good = self.verify(bundle, document, "--component", who, *claims)
            self.assertEqual(good.returncode, 0, good.stdout + good.stderr)
            self.assertIn(f"`{who}`; its program is not pinned", good.stdout)
            self.assertIn("is in force: pcr20 is locked", good.stdout)
            self.assertIn(hashlib.sha384(b"key").hexdigest(), good.stdout)
            wrong = self.verify(bundle, document, "--component", another, *claims)
            self.assertEqual(wrong.returncode, 1, wrong.stdout)
            self.assertIn(f"`{who}`, not `{another}`", wrong.stdout)
            for options in (("--bytes", self.file("b", b"hellp")), ()):
                changed = self.verify(bundle, document, "--component", who, *options)
                self.assertEqual(changed.returncode, 1, changed.stdout)
                self.assertIn("no component of this bundle", changed.stdout)
            stale = self.verify(bundle, document, "--bytes", bytes_file,
                                "--nonce", self.file("n", b"noncf"))
            self.assertEqual(stale.returncode, 1, stale.stdout)
            self.assertIn("WRONG nonce", stale.stdout)
        running.wait_output("names None")
        asked = running.events("signer", "attest")
        self.assertEqual([(e["kind"], e["verdict"]) for e in asked], [("measure", "done")])
        self.assertEqual(running.stop(), 0)
        running.verify_audit()

    def test_every_byte_of_a_document_counts(self):
        running, bundle = self.start(self.two())
        _, document = self.told(running, "signer", "own")
        claims = ("--bytes", self.file("bytes", b"hello"))
        self.assertEqual(self.verify(bundle, document, *claims).returncode, 0)
        for at in list(range(0, len(document), 97)) + [len(document) - 1]:
            changed = bytearray(document)
            changed[at] ^= 1
            self.assertEqual(self.verify(bundle, bytes(changed), *claims).returncode, 1, at)
        # A chain that leads elsewhere.
        self.boot_machine()
        result = self.verify(bundle, document, *claims)
        self.assertEqual(result.returncode, 1)
        self.assertIn("WRONG signature", result.stdout)

    def test_one_character_of_the_policy_is_another_register(self):
        value = self.two()
        old = self.compile(self.write_policy(value, "old.yaml"), "old.bundle")
        value["components"]["other"]["env"] = {"LEVEL": "2"}
        running, new = self.start(value)
        before, after = self.expect(old)["value"], self.expect(new)["value"]
        self.assertNotEqual(before, after)
        _, document = self.told(running, "signer", "own")
        claims = ("--bytes", self.file("bytes", b"hello"))
        self.assertEqual(self.verify(new, document, *claims).returncode, 0)
        result = self.verify(old, document, *claims)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"another bundle is in force: pcr20 holds {after}", result.stdout)
        self.assertIn(f"it would be {before}", result.stdout)

    def test_what_the_policy_does_not_give_is_refused_and_recorded(self):
        code = SPEAK + """
tell('random', random(16))
tell('key', attest(b'', b'', b'key'))
tell('form', raw(b'BHA1' + bytes(3000)))
tell('own', attest())
for i in range(6): tell('more' + str(i), attest())
time.sleep(1000)
"""
        value = self.policy(one=python(code, attestation={"attest": True, "rate": "6/min"}))
        running, _ = self.start(value)
        self.assertEqual(self.told(running, "one", "random")[0], 2)
        self.assertEqual(self.told(running, "one", "key")[0], 2)
        self.assertEqual(self.told(running, "one", "form")[0], 1)
        self.assertEqual(self.told(running, "one", "own")[0], 0)
        self.assertEqual(self.told(running, "one", "more0")[0], 0)
        self.assertEqual(self.told(running, "one", "more1")[0], 0)
        self.assertEqual(self.told(running, "one", "more2")[0], 3)
        events = [(e["action"], e["object"], e["errno"]) for e in running.events("one")
                  if e["kind"] == "violation"]
        self.assertIn(("random", "not given by the policy", "EPERM"), events)
        self.assertIn(("attest", "not given by the policy", "EPERM"), events)
        self.assertIn(("request", "malformed", "EPERM"), events)
        self.assertIn(("attest", "over the policy's rate", "EAGAIN"), events)

    def test_descriptors_are_no_request(self):
        # Who received them would have to close them, and a close may wait.
        code = SPEAK + """
import socket
read, write = os.pipe()
print('before', attest()[0], flush=True)
socket.send_fds(socket.socket(fileno=os.dup(FD)), [b'x'], [read] * 200)
print('answer', os.read(FD, 70000)[4], flush=True)
try:
    while True:
        os.write(FD, b'x')
        time.sleep(0.01)
except OSError as error: print('after', error.strerror, flush=True)
time.sleep(1000)
"""
        value = self.policy(one=python(code, attestation={"attest": True}))
        running, _ = self.start(value)
        running.wait_output("one | after ")
        self.assertIn("one | before 0", running.output())
        self.assertIn("one | answer 1", running.output())
        events = [(e["action"], e["object"]) for e in running.events("one") if e["kind"] == "violation"]
        self.assertIn(("request", "malformed"), events)

    def test_a_flood_costs_the_flooder_alone(self):
        flood = SPEAK + """
print('floods', flush=True)
os.set_blocking(FD, False)
while True:
    try: os.write(FD, b'x')
    except BlockingIOError: time.sleep(0.001)
"""
        code = SPEAK + "tell('own', attest())\ntime.sleep(1000)\n"
        value = self.policy(flood=python(flood, attestation={"attest": True}),
                            signer=python(code, attestation=GIVEN, after=["flood"]))
        running, _ = self.start(value)
        self.assertEqual(self.told(running, "signer", "own")[0], 0)
        ticks = os.sysconf("SC_CLK_TCK")
        def used():
            fields = pathlib.Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / ticks
        before = used()
        wait_until(lambda: len(running.events("flood", "request")) >= 3, 20, "records of the flood")
        self.assertLess(used() - before, 1.0)

    def test_the_client_library_and_its_program(self):
        path = str(self.program())
        script = (f"r=$({path} random 16) && echo random $r; "
                  f"echo size $({path} document --bytes 68656c6c6f | /usr/bin/wc -c); "
                  f"{path} document --key 00; echo status $?")
        value = self.policy(one={
            "profile": ["batch"], "exec": ["/bin/sh", "-c", script],
            "attestation": {"attest": True, "random": True}, "restart": {"when": "never"},
            "files": {"execute": ["/bin/sh", "/usr/bin/wc", path, "@loader"], "read": ["@libraries"]},
            "syscalls": {"allow": ["@processes", "@ipc-pipe"]}})
        running, _ = self.start(value)
        running.wait_output("status 1")
        self.assertRegex(running.output(), r"one \| random [0-9a-f]{32}\n")
        self.assertRegex(running.output(), r"one \| size [0-9]{4}\n")
        self.assertIn("not given by the policy", running.output())

    def test_a_restarted_supervisor_goes_on_and_another_bundle_does_not(self):
        value = self.two()
        running, bundle = self.start(value)
        self.told(running, "signer", "own")
        # While components run, and only on request.
        self.assertEqual(running.events(action="bulkhead-audit-head"), [])
        asked = self.measure_head(running)
        self.assertIn(asked["extra"]["head"], [e["hash"] for e in running.events()])
        self.assertEqual(self.register(21), (asked["extra"]["value"], False))
        self.assertEqual(running.stop(), 0)
        head = running.events(action="bulkhead-audit-head")[-1]
        self.assertNotEqual(head["extra"]["head"], asked["extra"]["head"])
        self.assertEqual(head["verdict"], "done")
        self.assertEqual(self.register(21), (head["extra"]["value"], False))
        again, _ = self.start(value)
        again.wait_output("measured before, in this boot: pcr20 holds")
        self.told(again, "signer", "own")
        self.assertEqual(again.stop(), 0)
        value["components"]["other"]["env"] = {"LEVEL": "2"}
        other = self.compile(self.write_policy(value, "other.yaml"), "other.bundle")
        said = self.refused(other)
        self.assertIn("describe pcr20", said)
        self.assertIn("it is locked with another value", said)
        self.assertIn("the enclave does not boot", said)
        self.assertTrue(bundle.exists())

    def test_each_error_of_the_device_stops_the_boot_and_is_named(self):
        bundle = self.compile(self.write_policy(self.two()))
        steps = ["describe pcr20", "describe pcr21", "extend pcr20", "lock pcr20", "describe pcr20",
                 "cannot bind the audit key:"]
        for number, step in enumerate(steps, 1):
            for error in (errno.EIO, errno.EBUSY, errno.ETIMEDOUT, errno.ENOTTY):
                self.boot_machine()
                pathlib.Path(AUDIT).unlink(missing_ok=True)
                self.ask(FAIL, str(number), error)
                said = self.refused(bundle)
                self.assertRegex(said, f"{step} \\(?`?{self.socket}/nsm`?\\)?: {errno.errorcode[error]}")
                # Nothing was opened before the bundle is measured, nothing started or tried again.
                self.assertEqual(pathlib.Path(AUDIT).exists(), number > 5)
                self.assertEqual(self.register(20)[1], number > 4)
        self.boot_machine()
        self.refuses_nothing(bundle)

    def test_the_audit_log_is_vouched_for_by_a_document_about_its_key(self):
        value = self.two()
        running, bundle = self.start(value)
        key = re.search(r"audit key (ed25519:[0-9a-f]{64})", running.output()).group(1)
        self.told(running, "signer", "own")
        self.assertEqual(running.stop(), 0)
        log = pathlib.Path(AUDIT).read_bytes()
        good = self.verify(bundle, log)
        self.assertEqual(good.returncode, 0, good.stdout + good.stderr)
        self.assertIn(f"ok    audit key   {key}\n", good.stdout)
        self.assertIn("is in force: pcr20 is locked", good.stdout)
        judged = run(enclave.BULKHEAD, "audit", "verify", "--key", key, AUDIT)
        self.assertEqual(judged.returncode, 0, judged.stdout + judged.stderr)
        # A document outlives its certificates: they are judged when its reader says.
        then = self.verify(bundle, log, "--at", "1m")
        self.assertEqual(then.returncode, 0, then.stdout)
        self.assertRegex(then.stdout, r"ok    signature   .* at [-0-9]{10} [:0-9]{8} UTC, as asked")
        early = self.verify(bundle, log, "--at", "2d")
        self.assertEqual(early.returncode, 1, early.stdout)
        self.assertIn("certificate is not yet valid", early.stdout)
        for time_of_none in ("yesterday", "2026-02-31", "2026-11-30T23:59:61", "100000d"):
            self.assertEqual(self.verify(bundle, log, "--at", time_of_none).returncode, 2)
        # Which image it was is open until its registers are given.
        self.assertIn("open  image       not judged", good.stdout)
        # It was asked for by no component, has nobody's bytes in it, and no nonce.
        for options in (("--component", "signer"), ("--bytes", self.file("b", b"x")),
                        ("--nonce", self.file("n", b"nonce"))):
            wrong = self.verify(bundle, log, *options)
            self.assertEqual(wrong.returncode, 1, wrong.stdout)
        # Another bundle, and a document that a component had made for this very key.
        value["components"]["other"]["env"] = {"LEVEL": "2"}
        other = self.compile(self.write_policy(value, "other.yaml"), "other.bundle")
        self.assertEqual(self.verify(other, log).returncode, 1)
        forged = SPEAK + f"tell('own', attest(b'', b'', bytes.fromhex('{key[8:]}')))\ntime.sleep(1000)\n"
        self.boot_machine()
        forger, bundle = self.start(self.policy(forger=python(forged, attestation=GIVEN)))
        said = self.verify(bundle, self.told(forger, "forger", "own")[1])
        self.assertNotIn("audit key", said.stdout)
        # Each run has its own; a log of both shows the last.
        own = re.search(r"audit key (ed25519:[0-9a-f]{64})", forger.output()).group(1)
        self.assertNotEqual(own, key)
        self.assertIn(f"ok    audit key   {own}\n", self.verify(bundle, pathlib.Path(AUDIT).read_bytes()).stdout)

    def refuses_nothing(self, bundle):
        """The control: on a machine without errors this bundle boots."""
        running = enclave.Enclave(self, bundle, AUDIT, command=[FAKE_INIT, str(bundle)])
        running.wait_event("signer", "ready")
        self.assertEqual(running.stop(), 0)

    def test_nothing_but_the_bundle_says_where_the_device_is(self):
        elsewhere = str(self.directory / "elsewhere")
        # pylint: disable=consider-using-with
        other = subprocess.Popen([PLATFORM, elsewhere])
        self.addCleanup(other.kill)
        wait_until(lambda: os.path.exists(elsewhere), 10, "the other platform")
        words = ["NSM", "BULKHEAD_NSM", "BULKHEAD_NSM_DEVICE", "NSM_DEVICE", "NSM_PATH", "DEVICE",
                 "BULKHEAD_DEVICES", "TPM2TOOLS_TCTI", "TSM_BASE", "bulkhead.nsm"]
        environment = os.environ | {word: elsewhere + "/nsm" for word in words}
        line = self.file("cmdline", " ".join(f"{word.lower()}={elsewhere}/nsm" for word in words)
                         .encode() + b"\n")
        subprocess.run(["mount", "--bind", line, "/proc/cmdline"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/proc/cmdline"], check=True)
        self.assertIn(elsewhere, pathlib.Path("/proc/cmdline").read_text())
        running, bundle = self.start(self.two(), env=environment)
        self.assertEqual(self.register(20), (self.expect(bundle)["value"], True))
        self.socket, mine = elsewhere, self.socket
        self.assertEqual(self.register(20), ("00" * 48, False))
        self.socket = mine
        self.assertEqual(running.stop(), 0)

    def test_the_shipped_program_asks_character_devices_only(self):
        bundle = self.compile(self.write_policy(self.two()))
        said = self.refused(bundle, enclave.BULKHEAD_INIT)
        self.assertIn(f"describe pcr20 (`{self.socket}/nsm`): ENOTDIR", said)

    def test_a_pinned_program_that_changed_does_not_start(self):
        program = self.program()
        pin = hashlib.sha384(program.read_bytes()).hexdigest()
        value = self.policy(pinned={
            "profile": ["batch"], "exec": [{"path": str(program), "sha384": pin}, "random", "8"],
            "attestation": {"random": True}, "restart": {"when": "never"},
            "files": {"execute": [str(program)]}},
            free=python(SPEAK + "time.sleep(1000)"))
        running, bundle = self.start(value)
        self.assertRegex(running.output(), r"pinned \| [0-9a-f]{16}\n")
        self.assertEqual(running.stop(), 0)
        rows = {row["component"]: row for row in self.expect(bundle)["components"]}
        self.assertEqual(rows["pinned"]["pin"], "sha384:" + pin)
        self.assertIsNone(rows["free"]["pin"])
        text = run(enclave.BULKHEAD, "attest", "expect", str(bundle)).stdout
        self.assertRegex(text, r"pinned +random +pinned, sha384:" + pin)
        self.assertRegex(text, r"free +- +rests on the image")
        content = bytearray(program.read_bytes())
        content[-1] ^= 1
        program.write_bytes(bytes(content))
        self.boot_machine()
        self.assertIn("`pinned` can't be confined: its program ", self.refused(bundle))


class Closed(Attestation):
    """What a component tries to get at the device by, as root of its compartment, too."""

    TRY = """
import ctypes, errno, os, stat, time
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, call):
    try:
        call()
        print('tried', name, 'done', flush=True)
    except OSError as error:
        print('tried', name, errno.errorcode[error.errno], flush=True)
def ioctl(request):
    if libc.ioctl(1, ctypes.c_ulong(request), ctypes.create_string_buffer(64)) != 0:
        raise OSError(ctypes.get_errno(), 'ioctl')
tried('control', lambda: ioctl(0x5401))  # TCGETS of a pipe
for name, request in (('nsm', 0xc0200a00), ('nsm-high', 0x1c0200a00), ('tdx', 0xc4405401)):
    tried(name, lambda request=request: ioctl(request))
tried('open', lambda: os.open('/dev/nsm', os.O_RDWR))
tried('sysfs', lambda: os.listdir('/sys/devices/virtual/misc/tdx_guest'))
tried('configfs', lambda: os.listdir('/sys/kernel/config/tsm/report'))
tried('mknod', lambda: os.mknod('/tmp/nsm', stat.S_IFCHR | 0o600, os.makedev(10, 144)))
tried('shm', lambda: os.mknod('/dev/shm/nsm', stat.S_IFCHR | 0o600, os.makedev(10, 144)))
tried('supervisor', lambda: os.listdir(f'/proc/{SUPERVISOR}/fd'))
tried('file', lambda: os.close(os.open('/tmp/file', os.O_CREAT | os.O_WRONLY)))
time.sleep(1000)
"""
    REFUSED = {"nsm": "EPERM", "nsm-high": "EPERM", "tdx": "EPERM", "open": "ENOENT",
               "sysfs": "ENOENT", "configfs": "ENOENT", "mknod": "EPERM", "shm": "EPERM",
               "supervisor": "ENOENT"}
    PASSES = {"control": "ENOTTY", "file": "done"}

    def test_no_way_to_the_device(self):
        code = f"SUPERVISOR = {os.getpid()}\n" + self.TRY
        keys = {"files": {"private": ["/tmp"]},
                "syscalls": {"allow": [{"ioctl": {"request": ["TCGETS"]}}]}}
        waiver = {"component": "root", "statement": "user", "reason": "tries as root",
                  "until": "2099-01-01"}
        value = self.policy(plain=python(code, attestation=GIVEN, **keys),
                            root=python(code, user=0, **keys))
        value["waivers"] = [waiver]
        running, _ = self.start(value)
        for who in ("plain", "root"):
            running.wait_output(f"{who} | tried file")
            found = dict(re.findall(rf"^{who} \| tried (\S+) (\S+)$", running.output(), re.M))
            self.assertEqual(found, self.REFUSED | self.PASSES, who)
            refused = [e for e in running.events(who, "ioctl") if e["kind"] == "violation"]
            self.assertGreaterEqual(sum(e["count"] for e in refused), 3)


class Signed(Attestation):
    KEY = pathlib.Path("/etc/bulkhead/bundle.pub")

    def test_an_image_with_a_key_boots_what_is_signed_by_it(self):
        # A tree of this test's own over /etc, whose rest stays as it is.
        upper, work = pathlib.Path("/run/upper"), pathlib.Path("/run/work")
        upper.mkdir()
        work.mkdir()
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir=/etc,upperdir={upper},workdir={work}", "/etc"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", "/etc"], check=True)
        self.KEY.parent.mkdir()
        key = self.directory / "key.pem"
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key))
        value = self.policy(one=python("import time; time.sleep(1000)"))
        bundle = self.compile(self.write_policy(value))
        signed = run(enclave.BULKHEAD, "sign", "--key", str(key), str(bundle))
        self.assertEqual(signed.returncode, 0, signed.stderr)
        self.KEY.write_text(signed.stdout.splitlines()[1] + "\n", encoding="ascii")
        running = enclave.Enclave(self, bundle, AUDIT, command=[FAKE_INIT, str(bundle)])
        running.wait_event("one", "ready")
        self.assertEqual(running.stop(), 0)
        signature = pathlib.Path(str(bundle) + ".sig")
        good = signature.read_text(encoding="ascii")
        value["components"]["one"]["env"] = {"LEVEL": "2"}
        other = self.compile(self.write_policy(value, "other.yaml"), "other.bundle")
        pathlib.Path(str(other) + ".sig").write_text(good, encoding="ascii")
        self.assertIn("it is not signed by the image's key", self.refused(other))
        # Before anything of it is parsed.
        junk = self.file("junk", b"no bundle at all" * 10)
        pathlib.Path(junk + ".sig").write_text(good, encoding="ascii")
        self.assertIn("it is not signed by the image's key", self.refused(junk))
        signature.unlink()
        self.assertIn("it has no signature", self.refused(bundle))
        signature.write_text("00" * 64, encoding="ascii")
        self.assertIn("it is not signed", self.refused(bundle))
        signature.write_text(good, encoding="ascii")
        self.KEY.write_text("none\n", encoding="ascii")
        self.assertIn("the image's key is not 64 hexadecimal digits", self.refused(bundle))


if __name__ == "__main__":
    enclave.main()
