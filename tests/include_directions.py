#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a folder includes, or is linked with, what the architecture forbids.

usage: include_directions.py ROOT

The dependencies are a diamond with the compiled artefact at the bottom, and a third-party header
appears only in the files named for it, so that a library can be replaced, reviewed or kept out of
the runtime in one place. Every run first plants one violation of each kind in a scratch tree and
fails unless all of them, and nothing else, are found.
"""

import pathlib
import re
import sys
import tempfile

# Folder -> the folders whose headers it may include besides its own.
ALLOWED = {
    "profiles": set(),
    "policy": {"profiles"},
    "sandbox": {"profiles"},
    "compiler": {"policy", "profiles"},
    "engine": {"sandbox", "profiles"},
    "cli": {"compiler", "policy", "engine", "sandbox", "profiles"},
}
# Folders that nothing of the product may include; they themselves may include the product.
OUTSIDE = ("tests", "examples", "bench", "scripts", "packaging", "docs")
TOOLS = ("policy/*", "compiler/*", "cli/*", "tests/*", "bench/*")

# Header -> the files that may include it.
THIRD_PARTY = (
    (r"yaml-cpp/", ("policy/yaml_events.cc",)),
    (r"seccomp\.h$", ("tests/*", "bench/by_libseccomp.cc")),
    (r"sys/capability\.h$", ("sandbox/capabilities.cc",)),
    # Debian 12's stops at ABI 2. The test compares the table of constants with the real headers.
    (r"linux/landlock\.h$", ("tests/compiler/constants_test.cc",)),
    (r"gmp\.h$", ("engine/audit_key.cc",)),
    (r"nettle/", ("profiles/*", "sandbox/*", "engine/*", "tests/*", "bench/*")),
    (r"(openssl/|fmt/|nlohmann/|CLI/)", TOOLS),
    (r"boost/", ("tests/*",)),
)
# Headers kept to so many files, wherever these are.
AT_MOST = ((r"seccomp\.h$", 3),)

LANDLOCK_HOME = "profiles/landlock.h"
LANDLOCK_NAME = re.compile(r"\bLANDLOCK_[A-Z_]+\b")

SUFFIXES = (".cc", ".h", ".inc")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.MULTILINE)
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
LIBRARY = re.compile(r"^bulkhead_library\(([^)]*)\)", re.MULTILINE)
RUNTIME_FORBIDS = re.compile(r"YAMLCPP|LIBSECCOMP|FMT|OPENSSL|CRYPTO")


def sources(root):
    for folder in (*ALLOWED, *OUTSIDE):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                yield path.relative_to(root).as_posix(), path.read_text(errors="replace")


def matches(path, patterns):
    return any(pathlib.PurePosixPath(path).match(p) or
               (p.endswith("/*") and path.startswith(p[:-1])) for p in patterns)


def folder_problem(path, header):
    """What is wrong with an include of one of our own headers, or None."""
    own, target = path.split("/")[0], header.split("/")[0]
    if own not in ALLOWED or target == own:
        return None
    if target in OUTSIDE:
        return f"{own} must not include anything of {target}"
    if target in ALLOWED and target not in ALLOWED[own]:
        return f"{own} must not include anything of {target}"
    return None


def include_problems(root, path, bracket, header):
    if header.split("/")[0] in (*ALLOWED, *OUTSIDE):
        if bracket == "<":
            yield f"own header <{header}> in angle brackets"
        problem = folder_problem(path, header)
        if problem:
            yield problem
    elif bracket == '"' and ((root / path).parent / header).exists():
        yield f'"{header}" is not named from the root'
    for pattern, files in THIRD_PARTY:
        if re.match(pattern, header) and not matches(path, files):
            yield f"<{header}> belongs in {', '.join(files)} only"


def own_header_problem(root, path, text):
    if not path.endswith(".cc") or not (root / path).with_suffix(".h").exists():
        return None
    first = INCLUDE.search(text)
    own = path[:-3] + ".h"
    if first is None or first.group(2) != own:
        return f'does not include its own header "{own}" first'
    return None


def file_problems(root):
    for path, text in sources(root):
        own = own_header_problem(root, path, text)
        if own:
            yield f"{path}:1: {own}"
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            for problem in include_problems(root, path, *match.groups()):
                yield f"{path}:{line}: {problem}"
        if path.split("/")[0] in ALLOWED and path != LANDLOCK_HOME:
            code = NOT_CODE.sub(lambda m: "\n" * m.group().count("\n"), text)
            for match in LANDLOCK_NAME.finditer(code):
                line = code.count("\n", 0, match.start()) + 1
                yield f"{path}:{line}: {match.group()} belongs in {LANDLOCK_HOME}"


def count_problems(root):
    for pattern, most in AT_MOST:
        users = [path for path, text in sources(root)
                 if any(re.match(pattern, m.group(2)) for m in INCLUDE.finditer(text))]
        if len(users) > most:
            yield f"{users[-1]}:1: more than {most} files include {pattern}: {', '.join(users)}"


def link_problems(root):
    """The same directions, read from what CMakeLists.txt links."""
    path = root / "CMakeLists.txt"
    text = path.read_text() if path.exists() else ""
    for match in LIBRARY.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        folder, *linked = match.group(1).split()
        for name in linked:
            target = name.removeprefix("bulkhead_")
            if target in ALLOWED and target not in ALLOWED.get(folder, set()):
                yield f"CMakeLists.txt:{line}: {folder} must not be linked with {target}"
            if folder in ("profiles", "sandbox", "engine") and RUNTIME_FORBIDS.search(name):
                yield f"CMakeLists.txt:{line}: {folder} must not be linked with {name}"


def problems(root):
    return [*file_problems(root), *count_problems(root), *link_problems(root)]


# Path -> (text, the number of problems it must give). One row a rule, then the controls.
PLANTED = {
    "profiles/a.h": ('#include "policy/load.h"\n', 1),
    "policy/a.cc": ('#include "profiles/b.h"\n#include "compiler/plan.h"\n', 1),
    "sandbox/a.cc": ('  #  include "engine/unit.h"\n', 1),
    "compiler/a.cc": ('#include "sandbox/launch.h"\n', 1),
    "engine/a.cc": ('#include "policy/load.h"\n#include "cli/cli.h"\n', 2),
    "engine/b.cc": ('#include "tests/support/init.h"\n', 1),
    "engine/c.cc": ("#include <sandbox/launch.h>\n", 1),
    "cli/b.h": ("", 0),
    "cli/c.cc": ('#include "b.h"\n', 1),
    "cli/d.h": ("", 0),
    "cli/d.cc": ('#include <vector>\n\n#include "cli/d.h"\n', 1),
    "policy/b.cc": ("#include <yaml-cpp/yaml.h>\n", 1),
    "compiler/b.cc": ("#include <seccomp.h>\n", 1),
    "engine/d.cc": ("#include <sys/capability.h>\n", 1),
    "sandbox/b.cc": ("#include <linux/landlock.h>\n", 1),
    "sandbox/c.cc": ("int x = LANDLOCK_ACCESS_FS_EXECUTE;\n", 1),
    "profiles/c.cc": ("#include <fmt/format.h>\n", 1),
    "engine/e.cc": ("#include <nlohmann/json.hpp>\n", 1),
    "sandbox/d.cc": ("#include <openssl/evp.h>\n", 1),
    "cli/e.cc": ("#include <nettle/sha2.h>\n", 1),
    "engine/g.cc": ("#include <gmp.h>\n", 1),
    "tests/a/s_test.cc": ("#include <seccomp.h>\n", 0),
    "CMakeLists.txt": ("bulkhead_library(engine bulkhead_policy\n  ${YAMLCPP})\n", 2),
    # Controls: all of this is allowed.
    "policy/yaml_events.cc": ("#include <yaml-cpp/parser.h>\n", 0),
    "sandbox/capabilities.cc": ("#include <sys/capability.h>\n", 0),
    "engine/audit_key.cc": ("#include <gmp.h>\n#include <nettle/eddsa.h>\n", 0),
    "profiles/landlock.h": ("int y = LANDLOCK_ACCESS_FS_EXECUTE;\n", 0),
    "engine/f.cc": ('#include "engine/unit.h"\n#include "sandbox/launch.h"\n', 0),
    "cli/f.cc": ('#include "compiler/x.h"\n#include "engine/x.h"\n#include <fmt/core.h>\n', 0),
    "compiler/c.cc": ('// LANDLOCK_RULE_NET\nauto n = "LANDLOCK_RULE_NET";\n', 0),
    "tests/engine/x_test.cc": ('#include "engine/unit.h"\n#include "policy/load.h"\n', 0),
}


def plant(root, files):
    for name, (text, _) in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def self_test():
    """The planted files for which the wrong number of problems was found."""
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        plant(root, PLANTED)
        found = [p.split(":")[0] for p in problems(root)]
        wrong = [f"{name}: {found.count(name)} instead of {want}"
                 for name, (_, want) in PLANTED.items() if found.count(name) != want]
        plant(root, {f"tests/a/{n}_test.cc": ("#include <seccomp.h>\n", 0) for n in "tuv"})
        if len(problems(root)) != len(found) + 1:
            wrong.append("a fourth file with seccomp.h was not found")
        return wrong


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    wrong = self_test()
    for line in wrong:
        print(f"self-test: {line}")
    root = pathlib.Path(sys.argv[1])
    checked = sum(1 for _ in sources(root))
    found = problems(root)
    for line in found:
        print(line)
    if not checked:
        print("no source file found")
    print(f"{checked} files, {len(found)} problems, {len(PLANTED)} planted files judged")
    return 1 if wrong or found or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
