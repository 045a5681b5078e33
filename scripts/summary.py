#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sums up a CTest result file: how many passed, what failed, what was skipped, what was slow.

Exit code 1 when a test failed, or none ran, or one was skipped under BULKHEAD_REQUIRE_KERNEL.
"""

import os
import sys
import xml.etree.ElementTree as xml

SLOW_SECONDS = 10


def main():
    cases = list(xml.parse(sys.argv[1]).getroot().iter("testcase"))
    failed = [c.get("name") for c in cases if c.get("status") == "fail"]
    skipped = [c.get("name") for c in cases if c.get("status") in ("notrun", "disabled")]
    slow = [c for c in cases if float(c.get("time", 0)) >= SLOW_SECONDS]
    for case in sorted(slow, key=lambda c: -float(c.get("time"))):
        print(f"slow: {case.get('name')} {float(case.get('time')):.0f} s")
    for label, names in (("failed", failed), ("skipped", skipped)):
        if names:
            print(f"{label}: {' '.join(names)}")
    passed = len(cases) - len(failed) - len(skipped)
    print(f"tests: {passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    refused = bool(skipped) and "BULKHEAD_REQUIRE_KERNEL" in os.environ
    if refused:
        print("a skipped test is not a passed one here: BULKHEAD_REQUIRE_KERNEL is set")
    return 1 if failed or refused or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
