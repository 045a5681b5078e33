#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket: what it says, what it does, and who may."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import unittest

import enclave
from enclave import BULKHEAD, python

NAME = "e2e-control"
SOCKET = f"/run/bulkhead/{NAME}/control"
AUDIT = f"/var/log/bulkhead/{NAME}.jsonl"

TALKER = """
import itertools, sys, time
for number in itertools.count():
    print('line', number, flush=True)
    if number == 5:
        print('to stderr', chr(27) + '[31m', file=sys.stderr, flush=True)
    time.sleep(0.05)
"""
# Everything from inside: the path, its directory, the supervisor's own, an abstract name.
INTRUDER = """
import errno, os, socket, time
def tried(path):
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        return 'connected'
    except OSError as error:
        return errno.errorcode[error.errno]
print('tried', [tried(p) for p in PATHS], os.path.exists('/run/bulkhead'), flush=True)
time.sleep(1000)
"""
SLEEPER = "import time\ntime.sleep(1000)\n"


def control(*words, **options):
    return enclave.run(BULKHEAD, *words, "--enclave", NAME, **options)


class Raw:
    """A client that says what it likes."""

    def __init__(self, case):
        self.socket = socket.socket(socket.AF_UNIX)
        case.addCleanup(self.socket.close)
        self.socket.settimeout(20)
        self.socket.connect(SOCKET)

    def ask(self, data):
        self.socket.sendall(data)
        return self.rest()

    def rest(self):
        parts = []
        try:
            while True:
                part = self.socket.recv(65536)
                if not part:
                    break
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts).decode()


class Control(enclave.Case):
    def boot_all(self, **more):
        pathlib.Path(AUDIT).unlink(missing_ok=True)
        paths = [SOCKET, "/run/bulkhead/control", "/proc/1/root" + SOCKET]
        self.running = self.boot(enclave.policy(NAME, {
            "talker": python(TALKER),
            "sleeper": python(SLEEPER, limits={"memory": "64M"}, restart={"when": "on-failure", "at-most": 1}),
            "intruder": python(f"PATHS = {paths!r}\n" + INTRUDER,
                               network={"unix": {"connect": ["/run/edges/other/s"]}}),
            "other": python(SLEEPER, network={"unix": {"listen": [
                {"path": "/run/edges/other/s", "name": "s", "from": ["intruder"]}]}}),
            **more,
        }))
        return self.running

    def status(self):
        result = control("status", "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        value = json.loads(result.stdout)
        return value, {row["component"]: row for row in value["components"]}

    def test_status_tells_what_runs(self):
        running = self.boot_all()
        whole, rows = self.status()
        self.assertEqual(whole["enclave"], NAME)
        self.assertEqual(whole["pid"], running.pid)
        self.assertEqual(set(rows), {"talker", "sleeper", "intruder", "other"})
        for name, row in rows.items():
            self.assertEqual((row["state"], row["ready"], row["restarts"]), ("up", True, 0), name)
            self.assertEqual(row["pid"], running.main_pid(name))
            self.assertGreater(row["memory"], 100000)
            self.assertLess(row["uptime_ms"], 60000)
        os.kill(rows["talker"]["pid"], signal.SIGKILL)
        running.wait_event("talker", "ready", 2)
        self.assertEqual(self.status()[1]["talker"]["restarts"], 1)
        text = control("status").stdout
        self.assertRegex(text, r"(?m)^COMPONENT +STATE +PID +UPTIME +RESTARTS +MEMORY +VIOLATIONS$")
        self.assertRegex(text, r"(?m)^sleeper +up +\d+ +[\d.]+s +0 +[\d.]+M +\d+$")
        watching = subprocess.Popen([BULKHEAD, "status", "--watch", "--enclave", NAME],
                                    stdout=subprocess.PIPE, text=True)
        heads = [line for line in (watching.stdout.readline() for _ in range(14))
                 if line.startswith("enclave")]
        watching.kill()
        watching.wait()
        watching.stdout.close()
        self.assertGreaterEqual(len(heads), 2)
        self.assertEqual(running.stop(), 0)
        self.assertFalse(os.path.exists(SOCKET))

    def test_a_restart_that_fails_is_said_at_once(self):
        mark = self.directory / "mark"
        mark.write_text("", encoding="ascii")
        mark.chmod(0o644)
        self.boot_all(brittle=python(
            f"import os, time; os.stat({str(mark)!r}).st_size and os._exit(7); time.sleep(1000)",
            files={"read": [str(mark)]}, restart={"when": "never"}))
        self.assertEqual(control("restart", "brittle").returncode, 0)
        mark.write_text("x", encoding="ascii")
        begun = time.monotonic()
        result = control("restart", "brittle")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("`brittle` was started again and has failed", result.stderr)
        self.assertLess(time.monotonic() - begun, 20)

    def test_a_component_is_stopped_and_started(self):
        running = self.boot_all()
        result = control("stop", "sleeper")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = self.status()[1]
        self.assertEqual((rows["sleeper"]["state"], rows["sleeper"]["pid"]), ("done", None))
        self.assertEqual(rows["talker"]["state"], "up")
        others = {name: rows[name]["pid"] for name in ("talker", "intruder", "other")}
        # More often than its budget has restarts.
        pids = set()
        for _ in range(4):
            result = control("restart", "sleeper")
            self.assertEqual(result.returncode, 0, result.stderr)
            rows = self.status()[1]
            self.assertEqual((rows["sleeper"]["state"], rows["sleeper"]["restarts"]), ("up", 0))
            pids.add(rows["sleeper"]["pid"])
        self.assertEqual(len(pids), 4)
        self.assertEqual({name: rows[name]["pid"] for name in others}, others)
        # The budget is whole: one failure is made good, a second gives up, and a restart brings it
        # back all the same.
        for count in (6, 7):
            os.kill(running.main_pid("sleeper"), signal.SIGKILL)
            if count == 6:
                running.wait_event("sleeper", "start", count)
        running.wait_event("sleeper", "give-up")
        self.assertEqual(self.status()[1]["sleeper"]["state"], "failed")
        self.assertEqual(control("restart", "sleeper").returncode, 0)
        self.assertEqual(self.status()[1]["sleeper"]["state"], "up")
        wrong = control("stop", "sleepr")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("no component `sleepr`", wrong.stderr)
        none = control("measure")
        self.assertEqual(none.returncode, 1)
        self.assertIn("the policy has no register for events", none.stderr)
        stops = running.events("sleeper", "control-stop")
        self.assertEqual([e["extra"]["uid"] for e in stops], ["0"])
        self.assertEqual(len(running.events("sleeper", "control-restart")), 5)
        self.assertEqual(running.stop(), 0)
        running.verify_audit()

    def test_the_enclave_is_stopped(self):
        running = self.boot_all()
        result = control("stop")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(running.wait(), 0)
        self.assertEqual(len(running.events(None, "control-stop")), 1)
        self.assertEqual(control("status").returncode, 3)

    def test_logs_are_bounded_and_clean(self):
        running = self.boot_all()
        running.wait_output("talker | line 30")
        result = control("logs", "talker", "-n", "3")
        lines = result.stdout.splitlines()
        self.assertEqual(len(lines), 3, result.stderr)
        self.assertRegex(lines[0], r"^talker \| line \d+$")
        self.assertIn(r"talker | to stderr \x1b[31m", control("logs", "talker").stdout)
        self.assertNotIn("\x1b", control("logs").stdout)
        following = subprocess.Popen([BULKHEAD, "logs", "talker", "-f", "-n", "0", "--enclave", NAME],
                                     stdout=subprocess.PIPE, text=True)
        seen = [int(following.stdout.readline().split()[-1]) for _ in range(10)]
        self.assertEqual(seen, list(range(seen[0], seen[0] + 10)))
        following.kill()
        following.wait()
        following.stdout.close()
        self.assertEqual(control("logs", "-n", "20000").returncode, 2)
        self.assertEqual(running.stop(), 0)

    def test_nobody_else_may(self):
        running = self.boot_all()
        running.wait_output("intruder | tried")
        tried = re.search(r"intruder \| tried (.*)", running.output())[1]
        self.assertEqual(tried, "['ENOENT', 'ENOENT', 'ENOENT'] False")
        mode = os.stat(SOCKET)
        self.assertEqual((mode.st_mode & 0o777, mode.st_uid), (0o600, 0))
        self.assertEqual(os.stat(os.path.dirname(SOCKET)).st_mode & 0o777, 0o700)
        # The command says so; and whoever came by the socket all the same is turned away.
        as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        denied = enclave.run(*as_nobody, BULKHEAD, "status", "--enclave", NAME)
        self.assertEqual(denied.returncode, 3, denied.stderr)
        for before in (as_nobody, ["unshare", "--pid", "--fork"]):
            code = (f"import socket; s = socket.socket(fileno=3); s.connect('{SOCKET}')\n"
                    "print(s.recv(1000).decode())\n"
                    "try: s.sendall(b'bulkhead 1 stop -\\n')\n"
                    "except BrokenPipeError: pass\n")
            # The mode is opened for this, so that the peer's credentials alone decide.
            os.chmod("/run/bulkhead", 0o755)
            os.chmod(os.path.dirname(SOCKET), 0o755)
            os.chmod(SOCKET, 0o666)
            with socket.socket(socket.AF_UNIX) as client:
                result = subprocess.run(
                    [*before, "sh", "-c", f"exec python3 -c \"{code}\" 3<&{client.fileno()}"],
                    pass_fds=[client.fileno()], capture_output=True, text=True, timeout=20)
            self.assertIn("not root of this machine", result.stdout, (before, result.stderr))
        os.chmod("/run/bulkhead", 0o700)
        os.chmod(os.path.dirname(SOCKET), 0o700)
        self.assertEqual(running.events(None, "control-stop"), [])
        # The control: root is heard.
        self.assertIn('"ok":true', Raw(self).ask(b"bulkhead 1 status\n"))
        self.assertEqual(running.stop(), 0)

    def test_rubbish_and_crowds_do_not_stop_it(self):
        running = self.boot_all()
        for words in (b"\n", b"GET / HTTP/1.1\r\n\r\n", b"bulkhead 2 status\n", b"bulkhead 1 dance\n",
                      b"bulkhead 1 stop ../../x\n", b"bulkhead 1 restart -\n", b"bulkhead 1 status x\n",
                      b"bulkhead 1 logs - 99999999999 once\n", bytes(range(256)) + b"\n"):
            self.assertIn('"ok":false', Raw(self).ask(words), words)
        self.assertEqual(Raw(self).ask(b"x" * 5000), "")
        silent = [Raw(self) for _ in range(16)]
        self.assertIn("too many clients", Raw(self).rest())
        # Those that say nothing are dropped, and so is who does not read.
        deaf = []
        began = time.monotonic()
        enclave.wait_until(lambda: '"ok":true' in self.attempt(), 30, "room for another")
        self.assertLess(time.monotonic() - began, 25)
        for client in silent:
            self.assertEqual(client.rest(), "")
        for _ in range(8):
            deaf.append(Raw(self))
            deaf[-1].socket.sendall(b"bulkhead 1 logs - 0 follow\n")
        before = len(re.findall(r"(?m)^talker \|", running.output()))
        for _ in range(200):
            self.assertIn('"ok":true', Raw(self).ask(b"bulkhead 1 status\n"))
        time.sleep(0.5)
        after = len(re.findall(r"(?m)^talker \|", running.output()))
        self.assertGreater(after, before + 5)
        rows = self.status()[1]
        self.assertEqual({row["state"] for row in rows.values()}, {"up"})
        self.assertEqual(running.stop(), 0)

    def attempt(self):
        try:
            return Raw(self).ask(b"bulkhead 1 status\n")
        except (BrokenPipeError, ConnectionResetError):
            return ""


if __name__ == "__main__":
    enclave.main()
