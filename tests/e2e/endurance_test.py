#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Components that are killed at random, and supervisors: nothing is left behind, nothing runs less
confined, budgets hold. BULKHEAD_TEST_SECONDS and BULKHEAD_TEST_KILLS set how long; scripts/long-tests
runs it for long. BULKHEAD_TEST_SEED repeats a run.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

import enclave

PROGRAM = os.environ["BULKHEAD_ENDURANCE"]
NAME = "e2e-endurance"
AUDIT = f"/var/log/bulkhead/{NAME}.jsonl"
OFTEN = {"when": "always", "at-most": 1000, "within": "2s"}
BUDGET = 3


def status_of(pid):
    return enclave.process_status(pid) or {}


def groups():
    return sorted(str(p) for p in pathlib.Path("/sys/fs/cgroup").glob(f"**/bulkhead-{NAME}-*"))


def mounts():
    return pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").count("\n")


def pss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    return int(re.search(r"(?m)^Pss: +(\d+) kB", text)[1])


class Endurance(enclave.Case):
    def setUp(self):
        super().setUp()
        self.seed = os.environ.get("BULKHEAD_TEST_SEED") or "7"
        self.rng = random.Random(self.seed)
        self.program = self.directory / "endurance"
        shutil.copy(PROGRAM, self.program)
        self.hole = self.directory / "hole"
        self.hole.write_bytes(b"")
        self.hole.chmod(0o666)
        pathlib.Path(AUDIT).unlink(missing_ok=True)

    def component(self, *words, **keys):
        return {"profile": ["stateful-service"],
                "exec": [str(self.program), "file", str(self.hole), *words],
                "files": {"execute": [str(self.program)], "write": [str(self.hole)]},
                "syscalls": {"allow": ["@processes"]}, **keys}

    def policy(self, restart, **more):
        """`plain` has the file that is to stay empty; nobody else may, as it is one component's."""
        components = {
            "plain": self.component(restart=restart),
            "family": self.component("child", restart=restart),
            "notifying": self.component("ready", ready="notify", restart=restart),
            "limited": self.component(limits={"memory": "32M", "processes": 8}, restart=restart),
            "server": self.component(restart=restart, network={"unix": {"listen": [
                {"path": "/run/edges/endured/s", "name": "s", "from": ["plain"]}]}}),
            **more,
        }
        components["plain"]["network"] = {"unix": {"connect": ["/run/edges/endured/s"]}}
        for name in components:
            if name != "plain":
                components[name]["files"] = {"execute": [str(self.program)]}
                components[name]["exec"] = [w for w in components[name]["exec"]
                                            if w not in ("file", str(self.hole))]
        return enclave.policy(NAME, components, channels=[
            {"name": "line", "from": "family", "to": "server", "kind": "stream"}])

    def all_up(self, running, names):
        result = enclave.run(enclave.BULKHEAD, "status", "--enclave", NAME, "--format", "json")
        if result.returncode != 0:
            return False
        rows = {row["component"]: row for row in json.loads(result.stdout)["components"]}
        return all(rows[name]["ready"] and (name == "each" or rows[name]["pid"]) for name in names)

    def test_components_are_killed_at_random(self):
        seconds = float(os.environ.get("BULKHEAD_TEST_SECONDS", "12"))
        value = self.policy(OFTEN, once=self.component(restart={
            "when": "always", "at-most": BUDGET, "within": "600s"}), each=self.component(
                "serve", restart=OFTEN, instances={"per": "connection", "at-most": 4},
                network={"unix": {"listen": [
                    {"path": "/run/edges/each/s", "name": "s", "from": ["plain"]}]}}))
        value["components"]["each"]["exec"] = [str(self.program), "serve"]
        value["components"]["plain"]["network"]["unix"]["connect"].append("/run/edges/each/s")
        running = self.boot(value)
        names = [name for name in value["components"] if name != "once"]
        steady = [name for name in names if name != "each"]
        enclave.wait_until(lambda: self.all_up(running, names), 20, "all up")
        for count in range(1, BUDGET + 2):
            running.wait_event("once", "ready", count)
            os.kill(running.main_pid("once"), signal.SIGKILL)
        running.wait_event("once", "give-up")
        before = self.measure(running, steady)
        kills = self.kill_for(seconds, running)
        enclave.wait_until(lambda: self.all_up(running, names), 30, "all up again")
        after = self.measure(running, steady)
        print(f"{kills} kills in {seconds:.0f} s; supervisor {before['pss']} kB, then {after['pss']} kB",
              end=" ", file=sys.stderr)
        self.assertGreater(kills, seconds * 4)
        for key in ("descriptors", "groups", "mounts", "processes"):
            self.assertEqual(before[key], after[key], key)
        self.assertLess(after["pss"], before["pss"] + 1024)
        self.assertEqual(len(running.events("once", "start")), BUDGET + 1)
        self.assertEqual(self.hole.read_bytes(), b"")
        uids = set(running.uids.values())
        self.assertEqual(running.stop(), 0)
        running.verify_audit()
        self.assertEqual((groups(), enclave.processes_of(uids)), ([], {}))

    def measure(self, running, steady):
        # What was killed last is reaped, and its descriptors are closed, by the next turns.
        time.sleep(0.5)
        uids = {running.uids[name] for name in steady}
        processes = enclave.processes_of(uids)
        self.assertFalse([p for p, status in processes.items() if enclave.is_zombie(status)])
        return {"descriptors": len(os.listdir(f"/proc/{running.pid}/fd")),
                "groups": len([g for g in groups() if not re.search("-once$|@[1-4]$", g)]),
                "mounts": mounts(),
                "processes": len(processes), "pss": pss(running.pid)}

    def kill_for(self, seconds, running):
        uids = set(running.uids.values())
        kills = 0
        clients = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.rng.random() < 0.3:
                clients.append(self.client())
            if len(clients) > 3:
                clients.pop(0).close()
            alive = [pid for pid, status in enclave.processes_of(uids).items()
                     if not enclave.is_zombie(status)]
            if alive:
                pid = self.rng.choice(alive)
                if status_of(pid):
                    self.confined(pid)
                    try:
                        os.kill(pid, signal.SIGKILL)
                        kills += 1
                    except ProcessLookupError:
                        pass
            time.sleep(0.05)
        for client in clients:
            client.close()
        return kills

    def client(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(1)
        try:
            client.connect("/run/edges/each/s")
            client.sendall(b"x")
        except OSError:
            pass
        return client

    def confined(self, pid):
        """Whoever runs the component's program is confined, all of it."""
        status = status_of(pid)
        try:
            exe = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return
        if not exe.startswith(str(self.program)) or not status or enclave.is_zombie(status):
            return
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16),
                          int(status["CapBnd"], 16)), ("2", "1", 0, 0), status)

    def test_supervisors_are_killed_at_random(self):
        kills = int(os.environ.get("BULKHEAD_TEST_KILLS", "40"))
        value = self.policy({"when": "never"})
        bundle = self.compile(self.write_policy(value))
        inspected = json.loads(enclave.run(enclave.BULKHEAD, "inspect", str(bundle), "--format", "json").stdout)
        self.uids = {c["uid"] for c in inspected["components"]}
        seen = 0
        ways = {"KILL": 0, "STOP": 0, "ABRT": 0}
        for _ in range(kills):
            way = self.rng.choice(list(ways))
            ways[way] += 1
            seen += self.kill_one(bundle, way)
        print(f"{kills} supervisors ({ways}), {seen} processes of components seen", end=" ",
              file=sys.stderr)
        self.assertGreater(seen, kills / 4)
        self.assertEqual(self.hole.read_bytes(), b"")
        enclave.remove_groups(NAME)
        # And it boots.
        running = enclave.Enclave(self, bundle, AUDIT)
        for name in value["components"]:
            running.wait_output(f"`{name}` ready")
        self.assertEqual(running.stop(), 0)
        self.assertEqual(groups(), [])

    def kill_one(self, bundle, way):
        """How many processes of components were there when it ended."""
        process = subprocess.Popen([enclave.BULKHEAD_INIT, str(bundle)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # Of boot, run, and the first of them.
            time.sleep(self.rng.uniform(0, 0.2))
            if way == "STOP":
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.05)
            alive = enclave.processes_of(self.uids)
            for pid in alive:
                self.confined(pid)
            process.send_signal(signal.SIGABRT if way == "ABRT" else signal.SIGKILL)
            process.wait(20)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        enclave.wait_until(lambda: not enclave.processes_of(self.uids), 10, "nothing outlives it")
        return len(alive)


if __name__ == "__main__":
    enclave.main()
