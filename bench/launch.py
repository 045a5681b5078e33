#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What it takes to launch a confined program, in one run beside other ways: from a client's connect to
the program's first byte. A component with `instances` of a running supervisor; the same program started
bare (posix_spawn), by bubblewrap and by crun, from a server that does nothing else. Then 100 components
from the start of bulkhead-init until all are ready, and their stop, beside 100 bare processes.

usage: launch.py BUILD [ROUNDS]
"""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import instances

SLEEPER = """
#include <unistd.h>
int main(void) { for (;;) pause(); }
"""
MANY = 100
BWRAP = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
         "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
CRUN_NAMESPACES = ["pid", "mount", "ipc", "uts", "network"]


def build_program(directory, name, source):
    program = directory / name
    subprocess.run(["cc", "-static", "-O2", "-x", "c", "-", "-o", str(program)], input=source,
                   text=True, check=True)
    return str(program)


def serve(path, command):
    """Forks a server that runs `command()` for each connection, which is descriptor 3; its pid."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    server = os.fork()
    if server:
        listener.close()
        return server
    number = 0
    while True:
        connection, _ = listener.accept()
        number += 1
        words = command(number)
        actions = [(os.POSIX_SPAWN_DUP2, connection.fileno(), 3)]
        pid = os.posix_spawnp(words[0], words, {"PATH": os.environ["PATH"], "LISTEN_FDS": "1"},
                              file_actions=actions)
        os.waitpid(pid, 0)
        connection.close()


def crun_bundle(directory, program):
    """A container of the program alone, with the same namespaces, no capabilities, a read-only root."""
    root = directory / "crun/rootfs"
    root.mkdir(parents=True)
    shutil.copy(program, root / "program")
    (directory / "crun/config.json").write_text(json.dumps({
        "ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True},
        "process": {"user": {"uid": 65533, "gid": 65533}, "args": ["/program"], "cwd": "/",
                    "noNewPrivileges": True, "env": ["PATH=/"], "capabilities": {}},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
        "linux": {"namespaces": [{"type": kind} for kind in CRUN_NAMESPACES]}}))
    return str(directory / "crun")


def first_byte(path):
    """ms"""
    started = time.perf_counter()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        if client.recv(1) != b".":
            sys.exit(f"{path}: no answer")
        return (time.perf_counter() - started) * 1000


def launches(build, directory, rounds):
    program = build_program(directory, "program", instances.PROGRAM)
    bundle = compile_policy(build, directory, instances.policy(program))
    ways = {"bare": lambda _: [program]}
    if shutil.which("bwrap"):
        ways["bubblewrap"] = lambda _: [*BWRAP, "--ro-bind", program, program, program]
    if shutil.which("crun"):
        made = crun_bundle(directory, program)
        ways["crun"] = lambda n: ["crun", "--cgroup-manager", "disabled", "run", "--preserve-fds", "1", "--bundle", made,
                                  f"bench-{os.getpid()}-{n}"]
    audit = pathlib.Path("/var/log/bulkhead/bench-instances.jsonl")
    audit.unlink(missing_ok=True)
    enclave = boot(build, directory, bundle, ["`server` ready"])
    servers = [serve(str(directory / f"{name}.sock"), command) for name, command in ways.items()]
    paths = {"bulkhead": "/run/edges/bench/s", **{n: str(directory / f"{n}.sock") for n in ways}}
    times = {name: [] for name in paths}
    shuffled = random.Random(1)
    try:
        for turn in range(rounds + 5):
            # In an order by chance and with a pause, so that none pays for what another has to undo.
            for name, path in shuffled.sample(sorted(paths.items()), len(paths)):
                spent = first_byte(path)
                if turn >= 5:
                    times[name].append(spent)
                time.sleep(0.005)
    finally:
        for pid in servers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        enclave.terminate()
        enclave.wait()
    witness = [int(event["extra"]["witness_us"]) / 1000 for event in map(json.loads, audit.open())
               if event["action"] == "start" and "witness_us" in event.get("extra", {})]
    ours, part = statistics.median(times["bulkhead"]), statistics.median(witness)
    print(f"one launch, medians of {rounds}: bulkhead {ours:.2f} ms, of which witness {part:.2f} ms")
    for name in ways:
        theirs = statistics.median(times[name])
        print(f"  {name} {theirs:.2f} ms: bulkhead without its witness takes "
              f"{(ours - part) / theirs:.2f} times as long, with it {ours / theirs:.2f}")


def compile_policy(build, directory, policy):
    source, bundle = directory / "policy.yaml", directory / "policy.bundle"
    source.write_text(json.dumps(policy), encoding="utf-8")
    subprocess.run([build / "bulkhead", "compile", source, "-o", bundle], check=True,
                   stdout=subprocess.DEVNULL)
    return bundle


def boot(build, directory, bundle, wanted):
    """Runs bulkhead-init until its output has all that is wanted."""
    path = directory / "output"
    with open(path, "wb") as output:
        enclave = subprocess.Popen([build / "bulkhead-init", bundle], stdout=output, stderr=output)
    seen = ""
    while not all(text in seen for text in wanted):
        if enclave.poll() is not None:
            sys.exit(seen)
        time.sleep(0.002)
        seen = path.read_text(encoding="utf-8", errors="replace")
    return enclave


def many(build, directory, rounds):
    program = build_program(directory, "sleeper", SLEEPER)
    names = [f"c{i:03}" for i in range(MANY)]
    bundle = compile_policy(build, directory, {
        "bulkhead": 1, "enclave": "bench-many", "target": "running", "measure": {"policy": "none"},
        "audit": {"sinks": [{"file": "/var/log/bulkhead/bench-many.jsonl"}]},
        "components": {name: {"profile": ["stateful-service"], "exec": [program],
                              "files": {"execute": [program]}} for name in names}})
    starts, stops, bares = [], [], []
    for _ in range(rounds):
        began = time.perf_counter()
        enclave = boot(build, directory, bundle, [f"`{name}` ready" for name in names])
        up = time.perf_counter()
        enclave.terminate()
        enclave.wait()
        stops.append((time.perf_counter() - up) * 1000)
        starts.append((up - began) * 1000)
        began = time.perf_counter()
        pids = [os.posix_spawn(program, [program], {}) for _ in range(MANY)]
        bares.append((time.perf_counter() - began) * 1000)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    start, bare = statistics.median(starts), statistics.median(bares)
    print(f"{MANY} components, medians of {rounds}: {start:.0f} ms from the start of bulkhead-init until "
          f"all are ready, {start / bare:.1f} times {MANY} bare ones ({bare:.1f} ms); stopped in "
          f"{statistics.median(stops):.0f} ms")


def main():
    build, rounds = pathlib.Path(sys.argv[1]), int((sys.argv[2:] or ["200"])[0])
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench."))
    directory.chmod(0o755)
    try:
        launches(build, directory, rounds)
        many(build, directory, max(rounds // 20, 3))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
