"""What is parked, as rows of the table `parked` and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import asyncpg
import msgspec

from diptych.adapters.postgres.statements import sql
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change

__all__ = ["decoded", "lane_of", "lanes_of", "write_parked"]


async def write_parked(connection: asyncpg.Connection, schema: str, change: Change) -> None:
    """Unpark and park what a change says, under the lock of its checkpoint."""
    if change.unparked:
        lanes = [lane_of(one.key, by_stream=one.by_stream) for one in change.unparked]
        positions = [one.position for one in change.unparked]
        await connection.execute(sql("delete_parked", schema), change.projection, lanes, positions)
    if change.parked:
        await connection.execute(
            sql("insert_parked", schema), change.projection, *_columns(change.parked)
        )
    await connection.execute(sql("update_parks", schema), change.projection)


def decoded(records: Iterable[Any]) -> list[Parked]:
    """What the entries say."""
    return [msgspec.convert(json.loads(record[0]), Parked) for record in records]


def lanes_of(keys: Iterable[str]) -> list[bytes]:
    """The lanes that have one of these names."""
    return [lane_of(key, by_stream=by_stream) for key in keys for by_stream in (False, True)]


def lane_of(name: str, *, by_stream: bool) -> bytes:
    """What a lane is found by: short, whatever its name is."""
    return blake2b(_bytes(name), digest_size=16, person=b"stream" if by_stream else b"key").digest()


def _columns(parked: Sequence[Parked]) -> list[list[Any]]:
    """The arrays of insert_parked.sql; of two entries for the same place the later one."""
    places = {(lane_of(one.key, by_stream=one.by_stream), one.position): one for one in parked}
    return [
        [lane for lane, _ in places],
        [position for _, position in places],
        [one.by_stream for one in places.values()],
        [_bytes(one.key) for one in places.values()],
        [not one.waits for one in places.values()],
        [_entry(one) for one in places.values()],
    ]


def _entry(parked: Parked) -> str:
    # The standard library writes any text in ASCII, also what is no Unicode (a lone surrogate).
    return json.dumps(msgspec.to_builtins(parked), separators=(",", ":"))


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
