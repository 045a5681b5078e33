# SPDX-License-Identifier: Apache-2.0
"""Starts the five services as plain processes of one root, listeners opened the way the supervisor
does it: descriptors from 3 on, named by LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID.
"""

import os
import signal
import socket
import time

CODE = "/opt/agent-enclave"
EDGES = "/run/edges"
FRONT = ("127.0.0.1", 8443)
PATIENCE = 15.0
HIGH, MAX_FD = 512, 1024


class Service:
    def __init__(self, name, argv, env=None, listeners=()):
        self.name, self.argv, self.env = name, argv, env or {}
        self.listeners = listeners
        self.pid = None

    def start(self, trace=None, leaked=None, stdin=None, stderr=None):
        """Forks and executes. `trace` is a file for strace; `leaked` is a descriptor left open on
        purpose; `stdin` and `stderr` are descriptors to be used as such."""
        argv = list(self.argv)
        if trace:  # -D: the tracer is a grandchild, so the service keeps the pid in LISTEN_PID
            argv = ["/usr/bin/strace", "-D", "-f", "-ttt", "-y", "-s", "200", "-o", trace, *argv]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become(argv, leaked, stdin, stderr)
            finally:
                os._exit(127)

    def _become(self, argv, leaked, stdin, stderr):
        source = os.dup(stdin) if stdin is not None else os.open("/dev/null", os.O_RDONLY)
        os.dup2(source, 0)
        if stderr is not None:
            os.dup2(stderr, 2)
        os.dup2(2, 1)
        handles = [handle.fileno() for _, handle in self.listeners]
        handles += [leaked] if leaked is not None else []
        for position, fd in enumerate(handles):  # out of the way before 3, 4, ... are given out
            os.dup2(fd, HIGH + position)
        for position in range(len(handles)):
            os.dup2(HIGH + position, 3 + position)
        os.closerange(3 + len(handles), MAX_FD)
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **self.env}
        if self.listeners and "NGINX" not in env:
            env["LISTEN_FDS"] = str(len(self.listeners))
            env["LISTEN_FDNAMES"] = ":".join(name for name, _ in self.listeners)
            env["LISTEN_PID"] = str(os.getpid())
        os.execve(argv[0], argv, env)

    def stop(self):
        if self.pid is None:
            return
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
            time.sleep(0.02)
        self.pid = None


def _unix(path, kind=socket.SOCK_STREAM):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = socket.socket(socket.AF_UNIX, kind)
    handle.bind(path)
    if kind == socket.SOCK_STREAM:
        handle.listen(128)
    return handle


def _front():
    handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    handle.bind(FRONT)
    handle.listen(511)
    # Both of nginx's workers wait for it: a blocking accept of one would hold its connections.
    handle.setblocking(False)
    return handle


def make(gateway_env=None):
    """The services in the order of their start, and the socket for the agent's READY=1."""
    notify = _unix("/run/notify/agent.sock", socket.SOCK_DGRAM)
    notify.settimeout(PATIENCE)
    os.makedirs(f"{EDGES}/store", exist_ok=True)
    sign = [("std", _unix("/run/signer/S.gpg-agent")), ("ssh", _unix(f"{EDGES}/sign/ssh.sock"))]
    gpg = ["/usr/bin/gpg-agent", "--supervised", "--enable-ssh-support", "--disable-scdaemon"]
    python = ["/usr/bin/python3", "-I"]
    nginx = ["/usr/sbin/nginx", "-e", "stderr", "-c", f"{CODE}/gateway/nginx.conf"]
    services = [
        Service("signer", gpg, {"GNUPGHOME": "/var/lib/signer"}, sign),
        Service("store", ["/usr/bin/redis-server", f"{CODE}/store/redis.conf"]),
        Service("tools", [*python, f"{CODE}/tools/run.py"], {},
                [("run", _unix(f"{EDGES}/tools/run.sock"))]),
        Service("agent", [*python, f"{CODE}/agent/main.py"],
                {"NOTIFY_SOCKET": "/run/notify/agent.sock"},
                [("http", _unix(f"{EDGES}/agent/agent.sock"))]),
        # As root nginx gives its workers to `nobody`; a crowded enclave runs all as root.
        Service("gateway", [*nginx, "-g", "user root;"], {"NGINX": "3;", **(gateway_env or {})},
                [("front", _front())]),
    ]
    return services, notify


def wait_ready(services, notify):
    if notify.recv(64) != b"READY=1":
        raise RuntimeError("the agent said something else than READY=1")
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(f"{EDGES}/store/redis.sock"):
        if time.monotonic() > deadline:
            raise RuntimeError("the store does not listen")
        time.sleep(0.02)
    for service in services:
        if os.waitpid(service.pid, os.WNOHANG)[0] != 0:
            raise RuntimeError(f"{service.name} ended at its start")
