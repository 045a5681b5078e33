# SPDX-License-Identifier: Apache-2.0
"""The least client of redis: SET and GET over a unix socket, in RESP version 2."""

import socket

TIMEOUT = 10.0
MAX_REPLY = 1024 * 1024


class StoreError(Exception):
    pass


def _encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def _read_line(stream):
    line = stream.readline(4096)
    if not line.endswith(b"\r\n"):
        raise StoreError("the store ended a reply early")
    return line[:-2]


def _read_bulk(stream, size):
    if size > MAX_REPLY:
        raise StoreError("the store's reply is too long")
    data = stream.read(size + 2)
    if len(data) != size + 2:
        raise StoreError("the store ended a reply early")
    return data[:-2]


def _read_reply(stream):
    line = _read_line(stream)
    kind, rest = line[:1], line[1:]
    if kind == b"+":
        return rest
    if kind == b"$":
        size = int(rest)
        return None if size < 0 else _read_bulk(stream, size)
    raise StoreError(f"the store says {line.decode(errors='replace')}")


class Store:
    """One connection; not shared between threads."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._stream = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()
        self._socket.close()

    def _call(self, *words):
        self._socket.sendall(_encode(words))
        return _read_reply(self._stream)

    def put(self, key, value):
        if self._call("SET", key, value) != b"OK":
            raise StoreError(f"the store did not take {key}")

    def get(self, key):
        return self._call("GET", key)
