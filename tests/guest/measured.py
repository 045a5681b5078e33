# SPDX-License-Identifier: Apache-2.0
"""Boots whose bundle is measured before anything starts, by bulkhead-init as PID 1: into the registers
of a Nitro module (a character device in user space that the image's first program starts, as the
kernel's module would be there) or of a TPM (swtpm behind QEMU's).

The image's first program is tests/guest/first; what it does before bulkhead-init is in its words.
"""

import dataclasses
import hashlib
import json
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import archive
import enclave
import machine
import suite

PATIENCE = 150.0
# The second: under an init that does what Nitro's does.
NITRO, COMMAND, TPM = "Nitro module", "Nitro module, as `/cmd`", "TPM 2.0"
MODULES = {NITRO: ("cuse", "vhost_vsock"), COMMAND: ("cuse", "vhost_vsock"), TPM: ()}
# Kernel -> the target whose features it has.
TARGETS = {"6.1": "debian-12", "6.12": "debian-13"}
EVENT = '{"event":"%s","event_type":134217729,"payload":"%s","version":2}'
STOPPED = "the bundle can't be measured; the enclave does not boot"


@dataclasses.dataclass(frozen=True)
class Case:
    kernel: str
    platform: str
    before: str  # what was done with the registers, for people
    words: str  # the same for the first program
    refused: str = ""  # a pattern of the console; empty: it boots and holds
    quick: bool = False
    tpm: str = "new"  # "": none; "sha256": one without other banks


SOMEBODY = hashlib.sha384(b"somebody").digest()
CASES = [
    Case("6.1", NITRO, "nothing", "nsm,parent", quick=True),
    Case("6.12", NITRO, "nothing", "nsm,parent"),
    Case("6.12", NITRO, "somebody has extended `pcr20`", "nsm,extended,parent",
         r"describe pcr20 \(`/dev/nsm`\): it is not zero: "),
    Case("6.12", NITRO, "somebody has extended and locked `pcr20`", "nsm,extended,locked,parent",
         r"describe pcr20 \(`/dev/nsm`\): it is locked with another value, "),
    Case("6.1", NITRO, "somebody has extended `pcr20`", "nsm,extended,parent",
         r"describe pcr20 \(`/dev/nsm`\): it is not zero: ", quick=True),
    Case("6.12", NITRO, "somebody has extended `pcr21`", "nsm,taken,parent",
         r"describe pcr21 \(`/dev/nsm`\): it is not zero: "),
    Case("6.12", NITRO, "there is no module", "parent", r"describe pcr20 \(`/dev/nsm`\): ENOENT"),
    Case("6.12", NITRO, "nobody answers the heartbeat", "nsm",
         r"cannot (open a vsock socket for the heartbeat|connect to vsock 3:9000)"),
    Case("6.12", COMMAND, "nothing", "nsm,parent,cmd"),
    Case("6.12", COMMAND, "somebody has extended `pcr20`", "nsm,extended,parent,cmd",
         r"describe pcr20 \(`/dev/nsm`\): it is not zero: "),
    Case("6.1", TPM, "nothing", "tpm"),
    Case("6.12", TPM, "nothing", "tpm", quick=True),
    Case("6.12", TPM, "somebody has extended `tpm-pcr14`", "tpm,used"),
    Case("6.12", TPM, "there is no TPM", "", r"read tpm-pcr14 \(`/dev/tpmrm0`\): ENOENT", tpm=""),
    Case("6.12", TPM, "it has a SHA-256 bank only", "", r"read tpm-pcr14 \(`/dev/tpmrm0`\): no SHA-384 bank",
         tpm="sha256"),
]
TRIED = {"control": "passed", "node": "ENOENT", "tpm": "ENOENT", "mknod": "EPERM", "made": "ENOENT",
         "left": "EPERM", "fd": "EPERM", "all": "passed"}


def component(what, **more):
    return {"profile": ["stateful-service"], "exec": ["/suite/first", "inside", what], "ready": "started",
            "files": {"execute": ["/suite/first"], "read": ["/suite/device"],
                      "private": [{"path": "/tmp", "size": "1M"}]}, **more}


def policy(platform, enclave_name="measured"):
    """`plain` and `root` are given no documents, the latter is uid 0."""
    components = {"plain": component("try"), "root": component("try", user=0)}
    waiver = {"component": "root", "statement": "user", "reason": "as strong as it gets", "until": "2099-12-31"}
    value = {"bulkhead": 1, "enclave": enclave_name, "target": "debian-12", "audit": {"sinks": ["stdout"]},
             "components": components, "waivers": [waiver]}
    if platform != TPM:
        components["signer"] = component("sign", attestation={"attest": True, "public-key": True})
        value["measure"] = {"policy": "pcr20", "events": "pcr21"}
    else:
        value["measure"] = {"policy": "tpm-pcr14", "events": "tpm-pcr14"}
    return value


def extended(value, data):
    return hashlib.sha384(value + data).digest()


def with_event(value, name, payload):
    """A register that has taken an event."""
    return extended(value, hashlib.sha384((EVENT % (name, payload.hex())).encode()).digest())


def stem(name, kernel, platform):
    return re.sub(r"\W+", "-", f"{name}-{kernel}-{platform}")


class Builder:
    """Of images, and of what a relying party has of them."""

    def __init__(self, compiler):
        self.compiler = compiler
        self.work = compiler.work
        self.first = compiler.build / "tests/guest-first"
        self.tree = pathlib.Path(tempfile.mkdtemp(prefix="tree-", dir=self.work))
        (self.tree / "suite").mkdir(parents=True)
        for source, name in ((self.first, "suite/first"), (compiler.build / "tests/e2e/e2e-nsm", "suite/nsm"),
                             (compiler.init, "bulkhead-init")):
            shutil.copyfile(source, self.tree / name)
            subprocess.run(["strip", self.tree / name], check=True)
            (self.tree / name).chmod(0o755)
        # Any device's; the first program says that of the module.
        (self.tree / "suite/device").write_text("1 3\n")
        self._built = {}

    def target(self, kernel, platform):
        text = (enclave.ROOT / f"profiles/targets/{TARGETS[kernel]}.yaml").read_text()
        if platform != TPM:
            text = text.replace("platform: none", "platform: nitro")
        path = self.work / f"{stem('guest', kernel, platform)}.yaml"
        path.write_text(re.sub(r"(?m)^target: .*$", f"target: guest-{kernel.replace('.', '-')}", text))
        return path

    def bundle(self, kernel, platform, name="measured"):
        place = self.work / stem(name, kernel, platform)
        source, bundle = place.with_suffix(".policy"), place.with_suffix(".bundle")
        source.write_text(json.dumps(policy(platform, name)))
        self.compiler.run("compile", source, "-o", bundle, "--target", self.target(kernel, platform))
        return bundle

    def image(self, kernels, kernel, platform):
        """The bundle, and the image of it."""
        key = kernel, platform
        if key not in self._built:
            bundle = self.bundle(kernel, platform)
            image = bundle.with_suffix(".cpio")
            paths = suite.unpack_modules(kernels / kernel, image.with_suffix(".modules"), MODULES[platform])
            modules = [word for path in paths for word in ("--module", path)]
            self.compiler.run("image", bundle, "--root", self.tree, "--init", self.tree / "suite/first", *modules,
                              "-o", image)
            if platform == COMMAND:
                found = archive.entries(image)
                archive.put(found, "cmd", b"/bulkhead-init\n/enclave.bundle\n")
                archive.put(found, "rootfs/enclave.bundle", found.pop("enclave.bundle")[1])
                archive.write(image, found)
            self._built[key] = bundle, image
        return self._built[key]


class Tpm:
    """swtpm for one boot, and QEMU's words for it."""

    def __init__(self, banks):
        self._work = tempfile.TemporaryDirectory(prefix="bulkhead-tpm-")
        self._place = pathlib.Path(self._work.name)
        self._process = None
        if banks == "sha256":
            self._allocate()
        control = self._place / "control"
        self._start("--ctrl", f"type=unixio,path={control}")
        self._await(control)
        self.devices = ["-chardev", f"socket,id=tpm,path={control}", "-tpmdev", "emulator,id=tpm,chardev=tpm",
                        "-device", "tpm-crb,tpmdev=tpm"]

    def _start(self, *words):
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._place}", *words],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _await(self, path):
        until = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < until, "swtpm does not listen"
            time.sleep(0.01)

    def _allocate(self):
        """SHA-256 registers and no others, from the next start on."""
        server = self._place / "server"
        self._start("--server", f"type=unixio,path={server}", "--flags", "not-need-init,startup-clear")
        self._await(server)
        selection = b"".join(struct.pack(">HB3s", bank, 3, kept) for bank, kept in
                             ((0x04, bytes(3)), (0x0B, b"\xff" * 3), (0x0C, bytes(3)), (0x0D, bytes(3))))
        session = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
        allocate = struct.pack(">I", 0x4000000C) + session + struct.pack(">I", 4) + selection
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(server))
            # TPM2_PCR_Allocate, TPM2_Shutdown.
            for tag, code, rest in ((0x8002, 0x12B, allocate), (0x8001, 0x145, bytes(2))):
                client.sendall(struct.pack(">HII", tag, 10 + len(rest), code) + rest)
                answer = client.recv(4096)
                assert answer[6:10] == bytes(4), answer.hex()
        self._end()

    def _end(self):
        self._process.kill()
        self._process.wait()

    def close(self):
        self._end()
        self._work.cleanup()


def attempts(console, name):
    """Attempt -> what came of it, of all descriptors the weakest refusal."""
    told = {}
    for attempt, result in re.findall(rf"(?m)^{name} \| tried (\w+) (\S+)$", console):
        if attempt not in told or result != "EPERM":
            told[attempt] = result
    return told


def all_tried(line, left):
    for name in list(left):
        if re.match(rf"{name} \| (tried all passed|told \d)", line):
            left.discard(name)
    return not left


class Judge:
    """Of a boot that is to hold. Each question gives what is wrong; empty: nothing."""

    def __init__(self, builder, bundle, case, console):
        self.builder, self.bundle, self.case, self.console = builder, bundle, case, console
        self.events = [json.loads(line) for line in console.splitlines() if line.startswith('{"seq":')]
        self.expected = json.loads(builder.compiler.run("attest", "expect", bundle, "--format", "json"))

    def wrong(self):
        return self.tries() or (self.tpm() if self.case.platform == TPM else self.nitro())

    def started_at(self):
        return self.console.index('"action":"start"')

    def tries(self):
        for name in ("plain", "root"):
            # To uid 0 PID 1 is there, and still no way to its root.
            wanted = {**TRIED, "root": "EACCES" if name == "root" else "ENOENT"}
            if (told := attempts(self.console, name)) != wanted:
                return f"`{name}` came to {told}"
            refused = {e["action"] for e in self.events if e["kind"] == "violation" and e["component"] == name}
            if not refused >= {"ioctl", "mknodat"}:
                return f"of `{name}` only {refused} is on record"
        return ""

    def log(self):
        path = self.builder.work / "measured.jsonl"
        path.write_text("".join(line + "\n" for line in self.console.splitlines() if line.startswith('{"seq":')))
        return path

    def ask(self, *words):
        done = subprocess.run([self.builder.compiler.bulkhead, *map(str, words)], capture_output=True, text=True,
                              check=False)
        return done.returncode, done.stdout + done.stderr

    def chain(self, key):
        code, said = self.ask("audit", "verify", "--key", key, self.log())
        return "" if code == 0 else f"the audit log is not whole: {said}"

    def head(self):
        """The payload of the last measured event, which is the hash of the record before that of it."""
        at = next(i for i, e in enumerate(self.events) if e["action"] == "bulkhead-audit-head")
        record, before = self.events[at], self.events[at - 1]
        assert record["verdict"] == "done" and record["extra"]["head"] == before["hash"], record
        # Only sums of refusals before it come later.
        assert not [e for e in self.events[at:] if e["component"] and e["kind"] == "lifecycle"], "still at work"
        return bytes.fromhex(record["extra"]["head"]), record["extra"]["value"]

    # --- Nitro ---

    def nitro(self):
        value = self.expected["value"]
        for text in (f"module: pcr20 = {value}\n", f"module: pcr20 = {value}, locked\n",
                     f"measured: pcr20 holds sha384:{value}"):
            if not 0 <= self.console.find(text) < self.started_at():
                return f"not before components: {text}"
        locked = self.console.index(f"module: pcr20 = {value}, locked")
        beat = [m.start() for m in re.finditer("parent: a heartbeat came and was answered", self.console)]
        # That of another init is another's.
        in_time = [at for at in beat if locked < at < self.started_at()]
        if beat != in_time or len(beat) != (0 if self.case.platform == COMMAND else 1):
            return f"heartbeats at {beat}"
        if "control: uid 65534 extended and locked pcr22, and got a document" not in self.console:
            return "nobody showed that the module is there"
        head, told = self.head()
        events = re.findall(r"module: pcr21 = (\w+)", self.console)
        if events != [with_event(bytes(48), "bulkhead-audit-head", head).hex()] or told != events[0]:
            return f"pcr21 took {events}, and {told} is on record"
        return self.documents()

    def verify(self, bundle, path, *words):
        root = self.builder.work / "root.pem"
        root.write_text(re.search(r"(?s)-----BEGIN CERT.*?-----END CERTIFICATE-----\n", self.console)[0])
        return self.ask("attest", "verify", "--root", root, bundle, path, *words)

    def documents(self):
        document = self.builder.work / "document"
        parts = re.findall(r"(?m)^signer \| part (\w+)$", self.console)
        document.write_bytes(bytes.fromhex("".join(parts)))
        claims = []
        for name, text in (("bytes", "hello"), ("nonce", "nonce")):
            (self.builder.work / name).write_text(text)
            claims += [f"--{name}", self.builder.work / name]
        other = self.builder.bundle(self.case.kernel, self.case.platform, "measurec")
        for bundle, component_name, code, words in (
                (self.bundle, "signer", 0, ["is in force: pcr20 is locked", "ok    asked by", "ok    nonce"]),
                (self.bundle, "plain", 1, ["ok    bundle", "WRONG asked by    `signer`, not `plain`"]),
                (other, "signer", 1, ["WRONG bundle      another bundle is in force: pcr20 holds "])):
            got, said = self.verify(bundle, document, "--component", component_name, *claims)
            if got != code or not all(word in said for word in ["ok    signature", *words]):
                return f"a document by {component_name} with {bundle.name}: {got}, {said}"
        code, said = self.verify(self.bundle, self.log())
        key = re.search(r"ok    audit key   (ed25519:\w{64})", said)
        return self.chain(key[1]) if code == 0 and key else f"the audit key's document: {said}"

    # --- TPM ---

    def tpm(self):
        value = extended(bytes(48), SOMEBODY) if "used" in self.case.words else bytes(48)
        for event in self.expected["events"]:
            value = extended(value, bytes.fromhex(event["digest"]))
        if not 0 <= self.console.find(f"measured: tpm-pcr14 holds sha384:{value.hex()}") < self.started_at():
            return f"not before components: {value.hex()}"
        key = next(e["extra"]["public_key"] for e in self.events if e["action"] == "bulkhead-audit-key")
        with_key = with_event(value, "bulkhead-audit-key", bytes.fromhex(key))
        head, told = self.head()
        at_end = with_event(with_key, "bulkhead-audit-head", head).hex()
        seen = [text.lower() for text in re.findall(r"seen: tpm-pcr14 = (\w+)", self.console)]
        # After the last event the machine may end before somebody looks.
        if with_key.hex() not in seen or seen[-1] not in (with_key.hex(), at_end) or told != at_end:
            return f"{with_key.hex()} and {at_end} were to be seen in {seen}, and {told} is on record"
        return self.chain(f"ed25519:{key}")


# What a boot has said and what it must not have said in its place, so that a judge who sees nothing is seen.
BLIND = {
    NITRO: [("plain . tried node ENOENT", "plain | tried node passed"),
            ("root . tried fd EPERM", "root | tried fd ENOTTY"),
            ("parent: a heartbeat came", "parent: none came"), (r"module: pcr20 = \w+, locked", ""),
            (r"module: pcr21 = \w", "module: pcr21 = x"), (r"signer . part \w{20}", "signer | part "),
            ('"document-a":"..', '"document-a":"//')],
    TPM: [("plain . tried tpm ENOENT", "plain | tried tpm passed"),
          (r"measured: tpm-pcr14 holds sha384:\w", "measured: "),
          (r"seen: tpm-pcr14 = (\w\w)", "seen: tpm-pcr14 = 00"), (r'"public_key":"\w\w', '"public_key":"00')],
}


def end(case, status):
    """What is said last."""
    if case.platform == COMMAND:
        return f"init: /cmd ended with exit status {status}"
    return rf"the enclave ended with exit status {status} .*{'switched off' if case.platform == TPM else 'restarted'}"


def held(builder, bundle, case, guest):
    left = {"plain", "root", *([] if case.platform == TPM else ["signer"])}
    if not guest.follow(lambda line: all_tried(line, left), PATIENCE):
        return f"nothing came of {left}"
    guest.press_ctrl_alt_delete()
    if not guest.wait_for(end(case, 0), 60):
        return "the enclave did not end in order"
    if not guest.ended(60):
        return "the machine did not end"
    changes = BLIND[TPM if case.platform == TPM else NITRO]
    for old, new in changes:
        if case.platform == COMMAND and "heartbeat" in old:
            continue
        changed = re.sub(old, new, guest.console)
        assert changed != guest.console, old
        if not Judge(builder, bundle, case, changed).wrong():
            return f"it would not be seen if {old} were {new}"
    return Judge(builder, bundle, case, guest.console).wrong()


def refused(case, guest):
    if not guest.wait_for(case.refused, PATIENCE):
        return "it does not say why it refuses"
    if not guest.wait_for(end(case, 3), 60):
        return "it does not end with 3"
    if not guest.ended(60):
        return "the machine did not end"
    # By its record, or by what it would say.
    if '"action":"start"' in guest.console or re.search(r"(?m)^(plain|root|signer) \|", guest.console):
        return "something was started"
    if STOPPED in guest.console and "parent: a heartbeat" in guest.console:
        return "it said that it has booted"
    return ""


def run(builder, kernels, case):
    """What is wrong, and what it said."""
    bundle, image = builder.image(kernels, case.kernel, case.platform)
    tpm = Tpm(case.tpm) if case.platform == TPM and case.tpm else None
    guest = machine.Machine(machine.kernel_of(kernels / case.kernel), image,
                            f"bulkhead.guest first={case.words}", devices=tpm.devices if tpm else ())
    try:
        wrong = refused(case, guest) if case.refused else held(builder, bundle, case, guest)
        if machine.panicked(guest.console):
            wrong = "the kernel panicked"
    finally:
        guest.close()
        if tpm:
            tpm.close()
    return wrong, guest.console


HEAD = "| kernel | platform | before | comes of it |\n| --- | --- | --- | --- |\n"


def shortened(text):
    """A register's value is its beginning in a table."""
    return re.sub(r"\b([0-9a-f]{8})[0-9a-f]{88}\b", r"\1…", text)


def row(case, console):
    verdict = "boots and holds"
    if case.refused:
        line = next(line for line in console.splitlines() if re.search(case.refused, line))
        verdict = "refuses: " + shortened(line.removeprefix("bulkhead-init: "))
    return f"| {case.kernel} | {case.platform} | {case.before} | {verdict} |\n"


def run_all(compiler, kernels, quick):
    """How many went wrong, and the table."""
    builder = Builder(compiler)
    cases = [case for case in CASES if case.quick or not quick]
    return machine.run_each(HEAD, cases, lambda case: run(builder, kernels, case), row)
