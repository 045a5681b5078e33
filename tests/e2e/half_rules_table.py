# SPDX-License-Identifier: Apache-2.0
"""Half rules: their classes, and what each way round comes to inside a component.

The ids are those of compiler/ways_*.cc (docs/CLOSURE.md), the names of ways those of tests/attacks.
"""

from typing import NamedTuple, Optional

CLASSES = {
    "tcp-fastopen": "Landlock denies connect; sendto, sendmsg, sendmmsg with MSG_FASTOPEN connect",
    "tcp-mptcp": "Landlock denies TCP connect; protocol 262 is no TCP",
    "tcp-udp": "Landlock denies TCP connect; datagrams are no TCP",
    "tcp-raw": "Landlock denies TCP connect; raw and packet sockets",
    "tcp-sctp-smc": "Landlock denies TCP connect; SCTP, DCCP, SMC",
    "tcp-listen-autobind": "Landlock denies bind; listen without bind takes a port",
    "tcp-listener-as-client": "socket is denied; a listener that was handed over is connected",
    "unix-abstract": "Landlock denies files; abstract sockets have no path",
    "vsock-socket": "Landlock and an empty network namespace; vsock is asked about by neither",
    "sockets-niche": "internet sockets are denied; netlink, AF_ALG, AF_KEY",
    "files-unix-connect": "Landlock denies files; connect reaches a socket with a path",
    "files-metadata": "Landlock denies writing; mode, owner, times, attributes",
    "files-truncate": "Landlock before ABI 3 denies writing; truncate",
    "files-ioctl-device": "Landlock before ABI 5; requests to a device that may be read",
    "files-inherited-descriptor": "Landlock denies files; a descriptor that was open before",
    "files-handle": "a new root; open_by_handle_at",
    "files-hard-links": "Landlock denies special files; hard links are made like files",
    "files-special": "Landlock denies making files; links, fifos and sockets are none",
    "files-special-whiteout": "Landlock denies nodes; a rename leaves one where the file was",
    "files-locks": "Landlock denies writing; a lock holds up whoever reads the same",
    "files-mounts": "a mount hides what is beneath; mount calls show it",
    "files-proc": "a new root; /proc/PID/root and fd lead out, and so does another chroot",
    "reach-policy": "Landlock denies all but one's own; the policy and the audit log lie there",
    "execute-memfd": "Landlock denies executing; a program in anonymous memory",
    "execute-loader": "Landlock denies executing; the loader runs what can be read",
    "execute-script": "Landlock denies executing; the interpreter runs what can be read",
    "execute-launch-descriptor": "execveat of descriptor 100 alone; a program is put there",
    "execute-written": "a list of programs that can be written",
    "execute-set-id": "a uid without rights; a program with set-user-id",
    "memory-wx-proc-mem": "no memory is writable and executable; /proc/self/mem writes to code",
    "memory-wx-mprotect": "mmap denies it; mprotect makes code later",
    "memory-wx-remap": "mmap and mprotect deny it; one file is mapped twice",
    "memory-wx-personality": "mmap and mprotect deny it; READ_IMPLIES_EXEC",
    "calls-io-uring": "socket is denied; a ring makes one",
    "calls-ia32": "socket is denied by number; int 0x80 has other numbers",
    "calls-x32": "socket is denied by number; x32 has other numbers",
    "calls-high-bits": "whole registers are compared; the kernel reads 32 bits",
    "calls-low-bits": "32 bits are compared; the kernel reads the register",
    "calls-newer": "old calls are denied; newer ones do the same",
    "calls-clone3-flags": "clone with CLONE_NEWUSER is denied; clone3 has its flags in memory",
    "calls-user-namespace": "no capabilities; a user namespace has all of them",
    "terminal-tiocsti-tioclinux": "Landlock denies the terminal; an open one takes input",
    "devices-mknod": "a root without nodes; one is made",
    "kernel-entry": "a list of dangerous calls; bpf, perf, userfaultfd, splice, modules, kexec",
    "processes-ptrace": "a uid of its own; ptrace of what has it, too",
    "processes-vm-readv": "ptrace is denied; process_vm_readv and writev",
    "processes-pidfd-getfd": "opening is denied; pidfd_getfd takes what is open elsewhere",
    "processes-proc-mem": "ptrace and process_vm_readv are denied; /proc/PID/mem",
    "descriptors-scm-rights": "a new root without sockets; descriptors come over a socket",
    "descriptors-leaked": "a new root; a directory and a working directory from before",
    "descriptors-proc-exe": "a new root; /proc/PID/exe of who is outside",
    "keyring": "a uid of its own; the session keyring is inherited",
    "outlive": "death with the launcher; prctl takes it back",
    "signals-kill": "a uid of its own; kill of what has it, too",
    "signals-tgkill": "kill is denied; tgkill, tkill, rt_sigqueueinfo",
    "signals-pidfd": "these are denied; pidfd_send_signal",
    "signals-sigio": "these are denied; the kernel sends SIGIO to a descriptor's owner",
    "signals-timers": "these are denied; a timer sends",
    "ipc-sysv": "Landlock denies files; System V memory and queues are none",
    "ipc-posix": "System V is denied; POSIX queues and /dev/shm",
    "notification-pointer": "a supervisor reads a path and lets go on; the path is changed",
    "notification-reuse": "a supervisor acts on a number; it has become another's",
    "supervisor-stopped": "a tracer refuses; it is killed in the middle",
    "records-own-filter": "a supervisor counts refusals; a filter of one's own refuses first",
    "records-own-domain": "Landlock's denials are recorded; a domain of one's own denies first",
    "policy-empty": "a policy denies; an empty or absent one denies nothing",
}

# Ways that kernels are built without. Past the naive rule they then fail as they do without it.
MAY_BE_ABSENT = {
    "tcp-sctp-smc sctp": ("EPROTONOSUPPORT", "ESOCKTNOSUPPORT"),
    "tcp-sctp-smc dccp": ("EPROTONOSUPPORT", "ESOCKTNOSUPPORT"),
    "tcp-sctp-smc smc": ("EAFNOSUPPORT",),
    "tcp-mptcp mptcp": ("EPROTONOSUPPORT", "ENOPROTOOPT"),
    # Linux 6.18.44 answers so to a listen on a socket that was connected, or a connect on a listener.
    "tcp-listen-autobind connected": ("EINVAL",),
    "tcp-listener-as-client accepted-listens": ("EINVAL",),
    "tcp-listener-as-client listener": ("EINVAL",),
    "vsock-socket stream": ("EAFNOSUPPORT",),
    "vsock-socket connect": ("EAFNOSUPPORT",),
    "vsock-socket seqpacket": ("EAFNOSUPPORT", "ESOCKTNOSUPPORT"),
    "sockets-niche crypto": ("EAFNOSUPPORT",),
    "sockets-niche key": ("EAFNOSUPPORT",),
    "calls-ia32 socketcall": ("SIGSEGV", "ENOSYS"),
    "calls-ia32 socketcall-vsock": ("SIGSEGV", "ENOSYS", "EAFNOSUPPORT"),
    "calls-ia32 ia32-socket": ("SIGSEGV", "ENOSYS"),
    "calls-x32 x32-socket": ("ENOSYS",),
    "calls-newer fchmodat2": ("ENOSYS",),
    "calls-newer open_tree_attr": ("ENOSYS",),
    "memory-wx-remap memfd-sealed": ("EINVAL",),
    "terminal-tiocsti-tioclinux tiocsti": ("EIO",),
    "terminal-tiocsti-tioclinux tioclinux": ("ENOTTY",),
    "kernel-entry finit-module": ("ENOSYS",),
    "kernel-entry kexec-file": ("ENOSYS",),
}

# Ways that the kernel itself closes today, with what it answers: no rule is needed.
KERNEL_CLOSES = {
    "descriptors-scm-rights ring": ("EBADF", "rings are not passed on (Linux 6.7): none arrives"),
    "signals-timers peer": ("EINVAL", "a timer signals threads of its own process only"),
}

# What stays open inside a component, or can't be tried here, and why.
LEFT = {
    "execute-script": "to the kernel a script is data that an interpreter reads: a component with "
    "an interpreter runs what it can read, also what it wrote; without one in its view it doesn't, "
    "and no script is executed by its own path where it can be written",
    "execute-loader-readable": "with the loader granted every readable file on an executable mount "
    "runs; nothing that a component writes is on one",
    "descriptors-scm-rights": "an open file or a connected socket that a peer passes over a stated "
    "edge is used; a directory leads only to what the receiver's rules grant, an unconnected "
    "socket is neither connected nor made to listen, rings are not passed on",
    "signals-timers": "with `@posix-timers` a process signals its own threads, which is what it is "
    "for; other processes are closed by the kernel",
    "tcp-listen-autobind": "who has `tcp.bind` listens by itself and so also without a port: an "
    "error of the compiler unless it is waived",
    "tcp-address": "a port without `to` is any address",
    "devices-attestation": "not tried past a naive rule: the machine has no such device; the "
    "request numbers are refused like all that the filter does not name",
    "calls-pointers": "arguments in memory can't be tested: a policy that does is an error",
    "calls-unasked": "no filter is asked about uretprobe and uprobe; they do nothing but in pages "
    "that the kernel maps itself where root has set a probe",
    "tcp-listen-passed": "an error of the compiler unless it is waived: who listens by itself could "
    "on a socket that a peer with TCP passes on",
    "execute-read": "on targets without Landlock, where it is an error unless it is waived",
    "execute-image-segments": "a program of the image with such a segment is the image's",
    "unix-in-image": "beneath /run an error; where else daemons have sockets is the image's",
    "files-locks-read": "a lock for reading is seen by others who read the file",
    "files-proc-net": "in the enclave's network its connections are in /proc/net",
    "files-watch": "inotify sees that others open what the component reads, too",
    "files-edge-inodes": "a server that makes its socket itself can fill the edges' file system",
    "calls-kernel-bugs": "an error in the kernel behind an allowed call is no rule that is passed",
    "udp-senders": "who sends to a component's UDP port is not told apart; the broker sees what it "
    "sends itself",
    "broker-passed": "needs a component with the broker, tried in broker_test.py",
    "broker-memory": "needs a component with the broker, tried in broker_test.py",
    "broker-tcp-forms": "needs a component with the broker, tried in broker_test.py",
    "files-full": "a full disk is no way round a rule",
    "files-proc-global": "kernels before Linux 5.8, tried in old_kernel_test.py; this one mounts "
    "/proc with processes alone",
    "files-proc-later": "the same; nothing comes to /proc while components run",
    "execute-launch-tracer": "kernels before Linux 5.0, tried in old_kernel_test.py; this one asks "
    "a listener",
}


class Refusal(NamedTuple):
    """A result, and how it is recorded: by an event, or by none with the reason."""

    result: str
    control: str = ""
    action: str = ""
    object: str = ""  # a regular expression
    verdict: str = "refused"
    kind: str = "violation"
    statement: Optional[str] = None  # of the ledger, which says that nothing records it
    reason: str = ""  # part of that row's note, or why there is no row


PASSES = Refusal("passed")


def registers(values):
    """A pattern for the registers of a call; None is any value."""
    return "^" + " ".join("[0-9a-f]+" if v is None else f"{v:x}" for v in values) + r"\b"


def filtered(call, *values, result="EPERM"):
    return Refusal(result, "seccomp", call, registers(values))


def absent(call, *values):
    return Refusal("ENOSYS", "seccomp", call, registers(values), kind="absent")


def killed(number, arch):
    return Refusal("SIGSYS", "seccomp", f"syscall {number}", f"^arch {arch}", verdict="killed")


def landlock(right, pattern, result="EACCES"):
    return Refusal(result, "landlock", right, pattern)


def silent(result, statement, reason=""):
    """Nothing records it, as this row of the ledger says."""
    return Refusal(result, statement=statement, reason=reason)


def nothing(result, reason):
    """There is nothing to refuse."""
    return Refusal(result, reason=reason)


NOT_THERE = silent("ENOENT", "files")
NO_PROCESS = silent("ESRCH", "user")
MOUNT = "those of a mount (EROFS, noexec) are not recorded"
READ_ONLY = silent("EROFS", "files.read", MOUNT)
NOEXEC = "files.private"
X = None
AF_UNIX, AF_INET, AF_KEY, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK = 1, 2, 15, 16, 17, 38, 40
PROT_RWX = 7
NEWUSER = 0x10000000
FASTOPEN = 0x20000000
NO_DESCRIPTOR = nothing("EBADF", "every other descriptor is closed before the program starts")
NO_IPC = nothing("ENOENT", "an IPC namespace and a /dev/shm of its own: nothing is there")

TCP_CONNECT = {"connect": landlock("net.connect_tcp", "127.0.0.1:{other_port}")}
NO_SOCKET = {"socket": filtered("socket", AF_INET)}
WX = {"mmap": filtered("mmap", X, X, PROT_RWX)}
NO_OPEN = {"open": NOT_THERE}
KILLS = {"kill": silent("EPERM", "user")}

# What each way comes to, by component of half_rules_test.py. What a rule names is there, too.
INSIDE = {
    "tcp-fastopen": {"client": {
        **TCP_CONNECT,
        "sendto": filtered("sendto", X, X, X, FASTOPEN),
        "sendmsg": filtered("sendmsg", X, X, FASTOPEN),
        "sendmmsg": filtered("sendmmsg", X, X, X, FASTOPEN),
    }},
    "tcp-mptcp": {"client": {**TCP_CONNECT, "mptcp": filtered("socket", AF_INET, 1, 262)}},
    "tcp-udp": {"client": {**TCP_CONNECT, "udp": filtered("socket", AF_INET, 2)}},
    "tcp-raw": {"client": {
        **TCP_CONNECT,
        "raw": filtered("socket", AF_INET, 3),
        "packet": filtered("socket", AF_PACKET),
    }},
    "tcp-sctp-smc": {"client": {
        **TCP_CONNECT,
        "sctp": filtered("socket", AF_INET, 1, 132),
        "dccp": filtered("socket", AF_INET, 6, 33),
        "smc": filtered("socket", 43),
    }},
    "tcp-listen-autobind": {"client": {
        "bind": filtered("bind"),
        "listen": filtered("listen"),
        "connected": filtered("listen"),
    }},
    "tcp-listener-as-client": {"served": {
        **NO_SOCKET,
        "accepted": landlock("net.connect_tcp", "127.0.0.1:{other_port}"),
        "accepted-listens": nothing("EOPNOTSUPP", "the filter answers 0, and no port is taken"),
        "listener": landlock("net.connect_tcp", "127.0.0.1:{other_port}"),
    }},
    "unix-abstract": {
        "client": {**NO_OPEN, "connect": landlock(
            "scope.abstract_unix_socket", "half-rules", result="EPERM"),
                   "send": filtered("socket", AF_UNIX, 2)},
        "served": {**NO_OPEN, "connect": silent("ECONNREFUSED", "network", "empty namespace"),
                   "send": filtered("socket", AF_UNIX, 2)},
    },
    "vsock-socket": {"plain": {
        **NO_OPEN,
        "stream": filtered("socket", AF_VSOCK, 1),
        "connect": filtered("socket", AF_VSOCK, 1),
        "seqpacket": filtered("socket", AF_VSOCK, 5),
    }},
    "sockets-niche": {"plain": {
        **NO_SOCKET,
        "crypto": filtered("socket", AF_ALG),
        "netlink": filtered("socket", AF_NETLINK),
        "key": filtered("socket", AF_KEY),
    }},
    "files-unix-connect": {"served": {
        **NO_OPEN, "connect": silent("ENOENT", "network.unix.connect")}},
    "files-metadata": {"plain": {
        "write": READ_ONLY, "mode": READ_ONLY, "owner": READ_ONLY, "times": READ_ONLY,
        "attribute": READ_ONLY}},
    "files-truncate": {"plain": {"write": READ_ONLY, "truncate": READ_ONLY}},
    "files-ioctl-device": {"plain": {
        "write": PASSES, "ioctl": filtered("ioctl", X, 0x80045200)}},
    "files-inherited-descriptor": {"plain": {
        **NO_OPEN, "write": NO_DESCRIPTOR, "read": NO_DESCRIPTOR}},
    "files-handle": {"plain": {**NO_OPEN, "handle": filtered("open_by_handle_at"),
        "directory": filtered("open_by_handle_at")}},
    "files-hard-links": {"creator": {
        "symlink": filtered("symlinkat"), "link": filtered("linkat")}},
    "files-special": {"creator": {
        "create": PASSES,
        "symlink": filtered("symlinkat"),
        "fifo": filtered("mknodat"),
        "socket": filtered("mknodat"),
    }},
    "files-special-whiteout": {"creator": {
        "symlink": filtered("symlinkat"), "whiteout": filtered("renameat2", X, X, X, X, 4)}},
    "files-locks": {"plain": {"write": READ_ONLY, "flock": filtered("flock", X, 6)}},
    "files-mounts": {"plain": {
        **NO_OPEN,
        "umount": filtered("umount2"),
        "open-tree": filtered("open_tree"),
        "bind": filtered("mount"),
    }},
    "files-proc": {"plain": {
        **NO_OPEN, "root": NOT_THERE, "descriptor": NOT_THERE, "chroot": filtered("chroot")}},
    "reach-policy": {"plain": {
        **NO_OPEN, "append-audit": NOT_THERE, "truncate-audit": NOT_THERE,
        "list-audit": NOT_THERE, "read-policy": NOT_THERE, "write-policy": NOT_THERE}},
    "execute-memfd": {"runner": {
        "execve": NOT_THERE,
        "memfd": filtered("memfd_create"),
        "memfd-by-path": filtered("memfd_create"),
    }},
    "execute-loader": {"runner": {
        "execve": silent("EACCES", NOEXEC, MOUNT), "loader": silent("exit:127", NOEXEC, MOUNT)}},
    "execute-script": {
        "runner": {
            # No interpreter in the view: what is intended elsewhere isn't there either.
            "execve-listed": NOT_THERE,
            "execve": silent("EACCES", NOEXEC, MOUNT),
            "interpreter": NOT_THERE,
        },
        "script": {"execve": silent("EACCES", NOEXEC, MOUNT), "interpreter": PASSES},
    },
    "execute-launch-descriptor": {"plain": {
        "execve": filtered("execve"),
        "memfd": filtered("memfd_create"),
        "written": filtered("execveat", 100),
        "itself": filtered("execveat", 100),
    }},
    "execute-written": {"runner": {
        "execve": NOT_THERE,
        "added": silent("EACCES", NOEXEC, MOUNT),
        "overwritten": silent("EROFS", "files.execute", MOUNT),
        "renamed": silent("EXDEV", "files.execute", MOUNT),
    }},
    "execute-set-id": {"runner": {
        **NO_OPEN,
        "set-user-id": nothing("exit:1", "it is executed, and not as root"),
    }},
    "memory-wx-proc-mem": {"plain": {**WX, "proc-mem": landlock("fs.write_file", "/proc/.*/mem")}},
    "memory-wx-mprotect": {"plain": {
        **WX,
        "mprotect": filtered("mprotect", X, X, 5),
        "pkey-mprotect": filtered("pkey_mprotect", X, X, 5),
    }},
    "memory-wx-remap": {"plain": {
        **WX,
        "file": silent("EPERM", NOEXEC, MOUNT),
        "dev-shm": silent("EPERM", NOEXEC, MOUNT),
        "memfd": filtered("memfd_create"),
        "memfd-sealed": filtered("memfd_create", X, 8),
        "written": silent("EPERM", NOEXEC, MOUNT),
        "system-v": filtered("shmat", X, X, 0o100000 | 0o10000),
        "shared-child": filtered("mmap", X, X, 5, 0x21),
        "shared-again": filtered("mmap", X, X, 5, 0x21),
    }},
    "memory-wx-personality": {"plain": {**WX, "personality": filtered("personality", 0x400000)}},
    "calls-io-uring": {"plain": {**NO_SOCKET, "ring": absent("io_uring_setup")}},
    "calls-ia32": {"plain": {
        **NO_SOCKET,
        "socketcall": killed(102, "40000003"),
        "socketcall-vsock": killed(102, "40000003"),
        "ia32-socket": killed(359, "40000003"),
    }},
    "calls-x32": {"plain": {**NO_SOCKET, "x32-socket": killed(0x40000000 | 41, "c000003e")}},
    "calls-high-bits": {"values": {
        "ioctl": filtered("ioctl", X, 0x541B),
        "socket": filtered("socket", AF_VSOCK),
        "ioctl-high": filtered("ioctl", X, 0x10000541B),
        "socket-high": filtered("socket", 0x100000028),
    }},
    "calls-low-bits": {"values": {
        "mmap": filtered("mmap", 0, 0x101000),
        "lseek": filtered("lseek", X, 0x1001),
        "mmap-high": filtered("mmap", 0, 0x100001000),
        "lseek-high": filtered("lseek", X, 0x100000001),
    }},
    "calls-newer": {"values": {
        "clone": PASSES,
        "openat": NOT_THERE,
        "fchmodat": filtered("fchmodat"),
        "mount": filtered("mount"),
        "open_tree": filtered("open_tree"),
        "clone3": absent("clone3"),
        "openat2": absent("openat2"),
        "fchmodat2": absent("fchmodat2"),
        "mount_setattr": filtered("mount_setattr"),
        "open_tree_attr": filtered("open_tree_attr"),
    }},
    "calls-clone3-flags": {"plain": {
        "clone": filtered("clone", NEWUSER | 17),
        "unshare": filtered("unshare", NEWUSER),
        "clone3": absent("clone3"),
    }},
    "calls-user-namespace": {"plain": {
        "sethostname": filtered("sethostname"),
        "unshare": filtered("unshare", NEWUSER | 0x4000000),
        "clone": filtered("clone", NEWUSER | 0x4000000 | 17),
    }},
    "terminal-tiocsti-tioclinux": {"plain": {
        **NO_OPEN,
        "tiocsti": filtered("ioctl", X, 0x5412),
        "tioclinux": filtered("ioctl", X, 0x541C),
    }},
    "devices-mknod": {"plain": {**NO_OPEN, "mknod": filtered("mknodat", X, X, 0o20600)}},
    "kernel-entry": {"plain": {
        "ptrace": filtered("ptrace"),
        "bpf": filtered("bpf"),
        "perf": filtered("perf_event_open"),
        "userfaultfd": filtered("userfaultfd"),
        "finit-module": filtered("finit_module"),
        "kexec-file": filtered("kexec_file_load"),
        "splice": filtered("splice"),
        "vmsplice": filtered("vmsplice"),
    }},
    "processes-ptrace": {"plain": {
        **NO_OPEN, "peer": filtered("ptrace", 0x4206, 1), "child": filtered("ptrace", 0x4206)}},
    "processes-vm-readv": {"plain": {
        "ptrace": filtered("ptrace", 0x4206),
        "read": filtered("process_vm_readv"),
        "write": filtered("process_vm_writev"),
    }},
    "processes-pidfd-getfd": {"plain": {
        **NO_OPEN, "getfd": filtered("pidfd_getfd"), "getfd-of-server": filtered("pidfd_getfd")}},
    "processes-proc-mem": {"plain": {
        "read": filtered("process_vm_readv"), "open-read": NOT_THERE, "open-write": NOT_THERE}},
    "descriptors-scm-rights": {"taker": {
        **NO_OPEN,
        "file": PASSES,
        "directory": landlock("fs.read_file", "/given/decoy$"),
        "socket": landlock("net.connect_tcp", "127.0.0.1:{other_port}"),
        "socket-listens": filtered("listen"),
        "pair": PASSES,
        "ring": absent("io_uring_enter"),
    }},
    "descriptors-leaked": {"plain": {
        **NO_OPEN, "directory": NO_DESCRIPTOR, "working-directory": NOT_THERE}},
    "descriptors-proc-exe": {"plain": {
        **NO_OPEN, "exe": NOT_THERE, "execute": filtered("execve")}},
    "keyring": {"plain": {
        **NO_OPEN,
        "session": filtered("keyctl"),
        "request": filtered("request_key"),
        "add": filtered("add_key"),
    }},
    "signals-kill": {"signals": {**NO_OPEN, **KILLS}},
    "signals-tgkill": {"signals": {
        **KILLS,
        "tgkill": silent("EPERM", "user"),
        "tkill": filtered("tkill"),
        "sigqueue": filtered("rt_sigqueueinfo"),
        "tgsigqueue": filtered("rt_tgsigqueueinfo"),
    }},
    "signals-pidfd": {"signals": {**KILLS, "pidfd": absent("pidfd_send_signal")}},
    "signals-sigio": {
        "signals": {
            **KILLS,
            "setown": NO_PROCESS,
            "setown-ex": filtered("fcntl", X, 15),
            "fiosetown": filtered("ioctl", X, 0x8901),
        },
        "plain": {
            **KILLS,
            "setown": filtered("fcntl", X, 8),
            "setown-ex": filtered("fcntl", X, 15),
            "fiosetown": filtered("ioctl", X, 0x8901),
        },
    },
    "signals-timers": {
        "signals": {**KILLS, "itself": PASSES, "peer": nothing("EINVAL", "of other processes")},
        "plain": {
            **KILLS, "itself": filtered("timer_create"), "peer": filtered("timer_create")},
    },
    "ipc-sysv": {"plain": {**NO_OPEN, "memory": NO_IPC, "queue": filtered("msgget")}},
    "ipc-posix": {"plain": {"system-v": NO_IPC, "queue": NO_IPC, "dev-shm": NOT_THERE}},
    "notification-pointer": {"plain": {
        **NO_OPEN, "flip": nothing("ENODATA", "20,000 openings, none of them the other file")}},
    "records-own-filter": {"plain": {
        "chroot": filtered("chroot"),
        "seccomp": filtered("seccomp", 1),
        "prctl": filtered("prctl", 22, 2),
    }},
    "records-own-domain": {"plain": {**NO_OPEN, "restrict": absent("landlock_restrict_self")}},
    "policy-empty": {"plain": {
        **NO_SOCKET, "empty": filtered("socket", AF_INET), "absent": filtered("socket", AF_INET)}},
    # Last, as it leaves a process of its own behind, which is none of others. Within its namespace
    # a process may outlive its maker; what can't be taken back is the namespace's end.
    "outlive": {"plain": {"stay": PASSES, "prctl": filtered("prctl", 1, 0)}},
    # In tests of their own: what happens to the supervisor is not up to a component.
    "notification-reuse": {},
    "supervisor-stopped": {},
}

# What bulkhead-attacks tries without a name of its own in INSIDE: it is intended, and passes.
INTENDED_ELSEWHERE = {("execute-script", "runner")}

# Policies that would open a way: what a `plain` component says besides, and the error's code.
REFUSED_POLICIES = [
    ("tcp-listen-autobind", {"network": {"tcp": {"bind": [8080]}}}, "E0545"),
    ("memory-wx-remap", {"allow": ["memfd_create"]}, "E0545"),
    ("memory-wx-remap",
     {"allow": [{"memfd_create": {"flags": {"bits-set": ["MFD_NOEXEC_SEAL"]}}}]}, "E0545"),
    ("files-hard-links", {"create": True, "allow": ["linkat"]}, "E0545"),
    ("calls-io-uring", {"allow": ["io_uring_setup"]}, "E05"),
    ("calls-user-namespace", {"allow": ["unshare"]}, "E05"),
    ("processes-ptrace", {"allow": ["ptrace"]}, "E05"),
    ("processes-vm-readv", {"allow": ["process_vm_readv"]}, "E05"),
    ("processes-pidfd-getfd", {"allow": ["pidfd_getfd"]}, "E05"),
    ("keyring", {"allow": ["keyctl"]}, "E05"),
    ("kernel-entry", {"allow": ["bpf"]}, "E05"),
    ("records-own-filter", {"allow": ["seccomp"]}, "E05"),
    ("records-own-domain", {"allow": ["landlock_restrict_self"]}, "E05"),
    ("files-handle", {"allow": ["open_by_handle_at"]}, "E0"),
    ("vsock-socket", {"allow": ["socket"]}, "E0"),
    ("reach-policy", {"write": ["/var/log/bulkhead"]}, "E0524"),
]
