# SPDX-License-Identifier: Apache-2.0
"""What `bulkhead diff` names as having changed, made into what asker/ does under the old and under
the new policy. Where a witness speaks of something else than is there, the disk is made so: a
directory in place of a file, an asset that the component owns, a socket in a tmpfs of its own.
"""

import dataclasses
import json
import os
import random
import re
import shutil
import subprocess

import agree_questions
import agree_test
import enclave
from agree_questions import Question

FILE, DIRECTORY, SOCKET = "file", "directory", "socket"
# They end or stop the asker, or take its standard streams away, whatever their arguments.
NOT_TRIED = {"exit", "exit_group", "fork", "vfork", "clone", "clone3", "pause", "ppoll", "pselect6",
             "rt_sigreturn", "rt_sigsuspend", "restart_syscall", "close", "close_range", "select",
             "epoll_wait", "epoll_pwait", "epoll_pwait2", "wait4", "waitid", "rt_sigtimedwait"}
# Options of prctl(2) that change nothing when the other arguments are 0.
OPTIONS = set(agree_questions.CALLS["prctl"]["option"]) | {41}


@dataclasses.dataclass(frozen=True)
class World:
    """How the disk differs from what the two policies name: one boot of each for every world."""

    directories: frozenset = frozenset()  # paths that are directories, and no files
    files: frozenset = frozenset()        # the reverse
    owner: str = ""                       # of the asset, not root
    alone: int = 0                        # what nothing can follow has a world of its own


@dataclasses.dataclass
class Witness:
    """`questions`: for the old and the new policy."""

    difference: dict
    questions: tuple
    world: World

    def early(self):
        """Whether it is about the time before its component is ready."""
        text = self.difference["text"]
        return "until it is ready" in text or text in (
            "allow until ready, now deny", "deny, now allow until ready",
            "allow until ready, now undecided", "undecided, now allow until ready")


class Left(Exception):
    """Why a witness is not executed."""


class Placed(agree_questions.Maker):
    """What is made for the questions: on the disk by `made`, by `inside` in a component's own
    tmpfs while it waits."""

    def __init__(self, policy, case):
        super().__init__(policy, case.seed, case.numbers, case.abstract)
        self.inside = []  # (kind, path, component)


class Side(agree_test.Run):
    """One of the two policies, booted to execute what is said to have changed."""

    def __init__(self, case, policy, maker):
        self.case, self.policy, self.maker = case, policy, maker
        self.gave_up = set()

    def results(self, questions, operations):
        bundle, compiled = self.compile(operations)
        self.case.assertEqual(compiled.returncode, 0, compiled.stderr)
        self.operations = operations
        self.uids = {n: c["uid"] for n, c in self.inspected(bundle).items()}
        self.boot(bundle, self.uids)
        return [self.executed(question)[0] for question in questions]

    def outside(self, question, kind, what):
        if kind == "connects" and (kind, what) not in self.seen_outside:
            return False  # the other policy's
        return super().outside(question, kind, what)

    def place_inside(self):
        """In the view of each component that waits for it; who waits again, waits to be ready."""
        placed = dict.fromkeys(name for _, _, name in self.maker.inside)
        for name in placed:
            self.wait_for(name, 1)
            for kind, path, _ in (item for item in self.maker.inside if item[2] == name):
                place = f"/proc/{self.main_pid(name)}/root{path}"
                if os.path.isdir(os.path.dirname(place)):  # else this policy gives it none
                    self.place(kind, place, self.uids[name])
            self.let_go(name)
        for name, component in self.policy.components.items():
            if component.startup:
                self.wait_for(name, 2 if name in placed else 1)
                self.enclave.wait_event(name, "ready")
                self.let_go(name)

    def wait_for(self, name, times):
        enclave.wait_until(
            lambda: self.enclave.output().count(f"{name} | wait waiting") >= times, 30,
            f"{name} waits")

    def let_go(self, name):
        with open(f"/proc/{self.main_pid(name)}/mem", "r+b", buffering=0) as memory:
            memory.seek(may_go())
            memory.write(b"\1")

    def place(self, kind, place, uid):
        if kind == SOCKET:
            listener = agree_questions.listen(place)
            self.case.addCleanup(listener.close)
        elif kind == DIRECTORY:
            os.mkdir(place)
        elif kind in ("program", "loaded"):
            shutil.copy(self.policy.root / ("unknown" if kind == "program" else kind), place)
        else:
            agree_questions.make_file(place, uid)
        agree_questions.open_to_all(place, uid)


def may_go():
    """Where the asker looks whether it may go on; it is at a fixed address."""
    symbols = subprocess.run(["nm", agree_test.ASKER], capture_output=True, text=True, check=True)
    return int(re.search(r"(?m)^(\w+) \w asker_may_go$", symbols.stdout)[1], 16)


class Witnesses:
    """Questions that the kernel is asked, made of what `diff` printed."""

    def __init__(self, case, policies):
        self.case, self.policies = case, policies
        self.worlds = {}  # World to its Placed
        components = [c for p in policies for c in p.components.values()]
        self.directories = {d for p in policies for d in p.host_directories | {p.asset[0]}}
        self.own = {d for c in components for d in c.own} | {"/dev/shm"}
        self.absent = {d for c in components for d in c.absent}
        self.handed = {f"{kind}:{where}": ("127.0.0.1", where) if kind == "tcp" else where
                       for c in components
                       for kind, some in (("tcp", c.tcp_listen), ("unix", c.listens))
                       for where in some}
        self.programs = {p for policy in policies for p in (policy.program, policy.loader)}
        self.files = {f for p in policies for f in [*p.host_files, p.asset[1]]}
        self.asset = policies[0].asset[0]

    def witness(self, difference, by_loader=True):
        """`by_loader`: what is executed is something for the loader, where there is one."""
        self.by_loader = by_loader
        name, (action, *words) = difference["component"], difference["witness"].split(" ")
        if action == "reach":
            return Witness(difference, self.reach(name, words[0]), World())
        if action == "syscall":
            question, world = self.call(name, words), World()
        elif action in ("connect", "listen"):
            question, world = self.on_socket(name, action, words[0], difference["beneath"])
        else:
            question, world = self.on_file(name, action, words, difference["beneath"])
        return Witness(difference, (question, question), world)

    def placed(self, world):
        return self.worlds.setdefault(world, Placed(self.policies[1], self.case))

    # --- calls ---

    def call(self, name, words):
        told = subprocess.run([agree_test.ANSWERS, "--registers", *words], capture_output=True,
                              text=True, check=True)
        values = json.loads(told.stdout)
        call = {"call": words[0], "arguments": values}
        maker = self.placed(World())
        registers = None
        if words[0] in NOT_TRIED or words[0] not in maker.numbers:
            raise Left(f"call {words[0]}")
        if words[0] == "socket":
            registers = agree_test.registers(Question(name, "socket", words, []), call)
        elif words[0] in agree_questions.CALLS:
            registers = agree_test.registers(Question(name, "syscall", words, []), call)
        # With nothing but zeros: its pointers lead nowhere, its descriptor is /dev/null.
        if registers is None and (not any(values.values()) or words[0] in ("accept", "accept4")
                                  or words[0] == "prctl" and values["option"] in OPTIONS):
            registers = list(values.values())
        if registers is None:
            raise Left(f"call {' '.join(words)}")
        return Question(name, "syscall", words, [maker.raw(words[0], registers)], "calls")

    # --- files ---

    def where(self, name, path, what):
        """In what world something of this kind can be at the path."""
        above = {p for p in self.files | self.absent | self.programs
                 if path.startswith(p + "/") or (path == p and what == DIRECTORY)}
        above |= {p for p in self.absent if p == path}
        if above & self.programs:
            raise Left("beneath a program that runs")
        runs = what in ("program", "loaded")
        files = {path} & (self.directories | (self.files if runs else set()))
        if what not in (FILE, SOCKET) and not runs:
            files = set()
        if any(other.startswith(path + "/") for path in files for other in self.directories):
            raise Left("a file with entries beneath")
        if path in self.own and what != DIRECTORY:
            raise Left("a tmpfs is no file")
        asset = path.startswith(self.asset)
        return World(frozenset(above), frozenset(files), name if above or files or asset else "")

    def make(self, world, kind, path, name):
        placed = self.placed(world)
        inside = any(path.startswith(own + "/") for own in self.own)
        there = placed.inside if inside else placed.made
        if (kind, path, name) not in there:
            there.append((kind, path, name))

    def make_world(self, world, name, what=FILE):
        for path in world.directories:
            self.make(world, DIRECTORY, path, name)
        for path in world.files:
            self.make(world, what, path, name)
        if world.owner:
            self.make(world, DIRECTORY, self.asset, name)
            if self.asset + "/key" not in world.directories | world.files:
                self.make(world, FILE, self.asset + "/key", name)

    def on_file(self, name, action, words, beneath):
        loads = (self.by_loader and action == "execute"
                 and any(p.components[name].loader for p in self.policies))
        what = {"list": DIRECTORY, "create": "nothing",
                "execute": "loaded" if loads else "program"}.get(action, FILE)
        path = words[0]
        known = self.files | self.programs | self.directories | self.own
        if action in ("metadata", "rename") and path in self.directories | self.own:
            what = DIRECTORY
        elif beneath and path not in self.files | self.programs:
            path += "/elsewhere"
        ours = path.startswith((str(self.policies[0].root), *(own + "/" for own in self.own)))
        if not ours and path not in known and beneath:
            raise Left("beneath the machine's own files")
        world = self.where(name, path, what)
        if loads:
            world = dataclasses.replace(world, alone=len(self.worlds) + 1)
        self.make_world(world, name, FILE if what == "nothing" else what)
        if ours and path not in known | world.directories:
            path = f"{os.path.dirname(path)}/elsewhere-{action}-{name}"
            if what != "nothing":
                self.make(world, what, path, name)
        names = [path, *([path + ".new"] if len(words) > 1 else [])]
        if loads:
            return Question(name, action, names, [f"execute {path} {self.policies[0].loader}"],
                            tags={"loader"}), world
        return Question(name, action, names, [" ".join([action, *names])]), world

    # --- sockets ---

    def on_socket(self, name, action, end, beneath):
        kind, _, rest = end.partition(":")
        if action == "listen" and end in self.handed:
            return Question(name, action, [end], [f"{action}-{kind} {rest}"], "any",
                            [("connects", self.handed[end])]), World()
        if kind == "vsock":
            return Question(name, action, [end], ["vsock"]), World()
        if kind == "udp":
            port = self.case.ports.fresh()
            return Question(name, action, [end], [f"{action}-udp {port}"]), World()
        if kind == "tcp":
            return Question(name, action, [end], [f"{action}-tcp {rest}"]), World()
        maker = self.placed(World())
        if rest.startswith("@"):
            maker.count += 1
            other = self.case.abstract + (f"-{maker.count}" if action == "listen" else "")
            return Question(name, action, [end], [f"{action}-abstract {other}"]), World()
        return self.on_path(name, action, end, beneath)

    def on_path(self, name, action, end, beneath):
        rest = end.partition(":")[2]
        if rest.startswith("/run"):
            return Question(name, action, [end], [f"{action}-unix {rest}"]), World()
        if beneath or rest in self.files | self.absent | self.directories | self.own:
            rest += "/elsewhere"
        if not rest.startswith((str(self.policies[0].root), *(own + "/" for own in self.own))):
            raise Left("beneath the machine's own files")
        world = self.where(name, rest, SOCKET)
        self.make_world(world, name)
        rest = f"{os.path.dirname(rest)}/{action}-{name}"
        if action == "connect":
            self.make(world, SOCKET, rest, name)
        return Question(name, action, [end], [f"{action}-unix {rest}"]), world

    def reach(self, name, target):
        """By whatever each of the two policies gives."""
        questions = []
        for policy in self.policies:
            maker = agree_questions.Maker(policy, "", self.case.numbers, "")
            maker.rng = random.Random(0)
            maker.rng.choice = lambda some: target if target in some else some[0]
            questions.append(maker.reach(policy.components[name]))
        return tuple(questions)


def arranged(policies, placed, witnesses):
    """Each component's operations, numbered: what waits for its files; what is asked before it says
    that it is ready; the rest once that is known; what nothing can follow."""
    inside = {name for _, _, name in placed.inside}
    of = {}
    for name, component in policies[1].components.items():
        own = [w for w in witnesses if w.questions[0].component == name]
        wait = Question(name, "wait", [], ["wait"])
        stages = [[placed.first(name)] if component.makes else [], [wait] if name in inside else [],
                  questions_of(w for w in own if component.startup and w.early()),
                  [Question(name, "ready", [], ["ready"]), wait] if component.startup else [],
                  questions_of(w for w in own if not (component.startup and w.early()))]
        operations = []
        for question in (question for stage in stages for question in stage):
            question.numbers = range(len(operations), len(operations) + len(question.operations))
            operations += [f"{number} {operation}" for number, operation in
                           zip(question.numbers, question.operations)]
        of[name] = operations or ["0 call 0"]
    return of


def questions_of(witnesses):
    """A directory whose mode was changed may let nobody in afterwards, and who gave its program up
    answers no more."""
    questions = []
    for witness in witnesses:
        old, new = witness.questions
        questions += [old] if old is new else [old, new]
    return sorted(questions, key=lambda q: (q.action == "metadata", "loader" in q.tags))
