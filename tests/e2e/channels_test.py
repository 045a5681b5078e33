#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Channels of memory: one end writes, the other reads, neither does anything else with it. Channels of
kind `connected`: who is connected, as whom, and what becomes of it when an end begins anew."""

import os
import pathlib
import re
import shutil
import signal
import unittest

import enclave
from enclave import python

PROGRAM = os.environ["BULKHEAD_CHANNELS"]
SAID = r"(?m)^{} \| found (\d+) shrink (\w+) grow (\w+) write-map (\w+) code (\w+) private-code (\w+) reopen (\w+) read (\w+)$"


class Memory(enclave.Case):
    def setUp(self):
        super().setUp()
        self.program = self.directory / "channels"
        shutil.copy(PROGRAM, self.program)

    def component(self, role):
        return {"profile": ["stateful-service"], "exec": [str(self.program), role],
                "files": {"execute": [str(self.program)]},
                "syscalls": {"allow": ["ftruncate"], "deny": [{"mmap": {"prot": {"bits-set": ["PROT_EXEC"]}}}]}}

    def policy(self, **channel):
        return enclave.policy("e2e-channels", {"one": self.component("writer"),
                                               "two": self.component("reader")},
                              channels=[{"name": "ring", "from": "one", "to": "two",
                                         "kind": "memory", "size": "64K", **channel}])

    def said(self, running, name, count=1):
        pattern = SAID.format(name)
        enclave.wait_until(lambda: len(re.findall(pattern, running.output())) >= count, 20,
                           running.output())
        return re.findall(pattern, running.output())[-1]

    def test_one_writes_and_the_other_reads(self):
        running = self.boot(self.policy())
        enclave.wait_until(lambda: running.output().count("two | changed") > 5, 20, "changes")
        # found, shrink, grow, mapped to write, code twice, opened to write, opened to read
        self.assertEqual(self.said(running, "one")[1:],
                         ("EPERM", "EPERM", "done", "EPERM", "EPERM", "EACCES", "done"))
        self.assertEqual(self.said(running, "two")[1:],
                         ("EINVAL", "EINVAL", "EACCES", "EPERM", "EPERM", "EACCES", "done"))
        # It stays what it is when an end begins anew.
        os.kill(running.main_pid("one"), signal.SIGKILL)
        self.assertGreater(int(self.said(running, "one", 2)[0]), 0)
        os.kill(running.main_pid("two"), signal.SIGKILL)
        self.assertGreater(int(self.said(running, "two", 2)[0]), 0)
        self.assertEqual(running.stop(), 0)

    def refused(self, value):
        path = self.write_policy(value)
        result = enclave.run(enclave.BULKHEAD, "compile", str(path), "-o", str(self.directory / "b"))
        self.assertEqual(result.returncode, 1)
        return result.stderr

    def test_who_maps_code_has_no_such_end(self):
        value = self.policy()
        del value["components"]["two"]["syscalls"]["deny"]
        self.assertIn("memory-wx-remap", self.refused(value))
        value = self.policy(to="three")
        value["components"]["three"] = python("import time; time.sleep(1000)")
        self.assertIn("memory-wx-remap", self.refused(value))
        for channel in ({"size": "4G"}, {"kind": "memory"}):
            self.assertEqual(self.compile(self.write_policy(self.policy(**channel))).name,
                             "policy.bundle")
        value = self.policy()
        del value["channels"][0]["size"]
        self.assertIn("shared memory needs a `size`", self.refused(value))
        self.assertIn("only shared memory has a size", self.refused(self.policy(kind="pipe")))

    def test_answers_know_its_direction(self):
        path = str(self.write_policy(self.policy()))
        for source, target, code in (("one", "two", 0), ("two", "one", 1)):
            result = enclave.run(enclave.BULKHEAD, "why", path, source, "reach", target)
            self.assertEqual(result.returncode, code, result.stdout)
        value = self.policy()
        value["invariants"] = ["two must not influence one"]
        self.compile(self.write_policy(value))
        value["invariants"] = ["one must not influence two"]
        self.assertIn("E0703", self.refused(value))


SERVER = """
import os, socket, struct, sys, time
listener = socket.socket(fileno=3)
%s
number = 0
kept = []
while True:
    peer, _ = listener.accept()
    number += 1
    pid, uid, gid = struct.unpack('3i', peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = peer.getsockopt(socket.SOL_SOCKET, 59, 64)
    print('peer', pid, uid, gid, len(groups) // 4, flush=True)
    peer.sendall(b'hello')
    kept.append(peer)
"""
CLIENT = """
import os, socket, struct
assert os.environ['LISTEN_FDNAMES'] == 'ask', os.environ
peer = socket.socket(fileno=3)
uid = struct.unpack('3i', peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
print('server', uid, os.get_blocking(3), flush=True)
print('said', peer.recv(16), flush=True)
print('then', peer.recv(16), flush=True)
raise SystemExit(1)
"""
LINK = {"name": "ask", "from": "client", "to": "server", "kind": "connected", "listener": "ask"}
SOCKET = "/run/edges/connected/s"
READY = """
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ['NOTIFY_SOCKET'])
s.send(b'READY=1')
"""


class Connected(enclave.Case):
    def setUp(self):
        super().setUp()
        pathlib.Path("/var/log/bulkhead/e2e-connected.jsonl").unlink(missing_ok=True)

    def policy(self, server="", client=CLIENT, keys=None, channel=None, **more):
        listen = {"path": SOCKET, "name": "ask"}
        return enclave.policy("e2e-connected", {
            "server": python(SERVER % server, network={"unix": {"listen": [listen]}}, **(keys or {})),
            "client": python(client, after=["server"], restart={
                "when": "always", "at-most": 3, "within": "600s"}),
        }, channels=[{**LINK, **(channel or {})}], **more)

    def lines(self, running, component, word, count):
        pattern = rf"(?m)^{component} \| {word} (.*)$"
        enclave.wait_until(lambda: len(re.findall(pattern, running.output())) >= count, 20,
                           running.output())
        return re.findall(pattern, running.output())

    def test_each_end_sees_the_other_and_no_root(self):
        running = self.boot(self.policy())
        uids = running.uids
        self.assertEqual(self.lines(running, "client", "server", 1), [f"{uids['server']} True"])
        self.assertEqual(self.lines(running, "client", "said", 1), ["b'hello'"])
        # No process of the server's namespace, the client's ids, none of root's groups.
        self.assertEqual(self.lines(running, "server", "peer", 1),
                         [f"0 {uids['client']} {uids['client']} 0"])
        self.assertEqual(running.stop(), 0)

    def test_in_the_servers_own_name_where_the_policy_says_so(self):
        running = self.boot(self.policy(channel={"identity": "to"}))
        own = running.uids["server"]
        self.assertEqual(self.lines(running, "server", "peer", 1), [f"0 {own} {own} 1"])
        self.assertEqual(running.stop(), 0)

    def test_there_is_no_other_way_to_the_socket(self):
        client = f"""
import os, socket
print('there', os.path.exists({SOCKET!r}), flush=True)
s = socket.socket(socket.AF_UNIX)
print('by', s.connect_ex({SOCKET!r}), flush=True)
"""
        value = self.policy(client=client)
        # A socket that it may make: an edge of its own, elsewhere.
        value["components"]["other"] = python("import time; time.sleep(1000)", network={
            "unix": {"listen": [{"path": "/run/edges/other/s", "name": "s", "from": ["client"]}]}})
        value["components"]["client"]["network"] = {"unix": {"connect": ["/run/edges/other/s"]}}
        running = self.boot(value)
        self.assertEqual(self.lines(running, "client", "there", 1)[0], "False")
        self.assertEqual(self.lines(running, "client", "by", 1)[0], "2")
        for source, target, code in (("client", "server", 0), ("server", "client", 1)):
            result = enclave.run(enclave.BULKHEAD, "why", str(self.directory / "policy.bundle"),
                                 source, "reach", target)
            self.assertEqual(result.returncode, code, result.stdout)
        self.assertEqual(running.stop(), 0)

    def test_each_run_of_the_client_has_its_own(self):
        running = self.boot(self.policy())
        self.lines(running, "client", "said", 1)
        os.kill(running.main_pid("client"), signal.SIGKILL)
        self.assertEqual(self.lines(running, "client", "said", 2), ["b'hello'"] * 2)
        self.assertEqual(len(self.lines(running, "server", "peer", 2)), 2)
        # Of the one that is gone the supervisor holds nothing.
        self.assertEqual(running.stop(), 0)

    def test_a_server_that_is_not_up_is_waited_for(self):
        server = "time.sleep(1)" + READY
        value = self.policy(server, keys={"ready": "notify", "restart": {
            "when": "always", "at-most": 5, "within": "600s"}})
        # A wait is none of its restarts: it has one.
        value["components"]["client"]["restart"]["at-most"] = 1
        running = self.boot(value)
        self.lines(running, "client", "said", 1)
        os.kill(running.main_pid("server"), signal.SIGKILL)
        self.assertEqual(self.lines(running, "client", "then", 1), ["b''"])
        self.assertEqual(self.lines(running, "client", "said", 2), ["b'hello'"] * 2)
        ready = running.wait_event("server", "ready", 2)
        start = running.wait_event("client", "start", 2)
        self.assertGreater(start["seq"], ready["seq"])
        self.assertEqual(running.events("client", "give-up"), [])
        # Its end is one too many; then nobody is left.
        result = enclave.run(enclave.BULKHEAD, "stop", "server", "--enclave", "e2e-connected")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(running.wait(), 1)
        self.assertEqual(len(running.events("client", "give-up")), 1)

    def test_who_waits_for_a_server_is_stopped_like_others(self):
        value = self.policy()
        value["components"]["client"]["restart"]["at-most"] = 5
        running = self.boot(value)
        self.lines(running, "client", "said", 1)
        result = enclave.run(enclave.BULKHEAD, "stop", "server", "--enclave", "e2e-connected")
        self.assertEqual(result.returncode, 0, result.stderr)

        def state():
            rows = enclave.run(enclave.BULKHEAD, "status", "--enclave", "e2e-connected").stdout
            found = re.search(r"(?m)^client +(\S+)", rows)
            return found and found[1]
        enclave.wait_until(lambda: state() == "waiting", 10, "the client waits")
        self.assertEqual(len(running.events("client", "start")), 1)
        # Brought back, both are.
        enclave.run(enclave.BULKHEAD, "restart", "server", "--enclave", "e2e-connected")
        running.wait_event("client", "start", 2)
        enclave.run(enclave.BULKHEAD, "stop", "server", "--enclave", "e2e-connected")
        enclave.wait_until(lambda: state() == "waiting", 10, "the client waits")
        self.assertEqual(running.stop(), 0)

    def test_what_stands_in_the_servers_place_is_not_connected_to(self):
        value = self.policy()
        server = value["components"]["server"]
        server["network"]["unix"]["listen"] = [
            {"path": "/run/edges/own/s", "by": "component"}]
        server["ready"] = "notify"
        code = """
import os, socket, time
%s
""" + READY + "\ntime.sleep(1000)"
        makes = """
listener = socket.socket(socket.AF_UNIX)
listener.bind('/run/edges/own/s')
listener.listen()
"""
        value["channels"][0]["listener"] = "/run/edges/own/s"
        # The same server, which makes its socket: it works, so what follows is not for another reason.
        server["exec"][-1] = code % makes
        running = self.boot(value)
        self.assertEqual(self.lines(running, "client", "server", 1),
                         [f"{running.uids['server']} True"])
        self.assertEqual(running.stop(), 0)
        value["components"]["other"] = python("import time; time.sleep(1000)", network={
            "unix": {"listen": [{"path": "/run/edges/other/s", "name": "s"}]}})
        server["exec"][-1] = code % ""
        bundle = self.compile(self.write_policy(value))
        pathlib.Path("/run/edges/own/s").unlink(missing_ok=True)
        # What a component could leave there, left there.
        os.symlink("/run/edges/other/s", "/run/edges/own/s")
        self.addCleanup(pathlib.Path("/run/edges/own/s").unlink, missing_ok=True)
        result = enclave.run(enclave.BULKHEAD_INIT, str(bundle))
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("`client` can't be confined: find `/run/edges/own/s`", result.stderr)

    def test_an_agent_that_takes_nobody_elses_connection(self):
        """OpenSSH's ssh-agent, unmodified: it asks for its own uid and refuses all others."""
        client = """
import socket
peer = socket.socket(fileno=3)
try:
    peer.sendall(bytes([0, 0, 0, 1, 11]))  # SSH_AGENTC_REQUEST_IDENTITIES
    answer = peer.recv(64).hex() or 'none'
except OSError:  # it has hung up already
    answer = 'none'
print('answer', answer, flush=True)
"""
        agent = {
            "profile": ["stateful-service"],
            "exec": ["/usr/bin/ssh-agent", "-D", "-a", "/run/edges/agent/s"],
            "files": {"execute": ["/usr/bin/ssh-agent", "@loader"], "read": ["@libraries"],
                      "private": [{"path": "/tmp", "size": "1M"}]},
            "network": {"unix": {"listen": [{"path": "/run/edges/agent/s", "by": "component"}]}},
            "ready": "listening"}
        # identities answer: length 5, type 12, none of them.
        for identity, answer in (("to", "000000050c00000000"), ("from", "none")):
            with self.subTest(identity=identity):
                value = enclave.policy("e2e-agent", {
                    "server": agent, "client": python(client, after=["server"])}, channels=[
                        {**LINK, "listener": "/run/edges/agent/s", "identity": identity}])
                running = self.boot(value)
                self.assertEqual(self.lines(running, "client", "answer", 1), [answer])
                self.assertEqual("uid mismatch" in running.output(), identity == "from")
                self.assertEqual(running.stop(), 0)

    def test_instances_on_either_side(self):
        once = "import socket\ns = socket.socket(fileno=3)\ns.sendall(b'fresh')\n"
        value = self.policy()
        value["components"]["server"] = python(
            once, network={"unix": {"listen": [{"path": SOCKET, "name": "ask"}]}},
            instances={"per": "connection", "at-most": 2})
        running = self.boot(value)
        self.assertEqual(self.lines(running, "client", "said", 1)[0], "b'fresh'")
        self.assertEqual(running.stop(), 0)
        # Each run of the client is given one beside the connection that it serves.
        value = self.policy()
        value["components"]["client"] = python(
            "import os, socket\nassert os.environ['LISTEN_FDNAMES'] == 'in:ask', os.environ\n"
            "a, b = socket.socket(fileno=3), socket.socket(fileno=4)\na.sendall(b.recv(16))\n",
            after=["server"], instances={"per": "connection", "at-most": 2},
            network={"unix": {"listen": [{"path": "/run/edges/in/s", "name": "in", "from": ["third"]}]}})
        value["components"]["third"] = python("import time; time.sleep(1000)", network={
            "unix": {"connect": ["/run/edges/in/s"]}})
        running = self.boot(value)
        for _ in range(2):
            with enclave.socket.socket(enclave.socket.AF_UNIX) as peer:
                peer.settimeout(20)
                peer.connect("/run/edges/in/s")
                self.assertEqual(peer.recv(16), b"hello")
        self.assertEqual(len(self.lines(running, "server", "peer", 2)), 2)
        self.assertEqual(running.stop(), 0)


if __name__ == "__main__":
    enclave.main()
