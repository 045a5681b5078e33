#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records of an enclave that has run, as `bulkhead audit` reads them: calls with their arguments by
name, and for each refusal the statement that would have to be another one.
"""

import json
import re
import socket

import enclave
from enclave import python

CODE = """
import ctypes, os, socket
libc = ctypes.CDLL(None)
def tried(what, function):
    try:
        function()
        print(what, 'ok', flush=True)
    except OSError:
        print(what, 'refused', flush=True)
def connect(*to):
    with socket.socket() as one:
        one.connect(to)
"""


class Explain(enclave.Case):
    def run_to_the_end(self, name, components, **keys):
        """What each says to have done and been refused, and the enclave."""
        jobs = {component: python(CODE + code, restart={"when": "never"}, **more)
                for component, (code, more) in components.items()}
        running = self.boot(enclave.policy(name, jobs, **keys), ready=[])
        for component in components:
            running.wait_event(component, "exit", seconds=60)
        self.assertEqual(running.wait(), 0, running.output())
        return dict(re.findall(r"(?m)^\w+ \| (\S+) (ok|refused)$", running.output())), running

    def explained(self, running, component, action, kind="violation"):
        """The record of this action, and what `audit explain` says of it, both ways."""
        record = [e for e in running.events(component, action) if e["kind"] == kind][-1]
        command = [enclave.BULKHEAD, "audit", "explain", "--bundle",
                   str(self.directory / "policy.bundle"), str(running.audit), str(record["seq"])]
        text = enclave.run(*command)
        self.assertEqual(text.returncode, 0, text.stderr)
        answer = json.loads(enclave.run(*command, "--format", "json").stdout)
        self.assertEqual(answer["record"], record)
        self.assertEqual(answer["rule"], record["rule"])
        # Both forms name the same statement, and where the record names another, that one and why.
        self.assertIn("  statement   " + answer["statement"]["rule"] + "\n", text.stdout)
        other = answer["statement"]["note"] != ""
        self.assertEqual(answer["statement"]["rule"] != record["rule"], other)
        self.assertEqual(f"  recorded as {record['rule']}: " in text.stdout, other, text.stdout)
        return answer

    def test_a_directory_that_nothing_else_names_is_an_asset_as_a_directory(self):
        asset = self.directory / "vault"
        asset.mkdir()
        (asset / "key").write_text("x", encoding="utf-8")
        plain = self.directory / "plain"
        plain.mkdir()
        self.directory.chmod(0o755)
        said, running = self.run_to_the_end("e2e-asset-directory", {"job": (f"""
tried('list', lambda: os.listdir({str(asset)!r}))
tried('beneath', lambda: open({str(asset / 'key')!r}))
tried('plain', lambda: os.listdir({str(plain)!r}))
""", {"files": {"read": [str(plain)]}})}, assets={"vault": {"files": [str(asset)]}})
        self.assertEqual(said, {"list": "refused", "beneath": "refused", "plain": "ok"})
        self.assertEqual([(e["control"], e["action"], e["errno"]) for e in running.events("job")
                          if e["object"] == str(asset)], [("landlock", "fs.read_dir", "EACCES")])

    def test_each_control(self):
        asset = self.directory / "gold"
        asset.mkdir()
        asset.chmod(0o755)
        (asset / "key").write_text("k", encoding="ascii")
        (asset / "key").chmod(0o644)
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        port = server.getsockname()[1]
        said, running = self.run_to_the_end("e2e-explain", {
            "owner": (f"tried('own-key', open('{asset}/key').read)\n",
                      {"files": {"read": [str(asset)]}}),
            "one": (f"tried('granted', lambda: connect('127.0.0.1', {port}))\n"
                    f"tried('elsewhere', lambda: connect('127.0.0.2', {port}))\n",
                    {"network": {"tcp": {"connect": [{"to": "127.0.0.1", "port": port}]}}}),
            "port": (f"tried('port', lambda: connect('127.0.0.1', {port}))\n"
                     f"tried('other-port', lambda: connect('127.0.0.1', {port % 60000 + 1}))\n",
                     {"network": {"tcp": {"connect": [port]}}}),
            "rest": ("tried('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))\n"
                     f"tried('key', lambda: open('{asset}'))\n"
                     "tried('exec', lambda: os.execv('/usr/bin/true', ['true']))\n"
                     "libc.ioctl(0, 0x5412, b'x')\n", {}),
        }, assets={"gold": {"files": [str(asset)]}})
        self.assertEqual(said, {
            "own-key": "ok", "granted": "ok", "elsewhere": "refused", "port": "ok",
            "other-port": "refused", "packet": "refused", "key": "refused", "exec": "refused"})

        statements = {
            ("one", "connect"): "components.one.network.tcp.connect",
            ("port", "net.connect_tcp"): "components.port.network",
            ("rest", "socket"): "components.rest.network",
            ("rest", "fs.read_dir"): "assets.gold",
            ("rest", "execve"): "components.rest.files.execute",
            ("rest", "ioctl"): "components.rest.syscalls",
        }
        answers = {key: self.explained(running, *key) for key in statements}
        for key, answer in answers.items():
            self.assertEqual(answer["statement"]["rule"], statements[key], answer)
            self.assertEqual(answer["why"]["verdict"], "deny")
        made = self.explained(running, "one", "connect", kind="brokered")
        self.assertEqual(made["statement"]["rule"], "components.one.network.tcp.connect")
        self.assertEqual((made["why"]["verdict"], made["answered"]), ("allow", "allowed by broker"))
        self.assertEqual(made["without"], "")
        self.assertEqual(answers["rest", "ioctl"]["arguments"]["request"], "TIOCSTI")
        self.assertEqual(answers["rest", "socket"]["arguments"]["domain"], "AF_PACKET")
        self.assertIsNone(answers["rest", "fs.read_dir"]["arguments"])
        for key in (("rest", "socket"), ("rest", "execve")):
            self.assertEqual(answers[key]["rule"], "components.rest.syscalls")
        self.assertEqual(answers["rest", "execve"]["record"]["object"], "/usr/bin/true")

        tail = enclave.run(enclave.BULKHEAD, "audit", "tail", str(running.audit))
        for text in ("ioctl(fd=0, request=TIOCSTI, arg=0x",
                     "socket(domain=AF_PACKET, type=SOCK_RAW|SOCK_CLOEXEC, protocol=0) refused",
                     f"addrlen=16) tcp:127.0.0.2:{port} refused EPERM",
                     "execve() /usr/bin/true refused EPERM"):
            self.assertIn(text, tail.stdout)


if __name__ == "__main__":
    enclave.main()
