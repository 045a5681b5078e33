#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a refused call that goes on record costs, and a connect that the broker makes, as ratios to a
raw notification of the kernel in the same run: two processes that do nothing but answer.

usage: broker.py BUILD [ROUNDS]
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

SINK = "/var/log/bulkhead/bench-broker.jsonl"


def component(program, *arguments, **keys):
    return {"profile": ["stateful-service"], "exec": [program, *arguments],
            "files": {"execute": [program]}, "restart": {"when": "never"},
            "ready": {"exit": 0}, "start-within": "10m", **keys}


def policy(program, rounds, port):
    network = {"tcp": {"connect": [{"to": "127.0.0.1", "port": port}]},
               "udp": {"connect": [{"to": "127.0.0.1", "port": port}]}}
    connect = ["connect", "127.0.0.1", str(port), str(rounds)]
    return {
        "bulkhead": 1, "enclave": "bench-broker", "target": "running",
        "measure": {"policy": "none"}, "audit": {"sinks": [{"file": SINK}]},
        "components": {
            "refused": component(program, "refused", str(rounds)),
            "direct-udp": component(program, "connect", "udp", *connect[1:], after=["refused"],
                                    network=network),
            "direct-tcp": component(program, "connect", "tcp", *connect[1:], after=["direct-udp"],
                                    network=network)}}


def accept(listener):
    """Takes what has come, in the program's pauses: its batches fit into the queue."""
    listener.setblocking(False)
    while True:
        time.sleep(0.5)
        try:
            while True:
                listener.accept()[0].close()
        except BlockingIOError:
            pass
        except OSError:
            return


def figures(text):
    found = re.findall(r"(\S+) median (\d+) mean (\d+)", text)
    return {name: (int(median), int(mean)) for name, median, mean in found}


def main():
    build, rounds = pathlib.Path(sys.argv[1]), int((sys.argv[2:] or ["2000"])[0])
    if os.environ.get("BULKHEAD_BENCH_INSIDE") != "1":
        os.environ["BULKHEAD_BENCH_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable,
                              *sys.argv])
    for path in ("/run", "/var/log"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path], check=True)
    os.mkdir("/var/log/bulkhead", 0o700)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench."))
    directory.chmod(0o755)
    try:
        program = directory / "program"
        shutil.copy(build / "bench" / "bench-broker", program)
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        port = listener.getsockname()[1]
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        source = directory / "policy.yaml"
        source.write_text(json.dumps(policy(str(program), rounds, port)), encoding="utf-8")
        bundle = directory / "policy.bundle"
        subprocess.run([build / "bulkhead", "compile", source, "-o", bundle], check=True,
                       stdout=subprocess.DEVNULL)
        said = {}
        direct = {}
        for kind in ("udp", "tcp"):
            result = subprocess.run([program, "connect", kind, "127.0.0.1", str(port), str(rounds)],
                                    capture_output=True, text=True, check=True)
            direct |= figures(result.stdout)
        said |= figures(subprocess.run([program, "raw", str(rounds)], capture_output=True, text=True,
                                       check=True).stdout)
        result = subprocess.run([build / "bulkhead-init", bundle], capture_output=True, text=True,
                                check=False)
        said |= figures(result.stdout)
        if len(said) != 4:
            sys.exit(result.stdout + result.stderr)
        raw = said["raw"]
        print(f"raw notification: median {raw[0]} ns, mean {raw[1]} ns")
        for name in ("refused", "connect-udp", "connect-tcp"):
            median, mean = said[name]
            beside = f", made directly {direct[name][0]} ns" if name in direct else ""
            print(f"{name}: median {median} ns, {median / raw[0]:.2f} times; "
                  f"mean {mean} ns, {mean / raw[1]:.2f} times{beside}")
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
