#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same policy gives the same bytes: at another time, from another folder, in another order."""

import pathlib
import random
import re
import unittest

import enclave
from enclave import python

EXAMPLE = enclave.SOURCE / "examples/agent-enclave/enclave.yaml"


def sample():
    """A policy in which every kind of list and map that has no order of its own occurs."""
    server = python(
        "import time; time.sleep(1000)",
        env={"ONE": "1", "TWO": "2", "THREE": "3"},
        network={
            "tcp": {"connect": [443, 8080, 5432]},
            "unix": {
                "listen": [
                    {"path": "/run/edges/a/a.sock", "name": "a", "from": ["client", "third"]},
                    {"path": "/run/edges/b/b.sock", "name": "b", "from": ["client"]},
                ]
            },
        },
        syscalls={
            "allow": ["@processes", "@file-modes", {"ioctl": {"request": ["TCGETS", "FIONREAD"]}}]
        },
        limits={"memory": "64M", "processes": 8, "files": 64, "cpu": "50%"},
        restart={"when": "on-failure", "at-most": 3, "within": "30s"},
    )
    server["files"] = {
        "read": ["/etc/hostname", "/etc/os-release", {"path": "/etc/localtime", "optional": True}],
        "private": [{"path": "/tmp", "size": "1M"}, {"path": "/var/tmp", "size": "2M"}],
    }
    client = python(
        "import time; time.sleep(1000)",
        network={"unix": {"connect": ["/run/edges/a/a.sock", "/run/edges/b/b.sock"]}},
        after=["server", "third"],
    )
    third = python(
        "import time; time.sleep(1000)",
        network={"unix": {"connect": ["/run/edges/a/a.sock"]}},
        after=["server"],
    )
    return enclave.policy(
        "e2e-compile",
        {"server": server, "client": client, "third": third},
        target="linux-6.18",
        assets={
            "logins": {"files": ["/etc/shadow", "/etc/gshadow"]},
            "key": {"files": ["/etc/ssl/private"]},
        },
    )


def shuffled(value, rng, key=None):
    """The same policy with every map and every list without an order in another order."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {name: shuffled(value[name], rng, name) for name in keys}
    if isinstance(value, list) and key not in ("exec", "profile"):
        items = [shuffled(item, rng) for item in value]
        rng.shuffle(items)
        return items
    return value


def ordered(statement):
    """A statement's id with the values of its argument tests, spelled as written, in order."""
    return re.sub(
        r"\[(.*?)\]", lambda values: "".join(sorted(values[1].split(","))), statement
    )


def components_reversed(text):
    """The text of a policy with its components, as they stand, in the opposite order."""
    head, components = re.split(r"(?m)^components:\n", text)
    blocks = re.split(r"(?m)^(?=  [a-z]+:$)", components)
    assert blocks[0] == "" and len(blocks) == 6, blocks
    blocks = [block.rstrip("\n") + "\n" for block in blocks[1:]]
    return head + "components:\n" + "\n".join(reversed(blocks))


class Determinism(enclave.Case):
    def same_bytes(self, first, second):
        self.assertEqual(first.read_bytes(), second.read_bytes())
        digests = {self.map_of(bundle)[0] for bundle in (first, second)}
        self.assertEqual(digests, {"sha384:" + self.digest(first)})

    def digest(self, bundle):
        result = enclave.run(enclave.BULKHEAD, "inspect", str(bundle), "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        return re.search(r'"digest": *"(?:sha384:)?([0-9a-f]{96})"', result.stdout)[1]

    def map_of(self, bundle):
        """The digest that the map is bound to, and where each statement stands."""
        lines = pathlib.Path(f"{bundle}.map").read_text(encoding="utf-8").splitlines()
        return lines[0], dict(line.split("\t") for line in lines[1:])

    def test_twice_and_from_another_folder(self):
        for source in (EXAMPLE, self.write_policy(sample())):
            with self.subTest(source=source):
                first = self.compile(source, "first.bundle")
                self.same_bytes(first, self.compile(source, "second.bundle"))
                other = self.directory / "some/where/else.yaml"
                other.parent.mkdir(parents=True, exist_ok=True)
                other.write_bytes(source.read_bytes())
                elsewhere = self.compile("else.yaml", "elsewhere.bundle", cwd=other.parent)
                self.same_bytes(first, elsewhere)

    def test_in_another_order(self):
        first = self.compile(self.write_policy(sample()), "first.bundle")
        places = self.map_of(first)[1]
        for seed in range(20):
            with self.subTest(seed=seed):
                other = self.write_policy(shuffled(sample(), random.Random(seed)), "policy.yaml")
                second = self.compile(other, "second.bundle")
                self.same_bytes(first, second)
                moved = self.map_of(second)[1]
                self.assertEqual({*map(ordered, places)}, {*map(ordered, moved)})
                self.assertNotEqual(places, moved)

    def test_components_of_the_example_in_another_order(self):
        other = self.directory / "reversed.yaml"
        other.write_text(components_reversed(EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
        first = self.compile(EXAMPLE, "first.bundle")
        second = self.compile(other, "second.bundle")
        self.same_bytes(first, second)
        self.assertNotEqual(self.map_of(first)[1], self.map_of(second)[1])

    def test_another_policy_gives_other_bytes(self):
        first = self.compile(self.write_policy(sample()), "first.bundle")
        changed = sample()
        changed["components"]["server"]["env"]["ONE"] = "2"
        second = self.compile(self.write_policy(changed), "second.bundle")
        self.assertNotEqual(first.read_bytes(), second.read_bytes())
        self.assertNotEqual(self.map_of(first)[0], self.map_of(second)[0])


if __name__ == "__main__":
    enclave.main()
