#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Secrets: what a run is given, what it can't do to it, and where else it is not."""

import datetime
import hashlib
import json
import os
import pathlib
import re
import signal
import unittest

import enclave
from enclave import python

AUDIT = "/var/log/bulkhead/e2e-secrets.jsonl"
TOKEN = "token-" + "7f3a" * 8

# Tries everything on FD; its answer is one line of JSON.
LOOK = """
PATH = f'/proc/self/fd/{FD}'
import errno, fcntl, hashlib, json, mmap, os, sys, time
def tried(call):
    try:
        return call() or 'done'
    except OSError as error:
        return errno.errorcode[error.errno]
def reopened(flags):
    os.close(os.open(PATH, flags))
def mapped(protection):
    mmap.mmap(FD, 0, mmap.MAP_SHARED, protection).close()
other = os.open(PATH, os.O_RDONLY)
content = os.read(FD, 70000)
answer = {
    'names': os.environ.get('LISTEN_FDNAMES'),
    'content': hashlib.sha256(content).hexdigest(),
    'again': tried(lambda: len(os.read(FD, 10))),
    'reopen to read': tried(lambda: reopened(os.O_RDONLY)),
    'map to read': tried(lambda: mapped(mmap.PROT_READ)),
    'write': tried(lambda: os.write(FD, b'x')),
    'reopen to write': tried(lambda: reopened(os.O_RDWR)),
    'map to write': tried(lambda: mapped(mmap.PROT_READ | mmap.PROT_WRITE)),
    'truncate': tried(lambda: os.ftruncate(FD, 0)),
    'mode': tried(lambda: os.fchmod(FD, 0o666)),
    'seal': tried(lambda: fcntl.fcntl(FD, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)),
    'lock': tried(lambda: fcntl.flock(FD, fcntl.LOCK_EX | fcntl.LOCK_NB)),
    'lock again': tried(lambda: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)),
    'the file': tried(lambda: os.close(os.open(FILE, os.O_RDONLY))),
}
os.lseek(FD, 0, os.SEEK_END)
print(json.dumps(answer), flush=True)
"""
REFUSED = {"write": "EBADF", "reopen to write": "EACCES", "map to write": "EACCES",
           "truncate": "EINVAL", "seal": "EPERM", "the file": "ENOENT", "lock again": "EAGAIN"}
PASSES = {"again": "done", "reopen to read": "done", "map to read": "done", "lock": "done"}


class Secrets(enclave.Case):
    def setUp(self):
        super().setUp()
        self.place = self.directory / "provisioned"
        self.place.mkdir(mode=0o700)
        self.file = self.place / "token"
        self.file.write_text(TOKEN, encoding="ascii")
        self.file.chmod(0o600)

    def component(self, code, fd=3, **keys):
        return python(f"FILE, FD = {str(self.file)!r}, {fd}\n" + LOOK + code,
                      secrets=[{"name": "token", "from": str(self.file)}],
                      syscalls={"allow": ["@file-modes", "flock", {"fcntl": {"cmd": ["F_ADD_SEALS"]}}]},
                      **keys)

    def policy(self, *, locks=True, **components):
        # Whoever may lock could lock files of others, too.
        until = datetime.date.today() + datetime.timedelta(days=30)
        waiver = {"component": "holder", "statement": "syscalls", "reason": "tries a lock",
                  "until": until.isoformat()}
        pathlib.Path(AUDIT).unlink(missing_ok=True)
        return enclave.policy("e2e-secrets", components, **({"waivers": [waiver]} if locks else {}))

    def answers(self, running, name, count=1):
        pattern = rf"(?m)^{name} \| (\{{.*\}})$"
        enclave.wait_until(lambda: len(re.findall(pattern, running.output())) >= count, 20,
                           f"{count} answers of {name}: {running.output()}")
        return [json.loads(text) for text in re.findall(pattern, running.output())]

    def check(self, answer, name):
        self.assertEqual(answer["names"], name)
        # What is printed passes through the supervisor.
        self.assertEqual(answer["content"], hashlib.sha256(TOKEN.encode()).hexdigest())
        for way, expected in {**REFUSED, **PASSES}.items():
            self.assertEqual(answer[way], expected, way)
        # The inode is root's, and nobody's to change.
        self.assertIn(answer["mode"], ("EPERM", "EACCES"))

    def test_a_run_reads_it_and_can_do_nothing_else(self):
        value = self.policy(holder=self.component("time.sleep(1000)\n"))
        running = self.boot(value)
        self.check(self.answers(running, "holder")[0], "token")
        # It stays what it was at boot, and each run begins at its beginning.
        self.file.write_text("another", encoding="ascii")
        os.kill(running.main_pid("holder"), signal.SIGKILL)
        self.check(self.answers(running, "holder", 2)[1], "token")
        self.file.unlink()
        os.kill(running.main_pid("holder"), signal.SIGKILL)
        self.check(self.answers(running, "holder", 3)[2], "token")
        self.assertEqual(running.stop(), 0)

    def test_it_stands_behind_listeners_and_channels(self):
        code = "import os, time; print(os.environ['LISTEN_FDNAMES'], os.read(5, 99).decode()); time.sleep(99)"
        value = self.policy(
            locks=False,
            holder=python(code, secrets=[{"name": "a-token", "from": str(self.file)}],
                          network={"tcp": {"listen": [{"port": enclave.free_port(), "name": "web"}]}}),
            other=python("import time; time.sleep(99)"))
        value["channels"] = [{"name": "line", "from": "other", "to": "holder", "kind": "pipe"}]
        running = self.boot(value)
        running.wait_output(f"holder | web:line:a-token {TOKEN}")
        self.assertEqual(running.stop(), 0)

    def test_instances_share_none_of_it(self):
        """What one run locks or reads is another's from its beginning."""
        holder = self.component(
            "import socket\nsocket.socket(fileno=3).recv(1)\n", fd=4,
            network={"unix": {"listen": [{"path": "/run/edges/holder/s", "name": "in",
                                          "from": ["client"]}]}},
            instances={"per": "connection"})
        client = python("""
import socket, time
ends = []
for _ in range(3):
    ends.append(socket.socket(socket.AF_UNIX))
    ends[-1].connect('/run/edges/holder/s')
time.sleep(1000)
""", network={"unix": {"connect": ["/run/edges/holder/s"]}}, after=["holder"])
        running = self.boot(self.policy(holder=holder, client=client))
        pattern = r"(?m)^holder(?:@\d+)? \| (\{.*\})$"
        enclave.wait_until(lambda: len(re.findall(pattern, running.output())) >= 3, 20,
                           running.output())
        for text in re.findall(pattern, running.output()):
            self.check(json.loads(text), "in:token")
        self.assertEqual(running.stop(), 0)

    def test_it_is_in_no_other_memory(self):
        value = self.policy(holder=self.component("time.sleep(1000)\n"), other=python("import time; time.sleep(1000)"))
        running = self.boot(value)
        self.answers(running, "holder")
        # The control: whose secret it is has it in its memory.
        self.assertTrue(holds(running.main_pid("holder"), TOKEN.encode()))
        others = [running.pid, running.main_pid("other")]
        for name in ("holder", "other"):
            status = enclave.process_status(running.main_pid(name))
            others.append(int(status["PPid"]))  # its reaper
        for pid in others:
            self.assertFalse(holds(pid, TOKEN.encode()), enclave.process_status(pid)["Name"])
        log = running.audit.read_text(encoding="utf-8")
        self.assertNotIn(TOKEN, log)
        self.assertEqual(running.stop(), 0)

    def test_what_is_no_secret_stops_the_boot(self):
        def long(size):
            self.file.write_bytes(b"x" * size)
        cases = {
            "missing": (lambda: None, "No such file or directory"),
            "empty": (lambda: long(0), "No data available"),
            "too long": (lambda: long(65537), "File too large"),
            "a directory": (self.file.mkdir, "Invalid argument"),
            "a fifo": (lambda: os.mkfifo(self.file), "Invalid argument"),
            "a link": (lambda: self.file.symlink_to("/etc/hostname"), "Too many levels of symbolic links"),
            "behind a link": (self.link_above, "Not a directory"),
        }
        bundle = self.compile(self.write_policy(self.policy(
            locks=False,
            holder=python("import time; time.sleep(1000)",
                          secrets=[{"name": "token", "from": str(self.file)}]))))
        for name, (make, text) in cases.items():
            with self.subTest(name):
                self.remove()
                make()
                said = self.refuses_to_boot(bundle)
                self.assertIn(f"the secret `{self.file}`: {text}", said)
        self.remove()
        long(65536)
        running = enclave.Enclave(self, bundle, AUDIT)
        running.wait_event("holder", "ready", 1)
        self.assertEqual(running.stop(), 0)

    def remove(self):
        if self.place.is_symlink():
            self.place.unlink()
            (self.directory / "elsewhere").rename(self.place)
        if self.file.is_dir():
            self.file.rmdir()
        else:
            self.file.unlink(missing_ok=True)
            self.file.write_text(TOKEN, encoding="ascii")
            self.file.unlink()

    def link_above(self):
        self.file.write_text(TOKEN, encoding="ascii")
        self.place.rename(self.directory / "elsewhere")
        self.place.symlink_to("elsewhere")


def holds(pid, text):
    """Whether the writable memory of the process has it."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "w" not in rights:
                continue
            first, last = (int(part, 16) for part in span.split("-"))
            memory.seek(first)
            if text in memory.read(last - first):
                return True
    return False


if __name__ == "__main__":
    enclave.main()
