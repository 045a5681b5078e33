#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one component does must not stop the supervisor, nor reach what is another one's.

Components here attack the runtime by what their profile lets them do: sockets that take long
to close, forged names. Beside each is one that asks the supervisor for something.
"""

import os
import pathlib
import signal
import socket
import time

import enclave
import hostile_components as components
from enclave import python
from hostile_cases import Case, END, PROMPT, boot_time


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
    def test_of_an_asset_it_has_what_is_granted(self):
        asset = self.directory / "keys"
        (asset / "in").mkdir(parents=True)
        for name in ("own", "in/own", "other", "in/other"):
            (asset / name).write_text("secret", encoding="ascii")
            (asset / name).chmod(0o644)
        weak = self.target(landlock=2, landlock_audit="false")
        for target, control in (("running", "landlock"), (weak, "tripwire")):
            with self.subTest(control):
                value = {"reader": self.script(components.ASSET, str(asset), files={
                    "read": [str(asset / "own"), str(asset / "in/own")]})}
                running = self.boot(enclave.policy(
                    "e2e-asset-" + control, value, target=target,
                    assets={"keys": {"files": [str(asset)]}}), ready=[])
                self.assertEqual(running.wait(END), 0, running.output())
                said = [line for line in running.output().splitlines() if "reader | " in line]
                refused = "EACCES" if control == "landlock" else "EPERM"
                self.assertEqual([line.removeprefix("reader | ") for line in said], [
                    "own secret", "in/own secret", "other ENOENT", "in/other ENOENT",
                    "new EACCES", f"list {refused}"])
                records = [e for e in running.events("reader") if e["control"] == control]
                self.assertIn(str(asset), [e["object"] for e in records])

    def test_a_link_is_no_way_to_what_is_kept_from_it(self):
        kept = self.directory / "kept"
        kept.mkdir()
        (kept / "file").write_text("secret", encoding="ascii")
        (kept / "free").mkdir()
        link = self.directory / "link"
        paths = {"asset": kept, "file": kept / "file", "sys": "/sys", "proc": "/proc", "dev": "/dev/pts"}
        for name, to in {**paths, "free": kept / "free"}.items():
            with self.subTest(name):
                link.unlink(missing_ok=True)
                link.symlink_to(to)
                bundle = self.compile(self.write_policy(enclave.policy(
                    "e2e-link-" + name,
                    {"reader": self.script("print('up')", files={"read": [str(link)]}),
                     "owner": self.script("print('up')", files={"read": [str(kept / "file")]})},
                    assets={"keys": {"files": [str(kept / "file")]}})))
                if name == "free":
                    # Positive control.
                    self.assertEqual(enclave.run(enclave.BULKHEAD_INIT, str(bundle)).returncode, 0)
                else:
                    said = self.refuses_to_boot(bundle)
                    self.assertRegex(said, rf"`{link}`: is `{to}`, which meets `[^`]+`, not its own")

    def test_an_asset_has_one_name(self):
        data = self.directory / "data"
        data.mkdir()
        (data / "key").write_text("secret", encoding="ascii")
        link = self.directory / "link"
        link.symlink_to(data)
        dangling = self.directory / "dangling"
        dangling.symlink_to(link / "none")
        for name, asset in (("link", link / "key"), ("dangling", dangling), ("data", data / "key")):
            value = {"reader": self.script("print('up')")}
            bundle = self.compile(self.write_policy(enclave.policy(
                "e2e-name-" + name, value, assets={"keys": {"files": [str(asset)]}})))
            if name == "data":
                self.assertEqual(enclave.run(enclave.BULKHEAD_INIT, str(bundle)).returncode, 0)
            else:
                real = data / ("key" if name == "link" else "none")
                self.assertIn(f"is reached over a symbolic link: name it `{real}`",
                              self.refuses_to_boot(bundle))

    def test_grants_beneath_assets_that_lie_near(self):
        # In the order of their names another asset comes between one and what is granted of it.
        for other in ("a.v2", "a/b"):
            with self.subTest(other):
                root = self.directory / other.replace("/", "-")
                for name in ("a/c", other):
                    (root / name).mkdir(parents=True, exist_ok=True)
                (root / "a/c/f").write_text("mine", encoding="ascii")
                (root / "a/c/f").chmod(0o644)
                for landlock in ({}, {"landlock": 2, "landlock_audit": "false"}):
                    value = {"reader": self.script("import sys; print(open(sys.argv[1]).read())", str(root / "a/c/f"),
                                                   files={"read": [str(root / "a/c/f")]})}
                    running = self.boot(enclave.policy(
                        "e2e-near", value, target=self.target(**landlock) if landlock else "running",
                        assets={"one": {"files": [str(root / "a")]}, "two": {"files": [str(root / other)]}}), ready=[])
                    self.assertEqual(running.wait(END), 0, running.output())
                    self.assertIn("reader | mine", running.output())

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
