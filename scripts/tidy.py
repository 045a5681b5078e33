#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over the files of a compile_commands.json, two at a time, changed ones only.

usage: tidy.py [--since COMMIT] BUILD_DIR [PREFIX...]

PREFIX keeps to the files below it, named from the root; --since to those that changed after COMMIT,
and of a header that did to one file that reads it. A file that passed leaves a stamp below
BUILD_DIR/tidy, named by the hash of all that can change the verdict: its text and that of every
header of the project it reaches, its compile command, .clang-tidy and clang-tidy itself.
Exit code 1 when a file has a finding.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
COUNTS = re.compile(r"^\d+ warnings?.* generated\.\n", re.MULTILINE)  # of system headers
ROOT = pathlib.Path(__file__).resolve().parent.parent


def reach(path, seen):
    """The project's files that `path` includes, directly or not; includes are from the root."""
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in seen or not current.is_file():
            continue
        seen.add(current)
        text = current.read_text(errors="replace")
        waiting += [ROOT / name for name in INCLUDE.findall(text)]
    return sorted(seen)


def key(entry, common):
    digest = hashlib.sha256(common)
    digest.update(entry["command"].encode())
    for path in reach(pathlib.Path(entry["file"]), set()):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def entries(build):
    """Of the compile commands those of the project's own sources, each file once."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if not path.is_relative_to(ROOT) or path.is_relative_to(ROOT / "build"):
            continue
        found.setdefault(path.relative_to(ROOT).as_posix(), entry)
    return sorted(found.items())


def check(build, name):
    return subprocess.run(["clang-tidy", "--quiet", "-p", str(build), name], cwd=ROOT, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)


def changed_since(commit, names):
    """Of `names` those to check for the changes after `commit`."""
    diff = subprocess.run(["git", "diff", "--name-only", commit, "--"], cwd=ROOT, text=True,
                          capture_output=True, check=True).stdout.split()
    wanted = {name for name in names if name in diff}
    for header in (name for name in diff if name.endswith(".h") and (ROOT / name).exists()):
        readers = [name for name in names if ROOT / header in reach(ROOT / name, set())]
        own = header[:-2] + ".cc"
        if readers and not wanted & set(readers):
            wanted.add(own if own in readers else readers[0])
    return [name for name in names if name in wanted]


def main():
    arguments = sys.argv[1:]
    since = None
    if arguments[:1] == ["--since"]:
        since, arguments = (arguments + [""])[1], arguments[2:]
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    build = pathlib.Path(arguments[0]).resolve()
    stamps = build / "tidy"
    stamps.mkdir(exist_ok=True)
    common = (ROOT / ".clang-tidy").read_bytes()
    common += subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    keys = {name: key(entry, common) for name, entry in entries(build)}
    prefixes = tuple(arguments[1:]) or ("",)
    names = [name for name in keys if name.startswith(prefixes)]
    if not names:
        print("no file to check", file=sys.stderr)
        return 2
    looked_at = changed_since(since, names) if since else names
    todo = [name for name in looked_at if not (stamps / keys[name]).exists()]
    print(f"{len(names)} files, {len(todo)} to check", flush=True)
    failed = 0
    jobs = min(2, os.cpu_count() or 1)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done, (name, result) in enumerate(
                zip(todo, pool.map(lambda n: check(build, n), todo)), 1):
            if result.returncode == 0:
                (stamps / keys[name]).touch()
            else:
                failed += 1
                print(result.stdout + COUNTS.sub("", result.stderr), end="")
            print(f"[{done}/{len(todo)}] {name}{'' if result.returncode == 0 else ' FAILED'}",
                  flush=True)
    # Stamps of text that is gone would only pile up.
    for stamp in stamps.iterdir():
        if stamp.name not in keys.values():
            stamp.unlink(missing_ok=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
