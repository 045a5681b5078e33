# SPDX-License-Identifier: Apache-2.0
"""Runs rows of attacks.table by raw system calls, as code submitted to the tool runner.

`submit` puts `TABLE`, `PARAMETERS` (name -> text or number) and `ROWS` (names, in order) before this
text. One JSON line a row goes to stdout. preload.cc runs the same table inside nginx.
"""

import ctypes
import errno
import json
import os
import platform
import struct
import time

MAX_FD = 1024

# PyDLL keeps the interpreter's lock: a call that makes a child must not come back into a process
# whose lock belongs to a thread that was not copied.
LIBC = ctypes.PyDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


class Broken(Exception):
    """The row can't be run as written; never counted as a refusal."""


class Refused(Exception):
    def __init__(self, call, number):
        super().__init__(call)
        self.call, self.number = call, number


class Table:
    def __init__(self, text, machine):
        self.calls, self.constants, self.blobs, self.rows = {}, {}, {}, {}
        self.defaults, self.absent, self.own = {}, set(), ()
        steps = None
        for line in text.splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if line[0].isspace():
                steps.append(words)
            elif words[0] == "call":
                self.calls[words[1]] = int(words[2 if machine == "x86_64" else 3])
            elif words[0] == "const":
                self.constants[words[1]] = int(words[2], 0)
            elif words[0] == "blob":
                if words[2] == machine:
                    self.blobs[words[1]] = bytes.fromhex(words[3])
            elif words[0] == "default":
                if words[2] in (machine, "any"):
                    self.defaults[words[1]] = words[3]
            elif words[0] == "absent":
                self.absent.add(self.constants[words[1]])
            elif words[0] == "own":
                self.own += (words[1],)
            elif words[0] == "row":
                steps = []
                self.rows[words[1]] = _row(line, words, steps)
            else:
                raise Broken(f"attacks.table: `{line}`")


def _row(line, words, steps):
    attributes = {}
    for word in words[2 : words.index(":")]:
        key, _, value = word.partition("=")
        attributes[key] = value
    return {"attributes": attributes, "goal": line.split(" : ", 1)[1].strip(), "steps": steps}


class Machine:
    """Runs the steps of one row; owns its buffers and descriptors."""

    def __init__(self, table, parameters):
        self._table, self._parameters = table, {**table.defaults, **parameters}
        self._values = {}
        self._kept = []
        self._values["buf"] = self._keep(ctypes.create_string_buffer(65536))

    def run(self, steps):
        for words in steps:
            if words[0] == "let":
                self._values[words[1]] = self._pointer(words[3])
            else:
                self._step(list(words))

    def close(self):
        for name, value in self._values.items():
            if name.startswith("fd") and value >= 0:
                LIBC.syscall(ctypes.c_long(self._table.calls["close"]), ctypes.c_long(value))

    def _step(self, words):
        optional = words[0] == "try"
        if optional:
            words.pop(0)
        target = None
        if len(words) > 1 and words[1] == "=":
            target = words[0]
            words = words[2:]
        least, accepted = 0, ()
        if words[-1].startswith("ok="):
            accepted = [self._constant(name) for name in words.pop()[3:].split(",")]
        if words[-1].startswith("min="):
            least = int(words.pop()[4:])
        value, number = self._call(words[0], words[1:])
        if value < least and number not in accepted and not optional:
            raise Refused(words[0], number)
        if target:
            self._values[target] = value

    def _call(self, name, words):
        if name == "foreignfd":
            fd = foreign_descriptor(self._table.own)
            return (fd, 0) if fd is not None else (-1, errno.ENOENT)
        if name == "int80":
            return self._int80(int(words[0]))
        if name == "raw":
            number, words = int(words[0], 0), words[1:]
        elif name in self._table.calls:
            number = self._table.calls[name]
        else:
            raise Broken(f"no call `{name}`")
        arguments = [ctypes.c_long(self._argument(word)) for word in words]
        ctypes.set_errno(0)
        value = LIBC.syscall(ctypes.c_long(number), *arguments)
        if name in ("clone", "clone3") and value == 0:
            os._exit(0)  # this is the new process
        return value, ctypes.get_errno() if value < 0 else 0

    def _int80(self, number):
        """mov eax, N; int 0x80; ret - in memory that must be had first."""
        page, code = self._call("mmap", ["0", "4096", "7", "MAP_PRIVATE|MAP_ANONYMOUS", "-1", "0"])
        if page < 0:
            raise Refused("mmap", code)
        ctypes.memmove(page, b"\xb8" + struct.pack("<I", number) + b"\xcd\x80\xc3", 8)
        value = ctypes.PYFUNCTYPE(ctypes.c_int)(page)()
        return value, -value if value < 0 else 0

    def _argument(self, word):
        if word.startswith('"') or word.startswith("data:"):
            return self._pointer(word)
        return self._number(word)

    def _number(self, word):
        if word.startswith("$"):
            return self._values[word[1:]]
        if word.startswith("@"):
            return int(str(self._parameter(word[1:])), 0)
        if word.startswith("#"):
            return len(self._table.blobs[word[1:]])
        value = 0
        for part in word.split("|"):
            value |= self._constant(part)
        return value

    def _constant(self, word):
        if word[0].isdigit() or word[0] == "-":
            return int(word, 0)
        if word not in self._table.constants:
            raise Broken(f"no constant `{word}`")
        return self._table.constants[word]

    def _parameter(self, name):
        if name not in self._parameters:
            raise Broken(f"no parameter `{name}`")
        return self._parameters[name]

    def _keep(self, buffer):
        self._kept.append(buffer)
        return ctypes.addressof(buffer)

    def _pointer(self, word):
        data = self._text(word) if word.startswith('"') else self._data(word[5:])
        return self._keep(ctypes.create_string_buffer(data, len(data) + 1))

    def _text(self, word):
        text = word[1:-1].replace("\\n", "\n")
        while "@{" in text:
            head, _, rest = text.partition("@{")
            name, _, tail = rest.partition("}")
            text = head + str(self._parameter(name)) + tail
        return text.encode()

    def _data(self, items):
        data = b""
        for item in items.split(","):
            kind, _, value = item.partition("=")
            if kind == "s":
                data += value.encode()
            elif kind == "blob":
                data += self._table.blobs[value]
            elif kind == "zero":
                data += bytes(int(value))
            elif kind == "pad":
                data = data.ljust(int(value), b"\0")
            elif kind == "ptr":
                data += struct.pack("<Q", self._values[value])
            else:
                data += self._integer(kind, self._number(value))
        return data

    @staticmethod
    def _integer(kind, value):
        codes = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "be16": ">H"}
        size = 8 * struct.calcsize(codes[kind])
        return struct.pack(codes[kind], value & ((1 << size) - 1))


def foreign_descriptor(own):
    """The first descriptor from 3 on whose link begins with none of `own`. One whose nature can't be
    read counts as foreign."""
    for fd in range(3, MAX_FD):
        try:
            os.get_inheritable(fd)
        except OSError:
            continue
        try:
            link = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            return fd
        if not link.startswith(own):
            return fd
    return None


def outcome_of(table, parameters, steps):
    machine = Machine(table, parameters)
    try:
        machine.run(steps)
        return {"result": "succeeded", "errno": None}
    except Refused as stop:
        result = "absent" if stop.number in table.absent else "refused"
        name = errno.errorcode.get(stop.number, str(stop.number))
        return {"result": result, "errno": name, "syscall": stop.call}
    except (Broken, OSError) as problem:
        return {"result": "broken", "errno": None, "detail": repr(problem)}
    finally:
        machine.close()


def in_child(table, parameters, row):
    """In a child, so that a success does not end the service. None where no child can be had."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        return None
    if pid == 0:
        # Whatever happens it must not go on as the service.
        try:
            outcome = outcome_of(table, parameters, row["steps"])
        except BaseException as problem:  # pylint: disable=broad-except
            outcome = {"result": "broken", "errno": None, "detail": repr(problem)}
        try:
            os.write(writer, json.dumps(outcome).encode())
        finally:
            os._exit(100)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(pid, 0)
    if answer:
        return json.loads(answer)
    if os.WIFSIGNALED(status):
        return {"result": "killed", "errno": None, "detail": f"signal {os.WTERMSIG(status)}"}
    met = str(os.WEXITSTATUS(status)) == row["attributes"].get("exit")
    return {"result": "succeeded" if met else "refused", "errno": None,
            "detail": f"ended with {os.WEXITSTATUS(status)}"}


def boottime():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def last_call(steps):
    words = [word for word in steps[-1] if word != "try"]
    return words[2] if len(words) > 1 and words[1] == "=" else words[0]


def run_row(table, parameters, name):
    row = table.rows[name]
    start = boottime()
    outcome = None
    if "child" in row["attributes"]:
        outcome = in_child(table, parameters, row)
    if outcome is None:
        outcome = outcome_of(table, parameters, row["steps"])
    line = {"row": name, "goal": row["goal"], "asset": row["attributes"].get("asset")}
    line.update({"syscall": last_call(row["steps"]), **outcome})
    line.update({"start_ns": start, "end_ns": boottime()})
    return line


def with_foreign_peer(parameters, peer):
    """Numbers of processes differ between namespaces: one that belongs to this service here is no
    peer, so process 1 takes its place."""
    try:
        own = os.geteuid() != 0 and os.stat(f"/proc/{peer}").st_uid == os.geteuid()
    except OSError:
        own = False
    return {**parameters, "peer": 1} if own else parameters


def main(text, parameters, names):
    table = Table(text, platform.machine())
    parameters = with_foreign_peer(parameters, parameters.get("peer", 1))
    for name in names:
        print(json.dumps(run_row(table, parameters, name)))


if "TABLE" in globals():
    main(TABLE, PARAMETERS, ROWS)  # noqa: F821
