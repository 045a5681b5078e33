#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a component's other thread does to an address between its check and its use changes no decision.

vsock is connected in a guest of ours alone:
scripts/guest --kernel 6.12 --modules vsock_loopback -- ctest --preset dev -R e2e-broker
"""

import os
import re
import shutil
import socket
import time

import enclave
from broker_test import Broker, Listener
from enclave import python

PROGRAM = os.environ["BULKHEAD_BROKER"]


class Flips(Broker):
    def flip(self, kind, sockets, network, calls):
        program = self.directory / "broker"
        shutil.copy(PROGRAM, program)
        granted, refused = sockets
        job = {"profile": ["stateful-service"],
               "exec": [str(program), kind, str(granted.port), str(refused.port), str(calls)],
               "files": {"execute": [str(program)]}, "network": network,
               "restart": {"when": "never"}}
        running = self.boot(enclave.policy(f"e2e-flips-{kind}", {"job": job}), ready=[])
        running.wait_event("job", "exit", seconds=300)
        self.assertEqual(running.wait(), 0)
        said = re.search(r"flips (\d+) allowed (\d+) refused (\d+) wrong (\d+) other (\d+)",
                         running.output())
        flips, allowed, refused_calls, wrong, other = map(int, said.groups())
        print(f"{kind}: {said[0]}, arrived {granted.count}")
        self.assertGreaterEqual(flips, 1_000_000)
        self.assertGreater(allowed, calls // 20)
        self.assertGreater(refused_calls, calls // 20)
        self.assertEqual((wrong, other, allowed + refused_calls), (0, 0, calls))
        # Nothing came to where no rule leads, and all that was allowed came to where one does.
        time.sleep(0.5)
        self.assertEqual(refused.count, 0)
        self.assertEqual(granted.count, allowed)
        events = self.refused(running, "job")
        self.assertEqual(sum(e["count"] for e in events), refused_calls)
        here = f"{kind}:{'1' if kind == 'vsock' else '127.0.0.1'}:{granted.port}"
        self.assertNotIn(here, self.objects(events))
        made = self.made(running, "job")
        self.assertEqual(({key[1] for key in made}, made.total()), ({here}, allowed))

    def test_a_thread_flips_the_address_of_a_connect(self):
        granted = Listener(self, "127.0.0.1")
        elsewhere = Listener(self, "127.0.0.2", port=granted.port)
        refused = Listener(self, "127.0.0.1")
        self.flip("tcp", (granted, refused),
                  {"tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}}, 4000)
        self.assertEqual(elsewhere.count, 0)

    def test_a_thread_flips_the_address_of_a_datagram(self):
        granted = Listener(self, "127.0.0.1", socket.SOCK_DGRAM)
        elsewhere = Listener(self, "127.0.0.2", socket.SOCK_DGRAM, port=granted.port)
        refused = Listener(self, "127.0.0.1", socket.SOCK_DGRAM)
        self.flip("udp", (granted, refused),
                  {"udp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}}, 4000)
        self.assertEqual(elsewhere.count, 0)

    def test_a_thread_flips_the_path_of_a_unix_socket(self):
        """The abstract name that differs from the path in its first byte is somebody else's, of this
        machine, and can be reached from where the component is."""
        calls, path = 4000, "/run/edges/x/s"
        name = ("\0" + path[1:]).ljust(108, "\0")
        other = Listener(self, name, family=socket.AF_UNIX)
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(name)
        enclave.wait_until(lambda: other.count == 1, 5, "who listens at the abstract name")
        program = self.directory / "broker"
        shutil.copy(PROGRAM, program)
        server = python("""
import socket
listener, count, told = socket.socket(fileno=3), 0, -1
listener.settimeout(0.3)
while True:
    try:
        listener.accept()[0].close()
        count += 1
    except TimeoutError:
        if count != told:
            print('arrived', count)
        told = count
""", network={"unix": {"listen": [{"path": path, "name": "s", "from": ["job"]}]}})
        job = {"profile": ["stateful-service"], "exec": [str(program), "unix", path, str(calls)],
               "files": {"execute": [str(program)]}, "restart": {"when": "never"},
               "network": {"unix": {"connect": [path]},
                           # So that it is on the machine's network, and the broker is asked.
                           "udp": {"connect": [{"to": "127.0.0.1", "port": 9}]}}}
        running = self.boot(enclave.policy("e2e-flips-unix", {"server": server, "job": job}),
                            ready=["server"])
        running.wait_event("job", "exit", seconds=300)
        said = re.search(r"flips (\d+) allowed (\d+) refused (\d+) wrong 0 other (\d+)",
                         running.output())
        self.assertTrue(said, running.output())
        flips, allowed, refused_calls, failed = map(int, said.groups())
        running.wait_output(f"server | arrived {allowed}\n", 10)
        self.assertEqual(running.stop(), 0)
        print(f"unix: {said[0]}, arrived {allowed}, at the abstract name {other.count - 1}")
        self.assertGreaterEqual(flips, 1_000_000)
        self.assertGreater(allowed, calls // 20)
        self.assertGreater(refused_calls, calls // 20)
        self.assertEqual((failed, allowed + refused_calls, other.count), (0, calls, 1))
        events = self.refused(running, "job")
        self.assertEqual(sum(e["count"] for e in events), refused_calls)
        whole = "unix:@" + name[1:].replace("\0", "\\x00")
        self.assertEqual(set(self.objects(events)), {whole, "unix:x" + path[1:]})
        # Of a path nothing is decided by the broker: what the view has leads there.
        self.assertEqual(self.made(running, "job"), {})


class Vsock(Flips):
    def test_a_thread_flips_the_address_of_a_connect(self):
        assert enclave.in_guest(), "the other side of a real vsock is somebody else's"
        granted, refused = (Listener(self, 1, socket.SOCK_STREAM, port, socket.AF_VSOCK)
                            for port in (5101, 5102))
        self.flip("vsock", (granted, refused), {"vsock": {"connect": [f"1:{granted.port}"]}}, 4000)

    # Of UDP and unix sockets there is nothing here.
    test_a_thread_flips_the_address_of_a_datagram = None
    test_a_thread_flips_the_path_of_a_unix_socket = None

    def test_an_address_of_the_policy(self):
        port = 5001
        assert enclave.in_guest(), "the other side of a real vsock is somebody else's"
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind((1, port))
        listener.listen(4)
        code = f"""
connect('other', (1, {port + 1}), family=40)
connect('elsewhere', (4, {port}), family=40)
with socket.socket(40, socket.SOCK_STREAM) as one:
    attempt('bind', lambda: one.bind((1, {port + 2})))
    attempt('listen', lambda: one.listen())
attempt('datagram', lambda: socket.socket(40, socket.SOCK_DGRAM))
connect('granted', (1, {port}), family=40)
"""
        said, events, _ = self.run_job("e2e-broker-vsock", code,
                                       {"vsock": {"connect": [f"1:{port}"]}})
        self.assertEqual(said.pop("granted"), "ok")
        self.assertEqual({said[name] for name in ("other", "elsewhere", "bind", "datagram")},
                         {"EPERM"})
        self.assertEqual(self.objects(events), [f"vsock:1:{port + 1}", f"vsock:4:{port}"])
        self.assertEqual({e["rule"] for e in events}, {"components.job.network.vsock.connect"})


if __name__ == "__main__":
    enclave.main()
