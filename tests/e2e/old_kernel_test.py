#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Enclaves on a kernel without listeners, Landlock, pidfd, close_range and proc's subset=pid.

The kernel is this machine's, seen through e2e-old-kernel. The target is that of Nitro Enclaves' own
kernel, 4.14, on no platform.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import unittest

import enclave
from enclave import python

OLD_KERNEL = os.environ["BULKHEAD_OLD_KERNEL"]
INSIDE = os.environ["BULKHEAD_INSIDE"]
LEAKED = 900  # a descriptor that bulkhead-init is started with

SERVER = """
import os, socket, signal
os.write(1, b'listens\\n')
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    with connection:
        request = connection.recv(64)
        connection.sendall(b'answer to ' + request)
"""

CLIENT = """
import os, socket, time
def ask(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect('/run/edges/ask/ask.sock')
        connection.sendall(text.encode())
        return connection.recv(64).decode()
print(ask('one'))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
for number in range(1000):
    time.sleep(0.2)
    try:
        print(ask(f'number {number}'))
    except OSError as error:
        print('not answered', error.errno)
"""

# The shell is allowed to execute others, so memory programs are refused to it by the compiler.
SHELL = """
/usr/bin/true && echo ran
cat < /usr/bin/true > /tmp/copy; chmod 700 /tmp/copy; /tmp/copy; echo copy $?
"""

# Before Linux 4.14's answers, the same questions with this kernel's: that they differ shows that
# e2e-old-kernel does what it says.
FEATURES = {
    "landlock": 0,
    "seccomp-notify": 0,
    "seccomp-trace": 1,
    "pidfd": 0,
    "close-range": 0,
    "mount-namespace": 1,
}

EXPECTED = {
    "descriptors": "0,1,2",
    "uid": "own",
    "pid": "2",
    "socketpair": "ok",
    "internet": "EPERM",
    "vsock": "EPERM",
    "ptrace": "EPERM",
    "unshare": "EPERM",
    "clone3": "ENOSYS",
    "own-program": "ok",
    "own-program-write": "EACCES",
    "shadow": "ENOENT",
    "root-write": "EROFS",
    "private-write": "ok",
    "covered": "many",
    "own-status": "ok",
    "other-process": "ENOENT",
    "sysctl": "ENOENT",
    "own-memory": "EROFS",
    "copies": "ok",
    "map-program": "ok",
    "map-copy": "EPERM",
    "map-copy-data": "ok",
    "exec-program": "ENOSYS",
    "exec-copy": "ENOSYS",
    "exec-memory": "ENOSYS",
    "exec-itself": "ENOSYS",
    "exec-forked": "ENOSYS",
    "execveat-program": "EPERM",
    "execveat-memory": "EPERM",
    "ready-file": "ok",
}

INSIDE_CALLS = ["@service", "@processes", "@executable-memory", "memfd_create", "chmod"]


def old(*command):
    return [OLD_KERNEL, *command]


def inside(*arguments, path=None, **keys):
    return {
        "profile": ["stateful-service"],
        "exec": [path or "/opt/inside/inside", *arguments],
        "files": {
            "execute": ["/opt/inside/inside"],
            "private": [{"path": "/tmp", "size": "8M"}],
            "runtime": ["/run/inside"],
        },
        "syscalls": {"allow": INSIDE_CALLS},
        **keys,
    }


class OldKernel(enclave.Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        # The component's program is at a fixed place of this test's own.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/opt"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/opt"], check=True)
        os.mkdir("/opt/inside")
        shutil.copy(INSIDE, "/opt/inside/inside")
        text = (enclave.SOURCE / "profiles/targets/nitro-stock.yaml").read_text(encoding="utf-8")
        if os.uname().machine == "aarch64":
            text = (enclave.SOURCE / "profiles/targets/nitro-stock-aarch64.yaml").read_text(
                encoding="utf-8"
            )
        text = re.sub(r"(?m)^target: .*$", "target: old", text)
        text = re.sub(r"(?m)^platform: .*$", "platform: none", text)
        (self.directory / "old.yaml").write_text(text, encoding="utf-8")

    def policy(self, name, components, **keys):
        return enclave.policy(name, components, **{"target": "old.yaml", **keys})

    def boot_old(self, value, ready=None):
        bundle = self.compile(self.write_policy(value))
        running = enclave.Enclave(
            self,
            bundle,
            value["audit"]["sinks"][0]["file"],
            command=old(enclave.BULKHEAD_INIT, str(bundle)),
        )
        for name in value["components"] if ready is None else ready:
            running.wait_event(name, "ready")
        return running

    def lines_of(self, running, component):
        start = component + " | "
        return [
            line.removeprefix(start)
            for line in running.output().splitlines()
            if line.startswith(start)
        ]

    def answers_of(self, running, component):
        return dict(line.split(" ", 1) for line in self.lines_of(running, component))


class Kernel(OldKernel):
    def features(self, *command):
        result = enclave.run(*command, "doctor", "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)["target"]["features"]

    def test_doctor_finds_what_is_left_of_this_kernel(self):
        before = self.features(enclave.BULKHEAD)
        after = self.features(*old(enclave.BULKHEAD))
        for name, level in FEATURES.items():
            with self.subTest(feature=name):
                self.assertEqual(after[name], level)
                self.assertNotEqual(before[name], 0)

    def test_a_bundle_that_wants_a_listener_does_not_boot(self):
        job = python("print('ran')", ready={"exit": 0}, restart={"when": "never"})
        source = self.write_policy(enclave.policy("e2e-old-wants", {"job": job}))
        bundle = self.compile(source)
        self.assertEqual(enclave.run(enclave.BULKHEAD_INIT, str(bundle)).returncode, 0)
        result = enclave.run(*old(enclave.BULKHEAD_INIT, str(bundle)))
        self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
        for what in ("seccomp user notification", "pidfd_open", "close_range", "Landlock ABI"):
            self.assertIn(what, result.stderr)
        self.assertNotIn("ran", result.stdout)
        # The same policy for the old kernel boots there, and on this one, which has all it needs.
        bundle = self.compile(source, "old.bundle", "--target", str(self.directory / "old.yaml"))
        for way in (old(enclave.BULKHEAD_INIT, str(bundle)), [enclave.BULKHEAD_INIT, str(bundle)]):
            result = enclave.run(*way)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("ran", result.stdout)

    def test_a_policy_for_the_running_kernel_is_compiled_as_it_is(self):
        source = self.write_policy(
            enclave.policy("e2e-old-here", {"inside": inside(ready={"exit": 0})})
        )
        bundle = self.directory / "here.bundle"
        result = enclave.run(*old(enclave.BULKHEAD, "compile", str(source), "-o", str(bundle)))
        self.assertEqual(result.returncode, 0, result.stderr)
        inspected = enclave.run(enclave.BULKHEAD, "inspect", str(bundle), "--format", "json")
        self.assertFalse(json.loads(inspected.stdout)["components"][0]["filter"]["notifies"])


class Components(OldKernel):
    def test_what_a_component_may_and_may_not(self):
        digest = hashlib.sha384(pathlib.Path(INSIDE).read_bytes()).hexdigest()
        pinned = {"path": "/opt/inside/inside", "sha384": digest}
        value = self.policy(
            "e2e-old-inside",
            {
                "plain": inside(ready={"file": "/run/inside/ready"}),
                "pinned": inside(path=pinned, ready={"file": "/run/inside/ready"}),
            },
        )
        descriptor = os.open("/dev/null", os.O_RDONLY)
        os.dup2(descriptor, LEAKED)  # inheritable
        os.close(descriptor)
        self.addCleanup(os.close, LEAKED)
        bundle = self.compile(self.write_policy(value))
        running = enclave.Enclave(
            self, bundle, value["audit"]["sinks"][0]["file"], pass_fds=(LEAKED,),
            command=old(enclave.BULKHEAD_INIT, str(bundle)),
        )
        self.assertIn(str(LEAKED), os.listdir(f"/proc/{running.pid}/fd"))
        for name in value["components"]:
            running.wait_event(name, "ready")
        self.assertEqual(self.answers_of(running, "plain"), EXPECTED)
        # The launch of a pinned program is execveat, so that is what was let pass once.
        self.assertEqual(
            self.answers_of(running, "pinned"),
            EXPECTED
            | {f"exec-{what}": "EPERM" for what in ("program", "copy", "memory", "itself", "forked")}
            | {f"execveat-{what}": "ENOSYS" for what in ("program", "memory")},
        )
        for name in value["components"]:
            status = enclave.process_status(running.main_pid(name))
            self.assertEqual(status["TracerPid"].strip(), "0")
            self.assertEqual(int(status["CapBnd"], 16), 0)
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            reaper = enclave.process_status(status["PPid"].strip())
            self.assertEqual(reaper["Seccomp"].strip(), "2")
            self.assertEqual(int(reaper["CapEff"], 16), 1 << 5)  # CAP_KILL
            descriptors = os.listdir(f"/proc/{status['PPid'].strip()}/fd")
            self.assertEqual(descriptors, ["0"])
        own = {os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "pid", "ipc", "uts", "net")}
        pid = running.main_pid("plain")
        others = {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "pid", "ipc", "uts", "net")}
        self.assertFalse(own & others)
        self.assertEqual(running.stop(), 0)

    def test_programs_that_the_policy_lists_are_executed(self):
        job = {
            "profile": ["batch"],
            "exec": ["/usr/bin/dash", "-c", SHELL],
            "files": {
                "execute": ["/usr/bin/dash", "/usr/bin/true", "/usr/bin/cat", "/usr/bin/chmod", "@loader"],
                "read": ["@libraries"],
            },
            "syscalls": {"allow": ["@batch", "@processes", "chmod", "fchmodat"]},
        }
        bundle = self.compile(self.write_policy(self.policy("e2e-old-shell", {"job": job})))
        result = enclave.run(*old(enclave.BULKHEAD_INIT, str(bundle)))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("job | ran\n", result.stdout)
        self.assertIn("job | copy 126\n", result.stdout)  # found, and not to be executed

    def test_a_violation_kills_where_the_policy_says_so(self):
        for action, status in (("kill", "killed by SIGSYS"), ("refuse", "exit status 0")):
            with self.subTest(action=action):
                job = inside("violate", ready="started", restart={"when": "never"})
                job["on-violation"] = action
                name = "e2e-old-" + action
                bundle = self.compile(self.write_policy(self.policy(name, {"job": job})))
                result = enclave.run(*old(enclave.BULKHEAD_INIT, str(bundle)))
                self.assertIn("job | violates\n", result.stdout)
                self.assertEqual("job | goes on\n" in result.stdout, action == "refuse")
                self.assertIn(f"`job` exit: {status}", result.stdout + result.stderr)

    def test_a_program_that_can_not_be_executed_stops_the_boot(self):
        shutil.copy("/etc/hostname", "/opt/inside/inside")
        os.chmod("/opt/inside/inside", 0o755)
        value = self.policy("e2e-old-none", {"inside": inside(ready={"exit": 0})})
        bundle = self.compile(self.write_policy(value))
        result = enclave.run(*old(enclave.BULKHEAD_INIT, str(bundle)))
        self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
        self.assertIn("cannot execute the program (`/opt/inside/inside`)", result.stderr)


class Services(OldKernel):
    def services(self, name):
        path = "/run/edges/ask/ask.sock"
        return self.policy(
            name,
            {
                "server": python(
                    SERVER,
                    network={"unix": {"listen": [{"path": path, "name": "ask", "from": ["client"]}]}},
                    restart={"when": "always", "at-most": 5, "within": "60s"},
                ),
                "client": python(
                    CLIENT,
                    network={"unix": {"connect": [path]}},
                    after=["server"],
                    ready="notify",
                ),
            },
        )

    def test_they_serve_come_back_and_stop_in_order(self):
        running = self.boot_old(self.services("e2e-old-services"))
        running.wait_output("client | answer to one")
        before = running.main_pid("server")
        os.kill(before, signal.SIGKILL)
        running.wait_event("server", "ready", count=2)
        answered = len([line for line in self.lines_of(running, "client") if "answer to" in line])
        enclave.wait_until(
            lambda: len([line for line in self.lines_of(running, "client") if "answer to" in line])
            > answered + 2,
            20,
            "answers after the restart",
        )
        self.assertNotEqual(running.main_pid("server"), before)
        self.assertEqual(running.events("client", "exit"), [])
        self.assertEqual(running.stop(), 0)
        ends = [event["component"] for event in running.events(action="exit")]
        self.assertEqual(ends, ["server", "client", "server"])
        self.assertEqual(enclave.processes_of(set(running.uids.values())), {})
        running.verify_audit()

    def test_the_log_says_what_stands_in_for_what_the_kernel_lacks(self):
        def told(running):
            return [(e["component"], e["rule"], e["action"]) for e in running.events() if e["kind"] == "ledger"]

        running = self.boot_old(self.services("e2e-old-ledger"))
        rows = [row for row in running.inspected["ledger"] if row["status"] != "enforced"]
        self.assertEqual(told(running), [(r["component"], r["statement"], r["status"]) for r in rows])
        events = [event for event in running.events() if event["kind"] == "ledger"]
        for event, row in zip(events, rows):
            self.assertIn(row["controls"][0]["text"][:200], event["object"])
            self.assertEqual(event["extra"]["note"][:100], row["note"][:100])
        # Of each kind of statement that a newer kernel has another control for.
        old_rules = {rule for _, rule, status in told(running) if status == "substituted"}
        self.assertEqual({rule for rule in old_rules if rule.startswith("components.client.")},
                         {f"components.client.{part}"
                          for part in ("files", "files.execute", "files.read", "syscalls", "user")})
        # Before any component has started.
        start = min(e["seq"] for e in running.events(action="start"))
        self.assertLess(max(event["seq"] for event in events), start)
        self.assertEqual(running.stop(), 0)
        running.verify_audit()
        # The same on the kernel that this one is has less to say.
        here = self.services("e2e-old-ledger-here")
        here["target"] = "running"
        new = self.boot(here)
        new_rules = {rule for _, rule, _ in told(new)}
        self.assertNotIn("components.client.files.execute", new_rules)
        self.assertNotIn("components.client.syscalls", new_rules)
        self.assertEqual(new.stop(), 0)

    def test_a_killed_supervisor_leaves_nobody(self):
        running = self.boot_old(self.services("e2e-old-killed"))
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        uids = set(running.uids.values())
        enclave.wait_until(lambda: not enclave.processes_of(uids), 10, "all processes gone")
        enclave.remove_groups("e2e-old-killed")


if __name__ == "__main__":
    enclave.main()
