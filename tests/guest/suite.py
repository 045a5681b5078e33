# SPDX-License-Identifier: Apache-2.0
"""The attack suite as components of an image: one of each shipped archetype makes all attacks, on a
kernel that was shown before, in the same boot, to let them through.

The image's first program is the suite itself (tests/attacks/machine.cc). It makes every attack without
confinement, leaves around what a careless starter would, and becomes bulkhead-init as PID 1.
"""

import json
import lzma
import pathlib
import re
import shutil
import subprocess

import enclave
import machine

ARCHETYPES = ("batch", "gateway", "stateful-service", "untrusted-code")
PYTHON = "/usr/bin/python3"
# What attacks are made with and is a module of Debian's kernels.
MODULES = ("sctp", "dccp_ipv4", "smc", "af_alg", "af_key", "vsock_loopback")
# No vsock address is used but with the first word; Debian's kernels have x32, but not switched on.
APPEND = "bulkhead.guest syscall.x32=y"
PATIENCE = 420.0
ENDED = re.compile(r"the enclave ended with exit status 0 .* switched off")
COMPAT = "aarch32"
# What kernels of an architecture do not have, and so can't be shown to work there.
ABSENT = {
    "x86_64": {},
    "aarch64": {
        ("calls-ia32", "socketcall"): "AArch32's present ABI has no such call",
        ("calls-x32", "x32-socket"): "there is no third table",
        ("kernel-entry", "kexec-file"): "Debian's arm64 kernels are built without",
        ("memory-wx-mprotect", "pkey-mprotect"): "arm64 has it since 6.12",
    },
}
SEEN = "reached a connection to the socket"
DOC = enclave.ROOT / "docs/ATTACKS.md"


def kept(name):
    return f"/var/lib/suite/{name}"


def component(name, arch):
    """What scripts/attacks states for an archetype, and where it keeps how far it has come: an attack
    may end it, and then it is started again for the next one."""
    return {
        "profile": [name],
        "exec": ["/suite/program", "inside", "place=/suite/place", "granted=/suite/granted", "own=/tmp",
                 "program=/suite/program", "foreign=/suite/bulkhead-init", "set-id=/suite/set-id",
                 f"loader={arch.loader}", "compat=/suite/compat", "dynamic=/usr/bin/true",
                 f"interpreter={PYTHON}", "edge=/suite/others/edge", "attacks-kept", f"{kept(name)}/next"],
        "files": {"execute": ["/suite/program", "@loader"],
                  "read": ["@libraries", "/usr/bin/true", "/suite/granted", "/suite/place"],
                  "private": [{"path": "/tmp", "size": "16M"}], "state": [kept(name)]},
        "ready": "started",
        "restart": {"when": "always", "at-most": 1000, "within": "60s"},
    }


def compat_component():
    """A program of the kernel's other architecture, where it is one that only programs come to. Its first
    call must be its end."""
    return {"profile": ["batch"], "exec": ["/suite/compat", "2"], "files": {"execute": ["/suite/compat"]},
            "ready": "started", "restart": {"when": "never"}}


def policy(arch):
    sinks = ["stdout", {"file": "/suite/log/audit.jsonl"}]
    components = {name: component(name, arch) for name in ARCHETYPES}
    if arch.compat:
        components[COMPAT] = compat_component()
    return {"bulkhead": 1, "enclave": "attacks", "target": "debian-12", "audit": {"sinks": sinks},
            "components": components}


def make_tree(tree, program, init, arch, root):
    for path in ("/usr/bin/true", "/usr/bin/env", PYTHON, arch.loader, "/etc/ld.so.cache"):
        enclave.copy(path, tree, root)
    for path in ("/usr/bin/true", "/usr/bin/env", PYTHON):
        for library in enclave.libraries(path, root):
            enclave.copy(library, tree, root)
    enclave.copy_python(tree, root)
    suite = tree / "suite"
    suite.mkdir()
    for name in ("program", "set-id"):
        shutil.copyfile(program, suite / name)
        (suite / name).chmod(0o755)
    shutil.copyfile(init, suite / "bulkhead-init")
    (suite / "bulkhead-init").chmod(0o755)
    (suite / "granted").write_text("granted")
    # Not by its mode is it closed to writing.
    (suite / "granted").chmod(0o666)
    # Written by the suite's first program.
    (suite / "place").touch()
    (suite / "compat").touch()
    (suite / "compat").chmod(0o755)
    (suite / "log").mkdir(0o700)
    for name in ARCHETYPES:
        (tree / kept(name)[1:]).mkdir(parents=True)


def unpack_modules(kernel, directory, names=MODULES):
    """The modules and what they need, in that order."""
    version = next((kernel / "lib/modules").iterdir()).name
    paths = []
    for name in names:
        shown = subprocess.run(["modprobe", "-d", kernel, "-S", version, "--show-depends", name],
                               capture_output=True, text=True, check=True).stdout
        for path in re.findall(r"(?m)^insmod (\S+)", shown):
            if path not in paths:
                paths.append(path)
    directory.mkdir()
    unpacked = []
    for path in map(pathlib.Path, paths):
        target = directory / path.name.removesuffix(".xz")
        data = path.read_bytes()
        target.write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)
        unpacked.append(target)
    return unpacked


def names_of_attacks(program):
    listed = subprocess.run([program, "attacks"], capture_output=True, text=True, check=True).stdout
    return [tuple(line.split()[:2]) for line in listed.splitlines()]


def page():
    """Attack -> what it comes to on the host, as the page says: alone, and in each archetype."""
    rows = {}
    for line in DOC.read_text(encoding="utf-8").splitlines():
        cells = [part.strip(" `*") for part in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) > len(ARCHETYPES) + 3:
            inside = [cell.strip("()") for cell in cells[-len(ARCHETYPES):]]
            rows[cells[0], cells[1]] = cells[2], dict(zip(ARCHETYPES, inside))
    return rows


def end_of(detail):
    """As cli/attack_suite.cc judges the end of a component that an attack has ended."""
    if detail.startswith("killed by "):
        return detail.removeprefix("killed by ")
    code = detail.removeprefix("exit status ")
    return "passed" if code in ("0", "200") else f"exit:{code}"


class Console:
    """What is said on the console, line by line."""

    def __init__(self, attacks, arch):
        self.attacks = attacks
        self.arch = arch
        self.compat = ""  # what the program of the other architecture came to
        self.bare = {}  # attack -> what it came to without confinement
        self.bare_code = None
        self.made = {name: {} for name in ARCHETYPES}
        self.done = set()
        self.reached = []
        self.lost = self.records = 0
        self._begun = {}

    def visit(self, line):
        """Whether everything has been tried."""
        name, bar, said = line.partition(" | ")
        if line.startswith('{"seq":'):
            self._event(json.loads(line))
        elif line.startswith("reached "):
            self.reached.append(line)
        elif line.startswith("control ended with "):
            self.bare_code = int(line.rsplit(" ", 1)[1])
        elif bar and name in self.made:
            self._said(name, said.split())
        elif self.bare_code is None and len(words := line.split()) == 5:
            if words[1] in ("rule", "bare", "tool") and words[2] in ("way", "named"):
                key = words[0], words[3]
                if self.bare.get(key) != "passed":
                    self.bare[key] = words[4]
        return self.done == set(ARCHETYPES)

    def _said(self, name, words):
        if words == ["done"]:
            self.done.add(name)
        elif len(words) == 5 and words[0] == "attack":
            self._begun[name] = self.attacks[int(words[1])]
            assert self._begun[name] == tuple(words[2:4]), words
            self.made[name][self._begun[name]] = "hung"
        elif len(words) == 4 and words[0] == "result" and name in self._begun:
            self.made[name][self._begun.pop(name)] = words[2]

    def _event(self, event):
        if event["kind"] == "loss":
            self.lost += event["count"]
        if event["kind"] in ("violation", "absent"):
            self.records += event["count"]
        name = event["component"]
        if event["action"] == "exit" and name == COMPAT:
            self.compat = end_of(event["extra"]["detail"])
        if event["action"] == "exit" and name in self._begun:
            self.made[name][self._begun.pop(name)] = end_of(event["extra"]["detail"])

    def works(self):
        return {key for key in self.attacks if self.bare.get(key) == "passed"}

    def wrong(self):
        """What is not as it must be; empty: nothing."""
        everything = set(self.attacks)
        if self.bare_code != 0:
            return f"the attacks without confinement ended with {self.bare_code}"
        for name, made in self.made.items():
            if through := sorted(key for key, result in made.items() if result == "passed"):
                return f"from inside `{name}` succeeded: {through}"
            if left := sorted(everything - made.keys()):
                return f"`{name}` has not made {left}"
            if hung := sorted(key for key, result in made.items() if result == "hung"):
                return f"`{name}` hung in {hung}"
        if self.arch.compat and self.compat != "SIGSYS":
            return f"the program of the other architecture came to `{self.compat}`"
        # Once by the suite's first program, so that it is known that somebody looks.
        if self.reached != [SEEN]:
            return f"seen from outside: {self.reached}"
        if self.lost:
            return f"{self.lost} records were lost"
        absent = ABSENT[self.arch.name]
        shown = [key for key, (alone, _) in page().items() if alone == "succeeds" and key not in absent]
        if len(self.works()) < len(shown):
            return (f"only {len(self.works())} attacks work here: "
                    f"{sorted((key, self.bare.get(key)) for key in everything - self.works())}")
        return ""


def run(image, kernel, append, attacks, arch):
    """Boots it; the guest, closed, and what it said."""
    guest = machine.Machine(machine.kernel_of(kernel), image, f"{APPEND} {append}".strip(), memory=1536,
                            arch=arch)
    said = Console(attacks, arch)
    wrong = "not everything was tried in time"
    try:
        if guest.follow(said.visit, PATIENCE):
            # What is reached is told a little later.
            guest.follow(lambda line: said.visit(line) and False, 1)
            guest.press_ctrl_alt_delete()
            ended = guest.follow(lambda line: said.visit(line) and bool(ENDED.search(line)), 60)
            wrong = "" if ended and guest.ended(60) else "it did not end in order"
    finally:
        guest.close()
    if machine.panicked(guest.console):
        wrong = "the kernel panicked"
    return guest, said, wrong or said.wrong()


HEAD = ("| kernel | Linux security modules | compiled for | attacks made in each | of them work there | "
        "succeed | refusals on record |\n| --- | --- | --- | --- | --- | --- | --- |\n")


def row(case, said):
    return "| " + " | ".join([
        case.kernel, f"`{case.append}`" if case.append else "Debian's", case.target,
        str(min(len(made) for made in said.made.values())), str(len(said.works())),
        str(sum(list(made.values()).count("passed") for made in said.made.values())),
        str(said.records)]) + " |\n"


def lists(case, said):
    """What is not shown there, with the reason, and what comes to something else than on the host."""
    whys = {key: f": {why}" for key, why in ABSENT[said.arch.name].items()}
    absent = [f"{key[0]} {key[1]} ({said.bare.get(key, 'not tried')}{whys.get(key, '')})"
              for key in said.attacks if key not in said.works()]
    expected = page()
    others = {}
    for name, made in said.made.items():
        for key, result in made.items():
            if key in said.works() and result != expected[key][1][name]:
                text = f"{key[0]} {key[1]} ({result}, and {expected[key][1][name]})"
                others.setdefault(text, []).append(name)
    texts = [text if len(names) == len(ARCHETYPES) else f"{text} in {', '.join(names)}"
             for text, names in others.items()]
    where = f"{case.kernel}, `{case.append}`" if case.append else case.kernel
    return (f"- {where}: do not work there: {', '.join(absent) or 'none'}; come to another refusal than on "
            f"the page: {', '.join(texts) or 'none'}.\n")


def check_judge(attacks, arch):
    """What must be found wrong is, and what is right is not."""
    good = [f"{rule} bare way {name} passed" for rule, name in attacks]
    good += ["control ended with 0", SEEN]
    killed = {"kind": "lifecycle", "action": "exit", "component": COMPAT, "count": 1,
              "extra": {"detail": "killed by SIGSYS"}}
    if arch.compat:
        good.append('{"seq":1,' + json.dumps(killed)[1:])
    for name in ARCHETYPES:
        for number, (rule, attack) in enumerate(attacks):
            good += [f"{name} | attack {number} {rule} {attack} 1", f"{name} | result {number} EPERM 2"]
        good.append(f"{name} | done")

    def judged(lines):
        said = Console(attacks, arch)
        over = [said.visit(line) for line in lines]
        return over[-1], said.wrong()

    assert judged(good) == (True, ""), judged(good)
    last = len(attacks) - 1
    event = {"kind": "lifecycle", "action": "exit", "component": "gateway", "count": 1,
             "extra": {"detail": "exit status 200"}}
    loss = {"kind": "loss", "action": "", "component": "", "count": 3}
    for old, new in (("batch | result 0 EPERM 2", "batch | result 0 passed 2"),
                     ("gateway | result 0 EPERM 2", '{"seq":1,' + json.dumps(event)[1:]),
                     (f"batch | attack {last} {' '.join(attacks[last])} 1", "batch | "),
                     (f"batch | result {last} EPERM 2", "batch | "),
                     ("control ended with 0", "control ended with 1"),
                     (f"{attacks[0][0]} bare way {attacks[0][1]} passed", '{"seq":1,' + json.dumps(loss)[1:]),
                     (SEEN, f"{SEEN}\nreached a signal"), (SEEN, ""),
                     *([("killed by SIGSYS", "exit status 200")] if arch.compat else [])):
        changed = "\n".join(good).replace(old, new).split("\n")
        assert judged(changed)[1] != "", (old, new)
