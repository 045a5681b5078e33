# SPDX-License-Identifier: Apache-2.0
"""Boots of images with a key in /etc/bulkhead/bundle.pub, whose bundle is signed by it, or is not: as
PID 1, in the place of Nitro's init, and as the /cmd of an init that does what Nitro's does
(tests/guest/first). What `bulkhead image` would not write is put into the archive afterwards.
"""

import dataclasses
import json
import re
import subprocess

import archive
import machine
import measured

PID_1, IN_PLACE, COMMAND = "PID 1", "PID 1, by `/cmd`", "`/cmd` of an init"
GOOD, CHANGED, UNSIGNED, OTHER = "its key", "its key, then a bit of it was changed", "nobody", "another key"
WRONG = "it is not signed by the image's key"
REASONS = {GOOD: "", CHANGED: WRONG, UNSIGNED: "the image takes signed bundles, and it has no signature",
           OTHER: WRONG}
BUNDLE = "etc/enclave.bundle"  # where /cmd names it
KERNEL = "6.12"
KERNEL_QUICK = "6.1"
PATIENCE = 100.0


@dataclasses.dataclass(frozen=True)
class Case:
    way: str
    signed: str
    quick: bool = False


CASES = [Case(way, signed, (way, signed) in ((PID_1, CHANGED), (COMMAND, GOOD)))
         for way in (PID_1, IN_PLACE, COMMAND) for signed in REASONS]


def policy():
    hello = {"profile": ["batch"], "exec": ["/suite/first", "inside", "hello"],
             "files": {"execute": ["/suite/first"]}}
    return {"bulkhead": 1, "enclave": "signed", "target": "debian-12", "audit": {"sinks": ["stdout"]},
            "components": {"hello": hello}}


class Builder:
    def __init__(self, compiler):
        self.work = compiler.work
        tree = measured.Builder(compiler).tree
        source, self.bundle = self.work / "signed.yaml", self.work / "signed.bundle"
        source.write_text(json.dumps(policy()))
        compiler.run("compile", source, "-o", self.bundle)
        other = self.sign(compiler, "other")
        self.signature = {OTHER: other[0], GOOD: (good := self.sign(compiler, "own"))[0], CHANGED: good[0]}
        (tree / "etc/bulkhead").mkdir(parents=True)
        (tree / "etc/bulkhead/bundle.pub").write_text(good[1] + "\n")
        self.images = {}
        for init in (tree / "bulkhead-init", tree / "suite/first"):
            image = self.work / "signed.cpio"
            compiler.run("image", self.bundle, "--root", tree, "--init", init, "-o", image)
            self.images[init.name] = archive.entries(image)

    def sign(self, compiler, name):
        """The signature, and the public half of the key."""
        key = self.work / f"{name}.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
        said = compiler.run("sign", "--key", key, self.bundle)
        return (self.bundle.parent / f"{self.bundle.name}.sig").read_bytes(), re.search(r"(?m)^\w{64}$", said)[0]

    def image(self, case):
        found = dict(self.images["first" if case.way == COMMAND else "bulkhead-init"])
        bundle = bytearray(self.bundle.read_bytes())
        for name in ("enclave.bundle", "enclave.bundle.sig"):
            del found[name]
        if case.signed == CHANGED:
            bundle[len(bundle) // 2] ^= 1
        place = "enclave.bundle"
        if case.way != PID_1:
            place = f"rootfs/{BUNDLE}"
            archive.put(found, "cmd", f"/bulkhead-init\n/{BUNDLE}\n".encode())
            archive.put(found, "env", b"PATH=/bin\n")
        archive.put(found, place, bytes(bundle))
        if case.signed != UNSIGNED:
            archive.put(found, f"{place}.sig", self.signature[case.signed])
        image = self.work / "signed-case.cpio"
        archive.write(image, found)
        return image


def judged(case, guest):
    """What is wrong; empty: nothing."""
    reason = REASONS[case.signed]
    status = 3 if reason else 0
    pattern = (f"init: /cmd ended with exit status {status}" if case.way == COMMAND else
               f"the enclave ended with exit status {status} .*switched off")
    if not guest.wait_for(pattern, PATIENCE):
        return f"it does not end with {status}"
    if not guest.ended(60):
        return "the machine did not end"
    if reason and f"refused: {reason}\n" not in guest.console:
        return "it does not say why it refuses"
    ran = "hello | hello" in guest.console and '"action":"start"' in guest.console
    if ran != (not reason) or (reason and ("hello |" in guest.console or '{"seq":' in guest.console)):
        return "something was started" if reason else "nothing was started"
    return ""


def run(builder, kernel, case):
    guest = machine.Machine(machine.kernel_of(kernel), builder.image(case), "bulkhead.guest first=cmd")
    try:
        wrong = judged(case, guest)
        if machine.panicked(guest.console):
            wrong = "the kernel panicked"
    finally:
        guest.close()
    return wrong, guest.console


def row(case, _console):
    reason = REASONS[case.signed]
    return f"| {case.way} | {case.signed} | {'refuses: ' + reason if reason else 'boots'} |\n"


HEAD = "| bulkhead-init is | signed by | comes of it |\n| --- | --- | --- |\n"


def run_all(compiler, kernels, quick):
    """How many went wrong, and the table."""
    builder = Builder(compiler)
    kernel = kernels / (KERNEL_QUICK if quick else KERNEL)
    cases = [case for case in CASES if case.quick or not quick]
    return machine.run_each(HEAD, cases, lambda case: run(builder, kernel, case), row)
