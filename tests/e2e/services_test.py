#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The five services of examples/agent-enclave, unmodified: requests, kills, and their price."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import enclave

EXAMPLE = enclave.SOURCE / "examples/agent-enclave"
NAMES = ["signer", "store", "tools", "agent", "gateway"]
MAIN = [name for name in NAMES if name != "tools"]  # tools is a compartment for each request
PROGRAMS = ["nginx", "redis-server", "gpg", "gpg-agent", "gpgconf", "ssh-keygen"]
AUDIT = "/var/log/bulkhead/audit.jsonl"
MEMORY_KB = 8192


class Services(enclave.Case):
    def setUp(self):
        super().setUp()
        self.root = self.directory / "root"
        self.port = enclave.free_port()
        for path in ("opt", "var/lib"):
            (self.root / path).mkdir(parents=True)
        bundle = self.example("uids.bundle")
        inspected = enclave.run(enclave.BULKHEAD, "inspect", str(bundle), "--format", "json")
        uids = {c["name"]: c["uid"] for c in json.loads(inspected.stdout)["components"]}
        owners = ["--signer-uid", str(uids["signer"]), "--store-uid", str(uids["store"])]
        setup = enclave.run(str(EXAMPLE / "setup"), *owners, str(self.root))
        self.assertEqual(setup.returncode, 0, setup.stderr)
        self.use_port(self.root / "opt/agent-enclave/gateway/nginx.conf")
        for path in ("opt", "var/lib"):
            subprocess.run(["mount", "--bind", self.root / path, f"/{path}"], check=True)
            self.addCleanup(subprocess.run, ["umount", f"/{path}"], check=True)
        pathlib.Path(AUDIT).unlink(missing_ok=True)
        self.bundle = self.example("agent.bundle")

    def example(self, bundle):
        keygrip = self.root / "keygrip"
        options = ["--target", "running", "--set", f"front={self.port}"]
        if keygrip.exists():
            options += ["--set", "keygrip=" + keygrip.read_text(encoding="utf-8").strip()]
        return self.compile(EXAMPLE / "enclave.yaml", bundle, *options)

    def use_port(self, configuration):
        """nginx takes over an inherited listener when its own configuration names the same port."""
        text = configuration.read_text(encoding="utf-8")
        changed = text.replace("listen 127.0.0.1:8443;", f"listen 127.0.0.1:{self.port};")
        self.assertNotEqual(text, changed)
        configuration.write_text(changed, encoding="utf-8")

    def boot_services(self, command=None):
        running = enclave.Enclave(self, self.bundle, AUDIT, command)
        for name in NAMES:
            running.wait_event(name, "ready", seconds=30)
        return running

    def drive(self, requests):
        """Sends requests; each answer and each signature is verified."""
        url = f"http://127.0.0.1:{self.port}"
        signers = str(self.root / "allowed_signers")
        result = enclave.run(
            str(EXAMPLE / "drive"), "--url", url, "--requests", str(requests),
            "--allowed-signers", signers,
        )
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return json.loads(result.stdout)

    def test_requests_are_served_and_signed(self):
        running = self.boot_services()
        answer = self.drive(50)
        self.assertEqual(answer["verified"], 50, answer)
        pss = enclave.run(str(EXAMPLE / "pss"), str(running.pid))
        self.assertGreater(int(pss.stdout), 0)
        self.assertLess(int(pss.stdout), MEMORY_KB)
        print(f"supervisor and reapers: {pss.stdout.strip()} kB", end=" ")
        self.assertEqual(running.stop(30), 0)
        running.verify_audit()

    def test_bulkhead_run_is_the_same_runtime(self):
        running = self.boot_services([enclave.BULKHEAD, "run", str(self.bundle)])
        program = os.readlink(f"/proc/{running.pid}/exe")
        self.assertEqual(program, os.path.realpath(enclave.BULKHEAD_INIT))
        self.assertEqual(self.drive(10)["verified"], 10)
        os.kill(running.pid, signal.SIGINT)
        self.assertEqual(running.wait(30), 0)
        running.verify_audit()

    def test_each_service_comes_back_after_kill_9(self):
        running = self.boot_services()
        self.drive(20)
        for name in MAIN:
            with self.subTest(killed=name):
                self.kill_and_serve(running, name)
        self.assertEqual(running.stop(30), 0)
        running.verify_audit()

    def kill_and_serve(self, running, name):
        before = {n: (running.main_pid(n), running.starttime(n)) for n in MAIN}
        starts = len(running.events(name, "start"))
        os.kill(before[name][0], signal.SIGKILL)
        running.wait_event(name, "ready", starts + 1, seconds=30)
        self.assertNotEqual(running.main_pid(name), before[name][0])
        self.assertEqual(self.drive(20)["verified"], 20)
        after = {n: (running.main_pid(n), running.starttime(n)) for n in MAIN}
        for other in MAIN:
            if other != name:
                self.assertEqual(after[other], before[other], other)

    def submit(self, code):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.addCleanup(connection.close)
        body = json.dumps({"id": f"e2e-{time.monotonic_ns()}", "code": code})
        connection.request("POST", "/run", body, {"Content-Type": "application/json"})
        return connection

    def answer(self, connection):
        response = connection.getresponse()
        body = json.loads(response.read())
        return response.status, body.get("result", {}).get("output")

    def test_a_request_leaves_nothing_to_the_next_one(self):
        running = self.boot_services()
        leave = "import os\nopen('/tmp/left', 'w').write('x')\nos.environ['LEFT'] = 'x'\n" \
                "import builtins\nbuiltins.left = 1\nprint('left')"
        look = "import os, builtins\nprint(os.listdir('/tmp'), os.environ.get('LEFT'), " \
               "hasattr(builtins, 'left'))"
        self.assertEqual(self.answer(self.submit(leave)), (200, "left\n"))
        self.assertEqual(self.answer(self.submit(look)), (200, "[] None False\n"))
        # Positive control: within one request it is there.
        both = leave.replace("print('left')", "") + look.split("\n")[1]
        self.assertEqual(self.answer(self.submit(both)), (200, "['left'] x True\n"))
        # One that is killed is its own request's loss.
        starts = len(running.events("tools", "start"))
        slow = self.submit("import time\ntime.sleep(30)")
        killed = running.wait_event("tools", "start", starts + 1)["pid"]
        beside = self.submit("import time\ntime.sleep(0.5)\nprint('beside')")
        os.kill(killed, signal.SIGKILL)
        self.assertEqual(self.answer(slow)[0], 502)
        self.assertEqual(self.answer(beside), (200, "beside\n"))
        self.assertEqual(running.stop(30), 0)
        running.verify_audit()


if __name__ == "__main__":
    absent = [name for name in PROGRAMS if not shutil.which(name, path="/usr/sbin:/usr/bin")]
    if absent:
        enclave.can_not("not installed: " + " ".join(absent))
    enclave.main()
