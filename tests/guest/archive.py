# SPDX-License-Identifier: Apache-2.0
"""Images with something else in them than `bulkhead image` writes."""

MAGIC = b"070701"
LAST = "TRAILER!!!"


def padded(data):
    return data + bytes(-len(data) % 4)


def entries(image):
    """Name -> mode and content of a cpio archive (newc)."""
    data, at, found = image.read_bytes(), 0, {}
    while True:
        assert data[at:at + 6] == MAGIC, at
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110:at + 110 + fields[11] - 1].decode()
        begin = at + 110 + fields[11]
        begin += -begin % 4
        if name == LAST:
            return found
        found[name] = (fields, data[begin:begin + fields[6]])
        at = begin + fields[6]
        at += -at % 4


def write(image, found):
    with open(image, "wb") as output:
        for name, (fields, content) in [*found.items(), (LAST, ([0] * 13, b""))]:
            words = [*fields[:6], len(content), *fields[7:11], len(name) + 1, 0]
            head = MAGIC + b"".join(b"%08x" % word for word in words) + name.encode() + b"\0"
            output.write(padded(head) + padded(content))


def put(found, name, content, mode=0o100400):
    """A file of root's."""
    found[name] = ([1 << 20 | len(found), mode, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], content)
