# SPDX-License-Identifier: Apache-2.0
"""Random policies for agree_test.py: up to four components that share edges, channels and an asset.

A policy knows what its questions are about: directories on the disk and of the components' own,
ports, edges. It is made of one random number generator, so a seed gives the same one again.
"""

import datetime
import os
import random

# What the asker needs to start, to answer and to wait.
BASE = {
    "x86_64": ["write", "brk",
               {"on": {"x86_64": ["pause", {"arch_prctl": {"op": ["ARCH_SET_FS"]}}]}}],
    "aarch64": ["write", "brk", "ppoll"],
}

GROUPS = [
    "@io", "@files-read", "@files-write", "@files", "@file-modes", "@memory", "@threads",
    "@processes", "@signals", "@polling", "@ipc-pipe", "@socket-io", "@time", "@timers",
    "@process-info", "@credentials-read", "@scheduling", "@randomness", "@start", "@batch",
    "@service",
]
CALLS = [
    "openat", "openat2", "truncate", "ftruncate", "unlinkat", "renameat2", "renameat",
    "utimensat", "fchmod", "fchmodat", "getdents64", "mknodat", "mkdirat", "kill", "tgkill", "tkill",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "sendto", "ioctl",
    "fcntl", "lseek", "madvise", "mmap", "prctl", "getpriority", "setsockopt",
    "getsockopt", "close", "dup", "prlimit64", "shutdown",
]
CALLS_OF_X86_64 = ["open", "creat", "unlink", "rename", "utimes", "utime", "futimesat", "chmod",
                   "getdents", "mknod"]

O_CREAT, O_TRUNC, O_APPEND, O_NONBLOCK = 0o100, 0o1000, 0o2000, 0o4000
O_NOFOLLOW, O_CLOEXEC, O_NOCTTY = 0o400000, 0o2000000, 0o400
FLAGS = [O_CREAT, O_TRUNC, O_APPEND, O_NONBLOCK, O_NOFOLLOW, O_CLOEXEC]

# An argument and values of it that the asker and questions on calls use.
ARGUMENTS = {
    "openat": ("flags", [0, 1, 2, O_CREAT | 1, O_TRUNC | 1, O_CLOEXEC]),
    "open": ("flags", [0, 1, 2, O_CREAT | 1, O_TRUNC | 1, O_CLOEXEC]),
    "unlinkat": ("flags", [0, 0x200]),
    "renameat2": ("flags", [0, 1, 2, 4]),
    "utimensat": ("flags", [0, 0x100]),
    "fchmodat": ("mode", [0o600, 0o666, 0o4755, 0o2755]),
    "chmod": ("mode", [0o600, 0o666, 0o4755, 0o2755]),
    "fchmod": ("mode", [0o600, 0o666, 0o4755, 0o2755]),
    "mknodat": ("mode", [0o100666, 0o020666, 0o010666]),
    "ftruncate": ("length", [0, 1, 4096]),
    "truncate": ("length", [0, 1, 4096]),
    "kill": ("sig", [0, 17, 18, 23, 28]),
    "tgkill": ("sig", [0, 17, 18, 23, 28]),
    "ioctl": ("request", [0x5401, 0x541B, 0x5421, 0x5450, 0x5451, 0x5412, 0x5452]),
    "fcntl": ("cmd", [0, 1, 3, 8, 9, 1032, 1034]),
    "lseek": ("whence", [0, 1, 2, 3, 4]),
    "madvise": ("advice", [0, 1, 2, 3, 4, 8, 14, 16, 20]),
    "mprotect": ("prot", [0, 1, 2, 3]),
    "prctl": ("option", [3, 7, 16, 21, 27, 30, 39, 42]),
    "getpriority": ("which", [0, 1, 2]),
    "sendto": ("flags", [0, 1, 0x40, 0x20000000]),
    "setsockopt": ("optname", [2, 3, 9, 13]),
    "getsockopt": ("optname", [2, 3, 9, 13]),
}


def argument_test(rng, call):
    """A test of the call's argument, in any form of the language."""
    name, values = ARGUMENTS[call]
    some = rng.sample(values, rng.randint(1, len(values)))
    bits = [flag for flag in FLAGS if rng.random() < 0.3] or [O_CREAT]
    if name == "mode":
        bits = rng.sample([0o4000, 0o2000, 1], rng.randint(1, 2))
    elif "open" not in call:
        bits = [value for value in some if value] or [1]
    form = rng.randrange(6)
    if form == 0:
        test = some
    elif form == 1:
        test = {"bits-clear": bits}
    elif form == 2:
        test = {"bits-set": bits[:1]}
    elif form == 3:
        mask = rng.choice([1, 3, 7, 0o7777, bits[0] | 3])
        test = {"mask": mask, "equals": rng.choice(values) & mask}
    elif form == 4:
        low, high = sorted((rng.choice(values), rng.choice(values)))
        test = {"from": low, "to": high}
    else:
        test = {"not": some[:len(values) - 1]}
    return {call: {name: test}}


class Component:
    """What a policy says of one component, and what of its places questions can be about."""

    def __init__(self, name):
        self.name = name
        self.keys = {}
        self.loader = False
        self.startup = False
        self.directories = []  # on the disk, in its view
        self.own = []          # tmpfs that start empty
        self.files = []        # entries that are files
        self.absent = []       # optional entries that are not there
        self.listens = []      # unix sockets that the supervisor opens for it
        self.makes = []        # ... that it makes itself
        self.connects = []
        self.tcp_listen, self.tcp_bind, self.tcp_connect = [], [], []


class Policy:
    """One random policy; `value()` gives it as a value for the compiler."""

    def __init__(self, number, seed, root, machine, features, ports):
        self.rng = random.Random(f"{seed}/policy/{number}")
        self.number = number
        self.name = f"agree-{number}"
        self.root = root / str(number)
        self.machine = machine
        self.ports = ports
        self.program = str(self.root / "asker")
        self.features = self.random_features(features)
        self.waivers = []
        self.channels = []
        self.asset = [str(self.root / "gold"), str(self.root / "gold/key")]
        self.host_directories = set()
        self.host_files = {}
        names = ["a", "b", "c"]
        self.components = {name: Component(name) for name in names}
        self.has_server = self.rng.random() < 0.4
        if self.has_server:
            self.components["server"] = Component("server")
        for component in self.components.values():
            self.add_files(component)
            if "write" in component.keys["files"] and not self.features.get("landlock"):
                self.waive(component.name, "files.write")
            self.add_calls(component)
        self.add_edges()
        self.add_ports()
        self.add_channels()
        self.add_rest()

    # --- the target ---

    def random_features(self, features):
        features = dict(features)
        if self.rng.random() < 0.45:
            return features
        features["landlock"] = self.rng.randint(0, features["landlock"])
        if features["landlock"] < 7 or self.rng.random() < 0.5:
            features.pop("landlock-audit", None)
        if self.rng.random() < 0.3:
            for name in ("seccomp-notify", "seccomp-wait-killable", "seccomp-sync-wake"):
                features.pop(name, None)
        return features

    def target_kind(self):
        parts = [f"landlock {self.features.get('landlock', 0)}"]
        if not self.features.get("landlock-audit"):
            parts.append("no records")
        if not self.features.get("seccomp-notify"):
            parts.append("no listeners")
        return ", ".join(parts)

    # --- files ---

    def directory(self, path):
        self.host_directories.add(str(path))
        return str(path)

    def entry(self, component, verb, path, directory=True):
        entries = component.keys["files"].setdefault(verb, [])
        entries.append(str(path))
        if directory:
            component.directories.append(self.directory(path))
        else:
            component.files.append(str(path))
            self.host_files[str(path)] = (component.name, verb)
            self.directory(os.path.dirname(path))
        return path

    def add_files(self, component):
        rng = self.rng
        home = self.root / component.name
        component.keys["files"] = {"execute": [self.program]}
        for verb in ("read", "write", "create", "execute"):
            if rng.random() < 0.6:
                path = self.entry(component, verb, home / verb)
                self.add_nested(component, verb, path)
            if rng.random() < 0.3:
                self.entry(component, verb, home / f"files/{verb}", directory=False)
        if rng.random() < 0.2:
            self.entry(component, "state", home / "state")
        for verb, path in (("private", "/scratch"), ("runtime", "/var/own")):
            if rng.random() < 0.5:
                component.keys["files"][verb] = [{"path": path, "size": "4M"}]
                component.own.append(path)
        if rng.random() < 0.3:
            self.entry(component, "read", self.root / "shared")
        if rng.random() < 0.15:
            self.entry(component, "read", self.asset[0])
        if rng.random() < 0.3:
            path = str(home / "absent")
            verb = rng.choice(["read", "write", "create"])
            component.keys["files"].setdefault(verb, []).append({"path": path, "optional": True})
            component.absent.append(path)
        # A loader that gives up takes its component along, so one stays, and the server gets ready.
        if component.name in ("a", "b") and rng.random() < 0.3:
            component.keys["files"]["execute"].append("@loader")
            component.loader = True
        if rng.random() < 0.25:
            component.keys["files"].setdefault("read", []).append("@libraries")

    def add_nested(self, component, verb, path):
        inner = {"read": ["write", "create"], "write": ["create"], "create": ["write"],
                 "execute": ["read", "write", "create"]}
        if self.rng.random() < 0.35:
            self.entry(component, self.rng.choice(inner[verb]), path / "inner")
        if self.rng.random() < 0.2:
            self.entry(component, self.rng.choice(inner[verb]), path / "one", directory=False)

    # --- calls ---

    def add_calls(self, component):
        rng = self.rng
        calls = CALLS + (CALLS_OF_X86_64 if self.machine == "x86_64" else [])
        on_machine = [call for call in calls if self.machine == "x86_64" or call != "renameat"]
        allow = list(BASE[self.machine])
        allow += rng.sample(GROUPS, rng.choice([0, 1, 2, 3, 5, 8]))
        allow += [self.call(call) for call in rng.sample(on_machine, rng.randint(0, 12))]
        testable = [call for call in on_machine if call in ARGUMENTS]
        for call in rng.sample(testable, rng.randint(0, 5)):
            allow.append(self.call(argument_test(rng, call)))
        deny = []
        if rng.random() < 0.5:
            deny += [self.call(call) for call in rng.sample(on_machine, rng.randint(0, 3))]
            for call in rng.sample(testable, rng.randint(0, 4)):
                deny.append(self.call(argument_test(rng, call)))
        # The launch itself closes a descriptor when the filter is in force.
        deny = [entry for entry in deny if entry != "close"]
        component.keys["syscalls"] = {"allow": unique(allow)}
        if deny:
            component.keys["syscalls"]["deny"] = unique(deny)

    def add_startup(self, component):
        """Of notifying components alone: their own word ends it."""
        rng = self.rng
        calls = [call for call in CALLS if call in ARGUMENTS or rng.random() < 0.3]
        startup = []
        for call in rng.sample(calls, rng.randint(2, 8)):
            test = call in ARGUMENTS and rng.random() < 0.6
            startup.append(self.call(argument_test(rng, call) if test else call))
        syscalls = component.keys["syscalls"]
        syscalls["startup"] = unique(startup)
        deny = [entry for entry in syscalls.pop("deny", []) if "sendto" not in entry]
        if deny:
            syscalls["deny"] = deny
        component.startup = True

    def call(self, entry):
        name = entry if isinstance(entry, str) else next(iter(entry))
        if name in CALLS_OF_X86_64 or name == "renameat":
            return {"on": {"x86_64": [entry]}}
        return entry

    # --- what is between components ---

    def add_edges(self):
        rng = self.rng
        names = list(self.components)
        for index in range(rng.randint(0, 3)):
            server, *clients = rng.sample(names, rng.randint(1, len(names)))
            path = f"/run/edges/e{index}/s"
            unix = self.network(server).setdefault("unix", {})
            unix.setdefault("listen", []).append(
                {"path": path, "name": f"e{index}", "from": clients} if clients
                else {"path": path, "name": f"e{index}"})
            self.components[server].listens.append(path)
            self.connect_edges(clients, path)
        if self.has_server:
            clients = rng.sample(["a", "b", "c"], rng.randint(1, 3))
            path = "/run/edges/server/s"
            unix = self.network("server").setdefault("unix", {})
            unix.setdefault("listen", []).append(
                {"path": path, "from": clients, "by": "component"})
            self.components["server"].makes.append(path)
            self.components["server"].keys["ready"] = "listening"
            # Who is in the edge's group may connect to what it makes.
            self.components["server"].keys["umask"] = "0000"
            self.connect_edges(clients, path)
            for name in "abc":
                self.components[name].keys["after"] = ["server"]

    def network(self, name):
        return self.components[name].keys.setdefault("network", {})

    def connect_edges(self, clients, path):
        for client in clients:
            unix = self.network(client).setdefault("unix", {})
            unix.setdefault("connect", []).append(path)
            self.components[client].connects.append(path)

    def add_ports(self):
        rng = self.rng
        abi = self.features.get("landlock", 0)
        for name, component in self.components.items():
            listens = rng.random() < 0.25
            connects, binds = rng.random() < 0.3, rng.random() < 0.15
            if not (listens or connects or binds):
                continue
            tcp = self.network(name).setdefault("tcp", {})
            if listens:
                component.tcp_listen = [self.ports.fresh()]
                tcp["listen"] = [{"port": component.tcp_listen[0], "name": "web"}]
            if connects:
                component.tcp_connect = rng.sample(self.ports.open, rng.randint(1, 2))
                tcp["connect"] = component.tcp_connect
            if binds:
                component.tcp_bind = [self.ports.fresh() for _ in range(2)]
                tcp["bind"] = list(component.tcp_bind)
                self.waive(name, "network.tcp.bind")
            if (connects or binds) and abi < 4:
                self.waive(name, "network.tcp")
            if (connects or binds) and abi < 6:
                self.waive(name, "network.unix")

    def waive(self, name, statement):
        until = datetime.date.today() + datetime.timedelta(days=30)
        self.waivers.append({"component": name, "statement": statement,
                             "reason": "asked about all the same", "until": until.isoformat()})

    def add_channels(self):
        names = list(self.components)
        for index in range(self.rng.choice([0, 0, 1, 2])):
            first, second = self.rng.sample(names, 2)
            kind = self.rng.choice(["stream", "messages", "pipe"])
            self.channels.append(
                {"name": f"c{index}", "from": first, "to": second, "kind": kind})

    def add_rest(self):
        for name, component in self.components.items():
            component.keys["restart"] = {"when": "never"}
            component.keys["directory"] = "/"
            if name != "server" and self.rng.random() < 0.3:
                component.keys["ready"] = "notify"
                if self.rng.random() < 0.7:
                    self.add_startup(component)
                    continue
            if name != "server" and self.rng.random() < 0.1:
                denied = self.rng.choice(["socket", "connect", "sendto"])
                component.keys["syscalls"].setdefault("deny", [])
                if denied not in component.keys["syscalls"]["deny"]:
                    component.keys["syscalls"]["deny"].append(denied)

    # --- the whole ---

    def target(self, running):
        return {"bulkhead": 1, "target": "variant", **{
            key: running[key] for key in ("arch", "kernel", "platform", "paths")},
            "features": {name: level if name == "landlock" or name.startswith("cgroup-")
                         else bool(level) for name, level in self.features.items()}}

    def value(self, arguments):
        """`arguments`: of the program, by component."""
        value = {
            "bulkhead": 1,
            "enclave": self.name,
            "target": "target.yaml",
            "audit": {"sinks": [{"file": f"/var/log/bulkhead/{self.name}.jsonl"}]},
            "measure": {"policy": "none"},
            "assets": {"gold": {"files": self.asset}},
            "components": {
                name: {"exec": [self.program, *arguments.get(name, ["0 call 0"])], **component.keys}
                for name, component in self.components.items()
            },
        }
        if self.channels:
            value["channels"] = self.channels
        if self.waivers:
            value["waivers"] = self.waivers
        return value


def unique(items):
    return [item for index, item in enumerate(items) if item not in items[:index]]
