"""Fields of a read model as SQL expressions that compare as the values do in Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import inspect

from diptych.errors import ConfigurationError
from diptych.queries.read_model import RowShape

__all__ = ["RowField", "fields_of"]


class RowField(msgspec.Struct, frozen=True):
    """A field of a row: how SQL sees it, and how a value to compare it with is bound.

    `label` is its name in JSON; `kind`, what a column with its value holds: a value as it is, 0 or
    1, or JSON. `ordered` says whether < and ORDER BY mean the same as in Python; `comparable`,
    whether = does.
    """

    name: str
    label: str
    path: str
    expression: str
    bind: Callable[[Any], Any]
    comparable: bool = True
    ordered: bool = True
    kind: Literal["plain", "bool", "json"] = "plain"


def fields_of(shape: RowShape) -> dict[str, RowField]:
    """The fields of a read model by name. Raises ConfigurationError for shapes SQL cannot see."""
    info = inspect.type_info(shape.model)
    if not isinstance(info, inspect.StructType | inspect.DataclassType):
        raise ConfigurationError(f"{shape.model.__name__} is no read model: it has no fields.")
    if isinstance(info, inspect.StructType):
        _refuse_hidden_fields(info)
    return {field.name: _field(shape, field) for field in info.fields}


def _refuse_hidden_fields(info: inspect.StructType) -> None:
    options = info.cls.__struct_config__
    if options.array_like or options.omit_defaults:
        raise ConfigurationError(
            f"the read model {info.cls.__name__} has the option array_like or omit_defaults; its "
            "rows would lack the names or values that queries look for. Remove the option."
        )


def _field(shape: RowShape, field: inspect.Field) -> RowField:
    label = field.encode_name
    path = "'$.\"" + field.encode_name.replace("'", "''") + "\"'"
    value = f"json_extract(row, {path})"
    if field.name == shape.key:
        return RowField(field.name, label, path, "key", _bind)
    kinds = _kinds(field.type)
    if kinds == {inspect.DateTimeType}:
        return RowField(field.name, label, path, _moment(value), _bind_moment)
    if kinds == {inspect.DecimalType}:
        # Exact for numbers of up to 15 digits; as text, 9.50 would be greater than 10.00.
        return RowField(field.name, label, path, f"CAST({value} AS REAL)", _bind_decimal)
    comparable = not kinds & _CONTAINERS
    ordered = comparable and not kinds & _UNORDERED
    kind: Literal["plain", "bool", "json"] = "plain" if comparable else "json"
    if kinds == {inspect.BoolType}:
        kind = "bool"
    return RowField(field.name, label, path, value, _bind, comparable, ordered, kind)


_CONTAINERS = {
    inspect.AnyType,
    inspect.ListType,
    inspect.SetType,
    inspect.FrozenSetType,
    inspect.VarTupleType,
    inspect.TupleType,
    inspect.NamedTupleType,
    inspect.DictType,
    inspect.TypedDictType,
    inspect.StructType,
    inspect.DataclassType,
    inspect.CustomType,
    inspect.RawType,
}
# In JSON these are texts that sort differently from the values.
_UNORDERED = {inspect.TimeDeltaType, inspect.BytesType, inspect.ByteArrayType}


def _kinds(kind: inspect.Type) -> set[type]:
    if isinstance(kind, inspect.Metadata):
        return _kinds(kind.type)
    if isinstance(kind, inspect.UnionType):
        return set().union(*(_kinds(member) for member in kind.types)) - {inspect.NoneType}
    return {type(kind)}


def _moment(value: str) -> str:
    """Text of a time in UTC without its Z, so that a missing fraction sorts before any other."""
    seconds = f"strftime('%Y-%m-%dT%H:%M:%S', substr({value}, 1, 19) || substr({value}, -6))"
    elsewhere = f"{seconds} || substr({value}, 20, length({value}) - 25)"
    return f"iif(substr({value}, -6, 1) IN ('+', '-'), {elsewhere}, rtrim({value}, 'Z'))"


def _bind(value: Any) -> Any:
    if value is None or type(value) in {str, int, float, bool}:
        return value
    plain = msgspec.to_builtins(value)
    if not isinstance(plain, str | int | float):
        raise ConfigurationError(f"a row cannot be found by {value!r}: it is no single value.")
    return plain


def _bind_moment(value: Any) -> Any:
    if not isinstance(value, datetime):
        return _bind(value)
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat()


def _bind_decimal(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal | int) else _bind(value)
