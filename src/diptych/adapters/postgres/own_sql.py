"""SQL of projections that write their own, and of queries that read it.

A parameter takes the type that PostgreSQL infers for its place, and the driver wants exactly that;
so what SQLite would have taken too is brought to that type here, or refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from diptych.adapters.postgres.placeholders import numbered
from diptych.errors import ConfigurationError, StoreError

__all__ = ["run_many", "select"]

Parameters = Sequence[Any]


async def run_many(
    connection: asyncpg.Connection, projection: str, statement: str, rows: Sequence[Parameters]
) -> None:
    """Run one statement with one set of parameters after the other.

    Raises StoreError naming the projection and the statement.
    """
    text = numbered(statement)
    try:
        if _looks_tricky(rows):
            rows = await _brought_to_types(connection, text, rows)
        try:
            await _run(connection, text, rows)
        except asyncpg.DataError as error:
            if _is_servers(error):
                raise
            await _run(connection, text, await _brought_to_types(connection, text, rows))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        if isinstance(error, _PASSED_ON) or connection.is_closed():
            raise
        raise StoreError(
            f"the projection {projection!r} could not run {statement[:200]!r}: {error}"
        ) from error


_PASSED_ON = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientResourcesError,
)
"""Errors that say nothing about the statement: the same may go through in a moment."""


async def _run(connection: asyncpg.Connection, text: str, rows: Sequence[Parameters]) -> None:
    if len(rows) == 1:
        await connection.fetch(text, *rows[0])
    else:
        await connection.executemany(text, rows)


async def select(
    connection: asyncpg.Connection, statement: str, parameters: Parameters
) -> list[dict[str, Any]]:
    """The rows of a statement, on a connection that cannot write.

    Raises ConfigurationError for a statement that writes, and for several; driver errors.
    """
    text = numbered(statement)
    rows: Sequence[Parameters] = [parameters]
    try:
        if _looks_tricky(rows):
            rows = await _brought_to_types(connection, text, rows)
        try:
            records = await connection.fetch(text, *rows[0])
        except asyncpg.DataError as error:
            if _is_servers(error):
                raise
            ((*brought,),) = await _brought_to_types(connection, text, rows)
            records = await connection.fetch(text, *brought)
    except (asyncpg.ReadOnlySQLTransactionError, asyncpg.ActiveSQLTransactionError) as error:
        raise _writes(statement) from error
    except ValueError as error:
        raise StoreError(f"could not run {statement[:200]!r}: {error}") from error
    except asyncpg.PostgresSyntaxError as error:
        if "multiple commands" in str(error):
            raise _writes(statement) from error
        raise StoreError(f"could not run {statement[:200]!r}: {error}") from error
    return [dict(record) for record in records]


def _is_servers(error: asyncpg.DataError) -> bool:
    """Whether the server said it, and the transaction is lost; not the driver, before sending."""
    return getattr(error, "severity", None) is not None


def _writes(statement: str) -> ConfigurationError:
    return ConfigurationError(
        f"select runs one statement, and only reading ones; this is {statement[:200]!r}. Write in "
        "a projection."
    )


def _looks_tricky(rows: Sequence[Parameters]) -> bool:
    """Whether the driver may take a value for something else without a word.

    It takes a time without a zone for the local time of this machine.
    """
    return any(
        isinstance(value, datetime) and value.tzinfo is None for row in rows for value in row
    )


async def _brought_to_types(
    connection: asyncpg.Connection, text: str, rows: Sequence[Parameters]
) -> Sequence[Parameters]:
    """Parameters as the types wanted by the statement. Raises ValueError naming what fails."""
    types = [one.name for one in (await connection.prepare(text)).get_parameters()]
    for row in rows:
        if len(row) != len(types):
            raise ValueError(f"it has {len(types)} parameters, and {len(row)} values were given")
    return [
        tuple(
            _brought(value, type_, at)
            for at, (value, type_) in enumerate(zip(row, types, strict=True), 1)
        )
        for row in rows
    ]


def _brought(value: Any, type_: str, at: int) -> Any:
    bring = _BRING.get(type_)
    if value is None or bring is None:
        return value
    try:
        return bring(value)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"parameter {at} ({value!r}) is no {type_}: {error}") from error


def _text(value: Any) -> str:
    plain = msgspec.to_builtins(value)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bool):
        return str(int(plain))
    if isinstance(plain, int | float):
        return str(plain)
    return msgspec.json.encode(plain).decode()


def _int(value: Any) -> int:
    if int(value) != (Decimal(value) if isinstance(value, str) else value):
        raise ValueError("it has a fraction")
    return int(value)


def _bool(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError("it is neither true nor false")
    return bool(value)


def _zoned(value: Any) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(found, datetime) and found.tzinfo is None:
        raise ValueError("it has no time zone; make the column timestamp, or give it a zone")
    return _datetime(found)


def _naive(value: Any) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(found, datetime) and found.tzinfo is not None:
        raise ValueError("it has a time zone; make the column timestamptz")
    return _datetime(found)


def _datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    raise ValueError("it is no datetime")


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_BRING: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "varchar": _text,
    "bpchar": _text,
    "int2": _int,
    "int4": _int,
    "int8": _int,
    "bool": _bool,
    "numeric": lambda value: value if isinstance(value, Decimal | int) else Decimal(str(value)),
    "float4": float,
    "float8": float,
    "timestamptz": _zoned,
    "timestamp": _naive,
    "json": _json_text,
    "jsonb": _json_text,
}
