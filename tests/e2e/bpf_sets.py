# SPDX-License-Identifier: Apache-2.0
"""Two seccomp filters compared by running both: for every system call number, on all combinations
of the values at which one of their tests changes its answer. An interpreter of its own, written
from seccomp_data and the classic BPF instructions that filters are made of (linux/bpf_common.h).
"""

import struct

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW = 0x7FFF0000
LOAD, AND, JUMP, RETURN = 0x20, 0x54, 0x05, 0x06
TESTS = {0x15: lambda a, k: a == k, 0x25: lambda a, k: a > k, 0x35: lambda a, k: a >= k,
         0x45: lambda a, k: a & k != 0}
NR, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
MOST = 60000  # combinations of one number; more would be no comparison but a wait


def read(path):
    with open(path, "rb") as file:
        return parse(file.read())


def parse(data):
    return list(struct.iter_unpack("<HBBI", data))


def words_and_values(program, start):
    """What the tests that can be reached from `start` compare each word of the arguments with."""
    values, seen, waiting = {}, set(), [(start, None, 0xFFFFFFFF)]
    while waiting:
        at, word, mask = waiting.pop()
        if (at, word, mask) in seen:
            continue
        seen.add((at, word, mask))
        code, yes, no, k = program[at]
        if code == LOAD:
            waiting.append((at + 1, k, 0xFFFFFFFF))
            if k >= FIRST_ARGUMENT:
                values.setdefault(k, {0, 0xFFFFFFFF})
        elif code == AND:
            values.setdefault(word, set()).update(single_bits(k))
            waiting.append((at + 1, word, mask & k))
        elif code == JUMP:
            waiting.append((at + 1 + k, word, mask))
        elif code in TESTS:
            if word is not None and word >= FIRST_ARGUMENT:
                near = {k, (k - 1) & 0xFFFFFFFF, (k + 1) & 0xFFFFFFFF, k | (~mask & 0xFFFFFFFF)}
                if code == 0x45:
                    near |= set(single_bits(k)) | {~k & 0xFFFFFFFF}
                values[word] |= near
            waiting += [(at + 1 + yes, word, mask), (at + 1 + no, word, mask)]
    return values


def single_bits(k):
    return [1 << bit for bit in range(32) if k >> bit & 1]


def run(program, data, needed=None):
    """The action; or the word of the arguments that `data` lacks, in `needed`."""
    at, a = 0, 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == LOAD:
            if k not in data:
                needed.append(k)
                return None
            a = data[k]
        elif code == AND:
            a &= k
        elif code == JUMP:
            at += k
        elif code == RETURN:
            return k
        else:
            at += yes if TESTS[code](a, k) else no


def changes(old, new, machine):
    """{number: (gained, lost)}, each a list of six registers, or None."""
    found = {}
    starts = [start_values(program, machine) for program in (old, new)]
    for number in [*range(600), 0x40000000, 0x40000001]:
        values = {}
        for of in starts:
            for word, some in of(number).items():
                values.setdefault(word, set()).update(some)
        gained, lost = compare(old, new, {NR: number, ARCHITECTURE: ARCH[machine]}, values)
        if gained or lost:
            found[number] = (gained, lost)
    return found


def start_values(program, machine):
    """A function: the values to try for a number, from where its own tests begin."""
    known = {}

    def of(number):
        at, a = 0, 0
        while True:
            code, yes, no, k = program[at]
            if code == LOAD and k >= FIRST_ARGUMENT or code == RETURN:
                break
            at += 1
            if code == LOAD:
                a = {NR: number, ARCHITECTURE: ARCH[machine]}[k]
            elif code == AND:
                a &= k
            elif code == JUMP:
                at += k
            else:
                at += yes if TESTS[code](a, k) else no
        if at not in known:
            known[at] = words_and_values(program, at)
        return known[at]

    return of


def compare(old, new, data, values):
    """Words are given values only when one of the programs asks for them."""
    gained = lost = None
    waiting, count = [data], 0
    while waiting and not (gained and lost):
        data = waiting.pop()
        count += 1
        assert count < MOST, f"number {data[NR]} has too many combinations"
        needed = []
        before, after = run(old, data, needed), run(new, data, needed)
        if needed:
            waiting += [{**data, needed[0]: value} for value in sorted(values[needed[0]])]
        elif (before == ALLOW) != (after == ALLOW):
            registers = [data.get(16 + 8 * i, 0) | data.get(20 + 8 * i, 0) << 32 for i in range(6)]
            if after == ALLOW:
                gained = gained or registers
            else:
                lost = lost or registers
    return gained, lost
