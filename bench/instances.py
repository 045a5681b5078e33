#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many connections a second a component with `instances` serves, each by a compartment of its
own: a static program that answers one byte and ends. Beside it, in the same run, the same program
started bare by fork and exec for each connection.

usage: instances.py BUILD [CONNECTIONS]
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM = """
#include <unistd.h>
int main(void) { return write(3, ".", 1) == 1 ? 0 : 1; }
"""


def policy(program):
    return {
        "bulkhead": 1, "enclave": "bench-instances", "target": "running",
        "measure": {"policy": "none"},
        "audit": {"sinks": [{"file": "/var/log/bulkhead/bench-instances.jsonl"}]},
        "components": {
            "server": {
                "profile": ["stateful-service"], "exec": [program],
                "files": {"execute": [program]},
                "network": {"unix": {"listen": [
                    {"path": "/run/edges/bench/s", "name": "s", "from": ["client"]}]}},
                "instances": {"per": "connection", "at-most": 8}},
            "client": {
                "profile": ["batch"], "exec": [program], "files": {"execute": [program]},
                "restart": {"when": "never"}, "after": ["server"], "ready": {"exit": 1},
                "network": {"unix": {"connect": ["/run/edges/bench/s"]}}}}}


def ask(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        return client.recv(1) == b"."


def rate(path, count, clients):
    """Connections a second; all must be answered."""
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        if not all(pool.map(lambda _: ask(path), range(count))):
            sys.exit("a connection was not answered")
    return count / (time.monotonic() - started)


def serve_bare(path, program):
    """Forks a server that starts the program for each connection; its pid."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    server = os.fork()
    if server:
        return server
    while True:
        connection, _ = listener.accept()
        actions = [(os.POSIX_SPAWN_DUP2, connection.fileno(), 3)]
        pid = os.posix_spawn(program, [program], {}, file_actions=actions)
        connection.close()
        os.waitpid(pid, 0)


def main():
    build, count = pathlib.Path(sys.argv[1]), int((sys.argv[2:] or ["500"])[0])
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench."))
    directory.chmod(0o755)
    program = directory / "program"
    subprocess.run(["cc", "-static", "-O2", "-x", "c", "-", "-o", str(program)], input=PROGRAM,
                   text=True, check=True)
    source, bundle = directory / "policy.yaml", directory / "policy.bundle"
    source.write_text(json.dumps(policy(str(program))))
    subprocess.run([build / "bulkhead", "compile", source, "-o", bundle], check=True,
                   stdout=subprocess.DEVNULL)
    with open(directory / "output", "wb") as output:
        enclave = subprocess.Popen([build / "bulkhead-init", bundle], stdout=output, stderr=output)
    bare = serve_bare(str(directory / "bare"), str(program))
    try:
        while b"`server` ready" not in (directory / "output").read_bytes():
            time.sleep(0.01)
        for clients in (1, 2, 8):
            confined = rate("/run/edges/bench/s", count, clients)
            plain = rate(str(directory / "bare"), count, clients)
            print(f"{clients} clients: {confined:.0f}/s confined, {plain:.0f}/s bare "
                  f"({plain / confined:.1f} times)")
    finally:
        os.kill(bare, 9)
        os.waitpid(bare, 0)
        enclave.terminate()
        enclave.wait()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
