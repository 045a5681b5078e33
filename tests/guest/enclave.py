# SPDX-License-Identifier: Apache-2.0
"""The agent example as an image: a root with nothing but its programs and what they load, and its
policy with a client inside and the audit log on the console.
"""

import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/agent-enclave"
HERE = pathlib.Path("/")  # the root of this machine
PROGRAMS = ["/usr/sbin/nginx", "/usr/bin/python3", "/usr/bin/redis-server", "/usr/bin/gpg-agent"]
FILES = ["/etc/nginx/mime.types", "/etc/ld.so.cache", "/lib64/ld-linux-x86-64.so.2"]
# Not needed by the example, and large.
LEFT_OUT = ["__pycache__", "dist-packages", "idlelib", "lib2to3", "test", "tests", "tkinter", "turtledemo",
            "ensurepip", "distutils", "pydoc_data", "config-3*"]
CLIENT = """
  client:
    profile: [stateful-service, python]
    exec: [/usr/bin/python3, -I, /opt/agent-enclave/client/main.py]
    files: {read: [/opt/agent-enclave/client]}
    network: {unix: {connect: [/run/edges/agent/agent.sock]}}
    after: [gateway]
    ready: {exit: 0}
    start-within: 300s
    restart: {when: never}
"""


def copy(path, tree, root=HERE):
    """Copies a file of `root`, and the links on the way to it."""
    place = pathlib.Path("/")
    for part in pathlib.Path(path).parts[1:]:
        place = place / part
        source, target = root / place.relative_to("/"), tree / place.relative_to("/")
        if source.is_symlink():
            if not target.is_symlink():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(os.readlink(source))
            rest = pathlib.Path(path).relative_to(place)
            return copy(os.path.normpath(place.parent / os.readlink(source) / rest), tree, root)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif not target.exists():
            shutil.copyfile(source, target)
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    return None


def libraries(program, root=HERE):
    if root != HERE:
        # Nobody here runs that loader; such a root has little beside what its programs need.
        found = (root / "usr/lib").glob("*-linux-gnu/*.so.*")
        return [f"/{path.relative_to(root)}" for path in found]
    output = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/[^ ]+) \(0x", output)


def copy_python(tree, root=HERE):
    """Its standard library, whose place in `root` is returned."""
    standard = pathlib.Path("/usr/lib") / pathlib.Path(os.path.realpath(root / "usr/bin/python3")).name
    shutil.copytree(root / standard.relative_to("/"), tree / standard.relative_to("/"), symlinks=True,
                    ignore=shutil.ignore_patterns(*LEFT_OUT))
    (tree / standard.relative_to("/") / "sitecustomize.py").unlink(missing_ok=True)
    (tree / "usr/lib/python3").mkdir(exist_ok=True)
    return standard


def make_tree(tree, laid_out):
    """`laid_out` is what the example's setup made."""
    subprocess.run([EXAMPLE / "setup", laid_out], check=True, capture_output=True)
    shutil.copytree(laid_out, tree, symlinks=True, dirs_exist_ok=True)
    for path in [*PROGRAMS, *FILES]:
        copy(path, tree)
    standard = copy_python(tree)
    extensions = [str(path) for path in (standard / "lib-dynload").glob("*.so")]
    for program in [*PROGRAMS, *extensions]:
        for library in libraries(program):
            copy(library, tree)
    client = tree / "opt/agent-enclave/client"
    client.mkdir()
    shutil.copyfile(pathlib.Path(__file__).with_name("client.py"), client / "main.py")
    # By their hash: in an image all times are the same.
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", "-s", tree, "-p", "/", "--invalidation-mode",
                    "unchecked-hash", tree / standard.relative_to("/"), tree / "opt"], check=True)


def policy(text):
    text = re.sub(r"(?m)^audit: .*$", "audit: {sinks: [stdout]}", text)
    text = text.replace("from: [gateway]", "from: [gateway, client]")
    text = re.sub(r"start-within: \d+s", "start-within: 300s", text)
    return text + CLIENT
