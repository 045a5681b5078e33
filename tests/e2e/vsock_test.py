#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Listeners of vsock: what the policy says of them, everywhere; at work, with the guest's own loopback as
the other side, only in a guest of scripts/guest with the module vsock_loopback:

    scripts/guest --kernel 6.12 --modules vsock_loopback -- env BULKHEAD=... BULKHEAD_INIT=... \\
        BULKHEAD_ATTACKS=... BULKHEAD_VSOCK_LISTEN=... tests/e2e/vsock_test.py
"""

import os
import re
import shutil
import unittest

import enclave
from enclave import python

ATTACKS = os.environ["BULKHEAD_ATTACKS"]
PROGRAM = os.environ["BULKHEAD_VSOCK_LISTEN"]
PORT = 5005


class Policy(enclave.Case):
    def policy(self, **listen):
        return enclave.policy("e2e-vsock", {
            "server": python("import time; time.sleep(1000)", network={
                "vsock": {"listen": [{"port": PORT, "name": "gate", **listen}]}}),
            "other": python("import time; time.sleep(1000)")})

    def check(self, value):
        return enclave.run(enclave.BULKHEAD, "check", str(self.write_policy(value)))

    def why(self, *words):
        return enclave.run(enclave.BULKHEAD, "why", str(self.directory / "policy.yaml"), *words)

    def test_who_listens_and_who_does_not(self):
        self.write_policy(self.policy())
        for name, port, code in (("server", PORT, 0), ("server", PORT + 1, 1), ("other", PORT, 1)):
            result = self.why(name, "listen", f"vsock:3:{port}")
            self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        # It makes no such socket, and connects nowhere.
        for words in (("socket", "AF_VSOCK"), ("connect", f"vsock:3:{PORT}")):
            result = self.why("server", *words)
            self.assertEqual(result.returncode, 1, result.stdout)
            self.assertIn("notification", result.stdout)

    def test_it_is_a_use_of_vsock(self):
        value = self.policy()
        value["invariants"] = ["no component may use vsock"]
        result = self.check(value)
        self.assertEqual(result.returncode, 1)
        self.assertIn("is given the listener gate", result.stderr)
        value["invariants"] = ["no component but server may use vsock", "other must not reach server",
                               "other must not influence server"]
        self.assertEqual(self.check(value).returncode, 0)
        del value["components"]["server"]["network"]
        value["invariants"] = ["no component may use vsock"]
        self.assertEqual(self.check(value).returncode, 0)

    def test_ledger_and_difference(self):
        value = self.policy()
        with_it = self.compile(self.write_policy(value), "with.bundle")
        value["components"]["server"].pop("network")
        without = self.compile(self.write_policy(value, "without.yaml"), "without.bundle")
        inspected = enclave.run(enclave.BULKHEAD, "inspect", str(with_it))
        self.assertIn("network.vsock.listen", inspected.stdout)
        result = enclave.run(enclave.BULKHEAD, "diff", str(without), str(with_it))
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"listen vsock:3:{PORT}", result.stdout)
        self.assertEqual(enclave.run(enclave.BULKHEAD, "diff", str(with_it), str(without)).returncode, 0)

    def test_what_is_refused(self):
        for listen in ({"port": 0}, {"port": 4294967295}, {"name": "no name"}):
            self.assertEqual(self.check(self.policy(**listen)).returncode, 1, listen)
        self.assertEqual(self.check(self.policy(port=4294967294)).returncode, 0)
        value = self.policy()
        value["components"]["other"]["network"] = {"vsock": {"listen": [{"port": PORT, "name": "x"}]}}
        self.assertIn("E0407", self.check(value).stderr)


@unittest.skipUnless(enclave.in_guest(), "vsock is bound in a guest of ours alone")
class AtWork(enclave.Case):
    def setUp(self):
        super().setUp()
        self.program = self.directory / "vsock-listen"
        shutil.copy(PROGRAM, self.program)

    def policy(self, **keys):
        """May call connect, bind and listen, for unix sockets: what is asked is the kernel."""
        edge = "/run/edges/own/s"
        return enclave.policy("e2e-vsock", {
            "server": {
                "profile": ["stateful-service"], "exec": [str(self.program)],
                "files": {"execute": [str(self.program)]}, "after": ["peer"],
                "network": {"vsock": {"listen": [{"port": PORT, "name": "gate"}]},
                            "unix": {"listen": [{"path": edge, "by": "component", "from": ["peer"]}],
                                     "connect": ["/run/edges/peer/s"]}}, **keys},
            "peer": python("import time; time.sleep(1000)", network={"unix": {
                "listen": [{"path": "/run/edges/peer/s", "name": "s", "from": ["server"]}],
                "connect": [edge]}})},
            waivers=[{"component": "server", "statement": "network.unix.listen",
                      "reason": "the kernel is asked, and not the filter", "until": "2099-12-31"}])

    def client(self):
        result = enclave.run(ATTACKS, "vsock-client", str(PORT))
        return result.stdout.strip()

    def test_it_serves_and_becomes_nothing_else(self):
        running = self.boot(self.policy())
        for _ in range(2):
            self.assertEqual(self.client(), "x")
        enclave.wait_until(lambda: running.output().count("shut listen") == 2, 60, running.output())
        said = re.findall(r"(?m)^server \| (\S+) (\S+) (\S+)$", running.output())
        print(sorted(set(said)))
        self.assertIn(("made", "socket", "EPERM"), said)
        for which in ("listener", "listener-shut", "accepted", "ended", "shut"):
            tried = {(what, answer) for place, what, answer in said if place == which}
            self.assertLessEqual({"connect", "dissolve", "reconnect", "bind"}, {what for what, _ in tried})
            self.assertNotIn("done", {answer for _, answer in tried}, which)
        self.assertEqual(running.stop(), 0)

    def test_a_restart_has_it_anew(self):
        running = self.boot(self.policy(restart={"when": "always", "at-most": 5, "within": "600s"}))
        self.assertEqual(self.client(), "x")
        for count in (2, 3):
            os.kill(running.main_pid("server"), 9)
            running.wait_event("server", "ready", count)
            # The kernel may still reset a connection in the old listener's name.
            enclave.wait_until(lambda: self.client() == "x", 10, "an answer")
        self.assertEqual(running.stop(), 0)
        # And the port is nobody's.
        self.assertEqual(self.client(), "ECONNRESET")

    def test_a_compartment_for_each_connection(self):
        value = self.policy()
        value["components"] = {"server": python(
            "import os, socket\ns = socket.socket(fileno=3)\ns.sendall(b'x')\n"
            "print('run', os.environ['LISTEN_FDNAMES'], flush=True)",
            network={"vsock": {"listen": [{"port": PORT, "name": "gate"}]}},
            instances={"per": "connection", "at-most": 2})}
        del value["waivers"]
        running = self.boot(value)
        for _ in range(3):
            self.assertEqual(self.client(), "x")
        enclave.wait_until(lambda: running.output().count("run gate") == 3, 30, running.output())
        self.assertEqual(running.stop(), 0)


if __name__ == "__main__":
    enclave.main()
