#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Boots the agent example as an image on other kernels, with bulkhead-init as PID 1, and compares what
comes of it with what must come; with --attacks the attack suite as one, with --measured images that are
measured, with --signed images that take signed bundles only. Writes the table of docs/BOOT-MATRIX.md with --write.

usage: matrix.py --build DIR --kernels DIR [--write FILE] [--quick] [--attacks | --measured | --signed]
       matrix.py --attacks --arch ARCH --runtime DIR --root DIR --build DIR --kernels DIR [--write FILE]
--quick: the rows marked so, without the boot that is compared with. --arch: of another architecture than
this machine's, with what was built for that in --runtime, and Debian's programs of it in --root.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import enclave  # noqa: E402
import machine  # noqa: E402
import measured  # noqa: E402
import signed  # noqa: E402
import suite  # noqa: E402

NO_LANDLOCK = "lsm=lockdown,yama"
PATIENCE = 150.0


@dataclasses.dataclass(frozen=True)
class Case:
    kernel: str
    append: str
    target: str
    refused: str = ""  # a pattern of the console; empty: it boots and holds
    quick: bool = False  # is part of the short run


CASES = [
    Case("6.1", "", "debian-12", quick=True),
    Case("6.1", "", "debian-13", r"needs Landlock ABI 6, this kernel has 2 ", quick=True),
    Case("6.1", "", "linux-6.18", r"needs Landlock ABI 7, this kernel has 2 "),
    Case("6.1", NO_LANDLOCK, "debian-12", r"needs Landlock ABI 2, this kernel has none "),
    Case("6.1", NO_LANDLOCK, "debian-12 without Landlock"),
    Case("6.12", "", "debian-12"),
    Case("6.12", "", "debian-13"),
    Case("6.12", "", "linux-6.18", r"needs Landlock ABI 7, this kernel has 6 "),
    Case("6.12", NO_LANDLOCK, "debian-13", r"needs Landlock ABI 6, this kernel has none "),
    Case("6.12", NO_LANDLOCK, "debian-13 without Landlock"),
]

ATTACKS = {
    "x86_64": [
        Case("6.1", "", "debian-12", quick=True),
        Case("6.12", "", "debian-13"),
        Case("6.12", NO_LANDLOCK, "debian-13 without Landlock"),
    ],
    "aarch64": [
        Case("6.1", "", "debian-12-aarch64"),
        Case("6.12", "", "debian-13-aarch64"),
        Case("6.12", NO_LANDLOCK, "debian-13-aarch64 without Landlock"),
    ],
}


@dataclasses.dataclass(frozen=True)
class Guests:
    """What there is of an architecture."""
    arch: machine.Arch
    runtime: pathlib.Path  # where it was built
    root: pathlib.Path  # where its programs are


class Compiler:
    def __init__(self, build, work, runtime=None):
        self.build = build
        self.bulkhead = build / "bulkhead"
        self.init = (runtime or build) / "bulkhead-init"
        self.work = work

    def target(self, name):
        shipped = name.removesuffix(" without Landlock")
        if shipped == name:
            return name
        text = (enclave.ROOT / f"profiles/targets/{shipped}.yaml").read_text()
        text = re.sub(r"(?m)^  landlock: .*$", "  landlock: 0", text)
        text = re.sub(r"(?m)^target: .*$", f"target: {shipped}-without-landlock", text)
        path = self.work / f"{shipped}-without-landlock.yaml"
        path.write_text(text)
        return str(path)

    def run(self, *words):
        done = subprocess.run([self.bulkhead, *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bulkhead {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout


class Builder(Compiler):
    """Of images of the agent example."""

    def __init__(self, build, work):
        super().__init__(build, work)
        self.tree = work / "tree"
        enclave.make_tree(self.tree, work / "laid-out")
        self.keygrip = (work / "laid-out/keygrip").read_text().strip()
        text = enclave.policy((enclave.EXAMPLE / "enclave.yaml").read_text())
        (work / "enclave.yaml").write_text(text)
        self._images = {}

    def image(self, target):
        if target not in self._images:
            stem = self.work / target.replace(" ", "-")
            bundle, image = stem.with_suffix(".bundle"), stem.with_suffix(".cpio")
            self.run("compile", self.work / "enclave.yaml", "-o", bundle, "--target",
                     self.target(target), "--set", f"keygrip={self.keygrip}")
            self.run("image", bundle, "--root", self.tree, "--init", self.init, "-o", image)
            self._images[target] = image
        return self._images[target]


class SuiteBuilder(Compiler):
    """Of images of the attack suite."""

    def __init__(self, build, work, guests):
        super().__init__(build, work, guests.runtime)
        self.arch = guests.arch
        self.program = guests.runtime / "bulkhead-attacks"
        self.attacks = suite.names_of_attacks(build / "bulkhead-attacks")
        self.tree = work / "suite-tree"
        suite.make_tree(self.tree, self.program, self.init, self.arch, guests.root)
        (work / "suite.yaml").write_text(json.dumps(suite.policy(self.arch)))
        self._modules = {}

    def image(self, kernel, target):
        if kernel not in self._modules:
            self._modules[kernel] = suite.unpack_modules(kernel, self.work / f"modules-{kernel.name}",
                                                         suite.MODULES + self.arch.modules)
        bundle, image = self.work / "suite.bundle", self.work / "suite.cpio"
        self.run("compile", self.work / "suite.yaml", "-o", bundle, "--target", self.target(target))
        modules = [word for path in self._modules[kernel] for word in ("--module", path)]
        self.run("image", bundle, "--root", self.tree, "--init", self.program, *modules, "-o", image)
        return image


def run_attacks(build, work, kernels, quick, guests):
    """How many went wrong, and the text for the page."""
    builder = SuiteBuilder(build, work, guests)
    suite.check_judge(builder.attacks, builder.arch)
    failed, table, lists = 0, suite.HEAD, ""
    for case in ATTACKS[builder.arch.name]:
        if quick and not case.quick:
            continue
        kernel = kernels / case.kernel
        guest, said, wrong = suite.run(builder.image(kernel, case.target), kernel, case.append,
                                       builder.attacks, builder.arch)
        whole, text = check_chain(builder, guest)
        wrong = wrong or ("" if whole else f"the audit log is not whole: {text}")
        if wrong:
            print(machine.telling(guest.console), flush=True)
        line = suite.row(case, said)
        print(f"WRONG {case}: {wrong}" if wrong else line.rstrip(), flush=True)
        failed += bool(wrong)
        table += line
        lists += suite.lists(case, said)
    return failed, f"{table}\n{lists}"


def bare_image(builder, starter):
    """The same tree with a shell script as PID 1."""
    tree = builder.work / "bare"
    subprocess.run(["cp", "-a", builder.tree, tree], check=True)
    for name in ("bin", "dev", "proc", "run", "sys", "tmp"):
        (tree / name).mkdir(exist_ok=True)
    for source, name in ((starter, "bare-start"), ("/bin/busybox", "bin/busybox"),
                         (enclave.ROOT / "tests/guest/bare_init", "init")):
        subprocess.run(["install", "-m", "0755", source, tree / name], check=True)
    subprocess.run(["mknod", tree / "dev/console", "c", "5", "1"], check=True)
    image = builder.work / "bare.cpio"
    with open(image, "wb") as output:
        subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=tree, stdout=output, check=True)
    return image


def run_bare(image, kernel):
    """Seconds from its PID 1's first line until its services are ready; None if it does not come to that."""
    guest = machine.Machine(kernel, image)
    try:
        if not guest.wait_for(r"bare: [0-9.]+ [0-9.]+", PATIENCE) or not guest.ended(60):
            print(machine.telling(guest.console))
            return None
        began, ended = re.search(r"bare: ([0-9.]+) ([0-9.]+)", guest.console).groups()
        return float(ended) - float(began)
    finally:
        guest.close()


def check_chain(builder, guest):
    lines = [line for line in guest.console.splitlines() if line.startswith('{"seq":')]
    path = builder.work / "audit.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    done = subprocess.run([builder.bulkhead, "audit", "verify", path], capture_output=True, text=True,
                          check=False)
    return done.returncode == 0, done.stdout.strip()


def seconds(pattern, console):
    found = re.search(pattern, console)
    return float(found.group(1)) if found else None


def booted(builder, guest):
    """What is wrong, empty if nothing, and what was measured."""
    if not guest.wait_for(r"`client` ready", PATIENCE):
        return "the client was not served", {}
    guest.press_ctrl_alt_delete()
    if not guest.wait_for(r"the enclave ended with exit status 0 .* switched off", PATIENCE):
        return "the enclave did not end in order", {}
    if not guest.ended(60):
        return "the machine did not switch itself off", {}
    whole, text = check_chain(builder, guest)
    if not whole:
        return f"the audit log is not whole: {text}", {}
    events = guest.events()
    ready = {e["component"]: float(e["time"]) for e in events if e.get("action") == "ready"}
    began = seconds(r"PID 1 since ([0-9.]+) s", guest.console)
    setup = seconds(r"set up at ([0-9.]+) s", guest.console)
    return "", {"began": began, "setup": setup - began, "ready": ready["gateway"] - began,
                "events": len(events)}


def refused(case, guest):
    if not guest.wait_for(case.refused, PATIENCE):
        return "it does not say why it refuses", {}
    if not guest.wait_for(r"the enclave ended with exit status 3 .* switched off", 60):
        return "it does not end with 3", {}
    if not guest.ended(60):
        return "the machine did not switch itself off", {}
    if re.search(r"` start\b", guest.console):
        return "something was started", {}
    return "", {}


def reason(case, console):
    line = next(line for line in console.splitlines() if re.search(case.refused, line))
    return line.removeprefix("bulkhead-init: ")


def run(case, builder, kernels):
    guest = machine.Machine(machine.kernel_of(kernels / case.kernel), builder.image(case.target), case.append)
    try:
        wrong, figures = refused(case, guest) if case.refused else booted(builder, guest)
        if machine.panicked(guest.console):
            wrong = "the kernel panicked"
        if wrong:
            print(machine.telling(guest.console), flush=True)
        answer = reason(case, guest.console) if case.refused and not wrong else "boots and holds"
    finally:
        guest.close()
    return wrong, answer, figures


def row(case, answer, figures):
    verdict = f"refuses: {answer}" if case.refused else answer
    times = [f"{figures['setup']:.2f}", f"{figures['ready']:.1f}"] if figures else ["", ""]
    bare = figures.get("bare")
    times += [f"{bare:.1f}", f"{figures['ready'] / bare:.1f}"] if bare else ["", ""]
    return "| " + " | ".join([case.kernel, f"`{case.append}`" if case.append else "Debian's", case.target,
                              verdict, *times]) + " |"


def run_boots(build, work, kernels, quick):
    """How many went wrong, and the table."""
    builder = Builder(build, work)
    bare = None if quick else bare_image(builder, build / "tests/guest-bare-start")
    failed, rows = 0, []
    for case in CASES:
        if quick and not case.quick:
            continue
        wrong, answer, figures = run(case, builder, kernels)
        if bare and figures and not case.append:
            figures["bare"] = run_bare(bare, machine.kernel_of(kernels / case.kernel))
            wrong = wrong or ("" if figures["bare"] else "it does not boot bare")
        rows.append(row(case, answer, figures))
        failed += bool(wrong)
        print(f"WRONG {case}: {wrong}" if wrong else rows[-1], flush=True)
    return failed, HEAD + "".join(line + "\n" for line in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--kernels", type=pathlib.Path, required=True)
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--attacks", action="store_true")
    parser.add_argument("--measured", action="store_true")
    parser.add_argument("--signed", action="store_true")
    parser.add_argument("--arch", choices=machine.ARCHES, default="x86_64")
    parser.add_argument("--runtime", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=enclave.HERE)
    options = parser.parse_args()
    guests = Guests(machine.ARCHES[options.arch], options.runtime or options.build, options.root)
    part = "attacks" if options.arch == "x86_64" else f"attacks-{options.arch}"
    with tempfile.TemporaryDirectory(prefix="bulkhead-matrix-") as work:
        place = options.build, pathlib.Path(work), options.kernels, options.quick
        parts = {}
        if options.quick or not (options.attacks or options.measured or options.signed):
            parts["boots"] = run_boots(*place)
        if options.attacks or options.quick:
            parts[part] = run_attacks(*place, guests)
        if options.measured or options.quick:
            parts["measured"] = measured.run_all(Compiler(*place[:2]), options.kernels, options.quick)
        if options.signed or options.quick:
            parts["signed"] = signed.run_all(Compiler(*place[:2]), options.kernels, options.quick)
    if any(failed for failed, _ in parts.values()):
        sys.exit(1)
    if options.write and not options.quick:
        for name, (_, text) in parts.items():
            write(options.write, name, text)


HEAD = ("| kernel | Linux security modules | compiled for | comes of it | set up, s | all ready, s | bare, s | "
        "ratio |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")


def write(path, part, generated):
    begin, end = f"<!-- generated: {part} begin -->\n", f"<!-- generated: {part} end -->\n"
    before, rest = path.read_text().split(begin)
    path.write_text(before + begin + generated + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
