"""Fields of a state and columns of a row: which belongs to which, and how values cross."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import typing
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Column, Enum, Table

from diptych.errors import ConfigurationError

__all__ = ["FieldColumn", "fields_of", "is_record", "refuse_unfed"]

_NATIVE = (
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    uuid.UUID,
    bytes,
    bytearray,
)


class FieldColumn(NamedTuple):
    """One field in one column: what the ORM's type knows crosses as it is, the rest as JSON."""

    field: str
    type: Any
    column: Column[Any]

    def to_column(self, value: Any) -> Any:
        """A field's value as the column keeps it."""
        if isinstance(self.column.type, Enum):
            return value
        return msgspec.to_builtins(value, builtin_types=_NATIVE, str_keys=True)

    def to_field(self, value: Any) -> Any:
        """A column's value as the field has it."""
        if isinstance(self.column.type, Enum):
            return value
        # Keys of JSON objects are text, also where the field has numbers.
        return msgspec.convert(value, self.type, builtin_types=_NATIVE, str_keys=True)


def is_record(kind: Any) -> bool:
    """Whether a type has fields of its own."""
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind)
    )


def fields_of(kind: Any) -> dict[str, Any]:
    """The fields of a struct or dataclass with their types. Raises ConfigurationError."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {one.name: one.type for one in msgspec.structs.fields(kind)}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return {one.name: hints[one.name] for one in dataclasses.fields(kind)}
    raise ConfigurationError(
        f"{kind!r} has no fields that could be columns: mapped() takes aggregates and deciders "
        "whose state is a struct or a dataclass. Write a TableOf for it."
    )


def refuse_unfed(table: Table, fed: Mapping[str, Any]) -> None:
    """Raise ConfigurationError when a row could not be written, for want of a value."""
    for column in table.c:
        given = column.default is not None or column.server_default is not None
        if column.name not in fed and not given and not column.nullable:
            raise ConfigurationError(
                f"nothing fills the column {table.name}.{column.name}, which must not be NULL: "
                f"give it a default, or the state a field {column.name!r}."
            )
