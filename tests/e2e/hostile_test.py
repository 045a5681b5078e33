#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one component does must neither stop the supervisor, nor hide what another one does.

Components here attack the runtime by what their profile lets them do: refusals without end, sockets
that take long to close, forged names. Beside each is one that asks the supervisor for something.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

import enclave
import hostile_components as components
from enclave import python

HOSTILE = os.environ["BULKHEAD_HOSTILE"]
ONCE = {"when": "never"}

# docs/AUDIT.md, Budget: records of one component at once, and a second.
BURST = 1024
REFILL = 16
# A record here is shorter.
RECORD_BYTES = 1024

# The longest that anybody waits for an answer, and for an enclave that is told to end, in seconds.
PROMPT = 2
END = 10

# So many refusals are a flood.
MANY = 10000
# On the file that should not be tried at all.
ATTEMPTS = 20


def boot_time():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def total(events):
    return sum(event["count"] for event in events)


class Case(enclave.Case):
    def hostile(self, *arguments, **keys):
        """A component that is the program hostile.cc."""
        program = self.directory / "hostile"
        shutil.copy(HOSTILE, program)
        program.chmod(0o755)
        return {
            "profile": ["stateful-service"],
            "exec": [str(program), *map(str, arguments)],
            "files": {"execute": [str(program)]},
            "restart": ONCE,
            **keys,
        }

    def script(self, code, *arguments, **keys):
        component = python(code, restart=ONCE, **keys)
        component["exec"] += map(str, arguments)
        return component

    def target(self, **features):
        """This kernel as a target, but with these features."""
        text = enclave.run(enclave.BULKHEAD, "doctor").stdout
        for name, value in features.items():
            name = name.replace("_", "-")
            text, found = re.subn(rf"(?m)^  {name}: +\S+$", f"  {name}: {value}", text)
            self.assertEqual(found, 1, name)
        path = self.directory / "target.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def asset(self):
        path = self.directory / "asset"
        path.write_text("secret", encoding="utf-8")
        path.chmod(0o644)
        return str(path)

    def reaper(self, running, component):
        return int(enclave.process_status(running.main_pid(component))["PPid"])

    def numbers(self, running, text):
        """What stands behind this text in the output, in order."""
        found = re.findall(rf"(?m)^{re.escape(text)} ([0-9.e-]+)$", running.output())
        return [float(number) for number in found]

    def last(self, running, text):
        return (self.numbers(running, text) or [0])[-1]

    def wait_more(self, running, text, least):
        """Until the last number behind this text is more than the least."""
        enclave.wait_until(lambda: self.last(running, text) > least, 20, f"{text} {least}")

    def answers_go_on(self, running, count=8):
        """The caller's refused calls are answered, all of them promptly."""
        text = "caller | answered after"
        wanted = len(self.numbers(running, text)) + count
        enclave.wait_until(lambda: len(self.numbers(running, text)) >= wanted, END, text)
        self.assertLess(max(self.numbers(running, text)), PROMPT)

    def ends(self, running):
        """It ends by SIGTERM in time, and its log holds together; its events."""
        self.assertEqual(running.stop(END), 0, running.output())
        running.verify_audit()
        return running.events()

    def within_budget(self, events, component):
        """A bound on what one component may write."""
        seconds = float(events[-1]["time"]) - float(events[0]["time"])
        records = [e for e in events if e["component"] == component and e["kind"] == "violation"]
        several = [e for e in records if e["object"] == "(several)"]
        self.assertLessEqual(len(records) - len(several), BURST + REFILL * (seconds + 1))
        self.assertLessEqual(len(several), 2 * (seconds + 1))
        return records


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
        return seen + total(e for e in events if e["kind"] == "loss" and float(e["time"]) > since)

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


class Readiness(Case):
    def test_a_descriptor_that_lingers_costs_its_sender_alone(self):
        port = enclave.free_port()
        listen = {"tcp": {"listen": [{"port": port, "name": "front"}]}}
        linger = {"setsockopt": {"level": ["SOL_SOCKET"], "optname": ["SO_LINGER"]}}
        value = {
            "holder": self.script(components.LINGERING, ready="notify", network=listen,
                                  stop={"within": "2s"}, syscalls={"allow": [linger]}),
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-linger", value), ready=["caller"])
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", port))
            running.wait_event("holder", "ready")
            self.hand_over(running)
            # The close has happened, and what was sent is not delivered.
            enclave.wait_until(lambda: self.is_half_closed(port), 5, "a connection that is closed")
            self.answers_go_on(running)
            self.assertTrue(self.is_half_closed(port))
            self.ends(running)

    def hand_over(self, running):
        """Its readers stand still meanwhile, so that theirs is the last descriptor."""
        holder = running.main_pid("holder")
        readers = [self.reaper(running, "holder"), running.pid]
        for reader in readers:
            os.kill(reader, signal.SIGSTOP)
        try:
            os.kill(holder, signal.SIGUSR1)
            time.sleep(0.5)
        finally:
            continued = boot_time()
            for reader in readers:
                os.kill(reader, signal.SIGCONT)
        running.wait_output("holder | gone at")
        self.assertLess(self.last(running, "holder | gone at"), continued)

    def is_half_closed(self, port):
        """Whether a connection from this port is in FIN-WAIT-1 (4)."""
        lines = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        rows = [line.split() for line in lines]
        return any(row[1].endswith(f":{port:04X}") and row[3] == "04" for row in rows)

    def test_descriptors_do_not_spoil_a_message(self):
        value = {
            "ready": self.script(components.WITH_DESCRIPTORS, ready="notify"),
            "plain": self.script(components.WITHOUT_DESCRIPTORS, ready="notify"),
            "never": self.script(components.NEVER_READY, ready="notify"),
        }
        running = self.boot(enclave.policy("e2e-descriptors", value), ready=["ready", "plain"])
        running.wait_output("never | sent")
        time.sleep(0.5)
        self.assertEqual(running.events("never", "ready"), [])
        # Who read them keeps none.
        held = [len(os.listdir(f"/proc/{self.reaper(running, name)}/fd")) for name in value]
        self.assertEqual(held, [held[1]] * 3)
        self.ends(running)

    def test_messages_without_end(self):
        value = {
            "talkative": self.script(components.TALKATIVE, ready="notify"),
            "caller": self.script(components.CALLER),
        }
        running = self.boot(enclave.policy("e2e-talk", value))
        text = "talkative | sent in"
        enclave.wait_until(lambda: len(self.numbers(running, text)) == 100, 20, text)
        self.answers_go_on(running, 2)
        self.assertGreaterEqual(self.last(running, "talkative | delivered"), 10)
        self.assertLess(max(self.numbers(running, text)), PROMPT)
        self.ends(running)
        self.assertEqual(len(running.events("talkative", "ready")), 1)
        self.assertEqual(len(running.events("talkative", "start")), 1)

    def test_a_forged_name_is_no_listener(self):
        paths = {n: f"/run/edges/e2e-{n}/s" for n in ("own", "tail", "line", "honest")}

        def listener(code, name, *arguments, **keys):
            network = {
                "tcp": {"connect": [{"port": 9}]},
                "unix": {"listen": [{"path": paths[name], "by": "component"}]},
            }
            return self.script(code, paths[name], *arguments, network=network, ready="listening",
                               **keys)

        late = {"after": ["forger"], "start-within": "3s"}
        value = {
            "forger": listener(components.FORGER, "own", paths["tail"], paths["line"]),
            "tail": listener(components.SLEEP, "tail", **late),
            "line": listener(components.SLEEP, "line", **late),
            "honest": listener(components.LISTENER, "honest", **late),
        }
        # Who listens by itself could do so on a TCP socket, too, without a port.
        waivers = [{"component": name, "statement": "network.tcp.bind", "reason": "a test",
                    "until": "2099-01-01"} for name in value]
        policy = enclave.policy("e2e-forged", value, waivers=waivers)
        running = self.boot(policy, ready=["forger", "honest"])
        # The forged names are where the supervisor looks.
        for name in ("tail", "line"):
            table = pathlib.Path(f"/proc/{running.main_pid(name)}/net/unix").read_bytes()
            found = [s for s in table.split(b"\n") if s.endswith(b" " + paths[name].encode())]
            self.assertEqual(len(found), 1, name)
            self.assertIn(b" 00010000 ", found[0])
        for name in ("tail", "line"):
            running.wait_event(name, "start-timeout")
            self.assertEqual(running.events(name, "ready"), [], name)
        self.ends(running)


class Listeners(Case):
    def test_a_unix_listener_that_was_shut_down_comes_back(self):
        path = "/run/edges/e2e-shut/s.sock"
        listen = {"path": path, "name": "s", "from": ["client"]}
        value = {
            "server": python(components.SERVER, network={"unix": {"listen": [listen]}}),
            "client": self.script(components.CLIENT, path, after=["server"],
                                  network={"unix": {"connect": [path]}}),
        }
        running = self.boot(enclave.policy("e2e-shut", value))
        running.wait_output("client | first: served 1")
        running.wait_output("client | then: served 2")
        self.assertEqual(len(running.events("server", "start")), 2)
        self.ends(running)

    def test_a_tcp_listener_that_was_shut_down_comes_back(self):
        port = enclave.free_port()
        network = {"tcp": {"listen": [{"port": port, "name": "front"}]}}
        value = {"server": python(components.SERVER, network=network)}
        running = self.boot(enclave.policy("e2e-shut-tcp", value))
        self.assertEqual(self.ask(port, b"1"), b"served 1")
        self.assertNotIn(b"served", self.ask(port, b"shut"))
        enclave.wait_until(lambda: self.ask(port, b"2") == b"served 2", END, "an answer")
        self.assertEqual(len(running.events("server", "start")), 2)
        self.ends(running)

    def test_options_of_a_listener_end_with_the_run(self):
        for option, value in ((socket.SO_RCVTIMEO, "00" * 8 + "01" + "00" * 7),
                              (socket.SO_RCVLOWAT, "00000040")):
            with self.subTest(option=option):
                port = enclave.free_port()
                network = {"tcp": {"listen": [{"port": port, "name": "front"}]}}
                server = python(components.SPOILER, network=network)
                server["exec"] += [str(option), value]
                running = self.boot(enclave.policy(f"e2e-options-{option}", {"server": server}))
                self.assertEqual(self.ask(port, b"1"), b"served 1")
                self.assertNotIn(b"served", self.ask(port, b"spoil"))
                running.wait_output("server | set: True")
                running.wait_event("server", "ready", 2)
                # Long enough for one that can't wait to have ended again.
                time.sleep(1)
                self.assertEqual(self.ask(port, b"2"), b"served 2")
                self.assertEqual(len(running.events("server", "start")), 2)
                self.ends(running)

    def test_a_listener_that_was_passed_on_ends_with_its_run(self):
        """Else another component would go on answering in the server's name."""
        path, own = "/run/edges/e2e-passed/s", "/run/edges/e2e-heir/s"
        clients = ["heir", "asker"]
        for by, listen in (("supervisor", {"path": path, "name": "s", "from": clients}),
                           ("component", {"path": path, "by": "component", "from": clients})):
            with self.subTest(by=by):
                server = python(components.PASSER, umask="0007",
                                network={"unix": {"listen": [listen]}},
                                restart={"when": "on-failure", "at-most": 3, "within": "1h"})
                if by == "component":
                    server["exec"].append(path)
                    server["ready"] = "listening"
                heir = {"connect": [path], "listen": [{"path": own, "name": "own", "from": ["asker"]}]}
                value = {
                    "server": server,
                    "heir": self.script(components.HEIR, path, after=["server"],
                                        network={"unix": heir}),
                    "asker": self.script(components.ASKER, path, after=["server"],
                                         network={"unix": {"connect": [path, own]}}),
                }
                running = self.boot(enclave.policy(f"e2e-passed-{by}", value))
                # The control: while the server runs its heir does answer.
                running.wait_output("asker | who heir")
                running.wait_event("server", "exit")
                running.wait_event("server", "ready", 2)
                said = len(running.output())
                enclave.wait_until(lambda: running.output()[said:].count("asker | who server") > 10,
                                   END, "answers of the server's next run")
                self.assertNotIn("heir\n", running.output()[said:].replace("`heir`", ""))
                refused = "ConnectionRefusedError" if by == "supervisor" else "FileNotFoundError"
                self.assertIn(refused, running.output())
                if by == "supervisor":
                    running.wait_output("heir | over [Errno 22]")
                self.ends(running)

    def test_a_directory_full_of_sockets_keeps_nobody_from_starting(self):
        directory = "/run/edges/e2e-full"
        listen = {"path": directory + "/s", "by": "component", "from": ["client"]}
        server = python(components.FILLER, network={"unix": {"listen": [listen]}},
                        restart={"when": "on-failure", "at-most": 2, "within": "1h"})
        server["exec"].append(directory)
        value = {"server": server, "client": self.script(
            components.SLEEP, network={"unix": {"connect": [listen["path"]]}})}
        running = self.boot(enclave.policy("e2e-full", value), ready=["client"])
        running.wait_event("server", "give-up")
        self.assertEqual(running.output().count("server | found 0 made 6000"), 3, running.output())
        # More than are removed at once: what is left is nobody's to connect to.
        self.assertEqual(os.stat(directory).st_mode & 0o777, 0)
        self.ends(running)

    def ask(self, port, word):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(word)
                return connection.recv(16)
        except OSError:
            return b""


class Refusals(Case):
    def test_own_memory_is_not_written_through_proc(self):
        weak = self.target(landlock=0, landlock_audit="false")
        for target, error in (("running", "EACCES"), (weak, "EROFS")):
            with self.subTest(target=target):
                value = {"self": self.script(components.MEMORY)}
                running = self.boot(enclave.policy("e2e-memory", value, target=target), ready=[])
                self.assertEqual(running.wait(END), 0, running.output())
                said = [line for line in running.output().splitlines() if "self | " in line]
                wanted = [f"mem {error}"] * 3 + ["status True"]
                self.assertEqual(said, [f"self | {line}" for line in wanted])


if __name__ == "__main__":
    enclave.main()
