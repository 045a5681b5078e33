# SPDX-License-Identifier: Apache-2.0
"""Runs what README.md and docs/*.md show, and compares it with what they show.

A block fenced as `console` holds commands, each after `$ `, goes on after a backslash, and is
followed by its output. `...` in a line stands for anything, a line of its own for any lines. A
command without output is only run. One that does not exit 0 must be followed by `echo $?`, so that
the reader sees it, too. The block after `<!-- file: NAME -->` is that file's content.

The commands of one document share an empty directory, with `bulkhead` and `bulkhead-init` in PATH.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import enclave  # pylint: disable=wrong-import-position

SHOWING_COMMANDS = {"README.md", "docs/BUNDLE.md", "docs/FORMATS.md", "docs/RUNTIME.md"}  # at least
FENCE = re.compile(r"(?:^<!-- file: (\S+) -->\n+)?^```(\w*)\n(.*?)^```$", re.M | re.S)


def documents():
    """Name and text of every document that may show commands."""
    paths = [enclave.SOURCE / "README.md", *sorted((enclave.SOURCE / "docs").glob("*.md"))]
    return {str(p.relative_to(enclave.SOURCE)): p.read_text(encoding="utf-8") for p in paths}


def console_steps(text):
    """The commands of a console block with the output lines that are shown for each."""
    steps = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines)
            steps.append((command, []))
        elif not steps:
            raise ValueError(f"output before the first command: {line}")
        else:
            steps[-1][1].append(line)
    return steps


def line_matches(shown, line):
    """Whether a line is the one that is shown, where `...` is anything."""
    parts = shown.rstrip().split("...")
    line = line.rstrip(" ")
    if len(parts) == 1:
        return line == parts[0]
    if not line.startswith(parts[0]):
        return False
    at = len(parts[0])
    for part in parts[1:-1]:  # the first place that fits leaves the most for the rest
        found = line.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(line) - at >= len(parts[-1]) and line.endswith(parts[-1])


def matches(shown, output):
    """Whether the lines of the output are those that are shown."""
    reached = {0}  # how many lines of the output can be behind the lines shown so far
    for text in shown:
        if text == "...":
            reached = set(range(min(reached), len(output) + 1)) if reached else set()
        else:
            reached = {
                at + 1 for at in reached if at < len(output) and line_matches(text, output[at])
            }
    return len(output) in reached


class Matching(unittest.TestCase):
    """What is shown must be able to be wrong."""

    def test_the_same_is_the_same(self):
        self.assertTrue(matches(["a b", "c"], ["a b  ", "c"]))

    def test_other_missing_or_further_lines_are_not(self):
        for output in (["a b"], ["a b", "d"], ["a b", "c", "d"], ["x", "a b", "c"], []):
            self.assertFalse(matches(["a b", "c"], output), output)

    def test_dots_are_anything_in_a_line(self):
        self.assertTrue(matches(["digest ... of 4"], ["digest 12 ab of 4"]))
        self.assertFalse(matches(["digest ... of 4"], ["digest 12 ab of 5"]))
        self.assertFalse(matches(["a...b"], ["a", "b"]))

    def test_a_line_of_dots_is_any_lines(self):
        for between in ([], ["x"], ["x", "", "y"]):
            self.assertTrue(matches(["a", "...", "b"], ["a", *between, "b"]), between)
        self.assertFalse(matches(["a", "...", "b"], ["a", "x"]))

    def test_what_is_no_pattern_is_plain_text(self):
        self.assertFalse(matches(["a.c [x]"], ["abc x"]))

    def test_a_command_goes_on_after_a_backslash(self):
        self.assertEqual(console_steps("$ a \\\n  b\nc\n"), [("a \\\n  b", ["c"])])


class Documents(enclave.Case):
    """One test a document, added below."""

    def step(self, command, status):
        """Runs a command after one that ended with `status`; output and errors as one text."""
        path = f"{self.programs}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-c", f"(exit {status})\n{command}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=self.directory,
            env=dict(os.environ, LC_ALL="C.UTF-8", PATH=path),
            text=True,
            timeout=60,
            check=False,
        )

    def follow(self, text):
        """Does what a reader would: makes the files, types the commands, reads the output."""
        self.programs = tempfile.mkdtemp(prefix="bulkhead-docs.")
        self.addCleanup(shutil.rmtree, self.programs)
        for path in (enclave.BULKHEAD, enclave.BULKHEAD_INIT):
            os.symlink(path, os.path.join(self.programs, os.path.basename(path)))
        status, previous = 0, ""
        for name, language, content in FENCE.findall(text):
            if name:
                (self.directory / name).write_text(content, encoding="utf-8")
            if language != "console":
                continue
            for command, shown in console_steps(content):
                if status != 0:
                    self.assertEqual(command, "echo $?", f"`{previous}` ended with {status}")
                done = self.step(command, status)
                if shown and not matches(shown, done.stdout.splitlines()):
                    want = "\n".join(shown)
                    self.fail(f"$ {command}\nshown:\n{want}\n\nprinted:\n{done.stdout}")
                status, previous = done.returncode, command
        self.assertEqual(status, 0, previous)

    def test_the_documents_that_show_commands_are_here(self):
        showing = {name for name, text in documents().items() if "\n```console\n" in text}
        self.assertLessEqual(SHOWING_COMMANDS, showing)


def add_documents():
    """A test method for every document with a console block."""
    for name, text in documents().items():
        if "\n```console\n" in text:
            method = "test_" + re.sub(r"\W", "_", name)
            setattr(Documents, method, lambda self, text=text: self.follow(text))


if __name__ == "__main__":
    add_documents()
    enclave.main()
