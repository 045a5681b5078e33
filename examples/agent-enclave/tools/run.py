# SPDX-License-Identifier: Apache-2.0
"""The tool runner: executes submitted Python code and answers with what it printed.

It trusts its compartment, not itself: the code runs in this very process. One connection carries one
JSON line each way: {"code": TEXT} -> {"output": TEXT, "error": TEXT or null}.
Inherited, named `run` (LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID): a connection, which is served before
it ends, in a compartment made for it; or a listener, whose connections are served by a thread each.
"""

import ctypes
import io
import json
import os
import socket
import sys
import threading
import traceback

MAX_REQUEST = 256 * 1024
MAX_OUTPUT = 192 * 1024
MAX_SECONDS = 20.0
MAX_RUNNING = 8


class OutputTooLong(Exception):
    pass


class BoundedText(io.StringIO):
    def write(self, text):
        if self.tell() + len(text) > MAX_OUTPUT:
            raise OutputTooLong(f"output is longer than {MAX_OUTPUT} characters")
        return super().write(text)


class ThreadOutput(io.TextIOBase):
    """Stands in for sys.stdout: what a thread prints goes to that thread's own buffer."""

    def __init__(self, fallback):
        self._fallback = fallback
        self._local = threading.local()

    def capture(self):
        self._local.buffer = BoundedText()
        return self._local.buffer

    def release(self):
        self._local.buffer = None

    def write(self, text):
        buffer = getattr(self._local, "buffer", None)
        return (buffer if buffer is not None else self._fallback).write(text)

    def flush(self):
        self._fallback.flush()


def interrupt(thread_id):
    """Raises TimeoutError in a running thread; it takes effect at the next byte code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), ctypes.py_object(TimeoutError)
    )


def execute(code, stdout):
    buffer = stdout.capture()
    deadline = threading.Timer(MAX_SECONDS, interrupt, [threading.get_ident()])
    deadline.daemon = True
    deadline.start()
    error = None
    try:
        exec(compile(code, "<submitted>", "exec"), {"__name__": "__main__"})
    except BaseException as problem:  # SystemExit of submitted code must not end the service
        error = "".join(traceback.format_exception_only(type(problem), problem)).strip()
    finally:
        deadline.cancel()
        stdout.release()
    return {"output": buffer.getvalue(), "error": error}


def read_request(stream):
    line = stream.readline(MAX_REQUEST + 1)
    if not line.endswith(b"\n"):
        return None
    try:
        request = json.loads(line)
    except ValueError:
        return None
    if not isinstance(request, dict) or not isinstance(request.get("code"), str):
        return None
    return request["code"]


def serve(connection, stdout, slots):
    with connection, slots:
        connection.settimeout(MAX_SECONDS)
        try:
            with connection.makefile("rb") as stream:
                code = read_request(stream)
            if code is None:
                answer = {"output": "", "error": "not a request"}
            else:
                answer = execute(code, stdout)
            connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError as problem:
            print(f"tools: connection lost: {problem}", file=sys.stderr)


def inherited_socket(name):
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        sys.exit("tools: LISTEN_PID does not name this process")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if name not in names or len(names) != int(os.environ.get("LISTEN_FDS", "0")):
        sys.exit(f"tools: no inherited socket named {name}")
    inherited = socket.socket(fileno=3 + names.index(name))
    inherited.set_inheritable(False)
    inherited.setblocking(True)
    return inherited


def main():
    inherited = inherited_socket("run")
    stdout = ThreadOutput(sys.stdout)
    sys.stdout = stdout
    slots = threading.BoundedSemaphore(MAX_RUNNING)
    if not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        serve(inherited, stdout, slots)
        return
    while True:
        connection, _ = inherited.accept()
        threading.Thread(target=serve, args=(connection, stdout, slots), daemon=True).start()


if __name__ == "__main__":
    main()
