# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a place of their own, policies, and a running enclave.

Every test program runs in a mount namespace of its own with an empty /run and /var/log, so that the
fixed paths of a supervisor are not this machine's. `Enclave` compiles a policy with `bulkhead`,
boots it with `bulkhead-init`, and ends it; a supervisor that was started is always ended.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BULKHEAD = os.environ["BULKHEAD"]
BULKHEAD_INIT = os.environ["BULKHEAD_INIT"]
SOURCE = pathlib.Path(__file__).resolve().parents[2]

INSIDE = "BULKHEAD_E2E_INSIDE"
SKIPPED = 77


def can_not(reason):
    """Ends the program as skipped, or as failed where a skip is none."""
    required = os.environ.get("BULKHEAD_REQUIRE_KERNEL") == "1"
    print(f"{'failed' if required else 'skipped'}: {reason}", file=sys.stderr)
    sys.exit(1 if required else SKIPPED)


def main():
    """Runs the calling test program, first moving it into a mount namespace of its own."""
    if os.geteuid() != 0:
        can_not("needs root")
    if os.environ.get(INSIDE) != "1":
        os.environ[INSIDE] = "1"
        command = ["unshare", "--mount", "--propagation", "private"]
        if run(*command, "true").returncode != 0:
            can_not("needs a mount namespace")
        os.execvp("unshare", command + [sys.executable] + sys.argv)
    doctor = subprocess.run([BULKHEAD, "doctor"], capture_output=True, text=True, check=False)
    if doctor.returncode != 0:
        can_not("this kernel can't confine: " + doctor.stderr)
    for path in ("/run", "/var/log"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path], check=True)
    os.mkdir("/var/log/bulkhead", 0o700)
    unittest.main(verbosity=2)


def in_guest():
    """Whether this is a guest of scripts/guest, as tests/attacks/vsock.cc judges it."""
    vendor = pathlib.Path("/sys/class/dmi/id/sys_vendor")
    command_line = pathlib.Path("/proc/cmdline").read_text(encoding="ascii").split()
    return vendor.exists() and vendor.read_text() == "QEMU\n" and "bulkhead.guest" in command_line


def run(*command, **options):
    """Runs a program to its end; output and errors are kept as text."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_until(condition, seconds, what, every=0.02):
    """The condition's first true value, looked at so often (seconds); fails when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)


def python(code, **keys):
    """A component that runs Python code as an unmodified interpreter does."""
    return {
        "profile": ["stateful-service", "python"],
        "exec": ["/usr/bin/python3", "-I", "-u", "-c", code],
        **keys,
    }


def policy(name, components, **keys):
    """A policy as a value; written as JSON, which is YAML."""
    return {
        "bulkhead": 1,
        "enclave": name,
        "target": "running",
        "audit": {"sinks": [{"file": f"/var/log/bulkhead/{name}.jsonl"}]},
        "measure": {"policy": "none"},
        "components": components,
        **keys,
    }


def process_status(pid):
    """The fields of /proc/PID/status, or none when there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def processes_of(uids):
    """Pid and status of all processes, zombies too, whose real uid is one of these."""
    found = {}
    for name in os.listdir("/proc"):
        status = process_status(name) if name.isdigit() else None
        if status and int(status["Uid"].split()[0]) in uids:
            found[int(name)] = status
    return found


def detail(event):
    return event["extra"]["detail"]


def is_zombie(status):
    return status["State"].startswith("Z")


def remove_groups(name):
    """The empty cgroups that a killed supervisor could not remove."""
    for directory in pathlib.Path("/sys/fs/cgroup").glob(f"**/bulkhead-{name}-*"):
        directory.rmdir()


class Case(unittest.TestCase):
    """A test case with a directory of its own, removed at the end."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-e2e."))
        self.addCleanup(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)

    def write_policy(self, value, file="policy.yaml"):
        path = self.directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=1), encoding="utf-8")
        return path

    def compile(self, source, bundle="policy.bundle", *options, **more):
        path = self.directory / bundle
        result = run(BULKHEAD, "compile", str(source), "-o", str(path), *options, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return path

    def boot(self, value, *, ready=None, **options):
        """Compiles and boots; returns when every component named by `ready` is (default: all)."""
        if any("vsock" in component.get("network", {}) for component in value["components"].values()):
            assert in_guest(), "the other side of a real vsock is somebody else's"
        bundle = self.compile(self.write_policy(value))
        enclave = Enclave(self, bundle, value["audit"]["sinks"][0]["file"], **options)
        for name in value["components"] if ready is None else ready:
            enclave.wait_event(name, "ready")
        return enclave

    def refuses_to_boot(self, bundle):
        """bulkhead-init refuses with exit 3 and says why; returns what it says."""
        result = run(BULKHEAD_INIT, str(bundle))
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertRegex(result.stderr, r"^bulkhead-init: \S")
        return result.stderr


class Enclave:
    """A running bulkhead-init, its output and its audit log."""

    def __init__(self, case, bundle, audit, command=None, **options):
        self.case = case
        self.audit = pathlib.Path(audit)
        self.output_file = case.directory / "output"
        with open(self.output_file, "wb") as output:
            self.process = subprocess.Popen(
                command or [BULKHEAD_INIT, str(bundle)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **options,
            )
        self.pid = self.process.pid
        case.addCleanup(self.end)
        inspected = run(BULKHEAD, "inspect", str(bundle), "--format", "json")
        case.assertEqual(inspected.returncode, 0, inspected.stderr)
        self.inspected = json.loads(inspected.stdout)
        self.uids = {c["name"]: c["uid"] for c in self.inspected["components"]}

    def end(self):
        """Ends the supervisor whatever the test did: its death takes the components along."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def output(self):
        return self.output_file.read_text(encoding="utf-8", errors="replace")

    def wait_output(self, text, seconds=20):
        wait_until(lambda: text in self.output(), seconds, f"`{text}` in the output")

    def events(self, component=None, action=None):
        """The whole events so far; the last line may still be being written."""
        if not self.audit.exists():
            return []
        lines = self.audit.read_text(encoding="utf-8").split("\n")[:-1]
        events = [json.loads(line) for line in lines]
        return [
            event
            for event in events
            if (component is None or event["component"] == component)
            and (action is None or event["action"] == action)
        ]

    def wait_event(self, component, action, count=1, seconds=20):
        """The event of this kind that is the `count`th, counted from 1."""

        def enough():
            if self.process.poll() is not None and len(self.events(component, action)) < count:
                raise AssertionError("the supervisor has ended:\n" + self.output())
            return self.events(component, action)[count - 1 :]

        return wait_until(enough, seconds, f"{component} {action} {count}")[0]

    def main_pid(self, component):
        """The component's own process, as the last start is on record."""
        return self.events(component, "start")[-1]["pid"]

    def processes(self, component):
        return processes_of({self.uids[component]})

    def starttime(self, component):
        """Tells the main process from another one with the same pid."""
        stat = pathlib.Path(f"/proc/{self.main_pid(component)}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[19]

    def wait(self, seconds=20):
        return self.process.wait(seconds)

    def cpu_time(self):
        """Of the supervisor, in seconds."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        user, system = fields.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self, seconds=20):
        """Ends it in order; its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(seconds)

    def verify_audit(self):
        result = run(BULKHEAD, "audit", "verify", str(self.audit))
        self.case.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout
