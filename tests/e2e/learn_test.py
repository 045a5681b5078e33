#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Programs are observed under a workload; the policy that is learnt is enforced under the same one:
the answers are the same bytes, and the attack suite gets nowhere inside.

Quick: two programs of Debian. All: also servers for which this project has hand-written policies,
with which the learnt ones are compared, and more for which it has none. Observe: what `on-violation: observe` lets pass and what it doesn't.
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

import enclave

USER = 1507
# What a learnt policy neither grants nor tells (docs/LEARNING.md): a thread's name is written by
# /proc, and C libraries ask of /dev/urandom whether it is a terminal.
UNTOLD = {("fs.write_file", "proc"), ("fs.ioctl_dev", "dev")}
ANSWERS = ("Date", "Last-Modified", "ETag")  # headers that say when


class Learning(enclave.Case):
    def setUp(self):
        super().setUp()
        if not os.path.ismount("/srv"):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/srv"], check=True)
        self.addCleanup(self.empty, pathlib.Path("/srv"))
        self.port = enclave.free_port()

    @staticmethod
    def empty(directory):
        for item in directory.iterdir():
            shutil.rmtree(item) if item.is_dir() else item.unlink()

    def own(self, path):
        """A directory of the component's user."""
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        for item in [path, *pathlib.Path(path).rglob("*")]:
            os.chown(item, USER, USER)
        return path

    # --- the two halves ---------------------------------------------------------------------------

    def learn(self, name, command, work, *options):
        """Observes until `work` is done with it (a program without work ends by itself)."""
        learnt = self.directory / f"{name}.yaml"
        words = [enclave.BULKHEAD, "learn", "-o", str(learnt), "--name", name, "--user", str(USER),
                 "--init", enclave.BULKHEAD_INIT, *options, "--", *command]
        with open(self.directory / f"{name}.learn", "wb") as output:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=output)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        try:
            answers = work() if work else None
        except AssertionError as failed:
            said = (self.directory / f"{name}.learn").read_text(encoding="utf-8", errors="replace")
            raise AssertionError(f"{failed}\n{said}") from failed
        finally:
            if work:
                process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        text = (self.directory / f"{name}.learn").read_text(encoding="utf-8", errors="replace")
        self.assertEqual(code, 0, text)
        return learnt, answers

    def enforce(self, name, learnt, work):
        """The same under what was learnt; every refusal would be on record."""
        checked = enclave.run(enclave.BULKHEAD, "check", str(learnt))
        self.assertEqual(checked.returncode, 0, checked.stderr + learnt.read_text())
        bundle = self.compile(learnt, f"{name}.bundle")
        running = enclave.Enclave(self, bundle, f"/var/log/bulkhead/{name}.jsonl")
        try:
            answers = work() if work else None
        except AssertionError as failed:
            refused = [e for e in running.events(name) if e["kind"] == "violation"]
            raise AssertionError(f"{failed}\n{running.output()}\n{refused}") from failed
        if work:
            self.assertEqual(running.stop(), 0, running.output())
        else:
            self.assertEqual(running.wait(60), 0, running.output())
        refused = [e for e in running.events(name) if e["kind"] == "violation"]
        return answers, refused

    def probe(self, name, learnt):
        """The suite under the learnt policy. Where that is too narrow for any program but its own,
        under one that is wider: it allows the calls of a service, and
        processes, besides."""
        result = enclave.run(enclave.BULKHEAD, "probe", "--format", "json", str(learnt))
        if "no attack could be made" in result.stderr:
            text = learnt.read_text(encoding="utf-8")
            wider = self.directory / f"{name}-wider.yaml"
            wider.write_text(text.replace("      allow:\n", '      allow:\n        - "@service"\n        - "@processes"\n'))
            print(f"{name}: the suite itself can't run; with @service, @processes:", file=sys.stderr)
            result = enclave.run(enclave.BULKHEAD, "probe", "--format", "json", str(wider))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        report = json.loads(result.stdout)
        (component,) = report["components"]
        # Positive control: what is refused here works without confinement.
        self.assertGreater(component["refused"], 100)
        self.assertEqual(component["succeeded"], 0)
        self.assertTrue(report["held"])
        return component

    def compare(self, name, learnt, command, component, waivers=()):
        """What `bulkhead diff` tells of the learnt policy and one that a person wrote for the same;
        kept for docs/LEARNT.md (scripts/learnt)."""
        waiver = {"component": name, "reason": "as it is bound by itself", "until": "2099-12-31"}
        written = self.write_policy(
            {"bulkhead": 1, "enclave": name, "target": "running",
             "audit": {"sinks": [{"file": f"/var/log/bulkhead/{name}.jsonl"}]},
             **({"waivers": [{**waiver, "statement": of} for of in waivers]} if waivers else {}),
             "components": {name: {"exec": command, "user": USER, **component}}},
            f"{name}-by-hand.yaml")
        result = enclave.run(enclave.BULKHEAD, "diff", str(written), str(learnt))
        self.assertEqual((result.returncode in (0, 1), result.stderr), (True, ""))
        keep = os.environ.get("BULKHEAD_LEARNT")
        if keep:
            text = written.read_text(encoding="utf-8")
            pathlib.Path(keep, f"{name}.json").write_text(json.dumps(
                {"name": name, "hand": json.loads(text)["components"][name], "diff": result.stdout,
                 "learnt": learnt.read_text(encoding="utf-8")}), encoding="utf-8")
        return result.stdout

    def both(self, name, command, work, *options, probe=True, reset=None, hand=None, waivers=()):
        learnt, before = self.learn(name, command, work, *options)
        if hand:
            self.compare(name, learnt, command, hand, waivers)
        text = learnt.read_text(encoding="utf-8")
        print(f"\n--- {name}\n{text}", file=sys.stderr, end="")
        if reset:
            reset()
        after, refused = self.enforce(name, learnt, work)
        self.assertEqual(before, after)
        # What is refused now was not granted, and the policy says so.
        notes = text.partition("# Observed, not granted:")[2]
        for event in refused:
            if (event["action"], (event["object"] + "/").split("/")[1]) in UNTOLD:
                continue
            self.assertRegex(notes, rf"\b{re.escape(event['action'])}\b", event)
        if probe:
            attacks = self.probe(name, learnt)
            print(f"{name}: {attacks['refused']} attacks refused", file=sys.stderr)
        return text

    # --- workloads --------------------------------------------------------------------------------

    def connect(self):
        def opened():
            try:
                return socket.create_connection(("127.0.0.1", self.port), 5)
            except ConnectionRefusedError:
                return None

        return enclave.wait_until(opened, 30, "a listener")

    def http(self, *paths):
        def work():
            self.connect().close()
            answers = []
            for path in paths:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                connection.request("GET", path)
                response = connection.getresponse()
                headers = sorted(h for h in response.getheaders() if h[0] not in ANSWERS)
                answers.append((response.status, headers, response.read()))
                connection.close()
            return answers

        return work

    def lines(self, *requests, end=b"\r\n"):
        """Sends each line and reads until the server has nothing more to say."""

        def work():
            with self.connect() as stream:
                answers = []
                for request in requests:
                    stream.sendall(request + end)
                    time.sleep(0.1)
                    answers.append(stream.recv(65536))
                return answers

        return work

    def web(self):
        root = pathlib.Path("/srv/web")
        (root / "more").mkdir(parents=True)
        for number in range(3):
            (root / f"page{number}.html").write_text(f"<p>{number}</p>" * 100)
        (root / "more/deep.txt").write_text("deep\n" * 10000)
        return root


class Quick(Learning):
    def test_a_batch_program_on_its_files(self):
        self.own("/srv/table")
        script = "create table if not exists t(x); insert into t values (7); " \
                 "select count(*) > 0, max(x) from t;"
        text = self.both("sqlite", ["/usr/bin/sqlite3", "/srv/table/data", script], None)
        self.assertIn('state:\n        - "/srv/table"', text)
        self.assertNotIn("network:", text)

    def test_a_program_begins_in_its_working_directory(self):
        pathlib.Path("/srv/here").mkdir()
        pathlib.Path("/srv/here/file").write_text("here\n")
        learnt, _ = self.learn("cat", ["/usr/bin/cat", "file"], None, "--directory", "/srv/here/")
        self.assertIn('directory: "/srv/here"', learnt.read_text(encoding="utf-8"))
        said = enclave.run(enclave.BULKHEAD, "run", str(learnt))
        self.assertIn("cat | here", said.stdout + said.stderr)
        # Of which nothing was used it has nothing.
        learnt, _ = self.learn("true", ["/usr/bin/true"], None, "--directory", "/srv/here")
        text = learnt.read_text(encoding="utf-8")
        self.assertNotIn("directory:", text)
        self.assertIn("the working directory `/srv/here`: nothing in it was used", text)
        self.assertEqual(enclave.run(enclave.BULKHEAD, "run", str(learnt)).returncode, 0)
        for wrong in ("srv", "/srv/none", "/srv/../srv"):
            refused = enclave.run(enclave.BULKHEAD, "learn", "-o", str(learnt), "--directory", wrong,
                                  "--", "/usr/bin/true")
            self.assertEqual(refused.returncode, 2, refused.stderr)
            self.assertIn("is no directory to begin in", refused.stderr)

    def script(self, *lines):
        path = pathlib.Path("/srv/script")
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        return ["/bin/sh", str(path)]

    def test_what_was_not_made_or_removed_gives_nothing(self):
        """And what was, beside it: a directory that is there, a name of nothing, a link to nothing."""
        self.own("/srv/site/cache/tmp")
        self.own("/srv/links")
        os.symlink("nowhere", "/srv/links/dangling")
        os.chown("/srv/links/dangling", USER, USER, follow_symlinks=False)
        for item in ("/srv/site", "/srv/site/cache"):
            os.chown(item, USER, USER)
        learnt, _ = self.learn("make", self.script(
            "mkdir /srv/site /srv/site/cache /srv/site/cache/tmp", "rm -f /srv/site/nothing",
            "rm /srv/links/dangling", "echo x >/srv/site/cache/tmp/file"), None)
        text = learnt.read_text(encoding="utf-8")
        state = text.split("state:")[1].split(":")[0]
        self.assertIn('"/srv/site/cache/tmp"', state)
        self.assertIn('"/srv/links"', state)
        self.assertNotIn('"/srv/site"', text)
        self.assertNotIn('"/srv/site/cache"', text)

    def test_what_the_program_moves_meanwhile(self):
        """Its own directories become rings of links, or lead to what was written by hand."""
        hand = self.directory / "hand"
        hand.mkdir()
        (hand / "p.yaml").write_text("# by hand\n")
        for place in ("/srv/own/ring", "/srv/own/out"):
            self.own(place)
        os.chown("/srv/own", USER, USER)
        pathlib.Path("/srv/own/ring/file").write_text("x")
        command = self.script("cat /srv/own/ring/file", "mv /srv/own/ring /srv/own/old",
                              "ln -s ring /srv/own/ring", "mv /srv/own/out /srv/own/old-out",
                              f"ln -s {hand} /srv/own/out")
        words = [enclave.BULKHEAD, "learn", "-o", "/srv/own/out/p.yaml", "--name", "moves",
                 "--user", str(USER), "--init", enclave.BULKHEAD_INIT, "--", *command]
        said = enclave.run(*words)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual((hand / "p.yaml").read_text(), "# by hand\n")
        self.assertIn("/srv/own", pathlib.Path("/srv/own/old-out/p.yaml").read_text())

    def test_arguments_are_as_they_were_given(self):
        learnt = self.directory / "learnt.yaml"
        words = [enclave.BULKHEAD, "learn", "-o", str(learnt), "--name", "words", "--"]
        said = enclave.run(*words, "/usr/bin/printf", "%s|\n", "a\nb ${c} \"d\" \\e")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("words | a\nwords | b ${c} \"d\" ", said.stdout + said.stderr)
        refused = enclave.run(*words, "/usr/bin/printf", "a\tb")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("argument 1 has the control character U+0009", refused.stderr)
        for program, why in (("/usr/bin/none", "No such file or directory"),
                             ("/etc/passwd", "Permission denied"),
                             ("/usr/bin", "it is no file")):
            missing = enclave.run(*words, program)
            self.assertEqual(missing.returncode, 3, missing.stderr)
            self.assertIn(f"can't execute `{program}`: {why}", missing.stderr)
            self.assertNotIn("observing", missing.stderr)

    def test_a_server_without_a_policy_of_ours(self):
        self.web()
        command = ["/usr/bin/busybox", "httpd", "-f", "-p", f"127.0.0.1:{self.port}", "-h",
                   "/srv/web"]
        text = self.both("busybox", command, self.http("/page0.html", "/more/deep.txt", "/none"))
        self.assertIn(f"- {self.port}  #", text)
        # What was not asked for in the run is not granted.
        self.assertNotIn("page1.html", text)


class All(Learning):
    def need(self, *programs):
        missing = [p for p in programs if not shutil.which(p, path="/usr/sbin:/usr/bin")]
        if missing:
            self.assertNotEqual(os.environ.get("BULKHEAD_REQUIRE_KERNEL"), "1", missing)
            self.skipTest("not installed: " + " ".join(missing))

    def test_python(self):
        self.web()
        command = ["/usr/bin/python3", "-I", "-m", "http.server", str(self.port), "--bind",
                   "127.0.0.1", "--directory", "/srv/web"]
        self.both("python", command, self.http("/", "/page0.html", "/more/deep.txt", "/none"),
                  hand={"profile": ["stateful-service", "python"], "files": {"read": ["/srv/web"]},
                        "network": {"tcp": {"bind": [self.port]}}}, waivers=["network.tcp.bind"])

    def test_redis(self):
        self.need("redis-server")
        self.own("/srv/store")
        command = ["/usr/bin/redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
                   "--dir", "/srv/store", "--save", "3600", "1"]
        work = self.lines(b"SET a 1", b"GET a", b"INCR a", b"LPUSH l x y z", b"LRANGE l 0 -1",
                          b"SAVE", b"FLUSHALL")
        self.both("redis", command, work, reset=lambda: self.empty(pathlib.Path("/srv/store")),
                  hand={"profile": ["stateful-service", "redis"], "files": {"state": ["/srv/store"]},
                        "network": {"tcp": {"bind": [self.port]}}}, waivers=["network.tcp.bind"])

    def test_nginx(self):
        self.need("nginx")
        self.web()
        self.own("/srv/nginx/tmp")
        temporary = "".join(f"{kind}_temp_path /srv/nginx/tmp/{kind};"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        pathlib.Path("/srv/nginx/nginx.conf").write_text(
            "daemon off; worker_processes 2; pid /srv/nginx/tmp/pid; error_log stderr;"
            "events { worker_connections 64; }"
            f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{self.port};"
            "root /srv/web; } }")
        command = ["/usr/sbin/nginx", "-e", "stderr", "-c", "/srv/nginx/nginx.conf"]
        self.both("nginx", command, self.http("/page0.html", "/more/deep.txt", "/none"),
                  hand={"profile": ["gateway", "nginx"],
                        "files": {"read": ["/srv/nginx/nginx.conf", "/srv/web"],
                                  "state": ["/srv/nginx/tmp"]},
                        "syscalls": {"allow": ["@master-worker"]},
                        "network": {"tcp": {"bind": [self.port]}}}, waivers=["network.tcp.bind"])

    def test_gpg_agent(self):
        self.need("gpg-agent", "gpg", "ssh-keygen")
        root = pathlib.Path("/srv/keys")
        setup = enclave.run(str(enclave.SOURCE / "examples/agent-enclave/setup"),
                            "--signer-uid", str(USER), str(root))
        self.assertEqual(setup.returncode, 0, setup.stderr)
        state = root / "var/lib/signer"
        public = self.directory / "key.pub"
        public.write_text(" ".join((root / "allowed_signers").read_text().split()[2:]) + "\n")
        path = "/run/edges/sign/ssh.sock"

        def sign():
            def signed():  # the socket is there before its server is
                result = subprocess.run(
                    ["ssh-keygen", "-Y", "sign", "-f", str(public), "-n", "agent-enclave"],
                    input=b"message", capture_output=True, timeout=30, check=False,
                    env={**os.environ, "SSH_AUTH_SOCK": path})
                return result.stdout if result.returncode == 0 else None

            return enclave.wait_until(signed, 30, "a signature")

        command = ["/usr/bin/gpg-agent", "--supervised", "--enable-ssh-support",
                   "--disable-scdaemon"]
        self.both("signer", command, sign, "--env", f"GNUPGHOME={state}",
                  "--listen", f"ssh=unix:{path}",
                  "--listen", "std=unix:/run/edges/sign/std.sock",
                  hand={"profile": ["stateful-service", "gpg-agent"],
                        "env": {"GNUPGHOME": str(state)}, "files": {"state": [str(state)]},
                        "syscalls": {"allow": ["@file-modes", "@file-watch", "@memory-lock"]},
                        "network": {"unix": {"listen": [
                            {"path": path, "name": "ssh"},
                            {"path": "/run/edges/sign/std.sock", "name": "std"}]}}})

    def test_memcached(self):
        self.need("memcached")
        command = ["/usr/bin/memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0"]
        work = self.lines(b"set a 0 0 2\r\nhi", b"get a", b"incr a 1", b"delete a", b"get a")
        self.both("memcached", command, work)

    def test_what_needs_a_person(self):
        """socat makes a pair of datagram sockets, by which any unix socket could be spoken to."""
        self.need("socat")
        pathlib.Path("/srv/text").write_text("from a file\n")
        command = ["/usr/bin/socat", f"TCP-LISTEN:{self.port},bind=127.0.0.1,reuseaddr,fork",
                   "OPEN:/srv/text,rdonly"]

        def work():
            with self.connect() as stream:
                return stream.recv(100)

        learnt, answer = self.learn("socat", command, work)
        self.assertEqual(answer, b"from a file\n")
        granted, _, noted = learnt.read_text(encoding="utf-8").partition("# Observed, not granted:")
        self.assertNotIn("socketpair", granted)
        self.assertIn("system call socketpair(domain=AF_UNIX, type=SOCK_DGRAM)", noted)


class Observe(Learning):
    """`on-violation: observe` in a policy."""

    CODE = """
import ctypes, os, socket, time
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(number, *arguments)
    return ctypes.get_errno()
print("flock", call(73, 0, 8), flush=True)
print("chroot", call(161, b"/"), flush=True)
print("unshare", call(272, 0x10000000), flush=True)
print("vsock", call(41, 40, 1, 0), flush=True)
print("netlink", call(41, 16, 3, 0), flush=True)
print("raw", call(41, 2, 3, 1), flush=True)
print("sync", call(162), flush=True)
print("outside", os.path.exists("/etc/hostname"), flush=True)
print("port", socket.socket().connect_ex(("127.0.0.1", 10)), flush=True)
time.sleep(1)  # the record comes after the refusal, and then it is looked at
"""

    def run_policy(self, on_violation, *options):
        component = enclave.python(self.CODE, **{"on-violation": on_violation,
                                                 "restart": {"when": "never"},
                                                 "network": {"tcp": {"connect": [{"port": 9}]}}})
        path = self.write_policy(enclave.policy("observe", {"one": component}))
        bundle = self.compile(path, f"{on_violation}.bundle", *options)
        running = enclave.Enclave(self, bundle, "/var/log/bulkhead/observe.jsonl")
        running.wait(60)
        shutil.move("/var/log/bulkhead/observe.jsonl", self.directory / f"{on_violation}.jsonl")
        running.audit = self.directory / f"{on_violation}.jsonl"
        said = dict(line.split(" | ")[1].split(" ", 1)
                    for line in running.output().splitlines() if line.startswith("one | "))
        return said, running

    def test_refused_calls_pass_and_are_on_record(self):
        refused, running = self.run_policy("refuse")
        self.assertEqual(refused["sync"], "1")  # EPERM
        self.assertEqual([e for e in running.events("one") if e["kind"] == "observed"], [])
        observed, running = self.run_policy("observe", "--allow-observe")
        self.assertEqual(observed["sync"], "0")
        seen = [(e["control"], e["action"]) for e in running.events("one")
                if e["kind"] == "observed"]
        self.assertIn(("seccomp", "sync"), seen)
        # The outer bounds hold, and are on record.
        for name, error in {"chroot": "1", "unshare": "1", "vsock": "1", "netlink": "1",
                            "raw": "1"}.items():
            self.assertEqual(observed[name], error, name)
        violations = [(e["action"], e["object"]) for e in running.events("one")
                      if e["kind"] == "violation"]
        for expected in [("chroot", ""), ("unshare", "flags=0x10000000"),
                         ("socket", "domain=0x28 type=0x1 protocol=0x0"),
                         ("socket", "domain=0x2 type=0x3 protocol=0x1")]:
            self.assertIn(expected, violations)
        # Files are as stated.
        self.assertEqual(observed["outside"], "False")
        running.verify_audit()

    def test_who_may_be_in_an_exec_is_not_looked_at(self):
        # With `observe` each call passes, so also execve: its program is not read then.
        for on_violation, options, looked_at in (("refuse", [], True),
                                                 ("observe", ["--allow-observe"], False)):
            with self.subTest(on_violation):
                said, running = self.run_policy(on_violation, *options)
                self.assertEqual(said["port"], "13")
                [record] = [e for e in running.events("one") if e["control"] == "landlock"]
                self.assertEqual(record["action"], "net.connect_tcp")
                self.assertEqual(bool(record.get("exe")), looked_at, record)

    def test_it_needs_a_word_of_its_own(self):
        component = enclave.python("pass", **{"on-violation": "observe"})
        path = self.write_policy(enclave.policy("observe", {"one": component}))
        result = enclave.run(enclave.BULKHEAD, "check", str(path))
        self.assertEqual(result.returncode, 1)
        self.assertIn("E0580", result.stderr)
        allowed = enclave.run(enclave.BULKHEAD, "check", "--allow-observe", str(path))
        self.assertEqual(allowed.returncode, 0, allowed.stderr)

    def test_two_runs_are_merged(self):
        pathlib.Path("/srv/one").write_text("1")
        pathlib.Path("/srv/two").write_text("2")
        log = str(self.directory / "runs.jsonl")
        self.learn("cat", ["/usr/bin/cat", "/srv/one"], None, "--log", log)
        learnt, _ = self.learn("cat", ["/usr/bin/cat", "/srv/two"], None, "--log", log)
        text = learnt.read_text(encoding="utf-8")
        for path in ("/srv/one", "/srv/two"):
            self.assertIn(f'- "{path}"  # 1 time, first by /usr/bin/cat', text)


if __name__ == "__main__":
    enclave.main()
