"""Writes messages of pgoutput, as the manual of PostgreSQL describes them."""

from __future__ import annotations

import struct

UNSENT = object()


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def row(values) -> bytes:
    parts = [struct.pack(">H", len(values))]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif value is UNSENT:
            parts.append(b"u")
        else:
            parts.append(b"t" + struct.pack(">I", len(value.encode())) + value.encode())
    return b"".join(parts)


def begin(lsn: int, transaction: int, committed_us: int = 0) -> bytes:
    return b"B" + struct.pack(">QqI", lsn, committed_us, transaction)


def commit(lsn: int, end_lsn: int) -> bytes:
    return b"C" + struct.pack(">BQQq", 0, lsn, end_lsn, 0)


def relation(number: int, name: str, columns, identity: str = "d") -> bytes:
    described = b"".join(
        struct.pack(">B", in_key) + text(column) + struct.pack(">Ii", kind, -1)
        for column, kind, in_key in columns
    )
    head = struct.pack(">I", number) + text("public") + text(name) + identity.encode()
    return b"R" + head + struct.pack(">H", len(columns)) + described


def insert(number: int, values) -> bytes:
    return b"I" + struct.pack(">I", number) + b"N" + row(values)


def update(number: int, new, old=None, kind: str = "K") -> bytes:
    before = b"" if old is None else kind.encode() + row(old)
    return b"U" + struct.pack(">I", number) + before + b"N" + row(new)


def delete(number: int, old, kind: str = "K") -> bytes:
    return b"D" + struct.pack(">I", number) + kind.encode() + row(old)


def truncate(*numbers: int) -> bytes:
    listed = b"".join(struct.pack(">I", one) for one in numbers)
    return b"T" + struct.pack(">IB", len(numbers), 0) + listed
