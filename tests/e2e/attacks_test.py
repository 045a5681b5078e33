#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`bulkhead probe`: all attacks from inside compartments, and what its answer is worth.

Every archetype comes to what docs/ATTACKS.md says. An opened way is found, whatever is reached is
seen from outside, and the components' own programs and files are left alone.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import enclave
from enclave import BULKHEAD

ATTACKS = os.environ["BULKHEAD_ATTACKS"]
TRUE = "/usr/bin/true"
MINIMUM = 90  # attacks that work on any kernel that this is for


def component(**keys):
    return {
        "profile": ["batch"],
        "exec": [TRUE],
        "files": {"execute": [TRUE, "@loader"], "read": ["@libraries"],
                  "private": [{"path": "/tmp", "size": "16M"}]},
        **keys,
    }


class Case(enclave.Case):
    def probe(self, value, *options, code=0):
        path = self.write_policy(value)
        result = enclave.run(BULKHEAD, "probe", "--format", "json", *options, path)
        self.assertEqual(result.returncode, code, result.stdout[-2000:] + result.stderr)
        self.assertFalse(pathlib.Path("/run/bulkhead-probe").exists())
        return json.loads(result.stdout)

    def succeeded(self, report):
        return {(c["name"], a["class"], a["attack"]) for c in report["components"]
                for a in c["attacks"] if a["outcome"] == "succeeded"}


class Probe(Case):
    def test_every_archetype_is_as_documented(self):
        script = enclave.SOURCE / "scripts/attacks"
        result = enclave.run(script, "--check", pathlib.Path(BULKHEAD).parent)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_what_a_policy_opens_is_found(self):
        value = enclave.policy("e2e-probe", {
            "closed": component(),
            "opened": component(syscalls={"allow": ["splice"]}),
        })
        report = self.probe(value, code=1)
        self.assertEqual(self.succeeded(report), {("opened", "kernel-entry", "splice")})
        self.assertFalse(report["held"])
        for part in report["components"]:
            works = [a for a in part["attacks"] if a["outcome"] != "unavailable"]
            self.assertGreaterEqual(len(works), MINIMUM)
            self.assertEqual({a["unconfined"] for a in works}, {"passed"})
        closed = self.probe(value, "--component", "closed")
        self.assertTrue(closed["held"])
        self.assertEqual([c["name"] for c in closed["components"]], ["closed"])

    def test_refusals_are_on_record(self):
        report = self.probe(enclave.policy("e2e-probe", {"one": component()}))
        attacks = {(a["class"], a["attack"]): a for a in report["components"][0]["attacks"]}
        for key, control, action in (
                (("kernel-entry", "bpf"), "seccomp", "bpf"),
                (("memory-wx-proc-mem", "proc-mem"), "landlock", "fs.write_file"),
                (("calls-io-uring", "ring"), "seccomp", "io_uring_setup")):
            record = attacks[key]["record"]
            self.assertEqual((record["control"], record["action"]), (control, action))
        # Nothing refuses what is not there.
        self.assertNotIn("record", attacks["files-handle", "open"])
        self.assertEqual(attacks["files-handle", "open"]["unrecorded"], "not in its view")
        # What the filter refuses is never without a record: the ways that have none are known.
        silent = {a["result"] for a in attacks.values()
                  if a["outcome"] == "refused" and "record" not in a}
        self.assertLessEqual(silent, {"ENOENT", "EBADF", "EROFS", "EXDEV", "EPERM", "EACCES",
                                      "ENODATA"})
        ownership = {key for key, a in attacks.items()
                     if "record" not in a and a["result"] in ("EPERM", "EACCES")}
        self.assertLessEqual(ownership, {
            ("signals-kill", "kill"), ("signals-tgkill", "tgkill"),
            ("memory-wx-remap", "file"), ("memory-wx-remap", "dev-shm"),
            ("memory-wx-remap", "written"), ("execute-loader", "execve"),
            ("execute-script", "execve"), ("execute-written", "added")})

    def test_the_programs_and_files_of_components_are_left_alone(self):
        state = self.directory / "state"
        state.mkdir()
        compiled = self.compile(self.write_policy(enclave.policy("e2e-probe", {
            "owner": component(files={"execute": [TRUE, "@loader"], "read": ["@libraries"],
                                      "state": [str(state)]})})))
        inspected = json.loads(enclave.run(BULKHEAD, "inspect", "--format", "json",
                                           compiled).stdout)
        uid = inspected["components"][0]["uid"]
        os.chown(state, uid, uid)
        kept = state / "kept"
        kept.write_text("kept", encoding="ascii")
        os.chown(kept, uid, uid)
        before = os.stat(kept), sorted(os.listdir(state))
        result = enclave.run(BULKHEAD, "probe", compiled)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        after = os.stat(kept), sorted(os.listdir(state))
        self.assertEqual(before[1], after[1])
        self.assertEqual(before[0].st_mtime_ns, after[0].st_mtime_ns)
        self.assertEqual(kept.read_text(encoding="ascii"), "kept")
        self.assertIn("owner", result.stdout)

    def test_what_cannot_be_probed_is_said(self):
        gone = component()
        gone["files"]["read"] = ["@libraries", str(self.directory / "gone")]
        result = enclave.run(BULKHEAD, "probe", self.write_policy(
            enclave.policy("e2e-probe", {"a": gone})))
        self.assertEqual(result.returncode, 3, result.stdout)
        self.assertIn("gone", result.stderr)
        result = enclave.run(BULKHEAD, "probe", "--component", "b", self.write_policy(
            enclave.policy("e2e-probe", {"a": component()})))
        self.assertEqual(result.returncode, 2, result.stdout)


class Killed(Case):
    """One boot an attack."""

    def test_a_component_that_is_killed_for_it_comes_back_for_the_next(self):
        report = self.probe(enclave.policy("e2e-probe", {
            "killed": component(**{"on-violation": "kill"}),
        }))
        part = report["components"][0]
        self.assertEqual(part["succeeded"], 0)
        ended = [a for a in part["attacks"] if a["result"] == "ended"]
        self.assertTrue(ended)
        self.assertEqual([a for a in ended if "record" not in a], [])


class Watchers(enclave.Case):
    """Positive control: whoever is not confined is seen from outside, by each of the watchers."""

    def reached(self, name, *attacks):
        """What is told to be reached when these are made with nothing around them."""
        directory = self.directory / name
        directory.mkdir()
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", ATTACKS,
             "outside", directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        words = []
        for line in process.stdout:
            if line == "\n":
                break
            words.append(line.rstrip("\n"))
        script = self.directory / "script"
        lines = [f"'{ATTACKS}' inside {' '.join(words)} attack {name}" for name in attacks]
        script.write_text("\n".join(lines + ["sleep 1"]), encoding="utf-8")
        out, _ = process.communicate(f"/bin/sh\n{script}\n", timeout=60)
        reached = directory / "reached"
        return out, set(reached.read_text("utf-8").split("\n")) if reached.exists() else set()

    def test_each_of_them_sees(self):
        out, reached = self.reached("signals", "signals-sigio/setown")
        self.assertIn("a signal", reached, out)
        out, reached = self.reached("sockets", "unix-abstract/connect", "unix-abstract/send",
                                    "files-unix-connect/connect", "tcp-fastopen/connect",
                                    "tcp-udp/udp")
        for what in ("a connection to the TCP port", "a datagram to the UDP port",
                     "a connection to the abstract socket", "a message to the abstract socket",
                     "a connection to the socket"):
            self.assertIn(what, reached, out)

    def test_nobody_is_seen_where_nobody_was(self):
        self.assertEqual(self.reached("nobody")[1], set())


class Vsock(enclave.Case):
    """No vsock address is bound or connected but in a guest of ours, and that by one file."""

    def test_addresses_are_made_in_one_place(self):
        names = re.compile(r"sockaddr_vm|svm_cid|svm_port|VMADDR_CID|socket\.AF_VSOCK|vm_sockets")
        places = set()
        for source in enclave.SOURCE.rglob("*"):
            relative = source.relative_to(enclave.SOURCE)
            if relative.parts[0] in (".git", "build") or source.suffix not in (".cc", ".h", ".py"):
                continue
            if names.search(source.read_text(encoding="utf-8")):
                places.add(str(relative))
        # The product's own: audit sinks of a bundle, listeners that a policy states, of which
        # enclave.py boots none outside, and the sign of life of a machine's PID 1.
        self.assertEqual(places, {"engine/audit_stream.cc", "engine/heartbeat.cc",
                                  "engine/vsock_socket.cc",
                                  "tests/attacks/vsock.cc", "tests/attacks/vsock.h",
                                  "tests/e2e/attacks_test.py",
                                  # In a guest, to its own loopback.
                                  "tests/e2e/broker.cc", "tests/e2e/broker_flips_test.py"})

    def test_this_machine_is_no_guest(self):
        result = enclave.run("strace", "-f", "-e", "trace=bind,connect,listen", ATTACKS, "vsock") \
            if shutil.which("strace") else enclave.run(ATTACKS, "vsock")
        if os.environ.get("BULKHEAD_GUEST"):
            self.assertIn("a guest of ours: listen passed, connect passed", result.stdout)
            return
        self.assertIn("no guest of ours: listen EPERM, connect EPERM", result.stdout)
        self.assertNotRegex(result.stderr, r"(?m)^(bind|connect|listen)\(")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    enclave.main()
