"""The chain of hashes over the log: what is hashed, and how one block hangs on the one before.

A block is a run of positions. Its hash is SHA-256 over the hash of the block before it and every
stored column of its events, in order. The numbers of an event and the lengths of its texts come
first, eight bytes each, so no two different logs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct, error

import msgspec

from diptych.events.log import StoredEvent

__all__ = ["NOT_AN_EVENT", "Seal", "canonical", "origin_of"]

_FORMAT = b"diptych trail 1"
_pack = Struct(">8q").pack

NOT_AN_EVENT = (TypeError, ValueError, AttributeError, error)
"""What is raised where a stored column holds something that diptych never writes there."""


class Seal(msgspec.Struct, frozen=True, rename={"version": "seal", "first": "from", "last": "to"}):
    """One block, as a line of the anchor: positions `first` to `last` of `log` have this `hash`."""

    log: str
    first: int
    last: int
    hash: str
    version: int = 1


def origin_of(log: str) -> bytes:
    """What the first block hangs on: the identity of its log."""
    return sha256(_FORMAT + b"\0" + log.encode("utf-8", "surrogatepass")).digest()


def canonical(events: Sequence[StoredEvent]) -> bytes:
    """The bytes that stand for events. Raises one of NOT_AN_EVENT."""
    parts: list[bytes] = []
    for position, stream, version, name, schema, data, meta, recorded_us in events:
        stream_bytes = stream.encode("utf-8", "surrogatepass")
        name_bytes = name.encode("utf-8", "surrogatepass")
        numbers = _pack(
            position,
            version,
            schema,
            recorded_us,
            len(stream_bytes),
            len(name_bytes),
            len(data),
            len(meta),
        )
        parts += (numbers, stream_bytes, name_bytes, data, meta)
    return b"".join(parts)
