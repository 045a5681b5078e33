#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/policy.schema.json beside the compiler: where they disagree, the schema says less.

Whatever the compiler accepts, it accepts; of the policies that the compiler refuses for their shape
it refuses a good part, so that it is worth having. Files are read as editors read them, by the core
schema of YAML 1.2, and by YAML 1.1. JSON has text for keys and no dates: both stay as written.
"""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import yaml

BULKHEAD = os.environ["BULKHEAD"]
SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((SOURCE / "docs/policy.schema.json").read_text(encoding="utf-8"))
POLICIES = [*(SOURCE / "examples").rglob("*.yaml"),
            *(SOURCE / "tests/policy/data").glob("e*.yaml"),
            SOURCE / "tests/policy/data/design-enforced.yaml"]
VALIDATORS = {root: jsonschema.Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{root}"})
              for root in ("policy", "target", "library")}
# Mistakes that a schema can know of: keys, kinds of values, choices, forms of scalars.
SHAPE = re.compile(r"\[E02\d\d\]")


class Core(yaml.SafeLoader):  # pylint: disable=too-many-ancestors
    """Scalars by YAML 1.2.2, 10.3.2."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", "~nN"), ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789")):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"),
                               list(first) + ([""] if tag == "null" else []))
Core.add_constructor("tag:yaml.org,2002:int",
                     lambda loader, node: int(node.value, 0) if re.match("0[ox]", node.value)
                     else int(node.value))
Core.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))


class Old(yaml.SafeLoader):  # pylint: disable=too-many-ancestors
    """Scalars by YAML 1.1: 0027 is 23, `on` a boolean."""


Old.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def map_of(loader, node):
    """A map as JSON has it."""
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is no text", key.start_mark)
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


for reader in (Core, Old):
    reader.add_constructor("tag:yaml.org,2002:map", map_of)


def complaint(path, loader=Core):
    """What the schema has against a file; None: nothing. What is no YAML of one document, too."""
    return complaint_of(path.read_bytes(), loader)


def complaint_of(data, loader=Core):
    """The same of what is in a file."""
    try:
        value = yaml.load(data.decode("utf-8"), loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        return f"no YAML: {error}"
    root = "policy"
    if isinstance(value, dict) and "features" in value:
        root = "target"
    elif isinstance(value, dict) and "enclave" not in value and "components" not in value:
        root = "library"
    error = jsonschema.exceptions.best_match(VALIDATORS[root].iter_errors(value))
    return None if error is None else f"{'/'.join(map(str, error.path))}: {error.message[:200]}"


def check(path):
    """The compiler's answer."""
    return subprocess.run([BULKHEAD, "check", str(path)], capture_output=True, text=True,
                          check=False, timeout=60)


def small(extra="", version="1", program="/usr/bin/true", inner=""):
    """A policy of one component."""
    return (f"bulkhead: {version}\nenclave: small\ntarget: linux-6.18\n{extra}"
            "components:\n  one:\n    profile: [batch]\n"
            '    files: {execute: [/usr/bin/true, "@loader"], read: ["@libraries"]}\n'
            f"    exec: [{program}]\n{inner}")


LIBRARY = "bulkhead: 1\n"
FORMS = {
    "variable-version": small("vars: {v: 1}\n", version="${v}"),
    "number-file": small("use: [5]\n"),
    "number-files": small("use: [5, 5.0]\n"),
    "number-digest": small(program="{path: /usr/bin/true, sha384: " + 96 * "9" + "}"),
    "number-reasons": small("groups: {own: {about: x, calls: [{call: fsync, why: 1}, "
                            "{call: fsync, why: 1.0}]}}\n"),
    "key-on": small(inner="    syscalls: {allow: [{on: {x86_64: [fsync]}}]}\n"),
    "octal-mask": small(inner="    umask: 0027\n    env: {A: .5, B: +5, C: .inf, D: 2027-03-01}\n"),
}

# What is put in the place of each scalar.
VALUES = ["1", "7", "1.5", ".5", "0027", "yes", "true", "null", "'1'", "2027-03-01", "64M", "50%",
          "auto", "/srv", "'@libraries'", "${port}", "'a${port}'", "$${", "fsync", "[a]"]


def scalars(node):
    """Where each scalar begins and ends in the text."""
    if isinstance(node, yaml.ScalarNode):
        yield node.start_mark.index, node.end_mark.index
    for child in node.value if not isinstance(node, yaml.ScalarNode) else ():
        for part in child if isinstance(child, tuple) else (child,):
            yield from scalars(part)


def accepted():
    """Policies that compile, and the files of the library and the targets."""
    yield from POLICIES
    yield from (SOURCE / "profiles").rglob("*.yaml")
    yield from (SOURCE / "tests/policy/data/profiles").glob("*.yaml")


def shown():
    """The policies that documents show, as files."""
    fence = re.compile(r"^<!-- file: (\S+\.yaml) -->\n+```\w*\n(.*?)^```$", re.M | re.S)
    for document in [SOURCE / "README.md", *(SOURCE / "docs").glob("*.md")]:
        for name, text in fence.findall(document.read_text(encoding="utf-8")):
            yield f"{document.name}: {name}", text


class Schema(unittest.TestCase):
    def test_it_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_what_the_compiler_accepts_it_accepts(self):
        files = list(accepted())
        self.assertGreater(len(files), 17)
        for path, loader in itertools.product(files, (Core, Old)):
            with self.subTest(path=path, loader=loader.__name__):
                self.assertIsNone(complaint(path, loader))

    def test_forms_that_read_as_something_else(self):
        """Accepted by the compiler, each read by an editor as what it isn't."""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("5", "5.0"):
                pathlib.Path(folder, name).write_text(LIBRARY, encoding="utf-8")
            for name, text in FORMS.items():
                path = pathlib.Path(folder, f"{name}.yaml")
                path.write_text(text, encoding="utf-8")
                with self.subTest(name=name):
                    self.assertEqual(check(path).returncode, 0, check(path).stderr)
                    self.assertIsNone(complaint(path))
                    self.assertIsNone(complaint(path, Old))

    def test_what_is_called_accepted_is(self):
        """The control of the test above: the policies among them do compile."""
        for path in POLICIES:
            result = check(path)
            self.assertEqual(result.returncode, 0, result.stderr)

    def test_what_documents_show(self):
        texts = list(shown())
        self.assertGreater(len(texts), 1)
        for name, text in texts:
            with self.subTest(name=name):
                path = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"bulkhead-schema-{os.getpid()}.yaml"
                self.addCleanup(path.unlink, missing_ok=True)
                path.write_text(text, encoding="utf-8")
                self.assertIsNone(complaint(path))

    def test_broken_policies(self):
        caught, missed, other = [], [], []
        for path in sorted((SOURCE / "tests/policy/broken").glob("*.yaml")):
            expected = path.with_suffix(".expected").read_text(encoding="utf-8")
            found = complaint(path)
            if ": error:" not in expected:
                self.assertIsNone(found, path)
            elif not SHAPE.search(expected):
                other.append(path.name)
            else:
                (caught if found else missed).append(path.name)
        print(f"{len(caught)} broken policies caught, {len(missed)} not: {' '.join(missed)}; "
              f"{len(other)} broken in what no schema knows", file=sys.stderr)
        self.assertGreater(len(caught), 2 * len(missed))


class Mutations(unittest.TestCase):
    """Every scalar of a policy replaced by every value: the schema refuses none that compiles."""

    def test_every_form(self):
        text = (SOURCE / "tests/policy/data/every-form.yaml").read_text(encoding="utf-8")
        texts = {text[:start] + value + text[end:]
                 for start, end in scalars(yaml.compose(text, Core)) for value in VALUES}
        with tempfile.TemporaryDirectory() as folder, \
                concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = list(pool.map(lambda item: self.both(folder, *item), enumerate(sorted(texts))))
        took = [answer for answer in answers if answer[0]]
        print(f"{len(answers)} policies, {len(took)} compile, the schema refuses "
              f"{sum(not by_schema for _, by_schema in answers)}", file=sys.stderr)
        self.assertGreater(len(took), 100)
        self.assertGreater(sum(not by_schema for _, by_schema in answers), len(answers) // 2)

    def both(self, folder, number, text):
        """Whether the compiler and the schema accept a policy."""
        path = pathlib.Path(folder, f"{number}.yaml")
        path.write_text(text, encoding="utf-8")
        answer = check(path)
        self.assertIn(answer.returncode, (0, 1), f"{answer.stderr}\n{text}")
        complaints = [complaint(path, loader) for loader in (Core, Old)]
        if answer.returncode == 0:
            self.assertEqual(complaints, [None, None], text)
        return answer.returncode == 0, complaints[0] is None


if __name__ == "__main__":
    unittest.main(verbosity=2)
