#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a call that nobody refuses costs inside a component: getppid, with the kernel's audit on for
Landlock's records and without it (a target that has no such records), each in a boot of its own, in
turn; and outside of all compartments. Prints medians, and the median of the ratios of paired boots.

usage: calls.py BUILD [ROUNDS]
"""

import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import launch

BATCHES, CALLS = 60, 20000
PROGRAM = f"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static int order(const void *a, const void *b) {{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}}
int main(void) {{
  static double times[{BATCHES}];
  for (int i = 0; i < {BATCHES}; ++i) {{
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int j = 0; j < {CALLS}; ++j) syscall(SYS_getppid);
    clock_gettime(CLOCK_MONOTONIC, &to);
    times[i] = ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / {CALLS};
  }}
  qsort(times, {BATCHES}, sizeof *times, order);
  printf("getppid %.1f\\n", times[{BATCHES} / 2]);
  return 0;
}}
"""


def policy(program, target):
    return {"bulkhead": 1, "enclave": "bench-calls", "target": target, "measure": {"policy": "none"},
            "audit": {"sinks": [{"file": "/var/log/bulkhead/bench-calls.jsonl"}]},
            "components": {"caller": {
                "profile": ["stateful-service"], "exec": [program], "files": {"execute": [program]},
                "restart": {"when": "never"}, "ready": {"exit": 0}, "start-within": "1m"}}}


def without_records(build, directory):
    """This kernel as a target, but for Landlock's records; the file's path."""
    text = subprocess.run([build / "bulkhead", "doctor"], capture_output=True, text=True, check=True).stdout
    text, found = re.subn(r"(?m)^(  landlock-audit: +)true$", r"\1false", text)
    if found != 1:
        sys.exit("this kernel has no records of Landlock to compare")
    path = directory / "target.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def nanoseconds(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"getppid ([\d.]+)", result.stdout)
    if not found:
        sys.exit(result.stdout + result.stderr)
    return float(found[1])


def main():
    build, rounds = pathlib.Path(sys.argv[1]), int((sys.argv[2:] or ["15"])[0])
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench."))
    directory.chmod(0o755)
    try:
        program = launch.build_program(directory, "program", PROGRAM)
        ways = {"outside": [program]}
        for name, target in (("records", "running"), ("none", without_records(build, directory))):
            place = directory / name
            place.mkdir()
            bundle = launch.compile_policy(build, place, policy(program, target))
            ways[name] = [build / "bulkhead-init", bundle]
        times = {name: [] for name in ways}
        for turn in range(rounds):
            for name in list(ways) if turn % 2 == 0 else reversed(ways):
                times[name].append(nanoseconds(ways[name]))
        for name, text in (("outside", "outside"), ("none", "inside, no audit"),
                           ("records", "inside, Landlock's records on")):
            print(f"{text}: {statistics.median(times[name]):.1f} ns")
        ratios = [a / b for a, b in zip(times["records"], times["none"])]
        print(f"with records {statistics.median(ratios):.3f} times as long as without "
              f"({min(ratios):.3f} to {max(ratios):.3f}, {rounds} pairs)")
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
