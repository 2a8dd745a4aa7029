"""Every kind of value that has a column type of its own, by name; all others are kept as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg.pgproto import pgproto

from diptych.adapters.postgres.number_kinds import number_kinds
from diptych.adapters.postgres.value_kind import (
    Bound,
    NeverEqual,
    Unkeepable,
    ValueKind,
    equal_if,
    kind,
    of,
    only,
)

__all__ = ["kinds"]

Values = Sequence[Any]


def _keep_text(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    raise Unkeepable(f"it is {value!r}, which is no str")


def _text_refusal(value: Any) -> str | None:
    if "\0" in value:
        return (
            "it holds the character NUL, which PostgreSQL keeps in no text. Take it out in the "
            "projection, or annotate the field `bytes`"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        return "it holds half a surrogate pair, which no UTF-8 has. Mend it in the projection"
    return None


def _equal_text(value: Any) -> str:
    if not isinstance(value, str) or _text_refusal(value):
        raise NeverEqual
    return str.__str__(value)


def _bound_text(operator: str, value: Any) -> Bound:
    if not isinstance(value, str):
        raise NeverEqual
    # No stored text holds NUL, so what comes before "a\0b" is what does not come after "a".
    start, cut, _ = value.partition("\0")
    start.encode()  # half a surrogate pair compares with nothing
    return Bound({"<": "<=", ">=": ">"}.get(operator, operator) if cut else operator, start)


def _keep_zoned(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    raise Unkeepable(f"it is {value!r}, which is no datetime")


def _keep_zoned_only(value: Any) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    raise Unkeepable(f"{value!r} is no datetime with a time zone, as its annotation demands")


def _keep_naive(value: Any) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    raise Unkeepable(f"{value!r} is no datetime without a time zone, as its annotation demands")


def _zoned_refusal(value: Any) -> str | None:
    try:
        value.astimezone(UTC)
    except OverflowError:
        return f"{value!r} lies before the year 1 or after 9999 in UTC"
    return None


def _read_zoned(values: Values) -> list[Any]:
    # The driver keeps the first and the last moment of all as "infinity", without a zone.
    return [
        each if each is None or each.tzinfo is not None else each.replace(tzinfo=UTC)
        for each in values
    ]


def _equal_naive(value: Any) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    raise NeverEqual


def _equal_zoned(value: Any) -> datetime:
    if isinstance(value, datetime):
        return _keep_zoned(value)
    raise NeverEqual


def _keep_time(value: Any) -> time:
    if isinstance(value, time) and value.tzinfo is None:
        return value
    raise Unkeepable(
        f"{value!r} is no time without a zone. For times with one, annotate the field "
        "`Annotated[time, msgspec.Meta(tz=True)]`"
    )


def _keep_zoned_time(value: Any) -> time:
    if isinstance(value, time) and value.utcoffset() is not None:
        return value
    raise Unkeepable(f"{value!r} is no time with a fixed offset, as its annotation demands")


def _keep_bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise Unkeepable(f"it is {value!r}, which is no bytes")


def _equal_date(value: Any) -> date:
    if type(value) is date:
        return value
    raise NeverEqual


def _read_uuids(values: Values) -> list[Any]:
    # The driver has a UUID class of its own, which not everything takes for one.
    return [each if each is None else UUID(int=each.int) for each in values]


def _each(make: Callable[[Any], Any]) -> Callable[[Values], list[Any]]:
    return lambda values: [None if each is None else make(each) for each in values]


_bytes = kind("bytea", _keep_bytes, of(bytes), equal_if(bytes, bytearray, memoryview))
kinds: dict[str, ValueKind] = {
    **number_kinds,
    "text": kind(
        "text", _keep_text, of(str), _equal_text, refusal=_text_refusal, bound=_bound_text
    ),
    "datetime": kind(
        "timestamptz", _keep_zoned, of(), _equal_zoned, read=_read_zoned, refusal=_zoned_refusal
    ),
    "zoned datetime": kind(
        "timestamptz",
        _keep_zoned_only,
        of(),
        _equal_zoned,
        read=_read_zoned,
        refusal=_zoned_refusal,
    ),
    "naive datetime": kind("timestamp", _keep_naive, of(), _equal_naive),
    "date": kind("date", only(date), of(date), _equal_date),
    "time": kind("time", _keep_time, of(), equal_if(time)),
    "zoned time": ValueKind("timetz", _keep_zoned_time),
    "timedelta": kind("interval", only(timedelta), of(timedelta), equal_if(timedelta)),
    "uuid": kind(
        "uuid", only(UUID, pgproto.UUID), of(UUID, pgproto.UUID), equal_if(UUID), read=_read_uuids
    ),
    "bytes": _bytes,
    "bytearray": msgspec.structs.replace(_bytes, read=_each(bytearray)),
    "memoryview": msgspec.structs.replace(_bytes, read=_each(memoryview)),
}
