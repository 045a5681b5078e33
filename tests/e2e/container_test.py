#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""In a container: with namespaces of its own, of which some may be the machine's."""

import os
import sys

import enclave
from enclave import BULKHEAD, BULKHEAD_INIT, python

TALKER = "import os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(1000)\n"


def container(*namespaces):
    return ["unshare", "--propagation", "private", "--mount", "--uts", "--ipc",
            *[f"--{name}" for name in namespaces]]


class Container(enclave.Case):
    def bundle(self, name, *inside):
        """Compiled where it is to run, as `running` is what is found there."""
        value = enclave.policy(name, {"talker": python(TALKER)})
        path = self.directory / "container.bundle"
        compiled = enclave.run(*inside, BULKHEAD, "compile", str(self.write_policy(value)), "-o", path)
        self.assertEqual(compiled.returncode, 0, compiled.stderr)
        return path, value["audit"]["sinks"][0]["file"]

    def serves(self, name, command, bundle, audit):
        running = enclave.Enclave(self, bundle, audit, command + [BULKHEAD_INIT, str(bundle)])
        running.wait_event("talker", "ready")
        # PID 2 of the namespace that each run has.
        running.wait_output("talker | pid 2")
        status = enclave.run(BULKHEAD, "status", "--enclave", name)
        return running, status

    def test_in_the_machines_pid_namespace(self):
        """As of --pid=host and --network=host: under another init, and it takes no machine over."""
        command = container("cgroup")
        running, status = self.serves("e2e-container", command, *self.bundle("e2e-container"))
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertNotEqual(running.pid, 1)
        self.assertEqual(os.readlink(f"/proc/{running.pid}/ns/pid"), os.readlink("/proc/self/ns/pid"))
        self.assertNotEqual(os.readlink(f"/proc/{running.pid}/ns/mnt"), os.readlink("/proc/self/ns/mnt"))
        self.assertEqual(running.stop(), 0, running.output())
        self.assertEqual(enclave.processes_of(set(running.uids.values())), {})
        running.verify_audit()

    def test_what_it_shares_must_be_what_its_records_need(self):
        bundle, _ = self.bundle("e2e-container-net")
        target = enclave.run(BULKHEAD, "inspect", str(bundle), "--format", "json").stdout
        if '"landlock-audit": 1' not in target:
            self.assertNotEqual(os.environ.get("BULKHEAD_REQUIRE_KERNEL"), "1", "no Landlock records")
            self.skipTest("no records of Landlock here, for which it needs them")
        for namespaces, said in (("net",), "the initial network namespace"), \
                                (("pid", "fork", "mount-proc"), "the initial PID namespace"):
            result = enclave.run(*container(*namespaces), BULKHEAD_INIT, str(bundle))
            self.assertEqual(result.returncode, 3, result.stderr)
            self.assertIn(f"missing: {said}", result.stderr)

    def test_as_process_1_of_a_namespace_of_its_own(self):
        """It is no machine's init there, and its target has no records of Landlock."""
        command = container("pid", "fork", "kill-child", "mount-proc")
        bundle, audit = self.bundle("e2e-container-pid", *command)
        running, status = self.serves("e2e-container-pid", command, bundle, audit)
        # Who asks from outside is in another namespace.
        self.assertNotEqual(status.returncode, 0, status.stdout)
        [child] = [int(pid) for pid, found in enclave.processes_of({0}).items()
                   if found["PPid"] == str(running.pid)]
        os.kill(child, 15)
        self.assertEqual(running.wait(), 0, running.output())
        running.verify_audit()


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    enclave.main()
