#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where components' output goes: files, receivers, standard output; whole lines, counted losses."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

import enclave
from enclave import BULKHEAD, BULKHEAD_INIT, python

FILE = "/var/log/bulkhead/output.log"
TALKER = """
import sys, time
print('to stdout', flush=True)
print('to stderr', file=sys.stderr, flush=True)
time.sleep(1000)
"""
# Words that would be another's, and a line that is not ended for a while.
FORGER = """
import sys, time
print('{"seq":1,"time":"9.0"}\\ntalker | forged\\rtalker | forged\\nbulkhead-init: forged', flush=True)
sys.stdout.write('half ')
sys.stdout.flush()
time.sleep(1)
print('of a line', flush=True)
time.sleep(1000)
"""
COUNTER = """
import time
for number in range(%d):
    print(number, '.' * 90)
print('all said', flush=True)
time.sleep(1000)
"""
# Lines that are cut at 4096 bytes, shorter ones, and what is to be taken for a record.
MIMIC = """
import os, time
record = '{"seq":99,"time":"9.0","claimed":"9.0","boot":"b","component":"","pid":1}'
while True:
    for number in range(200):
        os.write(1, b'x' * (number * 37 % 6000))
        os.write(1 + number % 2, record.encode() + b'\\n')
    time.sleep(0.1)
"""
CALLER = """
import socket, time
for kind in range(1000000):
    try:
        socket.socket(socket.AF_INET, kind)
    except OSError:
        time.sleep(0.005)
"""


def text_of(file):
    """Empty in the moment after it was renamed, before the next one is there."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


class Receiver:
    """Somebody who listens on a unix socket and keeps what comes, all connections in a row."""

    def __init__(self, case, path):
        self.path = path
        self.text = b""
        case.addCleanup(self.kill)
        self.start()

    def start(self):
        pathlib.Path(self.path).unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.connection = None
        threading.Thread(target=self.receive, args=(self.listener,), daemon=True).start()

    def receive(self, listener):
        with listener:
            try:
                while True:
                    self.connection, _ = listener.accept()
                    with self.connection as connection:
                        while part := connection.recv(65536):
                            self.text += part
            except OSError:
                return

    def kill(self):
        pathlib.Path(self.path).unlink(missing_ok=True)
        for end in (self.listener, self.connection):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except (AttributeError, OSError):
                pass

    def lines(self):
        return self.text.decode().split("\n")


class Output(enclave.Case):
    def policy(self, name, components, *sinks, **output):
        value = enclave.policy(name, components)
        value["output"] = {"sinks": list(sinks), **output}
        return value

    def test_a_file_and_a_receiver_get_each_line(self):
        receiver = Receiver(self, "/run/receiver")
        running = self.boot(self.policy(
            "e2e-output", {"talker": python(TALKER), "forger": python(FORGER)},
            {"file": FILE}, {"unix": "/run/receiver"}))
        file = pathlib.Path(FILE)
        enclave.wait_until(lambda: "of a line" in text_of(file), 20, "the last line")
        enclave.wait_until(lambda: receiver.text.count(b"\n") == 6, 20, "all lines")
        lines = file.read_text().split("\n")
        self.assertEqual(sorted(lines), sorted([
            "talker | to stdout", "talker | to stderr", 'forger | {"seq":1,"time":"9.0"}',
            "forger | talker | forged\\x0dtalker | forged", "forger | bulkhead-init: forged",
            "forger | half of a line", ""]))
        self.assertEqual(sorted(receiver.lines()), sorted(lines))
        self.assertNotIn(" | ", running.output())
        logs = enclave.run(BULKHEAD, "logs", "talker")
        self.assertIn("talker | to stdout\n", logs.stdout)
        # Rotation: the old file stays as it is, the next lines are in a new one.
        file.rename("/var/log/bulkhead/moved")
        os.kill(running.pid, signal.SIGHUP)
        enclave.wait_until(file.exists, 20, "a new file")
        self.assertEqual(enclave.run(BULKHEAD, "restart", "talker").returncode, 0)
        enclave.wait_until(lambda: "talker | to stderr" in text_of(file), 20, "the new run")
        self.assertEqual(pathlib.Path("/var/log/bulkhead/moved").read_text().split("\n"), lines)
        self.assertEqual(running.stop(), 0)
        self.assertEqual(running.events(action="output"), [])

    def test_what_a_dead_receiver_misses_is_counted(self):
        count = 40_000
        receiver = Receiver(self, "/run/receiver")
        value = self.policy("e2e-output-dead", {"talker": python(TALKER)}, {"unix": "/run/receiver"})
        value["components"]["counter"] = python(COUNTER % count, after=["talker"])
        running = self.boot(value, ready=["talker"])
        receiver.kill()
        running.wait_event("counter", "output", seconds=60)
        # The other component is none the worse for it.
        self.assertEqual(enclave.run(BULKHEAD, "restart", "talker").returncode, 0)
        running.wait_event("talker", "ready", 2)
        receiver.start()
        said = re.compile(rb"bulkhead-init: (\d+) lines of `counter` are lost here\n")
        enclave.wait_until(lambda: said.search(receiver.text), 30, "what is lost")
        self.assertEqual(running.stop(), 0)
        self.assertGreaterEqual(receiver.text.count(b"talker | to stdout\n"), 1)
        arrived = set(re.findall(rb"^counter \| (\d+) \.{90}$", receiver.text, re.M))
        arrived |= set(re.findall(rb"^counter \| (all said)$", receiver.text, re.M))
        losses = running.events("counter", "output")
        lost = sum(event["count"] for event in losses)
        self.assertEqual(len(arrived) + lost, count + 1)
        # What was sent last may have come twice, what is said of losses too.
        self.assertGreaterEqual(sum(map(int, said.findall(receiver.text))), lost)
        self.assertEqual({(e["kind"], e["object"], e["verdict"]) for e in losses},
                         {("loss", "unix:/run/receiver", "failed")})
        self.assertEqual(running.events("talker", "output"), [])
        running.verify_audit()

    def test_a_full_file_is_renamed(self):
        count = 60_000
        running = self.boot(self.policy(
            "e2e-output-full", {"counter": python(COUNTER % count)}, {"file": FILE},
            **{"file-size": "1M"}))
        file, old = pathlib.Path(FILE), pathlib.Path(FILE + ".old")
        enclave.wait_until(lambda: "all said" in text_of(file), 60, "the last line")
        self.assertEqual(running.stop(), 0)
        self.assertLessEqual(max(file.stat().st_size, old.stat().st_size), 1 << 20)
        lines = (old.read_text() + file.read_text()).split("\n")[:-1]
        self.assertGreater(len(lines), 10_000)
        first = count + 1 - len(lines)
        self.assertEqual(lines[-1], "counter | all said")
        for number, line in enumerate(lines[:-1], first):
            self.assertEqual(line, f"counter | {number} " + "." * 90)

    def test_without_its_sinks_an_enclave_does_not_boot(self):
        value = self.policy("e2e-output-none", {"talker": python(TALKER)}, {"unix": "/run/none"})
        said = self.refuses_to_boot(self.compile(self.write_policy(value)))
        self.assertIn("cannot open the output sink (connect) `unix:/run/none`", said)

    def test_records_and_lines_share_standard_output(self):
        """A reader so slow that lines are cut: records are whole, and nobody writes one for them."""
        value = enclave.policy("e2e-output-stdout", {
            "counter": python(MIMIC), "caller": python(CALLER)})
        value["audit"]["sinks"].append("stdout")
        bundle = self.compile(self.write_policy(value))
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        process = subprocess.Popen([BULKHEAD_INIT, bundle], stdin=subprocess.DEVNULL,
                                   stdout=writer, stderr=writer)
        os.close(writer)
        self.addCleanup(process.kill)
        text = b""
        for _ in range(2000):
            text += os.read(reader, 500)
        process.terminate()
        while part := os.read(reader, 4096):
            text += part
        self.assertEqual(process.wait(30), 0)
        lines = text.decode().split("\n")[:-1]
        whole = re.compile(r'\{"seq":.*"\}|counter \| x*( …|\{[^{}]*\})?|'
                           r'bulkhead-init: ((?!counter \||xx)[^{}])*')
        self.assertEqual([line for line in lines if not whole.fullmatch(line)], [])
        records = [line for line in lines if line.startswith("{")]
        self.assertGreater(len(records), 20)
        self.assertGreater(len(lines), len(records) + 100)
        log = self.directory / "records"
        log.write_text("\n".join(records) + "\n")
        checked = enclave.run(BULKHEAD, "audit", "verify", log)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_one_program_has_no_label_unless_records_are_there(self):
        value = enclave.policy("e2e-output-exec", {"talker": python("print('words')")})
        for more, expected in (([], "words\n"), (["stdout"], "talker | words\n")):
            value["audit"]["sinks"] = [{"file": "/var/log/bulkhead/exec.jsonl"}] + more
            bundle = self.compile(self.write_policy(value))
            result = enclave.run(BULKHEAD_INIT, bundle, "--only", "talker")
            self.assertEqual(result.returncode, 0, result.stderr)
            lines = [line for line in result.stdout.splitlines(True) if line[0] != "{"]
            self.assertEqual("".join(lines), expected)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    enclave.main()
