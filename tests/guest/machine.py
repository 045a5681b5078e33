# SPDX-License-Identifier: Apache-2.0
"""One boot of an image in QEMU, watched on its console, ended by ctrl-alt-delete."""

import dataclasses
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import tempfile
import time

ARGUMENTS = ["-accel", "tcg,thread=multi", "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none",
             "-no-reboot", "-serial", "stdio"]
# A kernel that panics prints all that it has to say, what it was too quiet for before as well.
PANIC = "panic_print=32"
TROUBLE = re.compile(r"(?m)^.*(Kernel panic - not syncing|BUG: |Oops: |general protection fault).*$")


@dataclasses.dataclass(frozen=True)
class Arch:
    name: str
    command: tuple  # of QEMU, and what machine it is to be
    console: str
    loader: str  # of dynamic programs
    compat: bool = False  # the kernel's other architecture is one that only programs come to
    modules: tuple = ()  # what is needed for ctrl-alt-delete and is a module of Debian's


ARCHES = {arch.name: arch for arch in (
    Arch("x86_64", ("qemu-system-x86_64", "-machine", "q35", "-cpu", "max"), "ttyS0",
         "/lib64/ld-linux-x86-64.so.2"),
    # The architected algorithm of pointer authentication is slow without the hardware for it.
    Arch("aarch64", ("qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on", "-device",
                     "virtio-keyboard-pci"), "ttyAMA0", "/lib/ld-linux-aarch64.so.1", True,
         ("virtio_pci", "virtio_input")))}


class Machine:
    def __init__(self, kernel, image, append="", memory=1024, devices=(), arch=ARCHES["x86_64"]):
        self.console = ""
        self._followed = 0
        self._work = tempfile.TemporaryDirectory(prefix="bulkhead-guest-")
        monitor = os.path.join(self._work.name, "qmp")
        command = [*arch.command, *ARGUMENTS, "-m", str(memory), "-kernel", str(kernel),
                   "-initrd", str(image), *devices, "-qmp", f"unix:{monitor},server=on,wait=off", "-append",
                   f"console={arch.console} quiet loglevel=3 panic=-1 {PANIC} {append}"]
        self._monitor = monitor
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT)

    def _read(self, until):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
            return None
        time.sleep(0.01)  # a console comes byte by byte, and each look at it takes time
        part = os.read(self._process.stdout.fileno(), 65536)
        self.console += part.decode(errors="replace").replace("\r", "")
        return part

    def wait_for(self, pattern, within):
        """Whether the pattern comes up on the console before the machine's end and in time."""
        until = time.monotonic() + within
        while not re.search(pattern, self.console):
            if not self._read(until):
                return False
        return True

    def follow(self, visit, within):
        """Gives each whole line to `visit` once, until it is true; whether that was in time."""
        until = time.monotonic() + within
        while True:
            end = self.console.find("\n", self._followed)
            if end >= 0:
                line = self.console[self._followed:end]
                self._followed = end + 1
                if visit(line):
                    return True
            elif not self._read(until):
                return False

    def ended(self, within):
        """Whether the machine ends by itself in time."""
        until = time.monotonic() + within
        while True:
            part = self._read(until)
            if part == b"":
                return self._process.wait() == 0
            if part is None:
                return False

    def press_ctrl_alt_delete(self):
        keys = [{"type": "qcode", "data": key} for key in ("ctrl", "alt", "delete")]
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(self._monitor)
            stream = monitor.makefile("rw")
            stream.readline()
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": "send-key", "arguments": {"keys": keys}}):
                stream.write(json.dumps(command) + "\n")
                stream.flush()
                stream.readline()

    def events(self):
        """The records of the audit log on the console."""
        lines = [line for line in self.console.splitlines() if line.startswith('{"seq":')]
        return [json.loads(line) for line in lines]

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._work.cleanup()


def panicked(console):
    return "Kernel panic - not syncing" in console


def telling(console):
    """What there is to be read of a boot that went wrong."""
    if not panicked(console):
        return console[-8000:]
    # Who was at work comes before, and the kernel's own words are of any length.
    return console[max(0, TROUBLE.search(console).start() - 4000):]


def kernel_of(directory):
    return next(pathlib.Path(directory, "boot").glob("vmlinuz-*"))


def run_each(head, cases, run, row):
    """Runs each case: what is wrong with it, and what it said. How many went wrong, and the table of the others."""
    failed, table = 0, head
    for case in cases:
        began = time.monotonic()
        wrong, console = run(case)
        failed += bool(wrong)
        if wrong:
            print(f"{telling(console)}\nWRONG {case}: {wrong}", flush=True)
            continue
        line = row(case, console)
        print(line.rstrip(), f"{time.monotonic() - began:.0f} s", flush=True)
        table += line
    return failed, table
