#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/policy.schema.json beside the compiler: where they disagree, the schema says less.

Whatever the compiler accepts, it accepts; of the policies that the compiler refuses for their shape
it refuses a good part, so that it is worth having. Files are read as editors read them, by the core
schema of YAML 1.2.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import jsonschema
import yaml

BULKHEAD = os.environ["BULKHEAD"]
SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((SOURCE / "docs/policy.schema.json").read_text(encoding="utf-8"))
POLICIES = [*(SOURCE / "examples").rglob("*.yaml"),
            *(SOURCE / "tests/policy/data").glob("e*.yaml"),
            SOURCE / "tests/policy/data/design-enforced.yaml"]
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


def complaint(path):
    """What the schema has against a file; None: nothing. What is no YAML of one document, too."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Core)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        return f"no YAML: {error}"
    root = "policy"
    if isinstance(value, dict) and "features" in value:
        root = "target"
    elif isinstance(value, dict) and "enclave" not in value and "components" not in value:
        root = "library"
    validator = jsonschema.Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{root}"})
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    return None if error is None else f"{'/'.join(map(str, error.path))}: {error.message[:200]}"


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
        for path in files:
            with self.subTest(path=path):
                self.assertIsNone(complaint(path))

    def test_what_is_called_accepted_is(self):
        """The control of the test above: the policies among them do compile."""
        for path in POLICIES:
            result = subprocess.run([BULKHEAD, "check", str(path)], capture_output=True, text=True,
                                    check=False, timeout=60)
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
