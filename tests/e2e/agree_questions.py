# SPDX-License-Identifier: Apache-2.0
"""Random questions about a policy of agree_policies.py, of every kind that `why` knows, and what
asker/ is to do for each. What the disk could refuse for another reason than the policy is made for
the question alone: a file that is there, belongs to the component and is open to all.
"""

import dataclasses
import os
import pathlib
import random
import re
import shutil
import socket

import agree_policies

ARCH_HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
                "aarch64": "/usr/include/asm-generic/unistd.h"}

KINDS = {
    "read": 9, "list": 7, "write": 8, "truncate": 7, "create": 8, "remove": 7, "rename": 7,
    "metadata": 7, "execute": 6, "connect": 9, "listen": 8, "socket": 7, "syscall": 14,
    "signal": 4, "trace": 2, "memory": 2, "capability": 2, "reach": 6,
}

CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETUID", "CAP_SETGID",
                "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN", "CAP_NET_RAW",
                "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_SYS_NICE", "CAP_BPF",
                "CAP_CHECKPOINT_RESTORE"]

POINTER = None  # an argument that can't be asked about; 0 when the call is made
DESCRIPTOR = [0]  # /dev/null

# Calls that do nothing with any of these values, and that the kernel itself answers neither by
# EPERM nor by EACCES or ENOSYS. Registers in their order.
CALLS = {
    "getpid": {}, "getppid": {}, "getuid": {}, "getgid": {}, "gettid": {}, "sched_yield": {},
    "getegid": {}, "geteuid": {},
    "ioctl": {"fd": DESCRIPTOR, "request": [0x5401, 0x541B, 0x5421, 0x5450, 0x5451, 0x5412, 0x5413,
                                            0x5452], "arg": [0]},
    "fcntl": {"fd": DESCRIPTOR, "cmd": [1, 3, 8, 9, 1032, 1034], "arg": [0, 2]},
    "lseek": {"fd": DESCRIPTOR, "offset": [0, 1, 4096, 2**40], "whence": [0, 1, 2, 3, 4]},
    "madvise": {"addr": [0], "length": [0], "advice": [0, 1, 2, 3, 4, 8, 9, 10, 14, 16, 18, 20]},
    "mprotect": {"addr": [0], "len": [0], "prot": [0, 1, 2, 3, 4, 5, 7]},
    "mmap": {"addr": [0], "length": [0], "prot": [0, 1, 3, 4, 5, 6, 7], "flags": [0x22, 0x21],
             "fd": [2**32 - 1], "offset": [0]},
    "prctl": {"option": [3, 7, 16, 21, 27, 30, 39, 42], "arg2": [0], "arg3": [0], "arg4": [0],
              "arg5": [0]},
    "getpriority": {"which": [0, 1, 2], "who": [0]},
    "sched_getscheduler": {"pid": [0]},
    "sched_get_priority_max": {"policy": [0, 1, 2]},
    "getpgid": {"pid": [0, 2]},
    "kill": {"pid": [2], "sig": [0, 17, 18, 23, 28]},
    "tgkill": {"tgid": [2], "tid": [2], "sig": [0, 17, 18, 23, 28]},
    "close": {"fd": [99, 100]},
    "dup": {"oldfd": DESCRIPTOR},
    "flock": {"fd": DESCRIPTOR, "operation": [8]},
    "umask": {"mask": [0]},
    "shutdown": {"sockfd": DESCRIPTOR, "how": [0, 1, 2]},
    "getsockopt": {"sockfd": DESCRIPTOR, "level": [1, 6, 41], "optname": [2, 3, 9, 13],
                   "optval": POINTER, "optlen": POINTER},
    "setsockopt": {"sockfd": DESCRIPTOR, "level": [1, 6, 41], "optname": [2, 3, 9, 13],
                   "optval": POINTER, "optlen": [0]},
    "sendto": {"sockfd": DESCRIPTOR, "buf": POINTER, "len": [0],
               "flags": [0, 1, 0x40, 0x20000000, 0x20000040], "dest_addr": POINTER,
               "addrlen": [0]},
    "recvfrom": {"sockfd": DESCRIPTOR, "buf": POINTER, "len": [0], "flags": [0, 1, 0x40],
                 "src_addr": POINTER, "addrlen": POINTER},
    "epoll_create1": {"flags": [0, 0x80000]},
    "eventfd2": {"initval": [0], "flags": [0, 0x80000]},
    "pipe2": {"pipefd": POINTER, "flags": [0, 0x80000, 0x80]},
    "inotify_init1": {"flags": [0, 0x80000]},
    "timerfd_create": {"clockid": [0, 1], "flags": [0, 0x80000]},
    "getrandom": {"buf": POINTER, "buflen": [0], "flags": [0, 1]},
    "prlimit64": {"pid": [0, 2], "resource": [3, 7], "new_limit": POINTER, "old_limit": POINTER},
    "clock_getres": {"clockid": [0, 1], "res": POINTER},
    "getrusage": {"who": [0], "usage": POINTER},
    "uname": {"buf": POINTER},
    "getcwd": {"buf": POINTER, "size": [0]},
    "openat": {"dirfd": [2**32 - 100], "pathname": POINTER,
               "flags": [0, 1, 2, 0o101, 0o1001, 0o2000000], "mode": [0]},
    "openat2": {"dirfd": [2**32 - 100], "pathname": POINTER, "how": POINTER, "size": [0]},
    "unlinkat": {"dirfd": [2**32 - 100], "pathname": POINTER, "flags": [0, 0x200]},
    "renameat2": {"olddirfd": [0], "oldpath": POINTER, "newdirfd": [0], "newpath": POINTER,
                  "flags": [0, 1, 2, 4]},
    "utimensat": {"dirfd": [2**32 - 100], "pathname": POINTER, "times": POINTER,
                  "flags": [0x100]},
    "fchmodat": {"dirfd": [2**32 - 100], "pathname": POINTER,
                 "mode": [0o600, 0o666, 0o4755, 0o2755]},
    "fchmod": {"fd": [99], "mode": [0o600, 0o666, 0o4755, 0o2755]},
    "ftruncate": {"fd": [99], "length": [0, 1, 4096]},
    "truncate": {"path": POINTER, "length": [0, 1, 4096]},
    "mkdirat": {"dirfd": [0], "pathname": POINTER, "mode": [0o755]},
    "chroot": {"path": POINTER},
    "memfd_create": {"name": POINTER, "flags": [0, 1]},
    "unshare": {"flags": [0]},
}

# With other values than these, too: their pointers are none, their descriptors nothing of value.
ALWAYS_HARMLESS = {"ioctl", "fcntl", "lseek", "getpriority", "openat", "unlinkat", "renameat2",
                   "utimensat", "fchmodat", "truncate", "ftruncate", "getsockopt", "setsockopt",
                   "sendto", "recvfrom", "mprotect"}

# FAMILY TYPE PROTOCOL that the kernel itself does not answer by EPERM, EACCES or ENOSYS.
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "16": 16, "AF_VSOCK": 40, "38": 38}
TYPES = {"SOCK_STREAM": 1, "SOCK_DGRAM": 2, "SOCK_SEQPACKET": 5}
PROTOCOLS = [0, 0, 0, 6, 17, 132, 262]

FIXED = ["/", "/etc", "/dev", "/etc/passwd", "/etc/group", "/dev/null", "/dev/zero", "/dev/full",
         "/dev/shm", "/run/notify", "/nonexistent/asked", "/usr/bin/true", "/usr/lib/os-release", "/proc", "/proc/self/status", "/proc/1/mem"]
FIXED_DIRECTORIES = {"/proc", "/", "/etc", "/dev", "/dev/shm", "/run/notify"}
DEVICES = {"/dev/null", "/dev/zero", "/dev/full"}


def numbers(machine):
    """System calls by name, as the kernel's own header has them."""
    text = pathlib.Path(ARCH_HEADERS[machine]).read_text(encoding="ascii")
    found = re.findall(r"(?m)^#define __NR(?:3264)?_(\w+)\s+(\d+)", text)
    return {name: int(number) for name, number in found}


@dataclasses.dataclass
class Question:
    """`how`: `last` of the operations decides, or `any` of them, or the answer's own `calls`."""

    component: str
    action: str
    words: list
    operations: list
    how: str = "last"
    outside: list = dataclasses.field(default_factory=list)  # what else decides, for the harness
    tags: set = dataclasses.field(default_factory=set)
    numbers: list = dataclasses.field(default_factory=list)

    def line(self):
        return " ".join([self.component, self.action, *self.words])


class Maker:
    """Questions about one policy, and what has to be there for them."""

    def __init__(self, policy, seed, numbers_of_calls, abstract):
        self.policy = policy
        self.rng = random.Random(f"{seed}/questions/{policy.number}")
        self.calls = {name: args for name, args in CALLS.items() if name in numbers_of_calls}
        self.numbers = numbers_of_calls
        self.abstract = abstract
        self.loads = set()  # components with a question to the loader
        self.made = []     # (kind, path, component): on the disk
        self.count = 0

    def questions(self, count):
        names = list(self.policy.components)
        kinds = self.rng.choices(list(KINDS), weights=KINDS.values(), k=count)
        asked = [self.first(name) for name in names if self.policy.components[name].makes]
        asked += [self.question(self.rng.choice(names), kind) for kind in kinds]
        return sorted(asked, key=lambda question: "loader" in question.tags)

    def first(self, name):
        """What its clients wait for."""
        path = self.policy.components[name].makes[0]
        return Question(name, "listen", [f"unix:{path}"], [f"listen-unix {path}"])

    def question(self, name, kind):
        component = self.policy.components[name]
        return getattr(self, kind, None)(component) if hasattr(self, kind) else self.on_file(
            component, kind)

    # --- paths ---

    def fresh(self, directory):
        self.count += 1
        return f"{directory}/q{self.count}"

    def a_directory(self, component):
        """A directory on the disk: mostly its own, else of another one, or of nobody."""
        rng = self.rng
        policy = self.policy
        choice = rng.random()
        others = [d for c in policy.components.values() for d in c.directories]
        if choice < 0.7 and component.directories:
            path = rng.choice(component.directories)
        elif choice < 0.8 and others:
            path = rng.choice(others)
        elif choice < 0.88:
            path = policy.asset[0]
        elif choice < 0.92 and component.absent:
            return rng.choice(component.absent), False
        else:
            path = str(policy.root / "nobody")
        if rng.random() < 0.15:
            path += "/deeper"
            self.made.append(("directory", path, component.name))
        return path, True

    def place(self, component, what):
        """A path where `what` (file, directory, program, nothing) is, and how it gets there."""
        rng = self.rng
        choice = rng.random()
        if choice < 0.17 and (component.own or rng.random() < 0.5):
            path = self.fresh(rng.choice([*component.own, "/dev/shm"]))
            makes = {"file": ["make"], "directory": ["make-dir"]}.get(what, [])
            return path, [f"{verb} {path}" for verb in makes]
        if choice < 0.27 and component.files and what in ("file", "program", "loaded"):
            return rng.choice(component.files), []
        if choice < 0.37:
            fixed = [p for p in FIXED if what != "directory" or p in FIXED_DIRECTORIES]
            return rng.choice(fixed), []
        if choice < 0.42 and component.own:
            return rng.choice(component.own), []
        if choice < 0.5 and what == "directory" and component.directories:
            return rng.choice(component.directories), []
        directory, there = self.a_directory(component)
        path = self.fresh(directory)
        if there and what != "nothing":
            self.made.append((what, path, component.name))
        return path, []

    def on_file(self, component, kind):
        what = {"list": "directory", "create": "nothing"}.get(kind, "file")
        path, before = self.place(component, what)
        verb = kind
        if kind == "truncate" and path in DEVICES:
            verb = "shorten"
        there = {*FIXED, *component.own, *component.directories, *component.files}
        if kind == "create" and path in there:
            verb = "make-anew"
        question = Question(component.name, kind, [path], [*before, f"{verb} {path}"])
        self.tag(question, component, before)
        return question

    def tag(self, question, component, before):
        """What is made first may fail to be, and what is optional is not there."""
        if before:
            question.tags.add("own")
        if any(word.startswith(path) for word in question.words for path in component.absent):
            question.tags.add("absent")

    def rename(self, component):
        path, before = self.place(component, "file")
        choice = self.rng.random()
        if choice < 0.6 and path.count("/") > 1 and path not in component.files:
            to = self.fresh(os.path.dirname(path))
        else:
            to, _ = self.place(component, "nothing")
        question = Question(component.name, "rename", [path, to],
                            [*before, f"rename {path} {to}"])
        self.tag(question, component, before)
        return question

    def execute(self, component):
        if component.loader:
            return self.execute_last(component)
        path, before = self.place(component, "program")
        if path == self.policy.program or self.rng.random() < 0.15:
            path, before = self.policy.program, []
        question = Question(component.name, "execute", [path], [*before, f"execute {path}"])
        self.tag(question, component, before)
        return question

    def execute_last(self, component):
        """By the loader, too, which may give up with its program gone: so nothing can follow."""
        if component.name in self.loads:
            return self.on_file(component, "read")
        self.loads.add(component.name)
        path, _ = self.place(component, "loaded")
        loader = self.policy.loader
        return Question(component.name, "execute", [path], [f"execute {path} {loader}"],
                        tags={"loader"})

    # --- sockets ---

    def connect(self, component):
        rng = self.rng
        policy = self.policy
        kind = rng.choices(["tcp", "udp", "unix", "abstract", "vsock"], [8, 2, 9, 2, 1])[0]
        if kind == "unix":
            edges = [e for c in policy.components.values() for e in c.listens + c.makes]
            choices = edges * 3 + ["/run/notify/socket", "/run/edges/none/s"]
            if rng.random() < 0.3:
                directory, there = self.a_directory(component)
                path = self.fresh(directory)
                if there:
                    self.made.append(("socket", path, component.name))
            else:
                path = rng.choice(choices)
            question = Question(component.name, "connect", [f"unix:{path}"],
                                [f"connect-unix {path}"])
            self.tag(question, component, [])
            return question
        if kind == "abstract":
            return Question(component.name, "connect", [f"unix:@{self.abstract}"],
                            [f"connect-abstract {self.abstract}"])
        if kind == "vsock":
            return Question(component.name, "connect", ["vsock:3:9"], ["vsock"])
        ports = policy.ports.open + [p for c in policy.components.values() for p in c.tcp_listen]
        port = rng.choice(component.tcp_connect if component.tcp_connect and rng.random() < 0.4
                          else ports)
        return self.internet(component, "connect", kind, port,
                             ["", "", "127.0.0.1", "::1"])

    def internet(self, component, action, kind, port, addresses):
        address = self.rng.choice(addresses)
        where = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
        return Question(component.name, action, [f"{kind}:{where}{port}"],
                        [f"{action}-{kind} {port} {address}".rstrip()])

    def listen(self, component):
        rng = self.rng
        policy = self.policy
        handed = component.listens + component.tcp_listen
        if handed and rng.random() < 0.25:
            where = rng.choice(handed)
            if isinstance(where, int):
                return Question(component.name, "listen", [f"tcp:{where}"], [], "any",
                                [("connects", ("127.0.0.1", where))])
            return Question(component.name, "listen", [f"unix:{where}"], [], "any",
                            [("connects", where)])
        kind = rng.choices(["tcp", "udp", "unix", "abstract"], [5, 2, 8, 2])[0]
        if kind == "abstract":
            self.count += 1
            name = f"{self.abstract}-{self.count}"
            return Question(component.name, "listen", [f"unix:@{name}"],
                            [f"listen-abstract {name}"])
        if kind == "unix":
            edges = [e for c in policy.components.values() for e in c.listens + c.makes]
            path, _ = self.place(component, "nothing")
            if edges and rng.random() < 0.4:
                path = os.path.dirname(rng.choice(edges)) + f"/more{self.count}"
                self.count += 1
            question = Question(component.name, "listen", [f"unix:{path}"],
                                [f"listen-unix {path}"])
            self.tag(question, component, [])
            return question
        port = component.tcp_bind.pop() if component.tcp_bind and rng.random() < 0.6 else (
            policy.ports.fresh())
        return self.internet(component, "listen", kind, port, ["", "", "127.0.0.1", "::"])

    def socket(self, component):
        rng = self.rng
        name, family = rng.choice(list(FAMILIES.items()))
        kind, number = rng.choice(list(TYPES.items()))
        if rng.random() < 0.4:
            name, family = rng.choice([("AF_UNIX", 1), ("AF_INET", 2), ("AF_INET6", 10)])
            kind, number = "SOCK_STREAM", 1
        number |= rng.choice([0, 0, 0o2000000, 0o2004000])
        words, registers = [name], [family]
        given = rng.choice([2, 2, 3, 3, 1])
        if given > 1:
            # The kernel reads 32 bits of it.
            garbage = rng.choice([0, 0, 0, 0, 1 << 32])
            words.append(kind if number == TYPES[kind] and not garbage else str(number | garbage))
            registers.append(number | garbage)
        if given > 2:
            protocol = rng.choice(PROTOCOLS)
            words.append(str(protocol))
            registers.append(protocol)
        registers += [1, 0][len(registers) - 1:] if len(registers) < 3 else []
        return Question(component.name, "socket", words, [self.raw("socket", registers)], "calls")

    # --- calls and processes ---

    def raw(self, name, registers):
        return " ".join(map(str, ["call", self.numbers[name], *registers]))

    def syscall(self, component):
        rng = self.rng
        name = rng.choice(list(self.calls))
        if rng.random() < 0.5:
            name = rng.choice([n for n in self.calls if n in agree_policies.ARGUMENTS])
        words, registers = [name], []
        for argument, values in self.calls[name].items():
            value = 0 if values is POINTER else rng.choice(values)
            chosen = values is not POINTER and (len(values) > 1 and rng.random() < 0.75
                                                or rng.random() < 0.2)
            if chosen:
                words.append(f"{argument}={value}")
            registers.append(value)
        return Question(component.name, "syscall", words, [self.raw(name, registers)], "calls")

    def on_process(self, component, action):
        other = self.rng.choice(list(self.policy.components))
        whom = "self" if other == component.name else "others"
        return Question(component.name, action, [other], [f"{action} {whom}"])

    def signal(self, component):
        return self.on_process(component, "signal")

    def trace(self, component):
        return self.on_process(component, "trace")

    def memory(self, component):
        return self.on_process(component, "memory")

    def capability(self, component):
        name = self.rng.choice(CAPABILITIES)
        return Question(component.name, "capability", [name], [f"capability {name}"], "any",
                        [("capability", name)])

    def reach(self, component):
        others = [name for name in self.policy.components if name != component.name]
        target = self.rng.choice([*others, "gold"])
        if target == "gold":
            operations = [f"{verb} {path}" for path in self.policy.asset
                          for verb in ("read", "list", "write", "shorten", "execute")]
            return Question(component.name, "reach", [target], operations, "any",
                            [("shortened", self.policy.asset[1])])
        other = self.policy.components[target]
        operations = [f"connect-unix {path}" for path in other.listens + other.makes]
        operations += [f"connect-tcp {port}" for port in other.tcp_listen + other.keys.get(
            "network", {}).get("tcp", {}).get("bind", [])]
        operations += [f"{verb} others" for verb in ("signal", "trace", "memory")]
        outside = [("holds", channel["name"]) for channel in self.policy.channels
                   if (channel["from"], channel["to"]) == (component.name, target)
                   or ((channel["to"], channel["from"]) == (component.name, target)
                       and channel["kind"] != "pipe")]
        return Question(component.name, "reach", [target], operations, "any", outside)


def open_to_all(path, uid):
    os.chown(path, uid, uid)
    os.chmod(path, 0o755 if path.endswith("/state") else 0o777)


def prepare(maker, uids, program, loaded):
    """Makes what the questions need on the disk; returns the sockets that listen there. `program`
    is linked where one is executed: a file of which no rule knows."""
    policy = maker.policy
    directories = {path for kind, path, _ in maker.made if kind == "directory"}
    files = {path for _, path, _ in maker.made} - directories
    named = policy.host_directories | {policy.asset[0], str(policy.root / "nobody")}
    for path in sorted(named - files):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o777)
    for path, (name, verb) in policy.host_files.items():
        if path in directories | files:
            continue
        if verb == "execute":
            shutil.copy(program, path)
        else:
            make_file(path, uids[name])
    if policy.asset[1] not in directories | files:
        make_file(policy.asset[1], 0)
    for name, component in policy.components.items():
        for path in set(component.directories) - files:
            open_to_all(path, uids[name])
    makers = {"directory": lambda path: os.makedirs(path, exist_ok=True),
              "program": lambda path: os.link(program, path),
              "loaded": lambda path: os.link(loaded, path)}
    listeners = []
    for kind, path, name in maker.made:
        if kind == "socket":
            listeners.append(listen(path))
        elif kind in makers:
            makers[kind](path)
        else:
            make_file(path, uids[name])
        if kind not in ("program", "loaded"):
            open_to_all(path, uids[name])
    return listeners


def listen(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener


def make_file(path, uid):
    pathlib.Path(path).write_text("asked" * 2000, encoding="ascii")
    open_to_all(path, uid)
