# SPDX-License-Identifier: Apache-2.0
"""One random edit of a policy of agree_policies.py: what a person changes in a day, and changes
that only look like one.
"""

import copy

import agree_policies
from agree_policies import argument_test

# That the asker can make with any arguments, or with those that its questions give them.
CALLS = ["getppid", "getuid", "sched_yield", "inotify_init1", "eventfd2", "epoll_create1",
         "timerfd_create", "memfd_create", "uname", "getrandom", "sched_getscheduler"]
TESTED = ["ioctl", "fcntl", "lseek", "getpriority", "unlinkat", "renameat2", "utimensat",
          "fchmodat", "truncate", "ftruncate", "getsockopt", "mprotect"]


def copy_of(policy):
    ports, policy.ports = policy.ports, None
    other = copy.deepcopy(policy)
    policy.ports = other.ports = ports
    return other


class Editor:
    def __init__(self, policy, rng):
        self.policy, self.rng = policy, rng
        self.component = policy.components[rng.choice(list(policy.components))]

    def edit(self):
        """What was done, in words; nothing where this policy has nothing to do it to."""
        kinds = [self.add_file, self.add_file, self.remove_file, self.other_verb, self.nested_file,
                 self.own_file, self.asset, self.add_call, self.add_call, self.remove_call,
                 self.add_test, self.add_test, self.remove_test, self.deny, self.add_port,
                 self.remove_port, self.listen_port, self.client, self.channel, self.limit,
                 self.reorder, self.twice, self.optional, self.startup, self.startup]
        return self.rng.choice(kinds)()

    # --- files ---

    def files(self):
        return self.component.keys["files"]

    def home(self):
        return self.policy.root / self.component.name

    def add_file(self):
        verb = self.rng.choice(["read", "write", "create", "execute"])
        if self.rng.random() < 0.3:
            path = self.policy.entry(self.component, verb, self.home() / f"edited-{verb}.d/file", False)
        else:
            path = self.policy.entry(self.component, verb, self.home() / f"edited-{verb}")
        return f"{verb} {path}"

    def plain(self):
        """Entries that can be taken out: (verb, entry)."""
        return [(verb, entry) for verb in ("read", "write", "create", "execute", "state", "private",
                                           "runtime")
                for entry in self.files().get(verb, [])
                if entry != self.policy.program and not str(entry).startswith("@")]

    def remove_file(self):
        if not self.plain():
            return None
        verb, entry = self.rng.choice(self.plain())
        self.files()[verb].remove(entry)
        if not self.files()[verb]:
            del self.files()[verb]
        return f"no {verb} {entry}"

    def other_verb(self):
        verbs = ["read", "write", "create"]
        some = [(v, e) for v, e in self.plain() if v in verbs and isinstance(e, str)]
        if not some:
            return None
        verb, entry = self.rng.choice(some)
        other = self.rng.choice([v for v in verbs if v != verb])
        self.remove_entry(verb, entry)
        self.files().setdefault(other, []).append(entry)
        return f"{verb} to {other} {entry}"

    def remove_entry(self, verb, entry):
        self.files()[verb].remove(entry)
        if not self.files()[verb]:
            del self.files()[verb]

    def nested_file(self):
        some = [e for v, e in self.plain() if v == "read" and e in self.component.directories]
        if not some:
            return None
        verb = self.rng.choice(["write", "create", "execute"])
        path = self.policy.entry(self.component, verb, self.rng.choice(some) + "/edited")
        return f"{verb} {path}"

    def own_file(self):
        verb = self.rng.choice(["private", "runtime"])
        path = f"/edited/{verb}"
        self.files().setdefault(verb, []).append({"path": path, "size": "4M"})
        self.component.own.append(path)
        return f"{verb} {path}"

    def asset(self):
        gold = self.policy.asset[0]
        if gold in self.files().get("read", []):
            self.remove_entry("read", gold)
            return "no asset"
        self.policy.entry(self.component, "read", gold)
        return "asset"

    def optional(self):
        some = [(v, e) for v, e in self.plain()
                if v in ("read", "write", "create") and isinstance(e, str)]
        if not some:
            return None
        verb, entry = self.rng.choice(some)
        self.remove_entry(verb, entry)
        self.files().setdefault(verb, []).append({"path": entry, "optional": True})
        return f"optional {entry}"

    # --- calls ---

    def calls(self, side):
        return self.component.keys["syscalls"].setdefault(side, [])

    def add(self, side, entry):
        if entry in self.calls(side):
            return None
        self.calls(side).append(entry)
        return f"{side} {entry}"

    def add_call(self):
        return self.add("allow", self.rng.choice(CALLS))

    def remove_call(self):
        some = [c for c in self.calls("allow") if c not in agree_policies.BASE[self.policy.machine]]
        if not some:
            return None
        call = self.rng.choice(some)
        self.calls("allow").remove(call)
        return f"no allow {call}"

    def add_test(self):
        return self.add(self.rng.choice(["allow", "allow", "deny"]),
                        argument_test(self.rng, self.rng.choice(TESTED)))

    def remove_test(self):
        some = [(side, c) for side in ("allow", "deny")
                for c in self.component.keys["syscalls"].get(side, [])
                if isinstance(c, dict) and "on" not in c]
        if not some:
            return None
        side, call = self.rng.choice(some)
        self.component.keys["syscalls"][side].remove(call)
        if not self.component.keys["syscalls"][side]:
            del self.component.keys["syscalls"][side]
        return f"no {side} {call}"

    def startup(self):
        """One call more or less until ready; or for good instead."""
        if not self.component.startup:
            return None
        calls = self.calls("startup")
        kind = self.rng.choice(["more", "less", "kept", "moved"])
        if kind == "more":
            test = argument_test(self.rng, self.rng.choice(TESTED))
            return self.add("startup", self.rng.choice([self.rng.choice(CALLS), test]))
        if kind == "kept" or len(calls) < 2:
            return self.add("allow", self.rng.choice(calls))
        call = calls.pop(self.rng.randrange(len(calls)))
        return f"no startup {call}" if kind == "less" else self.add("allow", call)

    def deny(self):
        return self.add("deny", self.rng.choice([*CALLS, "openat", "socket", "connect", "mmap"]))

    # --- sockets ---

    def tcp(self):
        return self.policy.network(self.component.name).setdefault("tcp", {})

    def waive(self, *statements):
        known = {(w["component"], w["statement"]) for w in self.policy.waivers}
        for statement in statements:
            if (self.component.name, statement) not in known:
                self.policy.waive(self.component.name, statement)

    def add_port(self):
        port = self.rng.choice(self.policy.ports.open)
        if port in self.component.tcp_connect:
            return None
        self.tcp().setdefault("connect", []).append(port)
        self.component.tcp_connect = self.component.tcp_connect + [port]
        if self.policy.features.get("landlock", 0) < 4:
            self.waive("network.tcp")
        if self.policy.features.get("landlock", 0) < 6:
            self.waive("network.unix")
        return f"connect tcp:{port}"

    def listen_port(self):
        if self.component.tcp_listen:
            return None
        self.component.tcp_listen = [self.policy.ports.fresh()]
        self.tcp()["listen"] = [{"port": self.component.tcp_listen[0], "name": "web"}]
        return f"listen tcp:{self.component.tcp_listen[0]}"

    def remove_port(self):
        tcp = self.component.keys.get("network", {}).get("tcp", {})
        if not tcp.get("connect"):
            return None
        port = tcp["connect"].pop()
        if not tcp["connect"]:
            del tcp["connect"]
        if not tcp:
            del self.component.keys["network"]["tcp"]
        if not self.component.keys["network"]:
            del self.component.keys["network"]
        self.component.tcp_connect = [p for p in self.component.tcp_connect if p != port]
        return f"no connect tcp:{port}"

    def client(self):
        """One more client of an edge, or one less: at both ends."""
        for server in self.policy.components.values():
            listens = server.keys.get("network", {}).get("unix", {}).get("listen", [])
            for entry in listens:
                if server.name == self.component.name or entry.get("by") == "component":
                    continue
                clients = entry.setdefault("from", [])
                unix = self.policy.network(self.component.name).setdefault("unix", {})
                if self.component.name in clients:
                    clients.remove(self.component.name)
                    unix["connect"].remove(entry["path"])
                    if not clients:
                        del entry["from"]
                    if not unix["connect"]:
                        del unix["connect"]
                    return f"no connect {entry['path']}"
                clients.append(self.component.name)
                unix.setdefault("connect", []).append(entry["path"])
                return f"connect {entry['path']}"
        return None

    def channel(self):
        others = [n for n in self.policy.components if n != self.component.name]
        if self.policy.channels and self.rng.random() < 0.5:
            return f"no channel {self.policy.channels.pop()}"
        other = self.rng.choice(others)
        kind = self.rng.choice(["stream", "messages", "pipe"])
        self.policy.channels.append({"name": "edited", "from": self.component.name, "to": other,
                                     "kind": kind})
        return f"channel {kind} to {other}"

    # --- what changes no answer, or no answer but its own ---

    def limit(self):
        limits = self.component.keys.setdefault("limits", {})
        limits["files"] = self.rng.choice([64, 128, 4096])
        return f"limits {limits}"

    def reorder(self):
        self.rng.shuffle(self.calls("allow"))
        for entries in self.files().values():
            self.rng.shuffle(entries)
        return "another order"

    def twice(self):
        """What a group or another test allows already, once more."""
        some = [c for c in self.calls("allow") if isinstance(c, dict) and "on" not in c]
        if not some:
            return None
        call, test = next(iter(self.rng.choice(some).items()))
        name, value = next(iter(test.items()))
        if not isinstance(value, list) or len(value) < 2:
            return None
        self.calls("allow").append({call: {name: value[:1]}})
        return f"twice {call}"
