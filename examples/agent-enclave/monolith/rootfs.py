# SPDX-License-Identifier: Apache-2.0
"""A throwaway root for runs without bulkhead: own namespaces, a tmpfs root, copies of everything
that may be written. Nothing in here is a defence: it keeps the machine safe from the experiment.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys

NAMESPACES = ["--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup"]
DEVICES = ["null", "zero", "full", "random", "urandom"]
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
MNT_DETACH = 2


def require_root(name):
    """Exit 3: the environment can't; 1 where a skip must not pass for success."""
    if os.geteuid() != 0:
        print(f"{name}: needs root for its throwaway namespaces", file=sys.stderr)
        sys.exit(1 if os.environ.get("BULKHEAD_REQUIRE_KERNEL") == "1" else 3)


def run(script, arguments):
    """Runs `script` again as PID 1 of new namespaces; returns its exit code."""
    command = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--propagation", "private", "--"]
    command += [sys.executable, "-I", script, "--inside", *arguments]
    return subprocess.run(command, check=False).returncode


def _mount(*words):
    subprocess.run(["mount", *words], check=True)


def _bind(source, root, path, *options):
    target = root + path
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "a", encoding="ascii"):
            pass
    _mount("--bind", source, target)
    if options:
        _mount("-o", "remount,bind," + ",".join(options), target)


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _pivot(root):
    libc = ctypes.CDLL(None, use_errno=True)
    os.chdir(root)
    if libc.pivot_root(b".", b".") != 0 or libc.umount2(b".", MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), "pivot_root")
    os.chdir("/")


def build(laid_out, example, output):
    """Makes the root from what `setup` laid out in `laid_out`, and moves into it.

    `example` (the source folder, read-only) appears as /mnt/example, `output` as /mnt/output.
    """
    root = laid_out + "-root"
    os.makedirs(root, exist_ok=True)
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root)
    _bind("/usr", root, "/usr", "ro")
    for name in ["bin", "sbin", "lib", "lib64", "lib32"]:
        if os.path.islink("/" + name):
            os.symlink(os.readlink("/" + name), f"{root}/{name}")
        elif os.path.isdir("/" + name):
            _bind("/" + name, root, "/" + name, "ro")
    for source, target in [("/etc", root + "/etc"), (laid_out + "/.", root)]:
        subprocess.run(["cp", "-a", source, target], check=True)
    _bind(example, root, "/mnt/example", "ro")
    _bind(output, root, "/mnt/output")
    for device in DEVICES:
        _bind(f"/dev/{device}", root, f"/dev/{device}")
    for path, mode in [("/tmp", 0o1777), ("/run", 0o755), ("/proc", 0o555), ("/root", 0o700)]:
        os.makedirs(root + path, exist_ok=True)
        os.chmod(root + path, mode)
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root + "/tmp")
    _mount("-t", "proc", "proc", root + "/proc")
    os.makedirs(root + "/dev/pts")
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=666", "devpts", root + "/dev/pts")
    os.symlink("pts/ptmx", root + "/dev/ptmx")
    _pivot(root)
    _loopback_up()
