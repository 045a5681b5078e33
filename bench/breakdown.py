#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of one launch goes, step by step: the kernel's own tracepoints (raw_syscalls, sched) while
connections to a component with `instances` come one after another. Tracing costs too, each call about as
much as a short one takes, so the shares count and not the sum. Needs tracefs at /sys/kernel/tracing.

usage: breakdown.py BUILD [ROUNDS]
"""

import collections
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import instances
import launch

TRACING = pathlib.Path("/sys/kernel/tracing")
EVENTS = ("raw_syscalls", "sched/sched_process_fork", "sched/sched_process_exec")
HEADER = "/usr/include/%s-linux-gnu/asm/unistd_64.h"
LINE = re.compile(r"^\s*.+?-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+): (.*)$")
# Each step ends at an event: whose process, entering ("in") or leaving ("out") which call, and whether the
# first or the last of them counts.
STEPS = [
    ("the supervisor hears of the connection", "supervisor", "in", "accept4", "first"),
    ("plan of the view, pipes, cgroup", "supervisor", "in", "clone", "first"),
    ("clone with its namespaces, until the reaper runs", "reaper", "out", "clone", "first"),
    ("network and view, until they are entered", "reaper", "in", "sethostname", "first"),
    ("host name, Landlock ruleset", "reaper", "in", "spawn", "first"),
    ("clone of the component, until it runs", "component", "out", "spawn", "first"),
    ("cgroups, hello, session, keyring, signals", "component", "in", "recvfrom", "first"),
    ("the supervisor's go, the old root's end", "component", "out", "read", "first"),
    ("descriptors", "component", "out", "close_range", "first"),
    ("witness in the view", "component", "in", "prlimit64", "first"),
    ("limits, ids, capabilities", "component", "in", "landlock_restrict_self", "first"),
    ("Landlock, and the witness behind it", "component", "in", "seccomp", "first"),
    ("seccomp filter", "component", "out", "seccomp", "first"),
    ("listener handed over, witness behind the filter", "component", "in", "told", "last"),
    ("the exec's one pass through the listener", "component", "in", "execve", "first"),
    ("exec", "component", "exec", "exec", "first"),
    ("the program, until its first byte", "component", "in", "write3", "last"),
]


def call_names():
    text = pathlib.Path(HEADER % platform.machine()).read_text(encoding="ascii")
    return {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


def set_file(name, value):
    (TRACING / name).write_text(value, encoding="ascii")


def record(path, supervisor, rounds):
    """The kernel's text about so many launches, and when each client began, in seconds of its clock."""
    set_file("trace", "")
    set_file("set_event_pid", str(supervisor))
    set_file("options/event-fork", "1")
    set_file("trace_clock", "mono")
    set_file("buffer_size_kb", "65536")
    for event in EVENTS:
        set_file(f"events/{event}/enable", "1")
    set_file("tracing_on", "1")
    began = []
    try:
        for _ in range(rounds):
            began.append(time.clock_gettime(time.CLOCK_MONOTONIC))
            launch.first_byte(path)
            time.sleep(0.02)
        return (TRACING / "trace").read_text(encoding="ascii", errors="replace"), began
    finally:
        for event in EVENTS:
            set_file(f"events/{event}/enable", "0")
        set_file("set_event_pid", "")
        set_file("options/event-fork", "0")
        set_file("trace", "")
        set_file("trace_clock", "local")
        set_file("buffer_size_kb", "1408")


def events(text, supervisor, names):
    """(time, who, kind, call) of each launch's three processes, from its accept on."""
    role, last = {supervisor: "supervisor"}, {}
    for line in text.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        pid, now, kind, rest = int(match[1]), float(match[2]), match[3], match[4]
        if kind == "sched_process_fork":
            child = int(re.search(r"child_pid=(\d+)", rest)[1])
            role[child] = {"supervisor": "reaper", "reaper": "component"}.get(role.get(pid))
            continue
        who = role.get(pid)
        if who is None:
            continue
        if kind == "sched_process_exec":
            yield now, who, "exec", "exec"
            continue
        number, arguments = re.match(r"NR (-?\d+) (.*)", rest).groups()
        call = names.get(int(number), number)
        if call == "clone3" or call == "clone" and who != "supervisor":
            spawned = call == "clone3" or who == "component" or kind == "sys_enter"
            call = "spawn" if spawned else "clone"
        if kind == "sys_enter":
            if call == "write":
                call = "write3" if arguments.startswith("(3,") else "told"
            last[pid] = call
        elif call == "write":
            call = last.get(pid, call)
        yield now, who, "in" if kind == "sys_enter" else "out", call


def split(found, began):
    """For each launch the seconds that each step took; launches that can't be told apart are left out."""
    for start, end in zip(began, began[1:] + [began[-1] + 1]):
        seen = collections.defaultdict(list)
        for now, *what in found:
            if start <= now < end:
                seen[tuple(what)].append(now)
        ends = []
        for _, who, kind, call, which in STEPS:
            times = [t for t in seen[(who, kind, call)] if t >= (ends[-1] if ends else start)]
            if not times:
                break
            ends.append(times[0] if which == "first" else max(
                (t for t in times if t <= limit(seen, call)), default=times[0]))
        if len(ends) == len(STEPS):
            yield [after - before for before, after in zip([start] + ends, ends)]


def limit(seen, call):
    """What the witness says is the last that is written before the exec."""
    exec_at = min(seen[("component", "exec", "exec")], default=0)
    return exec_at if call == "told" else float("inf")


def main():
    build, rounds = pathlib.Path(sys.argv[1]), int((sys.argv[2:] or ["60"])[0])
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench."))
    directory.chmod(0o755)
    mounted = not (TRACING / "trace").exists()
    if mounted:
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], check=True)
    program = launch.build_program(directory, "program", instances.PROGRAM)
    bundle = launch.compile_policy(build, directory, instances.policy(program))
    enclave = launch.boot(build, directory, bundle, ["`server` ready"])
    try:
        for _ in range(5):
            launch.first_byte("/run/edges/bench/s")
        text, began = record("/run/edges/bench/s", enclave.pid, rounds)
    finally:
        enclave.terminate()
        enclave.wait()
        shutil.rmtree(directory)
        if mounted:
            subprocess.run(["umount", TRACING], check=True)
    found = list(events(text, enclave.pid, call_names()))
    launches = list(split(found, began))
    if not launches:
        sys.exit("no launch could be told apart")
    total = statistics.median(map(sum, launches))
    print(f"medians of {len(launches)} launches, {total * 1000:.2f} ms each while traced")
    for index, (name, *_) in enumerate(STEPS):
        spent = statistics.median(times[index] for times in launches)
        print(f"{spent * 1e6:7.0f} us  {100 * spent / total:4.1f} %  {name}")


if __name__ == "__main__":
    main()
