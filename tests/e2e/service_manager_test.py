#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-init as a service: what its manager is told by sd_notify(3), and when; the units that ship."""

import os
import pathlib
import shutil
import signal
import socket
import time
import unittest

import enclave
from enclave import python

SLEEPS = "import time; time.sleep(1000)"
LATER = """
import os, socket, time
time.sleep(1)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ['NOTIFY_SOCKET'])
s.send(b'READY=1')
time.sleep(1000)
"""


class Manager:
    """What systemd is to a service, as far as it is told something."""

    def __init__(self, case):
        self.path = str(case.directory / "manager")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)
        self.said = []
        case.addCleanup(self.socket.close)

    def environment(self, **more):
        return {**os.environ, "NOTIFY_SOCKET": self.path, **more}

    def read(self):
        """Takes what has come so far."""
        self.socket.setblocking(False)
        try:
            while True:
                text, _, _, _ = self.socket.recvmsg(4096)
                self.said += text.decode().splitlines()
        except BlockingIOError:
            return self.said

    def wait(self, line, count=1):
        enclave.wait_until(lambda: self.read().count(line) >= count, 20, f"`{line}` in {self.said}")


class Told(enclave.Case):
    def policy(self, **components):
        return enclave.policy("e2e-service", components)

    def test_ready_when_all_are_and_stopping_when_asked(self):
        manager = Manager(self)
        value = self.policy(one=python(SLEEPS), two=python(LATER, ready="notify"))
        running = self.boot(value, ready=["one"], env=manager.environment())
        manager.wait("STATUS=1 of 2 components are up")
        manager.wait("READY=1")
        said = manager.read()
        self.assertLess(said.index("STATUS=2 of 2 components are up"), said.index("READY=1"))
        self.assertLess(said.index("STATUS=1 of 2 components are up"),
                        said.index("STATUS=2 of 2 components are up"))
        # One that comes and goes is a line, and no other readiness.
        os.kill(running.main_pid("one"), signal.SIGKILL)
        manager.wait("STATUS=2 of 2 components are up", 2)
        self.assertEqual(manager.read().count("READY=1"), 1)
        self.assertNotIn("STOPPING=1", manager.read())
        self.assertEqual(running.stop(), 0)
        self.assertEqual(manager.read().count("STOPPING=1"), 1)

    def test_components_know_nothing_of_it(self):
        manager = Manager(self)
        code = "import os\nprint('env', sorted(os.environ), flush=True)\n" + SLEEPS
        running = self.boot(self.policy(one=python(code)), env=manager.environment(WATCHDOG_USEC="1000000"))
        running.wait_output("env ")
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
            self.assertNotIn(name, running.output())
        self.assertEqual(running.stop(), 0)

    def test_a_boot_that_fails_is_never_ready(self):
        manager = Manager(self)
        value = self.policy(one=python(SLEEPS, files={"read": ["/no/such/file"]}))
        running = self.boot(value, ready=[], env=manager.environment())
        self.assertEqual(running.wait(), 3)
        self.assertNotIn("READY=1", manager.read())

    def test_the_watchdog_hears_of_it_while_it_runs(self):
        manager = Manager(self)
        running = self.boot(self.policy(one=python(SLEEPS)), env=manager.environment(WATCHDOG_USEC="5000000"))
        manager.wait("WATCHDOG=1", 2)
        os.kill(running.pid, signal.SIGSTOP)
        try:
            time.sleep(0.3)
            before = manager.read().count("WATCHDOG=1")
            time.sleep(2.5)
            self.assertEqual(manager.read().count("WATCHDOG=1"), before)
        finally:
            os.kill(running.pid, signal.SIGCONT)
        manager.wait("WATCHDOG=1", before + 1)
        self.assertEqual(running.stop(), 0)
        # Somebody else's is not ours.
        manager.said.clear()
        running = self.boot(self.policy(one=python(SLEEPS)), env=manager.environment(
            WATCHDOG_USEC="5000000", WATCHDOG_PID="1"))
        time.sleep(2.5)
        self.assertNotIn("WATCHDOG=1", manager.read())
        self.assertIn("READY=1", manager.read())
        self.assertEqual(running.stop(), 0)

    def test_exec_is_the_same_service(self):
        manager = Manager(self)
        value = self.policy(one=python(SLEEPS), two=python(SLEEPS))
        bundle = self.compile(self.write_policy(value))
        command = [enclave.BULKHEAD, "exec", str(bundle), "one", "--init", enclave.BULKHEAD_INIT, "--",
                   "/usr/bin/python3", "-I", "-c", SLEEPS]
        running = enclave.Enclave(self, bundle, value["audit"]["sinks"][0]["file"], command,
                                  env=manager.environment())
        manager.wait("READY=1")
        self.assertIn("STATUS=1 of 1 components are up", manager.read())
        # The manager's main process is the supervisor: `exec` has become it.
        self.assertEqual(os.readlink(f"/proc/{running.pid}/exe"), os.path.realpath(enclave.BULKHEAD_INIT))
        self.assertEqual(running.stop(), 0)

    def test_a_manager_that_does_not_listen_holds_up_nothing(self):
        manager = Manager(self)
        value = self.policy(one=python(SLEEPS, restart={"when": "always", "at-most": 100, "within": "1s"}))
        running = self.boot(value, env=manager.environment(WATCHDOG_USEC="5000000"))
        # More than its queue holds, which nobody empties.
        for count in range(2, 12):
            os.kill(running.main_pid("one"), signal.SIGKILL)
            running.wait_event("one", "ready", count)
        self.assertEqual(running.stop(), 0)


class FirstProcess(enclave.Case):
    """bulkhead-init as PID 1 of a namespace, as of a container: there it can't switch on audit, so the
    target is one without Landlock's records."""

    def test_it_reaps_stops_and_has_no_manager(self):
        manager = Manager(self)
        value = {**enclave.policy("e2e-first", {"one": python(SLEEPS)}), "target": "debian-13"}
        bundle = self.compile(self.write_policy(value))
        # A stranger's child that PID 1 inherits and that ends: the shell's own background child.
        script = f"(sleep 0.2 &) ; exec {enclave.BULKHEAD_INIT} {bundle}"
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
        running = enclave.Enclave(self, bundle, value["audit"]["sinks"][0]["file"], command,
                                  env=manager.environment(WATCHDOG_USEC="5000000"))
        running.wait_event("one", "ready")
        children = pathlib.Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        first = int(children[0])
        self.assertEqual(os.readlink(f"/proc/{first}/exe"), os.path.realpath(enclave.BULKHEAD_INIT))
        self.assertEqual(enclave.process_status(first)["NSpid"].split()[-1], "1")

        def zombies():
            path = pathlib.Path(f"/proc/{first}/task/{first}/children")
            return [c for c in path.read_text().split() if enclave.is_zombie(enclave.process_status(c) or {"State": ""})]
        time.sleep(1.5)
        self.assertEqual(zombies(), [])
        os.kill(first, signal.SIGTERM)
        self.assertEqual(running.wait(), 0)
        # Nobody was told anything: the first process has no manager.
        self.assertEqual(manager.read(), [])
        running.verify_audit()


class Units(enclave.Case):
    """As `systemd-analyze verify` judges them, with the programs where the units expect them."""

    def verify(self, *units):
        return enclave.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, units))

    def test_they_are_good_units(self):
        if not shutil.which("systemd-analyze"):
            enclave.can_not("systemd-analyze is not there (section test of scripts/packages.txt)")
        for source, name in ((self.installed("/usr"), "bulkhead@one.service"),
                             (enclave.SOURCE / "examples/systemd/greeter.service", "greeter.service")):
            text = source.read_text(encoding="utf-8")
            for program, built in (("/usr/bin/bulkhead-init", enclave.BULKHEAD_INIT),
                                   ("/usr/bin/bulkhead ", enclave.BULKHEAD + " ")):
                text = text.replace(f"ExecStart={program}", f"ExecStart={built}")
            unit = self.directory / name
            unit.write_text(text, encoding="utf-8")
            result = self.verify(unit)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            # The judge judges: the same with a setting that systemd does not know, or no program.
            for old, new in (("Type=notify", "Tipe=notify"), ("ExecStart=/", "ExecStart=/no/such")):
                unit.write_text(text.replace(old, new), encoding="utf-8")
                self.assertNotEqual(self.verify(unit).stderr, "", new)

    def installed(self, prefix):
        """The unit as it comes to be under this prefix."""
        place = self.directory / "installed"
        build = pathlib.Path(enclave.BULKHEAD).parent
        done = enclave.run("cmake", "--install", str(build), "--prefix", prefix, "--component", "systemd",
                           env={**os.environ, "DESTDIR": str(place)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return place / prefix[1:] / "lib/systemd/system/bulkhead@.service"

    def test_the_installed_unit_names_what_is_installed(self):
        for prefix in ("/usr", "/usr/local", "/opt/bulkhead"):
            text = self.installed(prefix).read_text(encoding="utf-8")
            self.assertIn(f"\nExecStart={prefix}/bin/bulkhead-init /etc/bulkhead/%i.bundle\n", text)
            self.assertIn("\nType=notify\n", text)
            self.assertEqual(text.count("@"), 1, "its own name alone has one")


if __name__ == "__main__":
    enclave.main()
