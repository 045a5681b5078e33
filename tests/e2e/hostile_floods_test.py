#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Components that are refused, write or open without end: their neighbours are answered all the same,
and what is hidden by a flood is said."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import enclave
import hostile_components as components
from enclave import python
from hostile_cases import ATTEMPTS, BURST, Case, END, MANY, RECORD_BYTES, boot_time, total


class Floods(Case):
    def test_refusals_without_end(self):
        value = {
            "flood": self.hostile("connect", 8, network={"tcp": {"connect": [{"port": 9}]}}),
            "brief": self.script(components.BRIEF),
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-flood", value), ready=["flood", "caller"])
        running.wait_output("`brief` exit", END)
        self.answers_go_on(running)
        self.wait_more(running, "flood | refused", MANY)
        self.assertEqual(running.stop(END), 0, running.output())
        # Looked at first: what is too large to be read is not.
        self.assertLess(running.audit.stat().st_size, 4 * BURST * RECORD_BYTES)
        running.verify_audit()
        events = running.events()
        records = self.within_budget(events, "flood")
        self.assertEqual({r["control"] for r in records}, {"landlock"})
        tried = self.last(running, "flood | total")
        nobodys = [e for e in events if e["kind"] == "violation" and e["component"] == ""]
        lost = [e for e in events if e["kind"] == "loss"]
        self.assertGreater(total(records), BURST)
        self.assertLessEqual(total(records), tried)
        self.assertGreaterEqual(total(records) + total(nobodys) + total(lost), tried)

    def test_a_flood_does_not_make_a_pause_longer(self):
        # The kernel makes who speaks to its audit wait while too many records do: up to a minute.
        value = {
            "flood": self.hostile("connect", 48, network={"tcp": {"connect": [{"port": 9}]}}),
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-pause", value))
        for _ in range(3):
            self.pause(running)
            time.sleep(0.75)
            os.kill(running.pid, signal.SIGCONT)
            self.answers_go_on(running)
        self.ends(running)

    def test_who_undoes_its_stop_is_killed(self):
        connect = {"tcp": {"connect": [{"port": 9}]}}
        value = {
            "stopped": self.hostile("connect", 8, network=connect),
            **{name: self.hostile(name, 8, network=connect, syscalls={"allow": ["@posix-timers"]})
               for name in ("unstopped", "headless")},
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-unstopped", value), ready=["stopped", "caller"])
        running.wait_output("`unstopped` exit", 20)
        running.wait_output("`headless` exit", 20)
        self.answers_go_on(running)
        events = self.ends(running)
        killed = {e["component"] for e in events if e["action"] == "hold" and
                  e["verdict"] == "failed"}
        self.assertEqual(killed, {"unstopped", "headless"})

    def test_whose_stop_comes_late_is_not_killed(self):
        # Its reaper, which sends the stop, stands still meanwhile: what runs on has not undone it.
        value = {
            "flood": self.hostile("connect", 8, network={"tcp": {"connect": [{"port": 9}]}}),
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-late-stop", value), ready=["flood", "caller"])
        running.wait_event("flood", "hold")
        reaper = self.reaper(running, "flood")
        for _ in range(12):
            os.kill(reaper, signal.SIGSTOP)
            time.sleep(0.6)
            os.kill(reaper, signal.SIGCONT)
            time.sleep(0.1)
        events = self.ends(running)
        self.assertEqual([e["verdict"] for e in events if e["action"] == "hold"], ["done"])

    def test_whose_reaper_is_kept_from_stopping_it_is_killed(self):
        value = {
            "flood": self.hostile("connect", 8, network={"tcp": {"connect": [{"port": 9}]}}),
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-no-stop", value), ready=["flood", "caller"])
        running.wait_event("flood", "hold")
        flood = running.main_pid("flood")
        reaper = self.reaper(running, "flood")

        def goes_on():
            # Between two stops: the next one never comes.
            if enclave.process_status(flood)["State"].startswith("T"):
                return False
            os.kill(reaper, signal.SIGSTOP)
            time.sleep(0.05)
            if not enclave.process_status(flood)["State"].startswith("T"):
                return True
            os.kill(reaper, signal.SIGCONT)
            return False

        enclave.wait_until(goes_on, 20, "a flood that is not stopped")
        running.wait_output("`flood` exit", 20)
        self.answers_go_on(running)
        events = self.ends(running)
        self.assertEqual([e["verdict"] for e in events if e["action"] == "hold"], ["done", "failed"])

    def test_callers_that_die_before_the_answer(self):
        # What they asked is thrown away with them, which costs the supervisor as much.
        value = {
            "flood": self.hostile("dying", 4, syscalls={"allow": ["@processes"]}),
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-dying", value), ready=["flood", "caller"])
        self.wait_more(running, "flood | refused", 2000)
        before, begun = running.cpu_time(), time.monotonic()
        self.answers_go_on(running)
        self.assertLess((running.cpu_time() - before) / (time.monotonic() - begun), 0.3)
        records = [e for e in self.ends(running) if e["component"] == "flood"]
        self.assertTrue(any(e["action"] == "chroot" for e in records))

    def test_output_without_end(self):
        # It waits at its pipe for most of each second, and keeps no processor busy.
        value = {
            "flood": self.hostile("output", 2),
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-output", value), ready=["flood", "caller"])
        self.answers_go_on(running)
        before, begun = running.cpu_time(), time.monotonic()
        size = len(running.output())
        time.sleep(3)
        rate = (len(running.output()) - size) / (time.monotonic() - begun)
        self.assertGreater(rate, 1 << 20)
        self.assertLess(rate, 8 << 20)
        self.assertLess((running.cpu_time() - before) / (time.monotonic() - begun), 0.15)
        self.ends(running)

    def test_runs_that_end_with_full_pipes(self):
        value = {
            "full": python(components.FULL, instances={"per": "connection", "at-most": 16}, network={
                "unix": {"listen": [{"path": "/run/edges/full/s", "name": "s", "from": ["caller"]}]}}),
            "caller": self.script(components.CALLER, network={"unix": {"connect": ["/run/edges/full/s"]}}),
        }
        running = self.boot(enclave.policy("e2e-full", value), ready=["full", "caller"])
        clients = [socket.socket(socket.AF_UNIX) for _ in range(16)]
        for client in clients:
            self.addCleanup(client.close)
            client.settimeout(END)
            client.connect("/run/edges/full/s")
        for client in clients:
            self.assertEqual(client.recv(1), b"r")
        for client in clients:
            client.send(b"g")
        for client in clients:
            self.assertEqual(client.recv(1), b"")
        self.answers_go_on(running)
        events = self.ends(running)
        lost = [e for e in events if e["kind"] == "loss" and e["component"] == "full"]
        self.assertTrue(any("bytes unread" in e["object"] for e in lost), lost)

    def test_tripwires_without_end(self):
        asset = self.asset()
        value = {
            "flood": self.hostile("open", 16, asset),
            "brief": self.script(components.BRIEF),
            "caller": self.script(components.CALLER),
        }
        policy = enclave.policy(
            "e2e-trip", value, assets={"keys": {"files": [asset]}},
            target=self.target(landlock=2, landlock_audit="false"),
        )
        running = self.boot(policy, ready=["flood", "caller"])
        running.wait_output("`brief` exit", END)
        self.answers_go_on(running)
        events = self.ends(running)
        tried = self.last(running, "flood | total")
        self.assertGreater(tried, MANY)
        records = self.within_budget(events, "flood")
        self.assertEqual({(r["control"], r["object"]) for r in records}, {("tripwire", asset)})
        self.assertEqual(total(records), tried)

    def test_what_a_flood_hides_is_said(self):
        running, asset, continued = self.stalled("e2e-stall")

        def is_accounted_for():
            return self.accounted_for(running.events(), asset, continued) >= ATTEMPTS

        enclave.wait_until(is_accounted_for, END, "records of the attempts, or of their loss")
        self.ends(running)
        self.assertGreater(self.last(running, "flood | total"), MANY)

    def test_what_a_flood_hides_is_said_by_an_enclave_that_ends_at_once(self):
        running, asset, continued = self.stalled("e2e-stall-end")
        self.assertGreaterEqual(self.accounted_for(self.ends(running), asset, continued), ATTEMPTS)

    def pause(self, running):
        """Stops the supervisor while it does not hold the flood. To let that go from here would look as
        if it undid its stop itself."""
        flood = running.main_pid("flood")

        def held():
            return enclave.process_status(flood)["State"].startswith("T")

        def stopped():
            if held():
                return False
            os.kill(running.pid, signal.SIGSTOP)
            time.sleep(0.02)  # a stop may be on its way
            if not held():
                return True
            os.kill(running.pid, signal.SIGCONT)
            return False

        enclave.wait_until(stopped, END, "a moment in which the flood is not held")

    def stalled(self, name):
        """An enclave whose supervisor stood still under a flood while a file was tried."""
        asset = self.asset()
        value = {
            "flood": self.hostile("connect", 8, network={"tcp": {"connect": [{"port": 9}]}}),
            "prowler": self.script(components.PROWLER, asset, ATTEMPTS),
        }
        policy = enclave.policy(name, value, assets={"keys": {"files": [asset]}})
        running = self.boot(policy)
        running.wait_output("prowler | waiting")
        self.wait_more(running, "flood | refused", 0)
        self.pause(running)
        try:
            time.sleep(1.5)
            os.kill(running.main_pid("prowler"), signal.SIGUSR1)
            time.sleep(1.5)
        finally:
            continued = boot_time()
            os.kill(running.pid, signal.SIGCONT)
        running.wait_output("prowler | tried until")
        self.assertLess(self.last(running, "prowler | tried until"), continued)
        self.assertNotIn("opened", running.output())
        return running, asset, continued

    def accounted_for(self, events, asset, since):
        """Attempts on record, and what the supervisor has since then said to be lost."""
        seen = total(e for e in events if e["component"] == "prowler" and e["object"] == asset)
        self.assertLessEqual(seen, ATTEMPTS)
        lost = [e for e in events if e["kind"] == "loss" and float(e["time"]) > since]
        # That is of times, and nobody knows of how many records.
        if any(e["action"] == "socket-full" for e in lost):
            return max(seen, ATTEMPTS)
        return seen + total(lost)

    def test_a_full_disk_is_said_and_counted(self):
        directory = pathlib.Path("/var/log/bulkhead/full")
        directory.mkdir()
        options = ["-t", "tmpfs", "-o", "size=1M,mode=0700", "tmpfs", str(directory)]
        subprocess.run(["mount", *options], check=True)
        self.addCleanup(subprocess.run, ["umount", str(directory)], check=True)
        filler = directory / "filler"
        filler.write_bytes(bytes(640 << 10))
        value = {"caller": self.hostile("call", BURST)}
        # Without the kernel's records: theirs are this machine's losses, too.
        policy = enclave.policy("e2e-full", value, target=self.target(landlock_audit="false"))
        policy["audit"]["sinks"] = [{"file": str(directory / "audit.jsonl")}]
        running = self.boot(policy)
        running.wait_output("takes no records (ENOSPC)")
        self.assertEqual([e for e in running.events() if e["kind"] == "loss"], [])
        self.wait_more(running, "caller | refused", BURST)
        filler.unlink()
        gap = running.wait_event("", "log-gap")
        running.wait_output("takes records again")
        self.wait_more(running, "caller | refused", self.last(running, "caller | refused") + 4)
        events = self.ends(running)
        self.assertEqual([e for e in events if e["kind"] == "loss"], [])
        self.assertEqual(gap["errno"], "ENOSPC")
        late = [e for e in events if "first" in e.get("extra", {}) and e["action"] != "log-gap"]
        gaps = [e for e in events if e["action"] == "log-gap"]
        self.assertEqual(total(late), sum(int(e["extra"]["missed"]) for e in gaps))
        self.assertGreater(total(late), 100)
        records = [e for e in events if e["kind"] == "violation"]
        self.assertTrue(any(e["seq"] > gap["seq"] for e in records))
        tried = self.last(running, "caller | total")
        self.assertEqual(total(records), tried)


if __name__ == "__main__":
    enclave.main()
