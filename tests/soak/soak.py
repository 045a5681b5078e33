#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Redis, nginx and a component with instances serve requests while stress-ng does its worst in a
compartment beside them. Judged: the supervisor's memory stays flat, every request is answered, and the
99th percentile of each service's latency stays under twice what it is while the load is stopped.

Each minute under load has 10 s of quiet before it (the load's processes are stopped from outside by
SIGSTOP), so that other work on the machine falls on both alike.

usage: soak.py MINUTES [RESULT]
"""

import http.client
import os
import pathlib
import platform
import re
import signal
import socket
import statistics
import sys
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(SOURCE / "tests/e2e"), str(SOURCE / "bench")]
import enclave  # noqa: E402
import instances  # noqa: E402
import launch  # noqa: E402
import load  # noqa: E402

NAME = "soak"
AUDIT = f"/var/log/bulkhead/{NAME}.jsonl"
QUIET, LOADED = 10, 60  # s, in turn
PAUSE = {"redis": 0.004, "nginx": 0.004, "each": 0.05}  # s between two requests
LATENCY_RATIO = 2.0
GROWTH_KB = 256
STRESS = ["/usr/bin/stress-ng", "--cpu", "2", "--vm", "1", "--vm-bytes", "64M", "--pipe", "1",
          "--switch", "1", "--fork", "1", "--hdd", "1", "--hdd-bytes", "16M", "--sock", "1",
          "--kill", "1", "--get", "1", "--temp-path", "/tmp", "--timeout", "0"]


def policy(directory, port, program):
    """The servers of bench/load.py, one that is served by instances, and the load."""
    value = load.policy(directory, port)
    components = value["components"]
    components["client"]["network"]["unix"]["connect"].append("/run/edges/each/s")
    components["each"] = {
        "profile": ["stateful-service"], "exec": [program], "files": {"execute": [program]},
        "instances": {"per": "connection", "at-most": 4, "lifetime": "5s"},
        "network": {"unix": {"listen": [
            {"path": "/run/edges/each/s", "name": "s", "from": ["client"]}]}}}
    components["stress"] = {
        "profile": ["untrusted-code"], "exec": STRESS, "directory": "/tmp",
        "files": {"execute": [STRESS[0], "@loader"], "read": ["@libraries"],
                  "private": [{"path": "/tmp", "size": "64M"}]},
        "syscalls": {"allow": ["@processes"]},
        "limits": {"processes": 64, "files": 1024, "cpu-yields": True}}
    return {**value, "enclave": NAME, "audit": {"sinks": [{"file": AUDIT}]}}


class Probe(threading.Thread):
    """Asks one service again and again; what each request took, by phase."""

    def __init__(self, name, ask):
        super().__init__(daemon=True)
        self.name, self.ask = name, ask
        self.phase, self.ended = None, False
        self.taken, self.failures = [], []

    def run(self):
        while not self.ended:
            phase, started = self.phase, time.perf_counter()
            try:
                self.ask()
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(f"{self.name}: {error!r}")
                time.sleep(0.1)
            # What began in one phase and ended in another is of neither.
            if phase is not None and phase == self.phase:
                self.taken.append((phase, time.perf_counter() - started))
            time.sleep(PAUSE[self.name])

    def latencies(self, loaded, turn=None):
        return [taken for (of, under), taken in self.taken
                if under == loaded and (turn is None or of == turn)]

    def p99(self, loaded, turn=None):
        """ms"""
        return statistics.quantiles(self.latencies(loaded, turn), n=100)[98] * 1000


def redis_client():
    client = socket.socket(socket.AF_UNIX)
    client.connect("/run/edges/load/redis.sock")

    def ask():
        client.sendall(b"PING\r\n")
        assert client.recv(64) == b"+PONG\r\n"
    return ask


def nginx_client(port):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask():
        client.request("GET", "/page")
        answer = client.getresponse()
        assert len(answer.read()) == 600 and answer.status == 200
    return ask


def ask_instance():
    assert instances.ask("/run/edges/each/s")


def memory(pid):
    """kB that the process holds, as /proc says; and how many descriptors."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    rss, anonymous = (int(re.search(rf"(?m)^{key}: +(\d+) kB", text)[1]) for key in ("Rss", "Anonymous"))
    return {"rss": rss, "anonymous": anonymous, "fds": len(os.listdir(f"/proc/{pid}/fd"))}


class Soak(enclave.Case):
    def test_soak(self):
        minutes = int(os.environ["BULKHEAD_SOAK_MINUTES"])
        port = enclave.free_port()
        place = self.directory / "inside"
        (place / "root").mkdir(parents=True)
        (place / "root/page").write_text("x" * 600, encoding="ascii")
        (place / "redis.conf").write_text(load.REDIS.format(socket="/run/edges/load/redis.sock"))
        (place / "nginx.conf").write_text(load.NGINX.format(
            pid="/tmp/nginx.pid", port=port, root=place / "root", tmp="/tmp"))
        program = launch.build_program(self.directory, "program", instances.PROGRAM)
        running = self.boot(policy(self.directory, port, program))
        probes = [Probe("redis", redis_client()), Probe("nginx", nginx_client(port)),
                  Probe("each", ask_instance)]
        for probe in probes:
            probe.start()
        time.sleep(3)  # caches, and the start's own work
        samples = self.turns(running, probes, minutes)
        for probe in probes:
            probe.ended = True
        for probe in probes:
            probe.join()
        self.judge(running, probes, samples, minutes)

    def pause_load(self, running, paused):
        """Again until all of it is: what forks while it is stopped leaves some out."""
        def all_are():
            processes = running.processes("stress")
            for pid in processes:
                try:
                    os.kill(pid, signal.SIGSTOP if paused else signal.SIGCONT)
                except ProcessLookupError:
                    pass
            return all(status["State"][0] in "TZ" for status in processes.values()) == paused
        enclave.wait_until(all_are, 10, "the load is stopped" if paused else "the load goes on")

    def turns(self, running, probes, minutes):
        samples = []

        def phase(value, seconds):
            for probe in probes:
                probe.phase = value
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(min(5, max(0, end - time.monotonic())))
                samples.append(memory(running.pid))
            for probe in probes:
                probe.phase = None

        for turn in range(minutes):
            self.pause_load(running, True)
            phase((turn, False), QUIET)
            self.pause_load(running, False)
            time.sleep(1)
            phase((turn, True), LOADED)
            print(f"minute {turn + 1}: " + ", ".join(
                f"{probe.name} {probe.p99(False, turn):.2f} -> {probe.p99(True, turn):.2f} ms"
                for probe in probes) + f"; supervisor {samples[-1]}", flush=True)
        return samples

    def judge(self, running, probes, samples, minutes):
        quarter = len(samples) // 4
        first, last = ({
            "rss": statistics.median(s["rss"] for s in part),
            "anonymous": statistics.median(s["anonymous"] for s in part),
            # Instances come and go, each with some.
            "fds": min(s["fds"] for s in part),
        } for part in (samples[:quarter], samples[-quarter:]))
        starts = {name: len(running.events(name, "start")) for name in ("redis", "nginx", "stress")}
        refused = sum(event["count"] for event in running.events("stress") if event["kind"] == "violation")
        launched = len(running.events("each", "start")) - 1
        self.assertEqual(running.stop(), 0)
        self.assertIn("the chain is whole", running.verify_audit())
        rows = []
        for probe in probes:
            quiet, loaded = probe.p99(False), probe.p99(True)
            pairs = [probe.p99(True, turn) / probe.p99(False, turn) for turn in range(minutes)]
            rows.append((probe.name, len(probe.latencies(True)), len(probe.failures),
                         statistics.median(probe.latencies(False)) * 1000, quiet, loaded, loaded / quiet,
                         statistics.median(pairs), max(pairs)))
        text = report(minutes, rows, first, last, starts, refused, launched)
        print(text)
        if os.environ["BULKHEAD_SOAK_RESULT"]:
            pathlib.Path(os.environ["BULKHEAD_SOAK_RESULT"]).write_text(text, encoding="utf-8")
        for probe in probes:
            self.assertEqual(probe.failures, [])
        for row in rows:
            self.assertLess(row[6], LATENCY_RATIO, f"{row[0]}: 99th percentile, loaded to quiet")
        for key in ("rss", "anonymous"):
            self.assertLessEqual(last[key], first[key] + GROWTH_KB, key)
        self.assertEqual(last["fds"], first["fds"])
        self.assertEqual(set(starts.values()), {1}, starts)
        self.assertGreater(refused, 0)


def report(minutes, rows, first, last, starts, refused, launched):
    """What tests/soak/RESULTS.md holds."""
    services = "\n".join(
        "| {} | {} | {} | {:.3f} | {:.3f} | {:.3f} | {:.2f} | {:.2f}, {:.2f} |".format(*row) for row in rows)
    return f"""# What the soak came to

Written by `scripts/soak`: {minutes} minutes under load, in turns of {LOADED} s with {QUIET} s of quiet before each.
Ended {time.strftime("%Y-%m-%d %H:%M", time.gmtime())} UTC, commit {os.environ["BULKHEAD_SOAK_COMMIT"]}, Linux \
{platform.release()}, {os.cpu_count()} CPUs, load average at the end {os.getloadavg()[1]:.1f} (5 minutes; what is \
above the load's own is other work on the machine).

The load, in a compartment of profile `untrusted-code` (one CPU, yielding, 256 MiB, 64 processes):
`{" ".join(STRESS)}`. It was refused {refused} calls, all on record; the chain of the log is whole.

Latency in ms of requests from outside the compartments, one at a time: redis over its unix socket, nginx over
kept HTTP, and one connection to a component with instances, which is a launch. Limit: the 99th percentile under
load at most {LATENCY_RATIO:g} times the quiet one.

| service | requests under load | failed | quiet median | quiet p99 | p99 under load | ratio | of single turns: median, worst |
| --- | --- | --- | --- | --- | --- | --- | --- |
{services}

The supervisor's memory in kB, medians of the first and the last quarter of samples taken each 5 s; it launched
{launched} instances meanwhile. Limit: {GROWTH_KB} kB more.

| | first quarter | last quarter |
| --- | --- | --- |
| resident | {first["rss"]:.0f} | {last["rss"]:.0f} |
| of it its own (anonymous) | {first["anonymous"]:.0f} | {last["anonymous"]:.0f} |
| descriptors, the fewest | {first["fds"]:.0f} | {last["fds"]:.0f} |

Starts of each component: {", ".join(f"{name} {count}" for name, count in starts.items())}.
"""


if __name__ == "__main__":
    if enclave.INSIDE not in os.environ:
        os.environ["BULKHEAD_SOAK_MINUTES"] = sys.argv[1]
        os.environ["BULKHEAD_SOAK_RESULT"] = (sys.argv[2:] or [""])[0]
        del sys.argv[1:]
    enclave.main()
