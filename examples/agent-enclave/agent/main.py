# SPDX-License-Identifier: Apache-2.0
"""The agent: takes a request, has its code run by the tool runner, has the result signed.

POST /run {"id": TEXT, "code": TEXT} -> {"id", "result": {"output", "error"}, "signature",
"public_key"}. The signature covers the canonical JSON of {"id", "result"}: sorted keys, no spaces,
ASCII. GET /result/ID gives the answer again, from the store.
Listener: inherited, named `http`. Says READY=1 on NOTIFY_SOCKET when it serves.
"""

import http.server
import json
import os
import re
import socket
import socketserver
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import signer  # noqa: E402
import store  # noqa: E402

STORE = "/run/edges/store/redis.sock"
TOOLS = "/run/edges/tools/run.sock"
SIGNER = "/run/edges/sign/ssh.sock"
MAX_BODY = 256 * 1024
MAX_ANSWER = 1024 * 1024
TOOL_TIMEOUT = 30.0
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BadRequest(Exception):
    pass


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def run_code(code):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TOOL_TIMEOUT)
        connection.connect(TOOLS)
        connection.sendall(json.dumps({"code": code}).encode() + b"\n")
        with connection.makefile("rb") as stream:
            line = stream.readline(MAX_ANSWER)
    if not line.endswith(b"\n"):
        raise OSError("the tool runner ended without an answer")
    answer = json.loads(line)
    return {"output": answer["output"], "error": answer["error"]}


def parse(body):
    try:
        request = json.loads(body)
    except ValueError as problem:
        raise BadRequest("the body is not JSON") from problem
    if not isinstance(request, dict) or set(request) != {"id", "code"}:
        raise BadRequest("expected the keys `id` and `code`")
    if not isinstance(request["id"], str) or not ID.fullmatch(request["id"]):
        raise BadRequest("`id` is 1 to 64 letters, digits, `-` or `_`")
    if not isinstance(request["code"], str):
        raise BadRequest("`code` is a string")
    return request


def handle(request):
    with store.Store(STORE) as database:
        database.put(f"request:{request['id']}", canonical(request))
        signed = {"id": request["id"], "result": run_code(request["code"])}
        signature, public_key = signer.sign(SIGNER, canonical(signed))
        answer = canonical({**signed, "signature": signature, "public_key": public_key})
        database.put(f"result:{request['id']}", answer)
    return answer


class Handler(http.server.BaseHTTPRequestHandler):
    server_version = "agent"
    sys_version = ""

    def do_POST(self):
        if self.path != "/run":
            self._answer(404, canonical({"error": "no such page"}))
            return
        self._guarded(lambda: handle(parse(self._body())))

    def do_GET(self):
        prefix, _, name = self.path.rpartition("/")
        if prefix != "/result" or not ID.fullmatch(name):
            self._answer(404, canonical({"error": "no such page"}))
            return
        self._guarded(lambda: self._stored(name))

    def _stored(self, name):
        with store.Store(STORE) as database:
            answer = database.get(f"result:{name}")
        if answer is None:
            raise BadRequest("no such result")
        return answer

    def _body(self):
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > MAX_BODY:
            raise BadRequest(f"the body needs a length of at most {MAX_BODY}")
        return self.rfile.read(int(size))

    def _guarded(self, work):
        try:
            self._answer(200, work())
        except BadRequest as problem:
            self._answer(400, canonical({"error": str(problem)}))
        except (OSError, ValueError, KeyError, store.StoreError, signer.SignerError) as problem:
            print(f"agent: {type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
            self._answer(502, canonical({"error": "a service behind the agent failed"}))

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """A thread per connection on a listener that somebody else opened."""

    daemon_threads = True

    def __init__(self, listener):
        super().__init__(None, Handler)
        self._listener = listener

    def fileno(self):
        return self._listener.fileno()

    def get_request(self):
        connection, _ = self._listener.accept()
        return connection, ("gateway", 0)

    def shutdown_request(self, request):
        request.close()

    def server_close(self):
        self._listener.close()

    def handle_error(self, request, client_address):
        print(f"agent: {sys.exc_info()[1]!r}", file=sys.stderr, flush=True)


def inherited_listener(name):
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        sys.exit("agent: LISTEN_PID does not name this process")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if name not in names or len(names) != int(os.environ.get("LISTEN_FDS", "0")):
        sys.exit(f"agent: no inherited listener named {name}")
    listener = socket.socket(fileno=3 + names.index(name))
    listener.set_inheritable(False)
    listener.setblocking(True)
    return listener


def notify_ready():
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(path)
        channel.sendall(b"READY=1")


def main():
    server = Server(inherited_listener("http"))
    notify_ready()
    server.serve_forever()


if __name__ == "__main__":
    main()
