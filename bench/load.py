#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What confinement costs a server under load: redis by redis-benchmark over a unix socket, nginx by ab
(apache2-utils), each in a compartment with Landlock's records on and bare, in turn. Prints the median of
the ratios of paired rounds.

usage: load.py BUILD [ROUNDS]
"""

import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import launch

REDIS = """
port 0
unixsocket {socket}
unixsocketperm 770
daemonize no
save ""
appendonly no
"""
NGINX = """
daemon off;
worker_processes 1;
pid {pid};
error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {tmp}/body; proxy_temp_path {tmp}/proxy; fastcgi_temp_path {tmp}/fastcgi;
  uwsgi_temp_path {tmp}/uwsgi; scgi_temp_path {tmp}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ root {root}; }}
            location /answer {{ return 200 "{answer}"; }} }}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def policy(directory, port):
    return {
        "bulkhead": 1, "enclave": "bench-load", "target": "running", "measure": {"policy": "none"},
        "audit": {"sinks": [{"file": "/var/log/bulkhead/bench-load.jsonl"}]},
        "components": {
            "redis": {
                "profile": ["stateful-service", "redis"],
                "exec": ["/usr/bin/redis-server", f"{directory}/inside/redis.conf"],
                "files": {"read": [f"{directory}/inside"], "private": [{"path": "/tmp", "size": "16M"}]},
                "directory": "/tmp", "ready": "listening",
                "network": {"unix": {"listen": [
                    {"path": "/run/edges/load/redis.sock", "by": "component", "from": ["client"]}]}}},
            "nginx": {
                "profile": ["gateway", "nginx"],
                "exec": ["/usr/sbin/nginx", "-e", "stderr", "-c", f"{directory}/inside/nginx.conf"],
                "env": {"NGINX": "3;"},
                # What it serves is named by itself: a path is walked up to what grants it.
                "files": {"read": [f"{directory}/inside/nginx.conf", f"{directory}/inside/root",
                                   {"path": "/etc/localtime", "optional": True},
                                   {"path": "/usr/lib/ssl/openssl.cnf", "optional": True}],
                          "private": [{"path": "/tmp", "size": "16M"}]},
                "syscalls": {"allow": ["@master-worker"]},
                "network": {"tcp": {"listen": [{"port": port, "name": "http", "nonblocking": True}]}}},
            "client": {
                "profile": ["batch"], "exec": ["/usr/bin/true"],
                "files": {"execute": ["/usr/bin/true", "@loader"], "read": ["@libraries"]},
                "network": {"unix": {"connect": ["/run/edges/load/redis.sock"]}}}}}


def redis_rate(path):
    """Requests a second, of get and set."""
    output = subprocess.run(
        ["redis-benchmark", "-s", path, "-n", "60000", "-c", "20", "-t", "get,set", "--csv"],
        capture_output=True, text=True, check=True).stdout
    rates = [float(row.split(",")[1].strip('"')) for row in output.splitlines()
             if row.startswith(('"GET"', '"SET"'))]
    return statistics.mean(rates)


def nginx_rate(page, requests, *options, clients=20):
    return lambda port: ab_rate(["ab", "-q", "-c", str(clients), "-n", str(requests), *options,
                                 f"http://127.0.0.1:{port}/{page}"])


# Per request: an answer without a file, as little else as can be; a page; its pictures; a client that
# comes but once.
HTTP = {"kept connections, no file": nginx_rate("answer", 40000, "-k"),
        "kept connections, 600 bytes": nginx_rate("page", 40000, "-k"),
        "100 kept connections, 600 bytes": nginx_rate("page", 40000, "-k", clients=100),
        "kept connections, 64 KiB": nginx_rate("picture", 20000, "-k"),
        "a connection each, 600 bytes": nginx_rate("page", 15000)}


def ab_rate(command):
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or not re.search(r"Failed requests: +0\b", output):
        sys.exit(output)
    return float(re.search(r"Requests per second: +([\d.]+)", output)[1])


def compare(name, rate, inside, bare, rounds):
    ratios, rates = [], []
    for turn in range(rounds):
        # Who comes first alternates.
        first, second = (inside, bare) if turn % 2 == 0 else (bare, inside)
        pair = {first: rate(first), second: rate(second)}
        ratios.append(pair[inside] / pair[bare])
        rates.append(pair[bare])
    print(f"{name}: {100 * statistics.median(ratios):.1f} % of bare (median of {rounds} pairs, "
          f"{100 * min(ratios):.1f} to {100 * max(ratios):.1f}; bare {statistics.median(rates):.0f}/s)",
          flush=True)


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    sys.exit("a server did not start")


def main():
    build, rounds = pathlib.Path(sys.argv[1]), int((sys.argv[2:] or ["15"])[0])
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench."))
    directory.chmod(0o755)
    port, bare_port = free_port(), free_port()
    for name, path, number, tmp in (("inside", "/run/edges/load/redis.sock", port, "/tmp"),
                                    ("outside", f"{directory}/redis.sock", bare_port, str(directory))):
        place = directory / name
        (place / "root").mkdir(parents=True)
        (place / "root/page").write_text("x" * 600, encoding="ascii")
        (place / "root/picture").write_text("x" * 65536, encoding="ascii")
        (place / "redis.conf").write_text(REDIS.format(socket=path), encoding="ascii")
        (place / "nginx.conf").write_text(NGINX.format(
            pid=f"{tmp}/nginx.pid", port=number, root=place / "root", tmp=tmp, answer="x" * 600), encoding="ascii")
    bundle = launch.compile_policy(build, directory, policy(directory, port))
    enclave = launch.boot(build, directory, bundle, ["`redis` ready", "`nginx` ready"])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    bare = [subprocess.Popen(["/usr/bin/redis-server", directory / "outside/redis.conf"],
                             cwd=directory, **quiet),
            subprocess.Popen(["/usr/sbin/nginx", "-e", "stderr", "-c", directory / "outside/nginx.conf"],
                             **quiet)]
    try:
        wait_for(lambda: os.path.exists(directory / "redis.sock"))
        time.sleep(0.5)
        compare("redis", redis_rate, "/run/edges/load/redis.sock", f"{directory}/redis.sock", rounds)
        for name, rate in HTTP.items():
            compare(f"nginx, {name}", rate, port, bare_port, rounds)
    finally:
        for process in bare:
            process.terminate()
            process.wait()
        enclave.terminate()
        enclave.wait()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
