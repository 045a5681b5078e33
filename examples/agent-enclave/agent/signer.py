# SPDX-License-Identifier: Apache-2.0
"""Asks the signer for SSHSIG signatures, which `ssh-keygen -Y verify` accepts.

The signer speaks the ssh-agent protocol (draft-miller-ssh-agent); the signature's format is
OpenSSH's PROTOCOL.sshsig, version 1, hash sha512.
"""

import base64
import hashlib
import socket
import struct

NAMESPACE = b"agent-enclave"
HASH = b"sha512"
KEY_TYPE = b"ssh-ed25519"
TIMEOUT = 10.0
MAX_MESSAGE = 256 * 1024

REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14


class SignerError(Exception):
    pass


def _string(data):
    return struct.pack(">I", len(data)) + data


class _Reader:
    def __init__(self, data):
        self._data = data

    def uint32(self):
        return struct.unpack(">I", self._take(4))[0]

    def string(self):
        return self._take(self.uint32())

    def _take(self, size):
        if size > len(self._data):
            raise SignerError("the signer's answer is cut short")
        head, self._data = self._data[:size], self._data[size:]
        return head


def _read_exactly(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise SignerError("the signer closed the connection")
        data += part
    return data


def _ask(connection, message, expected):
    connection.sendall(_string(message))
    (size,) = struct.unpack(">I", _read_exactly(connection, 4))
    if not 1 <= size <= MAX_MESSAGE:
        raise SignerError("the signer's answer has an impossible length")
    answer = _read_exactly(connection, size)
    if answer[0] != expected:
        raise SignerError(f"the signer answered {answer[0]}, not {expected}")
    return _Reader(answer[1:])


def _first_key(connection):
    answer = _ask(connection, bytes([REQUEST_IDENTITIES]), IDENTITIES_ANSWER)
    for _ in range(answer.uint32()):
        blob, _ = answer.string(), answer.string()
        if _Reader(blob).string() == KEY_TYPE:
            return blob
    raise SignerError("the signer has no ed25519 key")


def _armor(blob):
    text = base64.b64encode(blob).decode()
    lines = [text[i : i + 70] for i in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def _fields():
    return _string(NAMESPACE) + _string(b"") + _string(HASH)


def sign(path, message):
    """Returns (armored signature, public key line) for the bytes `message`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(path)
        key = _first_key(connection)
        to_sign = b"SSHSIG" + _fields() + _string(hashlib.sha512(message).digest())
        request = bytes([SIGN_REQUEST]) + _string(key) + _string(to_sign) + struct.pack(">I", 0)
        signature = _ask(connection, request, SIGN_RESPONSE).string()
    blob = b"SSHSIG" + struct.pack(">I", 1) + _string(key) + _fields() + _string(signature)
    return _armor(blob), f"{KEY_TYPE.decode()} {base64.b64encode(key).decode()}"
