# SPDX-License-Identifier: Apache-2.0
"""What the tests of hostile components share: components that attack, and what the runtime is held to."""

import os
import re
import shutil
import time

import enclave
from enclave import python

HOSTILE = os.environ["BULKHEAD_HOSTILE"]
ONCE = {"when": "never"}

# docs/AUDIT.md, Budget: records of one component at once, and a second.
BURST = 1024
REFILL = 16
# A record here is shorter.
RECORD_BYTES = 1024

# The longest that anybody waits for an answer, and for an enclave that is told to end, in seconds.
PROMPT = 2
END = 10

# So many refusals are a flood.
MANY = 10000
# On the file that should not be tried at all.
ATTEMPTS = 20


def boot_time():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def total(events):
    return sum(event["count"] for event in events)


class Case(enclave.Case):
    def hostile(self, *arguments, **keys):
        """A component that is the program hostile.cc."""
        program = self.directory / "hostile"
        shutil.copy(HOSTILE, program)
        program.chmod(0o755)
        return {
            "profile": ["stateful-service"],
            "exec": [str(program), *map(str, arguments)],
            "files": {"execute": [str(program)]},
            "restart": ONCE,
            **keys,
        }

    def script(self, code, *arguments, **keys):
        component = python(code, restart=ONCE, **keys)
        component["exec"] += map(str, arguments)
        return component

    def target(self, **features):
        """This kernel as a target, but with these features."""
        text = enclave.run(enclave.BULKHEAD, "doctor").stdout
        for name, value in features.items():
            name = name.replace("_", "-")
            text, found = re.subn(rf"(?m)^  {name}: +\S+$", f"  {name}: {value}", text)
            self.assertEqual(found, 1, name)
        path = self.directory / "target.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def asset(self):
        path = self.directory / "asset"
        path.write_text("secret", encoding="utf-8")
        path.chmod(0o644)
        return str(path)

    def reaper(self, running, component):
        return int(enclave.process_status(running.main_pid(component))["PPid"])

    def numbers(self, running, text):
        """What stands behind this text in the output, in order."""
        found = re.findall(rf"(?m)^{re.escape(text)} ([0-9.e-]+)$", running.output())
        return [float(number) for number in found]

    def last(self, running, text):
        return (self.numbers(running, text) or [0])[-1]

    def wait_more(self, running, text, least):
        """Until the last number behind this text is more than the least."""
        enclave.wait_until(lambda: self.last(running, text) > least, 20, f"{text} {least}")

    def answers_go_on(self, running, count=8):
        """The caller's refused calls are answered, all of them promptly."""
        text = "caller | answered after"
        wanted = len(self.numbers(running, text)) + count
        enclave.wait_until(lambda: len(self.numbers(running, text)) >= wanted, END, text)
        self.assertLess(max(self.numbers(running, text)), PROMPT)

    def ends(self, running):
        """It ends by SIGTERM in time, and its log holds together; its events."""
        self.assertEqual(running.stop(END), 0, running.output())
        running.verify_audit()
        return running.events()

    def within_budget(self, events, component):
        """A bound on what one component may write."""
        seconds = float(events[-1]["time"]) - float(events[0]["time"])
        records = [e for e in events if e["component"] == component and e["kind"] == "violation"]
        several = [e for e in records if e["object"] == "(several)"]
        self.assertLessEqual(len(records) - len(several), BURST + REFILL * (seconds + 1))
        self.assertLessEqual(len(several), 2 * (seconds + 1))
        return records
