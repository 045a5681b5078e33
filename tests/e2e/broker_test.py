#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Addresses: what the policy names is connected and sent to, and nothing else; by whom; whatever the
component lets the broker wait for. What it does to the address meanwhile is in broker_flips_test.py.

vsock on this machine: only what is refused before the kernel sees it, to the machine's own loopback.
"""

import collections
import os
import re
import signal
import socket
import threading
import time

import enclave
from enclave import python

TRY = """
import errno, os, socket, struct, sys, time
def name(error):
    return 'ok' if error == 0 else errno.errorcode.get(error, str(error))
def say(what, result):
    print(what, result, flush=True)
def attempt(what, function):
    try:
        result = function()
        say(what, 'ok' if result is None else result)
    except OSError as error:
        say(what, name(error.errno))
def connect(what, to, family=socket.AF_INET, kind=socket.SOCK_STREAM, blocking=True):
    def make():
        with socket.socket(family, kind) as one:
            one.setblocking(blocking)
            one.connect(to)
    attempt(what, make)
def send(what, to, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        attempt(what, lambda: one.sendto(b'x', to))
"""


class Listener:
    """Counts who comes to an address of this machine."""

    def __init__(self, case, address, kind=socket.SOCK_STREAM, port=0, family=socket.AF_INET):
        self.socket = socket.socket(family, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address if family == socket.AF_UNIX else (address, port))
        self.kind = kind
        if kind == socket.SOCK_STREAM:
            self.socket.listen(512)
        self.socket.settimeout(0.2)
        self.port = None if family == socket.AF_UNIX else self.socket.getsockname()[1]
        self.count = 0
        self.peers = []
        self.stopped = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        case.addCleanup(self.stop)

    def run(self):
        while not self.stopped:
            try:
                if self.kind == socket.SOCK_STREAM:
                    connection, peer = self.socket.accept()
                    connection.close()
                else:
                    _, peer = self.socket.recvfrom(65536)
            except socket.timeout:
                continue
            self.count += 1
            self.peers.append(peer)

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.socket.close()


class Broker(enclave.Case):
    def run_job(self, name, code, network, **keys):
        """What a component that ends by itself says, word by word, and its refusals."""
        if network:
            keys["network"] = network
        job = python(TRY + code, restart={"when": "never"}, **keys)
        running = self.boot(enclave.policy(name, {"job": job}), ready=[])
        running.wait_event("job", "exit", seconds=60)
        self.assertEqual(running.wait(), 0, running.output())
        lines = re.findall(r"(?m)^job \| (\S+) (\S+)$", running.output())
        running.verify_audit()
        return dict(lines), self.refused(running, "job"), running

    def full_queue(self):
        """The port of a listener with as many connections as it takes; one more waits."""
        full = socket.socket(socket.AF_INET)
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(3):
            filler = socket.socket(socket.AF_INET)
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        return port

    def refused(self, running, component):
        return [e for e in running.events(component)
                if e["control"] == "broker" and e["verdict"] == "refused"]

    def made(self, running, component):
        """What was allowed and made: object and the kernel's answer -> how often."""
        counts = collections.Counter()
        for event in running.events(component):
            if event["kind"] != "brokered":
                continue
            self.assertEqual((event["control"], event["verdict"]), ("broker", "allowed"))
            self.assertTrue(event["rule"].startswith(f"components.{component}.network."))
            counts[event["action"], event["object"], event["errno"]] += event["count"]
        return counts

    def objects(self, events):
        return [event["object"] for event in events]


class Tcp(Broker):
    def test_one_address_and_port_is_connected(self):
        granted = Listener(self, "127.0.0.1")
        elsewhere = Listener(self, "127.0.0.2", port=granted.port)
        other = Listener(self, "127.0.0.1")
        code = f"""
connect('granted', ('127.0.0.1', {granted.port}))
connect('elsewhere', ('127.0.0.2', {granted.port}))
connect('other', ('127.0.0.1', {other.port}))
connect('any', ('0.0.0.0', {granted.port}))
connect('quick', ('127.0.0.1', {granted.port}), blocking=False)
connect('datagram', ('127.0.0.1', {granted.port}), kind=socket.SOCK_DGRAM)
connect('six', ('::ffff:127.0.0.1', {granted.port}), family=socket.AF_INET6)
with socket.socket() as one:
    attempt('fast-open', lambda: one.sendto(b'x', 0x20000000, ('127.0.0.1', {granted.port})))
    attempt('bind', lambda: one.bind(('127.0.0.1', 0)))
    attempt('listen', lambda: one.listen())
with socket.socket() as one:
    # A loose source route by 127.0.0.1, and another option of the same kind.
    attempt('route', lambda: one.setsockopt(0, 4, bytes.fromhex('8307047f00000100')))
    attempt('ttl', lambda: one.setsockopt(0, 2, 9))
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def raw(what, *arguments):
    ctypes.set_errno(0)
    libc.connect(*arguments)
    say(what, name(ctypes.get_errno()))
with socket.socket() as one:
    good = socket.inet_aton('127.0.0.1')
    address = struct.pack('<H', 2) + struct.pack('>H', {granted.port}) + good + bytes(8)
    raw('short', one.fileno(), address, 15)
    raw('huge', one.fileno(), address, 4096)
    raw('wild', one.fileno(), ctypes.c_void_p(8), 16)
    raw('unspecified', one.fileno(), bytes(16), 16)
    raw('closed', 999, address, 16)
    raw('file', 0, address, 16)
    raw('long', one.fileno(), address + bytes(16), 32)
"""
        said, events, running = self.run_job("e2e-broker-tcp", code, {
            "tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}},
            syscalls={"allow": ["@service", {"setsockopt": {"level": [0]}}]})
        # Sockets of other kinds are not made, and bind is nobody's to make.
        refused = {"elsewhere", "other", "any", "datagram", "six", "fast-open", "bind", "route",
                   "short", "wild", "unspecified"}
        expected = {name: "EPERM" for name in refused}
        expected |= {"granted": "ok", "quick": "EINPROGRESS", "huge": "EINVAL", "closed": "EBADF",
                     "file": "ENOTSOCK", "long": "ok", "ttl": "ok"}
        self.assertEqual({k: v for k, v in said.items() if k != "listen"}, expected)
        enclave.wait_until(lambda: granted.count == 3, 5, "connections")
        self.assertEqual((elsewhere.count, other.count), (0, 0))
        rule = "components.job.network.tcp.connect"
        self.assertEqual([(e["object"], e["rule"]) for e in events][:3],
                         [(f"tcp:127.0.0.2:{granted.port}", rule), (f"tcp:127.0.0.1:{other.port}", rule),
                          (f"tcp:0.0.0.0:{granted.port}", rule)])
        self.assertTrue(all(e["verdict"] == "refused" and e["kind"] == "violation" for e in events))
        unread = [e for e in events if e["extra"].get("arguments") == "unread"]
        self.assertEqual(len(unread), 1)
        # Those whose own arguments were wrong were not decided.
        address = f"tcp:127.0.0.1:{granted.port}"
        self.assertEqual(self.made(running, "job"), {("connect", address, ""): 2,
                                                     ("connect", address, "EINPROGRESS"): 1})

    def test_calls_on_no_descriptor_are_on_the_budget(self):
        granted = Listener(self, "127.0.0.1")
        code = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
address = struct.pack('<HH', 2, socket.htons({granted.port})) + socket.inet_aton('127.0.0.1') + bytes(8)
time.sleep(1.5)  # what the start took of it is over
def took(calls):
    began = time.monotonic()
    for _ in range(calls): libc.connect(999, address, 16)
    return time.monotonic() - began
say('few', min(took(100) for _ in range(5)))
say('all', took(12000))
say('answer', name(ctypes.get_errno()))
"""
        said, _, _ = self.run_job("e2e-broker-bad", code, {
            "tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}})
        self.assertEqual(said["answer"], "EBADF")
        few, many = float(said["few"]), float(said["all"])
        print(f"100 in {few * 1e3:.1f} ms, 12,000 in {many:.2f} s")
        # Of 5,000 a second; so many at the pace of the few would take less.
        self.assertGreater(many, 0.9)
        self.assertLess(120 * few, many)

    def test_what_is_no_socket(self):
        """Of what closes at once, and of what does not, whose closing another process waits for."""
        granted = Listener(self, "127.0.0.1")
        code = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
address = struct.pack('<HH', 2, socket.htons({granted.port})) + socket.inet_aton('127.0.0.1') + bytes(8)
def no_socket(what, fd, times=1):
    for _ in range(times): result = libc.connect(fd, address, 16)
    say(what, name(ctypes.get_errno()) if result else 'ok')
    os.close(fd)
no_socket('null', os.open('/dev/null', os.O_RDWR), 300)
no_socket('pipe', os.pipe()[1], 300)
no_socket('event', os.eventfd(0), 3)
no_socket('file', os.open('/usr/bin/python3', os.O_RDONLY), 3)
with socket.socket() as one: no_socket('socket', os.dup(one.fileno()))
"""
        began = time.monotonic()
        said, events, _ = self.run_job("e2e-broker-no-socket", code, {
            "tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}})
        self.assertEqual(said, {"null": "ENOTSOCK", "pipe": "ENOTSOCK", "event": "ENOTSOCK",
                                "file": "ENOTSOCK", "socket": "ok"})
        self.assertEqual(events, [])
        self.assertLess(time.monotonic() - began, 20)

    def test_a_port_beside_an_address(self):
        one, two = Listener(self, "127.0.0.1"), Listener(self, "127.0.0.2")
        code = f"""
connect('any-port', ('127.0.0.2', {two.port}))
connect('any-six', ('::ffff:127.0.0.2', {two.port}), family=socket.AF_INET6)
connect('address', ('127.0.0.1', {one.port}))
connect('no-address', ('127.0.0.3', {one.port}))
"""
        said, events, _ = self.run_job("e2e-broker-mixed", code, {
            "tcp": {"connect": [two.port, {"to": "127.0.0.1", "port": one.port}]}})
        self.assertEqual(said, {"any-port": "ok", "any-six": "ok", "address": "ok",
                                "no-address": "EPERM"})
        self.assertEqual(self.objects(events), [f"tcp:127.0.0.3:{one.port}"])

    def test_edges_see_the_component_itself(self):
        granted = Listener(self, "127.0.0.1")
        server = python(TRY + """
listener = socket.socket(fileno=3)
for _ in range(2):
    one, _ = listener.accept()
    pid, uid, gid = struct.unpack('3i', one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    say('peer', f'{uid}:{gid}')
time.sleep(1000)
""", network={"unix": {"listen": [{"path": "/run/edges/x/s", "name": "s", "from": ["client"]}]}})
        client = python(TRY + f"""
connect('edge', '/run/edges/x/s', family=socket.AF_UNIX)
connect('edge-again', '/run/edges/x/../x/s', family=socket.AF_UNIX)
connect('nothing', '/run/edges/x/t', family=socket.AF_UNIX)
connect('relative', 's', family=socket.AF_UNIX)
connect('abstract', b'\\0name', family=socket.AF_UNIX)
connect('address', ('127.0.0.1', {granted.port}))
a, b = socket.socketpair()
attempt('passing', lambda: socket.send_fds(a, [b'x'], [0]))
attempt('message', lambda: a.sendmsg([b'hello ', b'there']))
say('got', b.recv(64).decode().replace(' ', '-'))
time.sleep(1000)
""", network={"unix": {"connect": ["/run/edges/x/s"]},
                      "tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}})
        running = self.boot(enclave.policy("e2e-broker-edges", {"server": server, "client": client}))
        running.wait_output("client | got")
        said = dict(re.findall(r"(?m)^client \| (\S+) (\S+)$", running.output()))
        self.assertEqual(said, {"edge": "ok", "edge-again": "ok", "nothing": "ENOENT",
                                "relative": "EPERM", "abstract": "EPERM", "address": "ok",
                                "passing": "EPERM", "message": "11", "got": "hello-there"})
        uid = running.uids["client"]
        enclave.wait_until(lambda: running.output().count(f"server | peer {uid}:{uid}") == 2, 10,
                           running.output())
        objects = self.objects(self.refused(running, "client"))
        self.assertEqual(objects, ["unix:s", "unix:@name", "control data"])
        # The workers are nobody's to see or to signal, and nothing of them outlives the enclave.
        uids = {running.uids["client"]}
        self.assertGreater(len(enclave.processes_of(uids)), 1)
        self.assertEqual(running.stop(), 0)
        enclave.wait_until(lambda: not enclave.processes_of(uids), 5, "the end of the workers")


class Udp(Broker):
    def test_destinations_and_ports(self):
        granted = Listener(self, "127.0.0.1", socket.SOCK_DGRAM)
        other = Listener(self, "127.0.0.1", socket.SOCK_DGRAM)
        own = enclave.free_port()
        code = f"""
send('granted', ('127.0.0.1', {granted.port}))
send('other', ('127.0.0.1', {other.port}))
with socket.socket(type=socket.SOCK_DGRAM) as one:
    attempt('message', lambda: one.sendmsg([b'a', b'b'], [], 0, ('127.0.0.1', {granted.port})))
    attempt('message-other', lambda: one.sendmsg([b'a'], [], 0, ('127.0.0.1', {other.port})))
    attempt('large', lambda: one.sendto(bytes(60000), ('127.0.0.1', {granted.port})))
    attempt('too-large', lambda: one.sendto(bytes(70000), ('127.0.0.1', {granted.port})))
    attempt('connect', lambda: one.connect(('127.0.0.1', {granted.port})))
    attempt('connected', lambda: one.send(b'x'))
    attempt('connected-message', lambda: one.sendmsg([b'x']))
    attempt('away', lambda: one.connect(('127.0.0.1', {other.port})))
    attempt('oob', lambda: one.sendto(b'x', socket.MSG_OOB, ('127.0.0.1', {granted.port})))
with socket.socket(type=socket.SOCK_DGRAM) as one:
    attempt('bind-other', lambda: one.bind(('127.0.0.1', {other.port + 1 if other.port < 65000 else 999})))
    attempt('bind', lambda: one.bind(('127.0.0.1', {own})))
    attempt('own-port', lambda: one.sendto(b'x', ('127.0.0.1', {granted.port})))
with socket.socket(type=socket.SOCK_DGRAM) as one:
    attempt('bind-any', lambda: one.bind(('127.0.0.1', 0)))
connect('stream', ('127.0.0.1', {granted.port}))
"""
        said, events, running = self.run_job("e2e-broker-udp", code, {
            "udp": {"connect": [{"to": "127.0.0.1", "port": granted.port}], "bind": [own]}})
        self.assertEqual(said, {
            "granted": "1", "other": "EPERM", "message": "2", "message-other": "EPERM",
            "large": "60000", "too-large": "EMSGSIZE", "connect": "ok", "connected": "1",
            "connected-message": "1", "away": "EPERM", "oob": "EPERM", "bind-other": "EPERM",
            "bind": "ok", "own-port": "1", "bind-any": "ok", "stream": "EPERM"})
        enclave.wait_until(lambda: granted.count == 6, 5, "datagrams")
        self.assertEqual(other.count, 0)
        self.assertIn(own, [peer[1] for peer in granted.peers])
        self.assertEqual(len(events), 5)
        self.assertEqual({e["rule"] for e in events}, {"components.job.network.udp.connect",
                                                       "components.job.network.udp.bind"})
        # What goes to where a connect led is the connect's record, and any free port needs no rule.
        to = f"udp:127.0.0.1:{granted.port}"
        self.assertEqual(self.made(running, "job"), {
            ("sendto", to, ""): 3, ("sendmsg", to, ""): 1, ("connect", to, ""): 1,
            ("bind", f"udp:127.0.0.1:{own}", ""): 1})


class Waiting(Broker):
    def workers(self, running, component):
        """Processes with its uid that are in no PID namespace of its own."""
        found = []
        for pid, status in running.processes(component).items():
            if len(status["NSpid"].split()) == 1:
                found.append(pid)
        return found

    def test_a_stopped_worker_holds_up_its_component_alone(self):
        granted = Listener(self, "127.0.0.1")
        code = TRY + f"""
import signal
signal.signal(signal.SIGUSR1, lambda *_: connect('other', ('127.0.0.1', 9)))
while True:
    began = time.monotonic()
    with socket.socket() as one:
        one.setblocking(False)
        result = one.connect_ex(('127.0.0.1', {granted.port}))
    say(name(result), int((time.monotonic() - began) * 1000))
    time.sleep(0.02)
"""
        network = {"tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}}
        running = self.boot(enclave.policy("e2e-broker-stuck", {
            "stuck": python(code, network=network, restart={"when": "never"}, env={"HOME": "/"},
                            **{"on-violation": "kill"}),
            "other": python(code, network=network)}))
        running.wait_output("stuck | EINPROGRESS")
        running.wait_output("other | EINPROGRESS")
        for _ in range(5):
            late = running.output().count("stuck | ETIMEDOUT")
            enclave.wait_until(lambda: self.workers(running, "stuck"), 10, "a worker")
            for worker in self.workers(running, "stuck"):
                os.kill(worker, signal.SIGSTOP)
            enclave.wait_until(lambda before=late: "stuck | EPERM" in running.output() or
                               running.output().count("stuck | ETIMEDOUT") > before, 15, "an answer")
            # One that was stopped when it had decided already is answered so.
            if "stuck | EPERM" in running.output():
                break
        self.assertIn("stuck | EPERM", running.output())
        times = [int(t) for t in re.findall(r"other \| EINPROGRESS (\d+)", running.output())]
        # Its own calls go on with a worker made anew, and those of the other have never waited.
        before = running.output().count("stuck | EINPROGRESS")
        enclave.wait_until(lambda: running.output().count("stuck | EINPROGRESS") > before + 5, 10,
                           "new workers")
        self.assertLess(max(times), 400)
        unread = self.refused(running, "stuck")
        self.assertEqual([e["extra"]["arguments"] for e in unread], ["unread"])
        # What nobody decided has ended nobody; what the policy refuses does.
        os.kill(running.main_pid("stuck"), signal.SIGUSR1)
        running.wait_event("stuck", "exit")
        violations = [e for e in running.events("stuck") if e["kind"] == "violation"]
        self.assertEqual([(e["object"], e["verdict"]) for e in violations if e not in unread],
                         [("tcp:127.0.0.1:9", "killed")])
        self.assertEqual(running.stop(), 0)

    def test_calls_that_their_makers_end_is_cut_short_by_are_on_record(self):
        # As many connects as there are workers wait there; what comes then is not decided any more.
        port = self.full_queue()
        code = f"""
import threading
def wait(port):
    with socket.socket() as one: one.connect_ex(('127.0.0.1', port))
for _ in range(4): threading.Thread(target=wait, args=({port},)).start()
time.sleep(1)
for _ in range(5): threading.Thread(target=wait, args=(9,)).start()
time.sleep(1)
os._exit(0)
"""
        _, events, running = self.run_job("e2e-broker-cut", code, {
            "tcp": {"connect": [{"to": "127.0.0.1", "port": port}]}})
        address = f"tcp:127.0.0.1:{port}"
        made = [e for e in running.events("job") if e["kind"] == "brokered"]
        self.assertEqual({(e["object"], e["extra"]["caller"]) for e in made}, {(address, "ended")})
        self.assertEqual(sum(e["count"] for e in made), 4)
        self.assertEqual({(e["extra"]["arguments"], e["extra"]["caller"]) for e in events},
                         {("unread", "ended")})
        self.assertEqual(sum(e["count"] for e in events), 5)

    def test_a_worker_that_ends_while_it_makes_an_allowed_call(self):
        port = self.full_queue()
        code = TRY + f"""
say('begins', 1)
with socket.socket() as one: say('ends', name(one.connect_ex(('127.0.0.1', {port}))))
time.sleep(1000)
"""
        running = self.boot(enclave.policy("e2e-broker-ends", {"job": python(code, network={
            "tcp": {"connect": [{"to": "127.0.0.1", "port": port}]}})}))
        running.wait_output("job | begins")
        enclave.wait_until(lambda: self.workers(running, "job"), 10, "a worker")
        time.sleep(0.5)
        for worker in self.workers(running, "job"):
            os.kill(worker, signal.SIGKILL)
        running.wait_output("job | ends ECONNABORTED")
        made = [e for e in running.events("job") if e["kind"] == "brokered"]
        self.assertEqual([(e["object"], e["errno"]) for e in made],
                         [(f"tcp:127.0.0.1:{port}", "ECONNABORTED")])
        self.assertEqual(running.stop(), 0)

    def test_a_worker_that_ended_unseen_costs_nobody_a_call(self):
        granted = Listener(self, "127.0.0.1")
        code = TRY + f"""
while True:
    connect('granted', ('127.0.0.1', {granted.port}))
    time.sleep(0.1)
"""
        running = self.boot(enclave.policy("e2e-broker-unseen", {"job": python(code, network={
            "tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}})}))
        for round_ in range(1, 6):
            enclave.wait_until(lambda: running.output().count("granted ok") > 3 * round_, 10, "calls")
            os.kill(running.process.pid, signal.SIGSTOP)
            time.sleep(0.3)  # a call waits by then, so it is seen first
            for worker in self.workers(running, "job"):
                os.kill(worker, signal.SIGKILL)
            os.kill(running.process.pid, signal.SIGCONT)
        enclave.wait_until(lambda: running.output().count("granted ok") > 20, 10, "calls")
        self.assertEqual(set(re.findall(r"granted (\w+)", running.output())), {"ok"})
        self.assertEqual(self.refused(running, "job"), [])
        self.assertEqual(running.stop(), 0)

    def test_more_calls_than_workers_are_all_made(self):
        # Each thread makes one call, so nobody comes later whose call would wake those that wait.
        granted = Listener(self, "127.0.0.1")
        code = TRY + f"""
import threading
results = []
def go():
    with socket.socket() as one:
        barrier.wait()
        results.append(one.connect_ex(('127.0.0.1', {granted.port})))
barrier = threading.Barrier(40)
threads = [threading.Thread(target=go) for _ in range(40)]
for thread in threads: thread.start()
for thread in threads: thread.join(10)
say('made', results.count(0))
os._exit(0)
"""
        said, events, _ = self.run_job("e2e-broker-many", code, {
            "tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}})
        self.assertEqual(said["made"], "40")
        self.assertEqual(events, [])

    def test_callers_that_end_have_violated_nothing(self):
        granted = Listener(self, "127.0.0.1")
        code = TRY + f"""
import random, signal
for _ in range(200):
    child = os.fork()
    if child == 0:
        while True:
            with socket.socket() as one: one.connect_ex(('127.0.0.1', {granted.port}))
    time.sleep(random.random() / 200)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
say('ended', 1)
connect('other', ('127.0.0.1', 9))
"""
        said, events, running = self.run_job("e2e-broker-killed", code, {
            "tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}},
            syscalls={"allow": ["@processes"]})
        self.assertEqual((said["ended"], said["other"]), ("1", "EPERM"))
        # What was refused is a violation; who ended has made none, and what it did is on record.
        self.assertEqual([e["object"] for e in events if "caller" not in e["extra"]], ["tcp:127.0.0.1:9"])
        made = sum(e["count"] for e in running.events("job") if e["kind"] == "brokered")
        self.assertGreater(made, 0)
        self.assertEqual({e["control"] for e in events}, {"broker"})

    def test_a_run_that_ends_while_it_is_over_its_budget(self):
        """What it did not come to is the broker's on record, too: the filter refuses no connect."""
        granted = Listener(self, "127.0.0.1")
        code = TRY + f"""
for _ in range(24):
    if os.fork() == 0:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True: one.connect_ex(('127.0.0.1', {granted.port}))
time.sleep(2.5)
say('ended', 1)
os._exit(0)
"""
        said, events, _ = self.run_job("e2e-broker-budget", code, {
            "udp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}},
            syscalls={"allow": ["@processes"]})
        self.assertEqual(said["ended"], "1")
        ended = [e for e in events if e["action"] == "connect"]
        self.assertTrue(ended)
        self.assertEqual({(e["control"], e["rule"], e["extra"]["caller"]) for e in ended},
                         {("broker", "components.job.network", "ended")})

    def test_a_process_whose_first_thread_has_ended(self):
        granted = Listener(self, "127.0.0.1")
        code = TRY + f"""
import ctypes, threading
def other():
    time.sleep(0.5)
    for _ in range(2): connect('granted', ('127.0.0.1', {granted.port}))
    os._exit(0)
threading.Thread(target=other).start()
ctypes.CDLL(None).syscall(60, 0)  # exit, of this thread alone
"""
        said, events, _ = self.run_job("e2e-broker-leader", code, {
            "tcp": {"connect": [{"to": "127.0.0.1", "port": granted.port}]}})
        self.assertEqual(said.get("granted"), "ok")
        self.assertEqual(events, [])

    def test_a_connection_that_nobody_accepts(self):
        # Its queue is full, so a connect waits; the others of the component don't.
        full = socket.socket(socket.AF_INET)
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        granted = Listener(self, "127.0.0.1")
        port = full.getsockname()[1]
        code = f"""
import threading
def wait(number):
    began = time.monotonic()
    with socket.socket() as one:
        result = one.connect_ex(('127.0.0.1', {port}))
    if time.monotonic() - began > 5:
        waited.add(name(result))
waited = set()
threads = [threading.Thread(target=wait, args=(n,)) for n in range(3)]
for thread in threads: thread.start()
time.sleep(1)
began = time.monotonic()
connect('granted', ('127.0.0.1', {granted.port}))
say('soon', time.monotonic() - began < 2)
for thread in threads: thread.join()
say('waited', '+'.join(waited))
"""
        said, events, _ = self.run_job("e2e-broker-full", code, {
            "tcp": {"connect": [{"to": "127.0.0.1", "port": port},
                                {"to": "127.0.0.1", "port": granted.port}]}})
        self.assertEqual((said["granted"], said["soon"]), ("ok", "True"))
        self.assertEqual(said.get("waited"), "ETIMEDOUT")
        self.assertEqual(events, [])


class Arguments(Broker):
    def test_what_a_refused_call_points_to_is_on_record(self):
        code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.chroot(b'/var/lib/secret')
libc.mount(b'/dev/vda', b'/mnt', b'ext4', 0, None)
libc.chroot(ctypes.c_void_p(8))
libc.connect(0, struct.pack('<HHII', 40, 0, 9001, 3) + bytes(4), 16)
say('done', 'ok')
"""
        _, _, running = self.run_job("e2e-broker-arguments", code, {})
        found = [(e["action"], e["object"], e["extra"]["arguments"])
                 for e in running.events("job") if "arguments" in e.get("extra", {})]
        self.assertEqual([f for f in found if f[0] in ("chroot", "mount", "connect")][:2],
                         [("chroot", "/var/lib/secret", "claimed"),
                          ("mount", "/dev/vda /mnt", "claimed")])
        self.assertIn(("chroot", "8 ", "unread"),
                      [(a, o[:2], x) for a, o, x in found])
        self.assertIn(("connect", "vsock:3:9001", "claimed"), found)


if __name__ == "__main__":
    enclave.main()
