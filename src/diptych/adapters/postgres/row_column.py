"""Which column keeps which field of a read model."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import msgspec
from msgspec import UNSET, UnsetType, inspect

from diptych.adapters.postgres.kinds import kinds
from diptych.adapters.postgres.value_kind import ValueKind
from diptych.errors import ConfigurationError
from diptych.queries.read_model import RowShape

__all__ = ["RowColumn", "columns_of"]

LONGEST_NAME = 63
"""Bytes of a name; PostgreSQL would cut off the rest without an error."""

_SYSTEM_COLUMNS = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
_OWN_COLUMNS = {"_position", "_naive", "_words"}
_encode = msgspec.json.Encoder().encode


class RowColumn(msgspec.Struct, frozen=True):
    """One field: its name in the read model and in the table, and how its values are kept.

    `zone_unknown` says that its times may come with a time zone or without one. `default` makes
    the value of rows that are older than the field; without one they cannot be read any more.
    """

    field: str
    name: str
    kind: ValueKind
    nullable: bool
    zone_unknown: bool = False
    default: Callable[[], Any] | None = None

    @property
    def definition(self) -> str:
        """Its type as CREATE TABLE wants it; texts are in the order of code points."""
        collate = ' COLLATE "C"' if self.kind.type == "text" else ""
        return f"{self.kind.type}{collate}{'' if self.nullable else ' NOT NULL'}"


def columns_of(shape: RowShape) -> tuple[RowColumn, ...]:
    """A column for each field, in the order in which the read model is made of them.

    Raises ConfigurationError for names that are too long for PostgreSQL.
    """
    types = {field.name: field for field in msgspec.structs.fields(shape.model)}
    info = inspect.type_info(shape.model)
    seen = {field.name: field for field in info.fields}  # type: ignore[attr-defined]
    taken = set(_OWN_COLUMNS | _SYSTEM_COLUMNS)
    columns = []
    for name in shape.model.__struct_fields__:  # type: ignore[attr-defined]
        column = _column_name(shape, name, taken)
        columns.append(_column(name, column, seen[name].type, types[name]))
    return tuple(columns)


def _column_name(shape: RowShape, field: str, taken: set[str]) -> str:
    name = field
    while name in taken:
        name += "_"
    taken.add(name)
    if len(name.encode()) > LONGEST_NAME:
        raise ConfigurationError(
            f"{shape.model.__name__}.{field} is no name for a column: PostgreSQL takes "
            f"{LONGEST_NAME} bytes. Choose a shorter one."
        )
    return name


def _column(
    field: str, name: str, seen: inspect.Type, details: msgspec.structs.FieldInfo
) -> RowColumn:
    may_be_unset = UnsetType in get_args(details.type)
    members = list(_members(seen))
    nullable = any(isinstance(one, inspect.NoneType | inspect.AnyType) for one in members)
    members = [one for one in members if not isinstance(one, inspect.NoneType)]
    if len(members) == 1 and isinstance(members[0], inspect.LiteralType):
        nullable = nullable or None in members[0].values
    kind = None if may_be_unset or len(members) != 1 else _scalar(members[0])
    return RowColumn(
        field,
        name,
        kind or _json(details.type, may_be_unset=may_be_unset),
        nullable or may_be_unset,
        zone_unknown=kind is kinds["datetime"],
        default=_default(details),
    )


def _default(details: msgspec.structs.FieldInfo) -> Callable[[], Any] | None:
    if details.default is not msgspec.NODEFAULT:
        return lambda: details.default
    factory: Any = details.default_factory
    return None if factory is msgspec.NODEFAULT else factory


def _members(seen: inspect.Type) -> Iterable[inspect.Type]:
    if isinstance(seen, inspect.Metadata):
        return _members(seen.type)
    if isinstance(seen, inspect.UnionType):
        return [one for member in seen.types for one in _members(member)]
    return [seen]


_SCALARS = {
    inspect.StrType: "text",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.BoolType: "bool",
    inspect.DecimalType: "decimal",
    inspect.DateType: "date",
    inspect.TimeDeltaType: "timedelta",
    inspect.UUIDType: "uuid",
    inspect.BytesType: "bytes",
    inspect.ByteArrayType: "bytearray",
    inspect.MemoryViewType: "memoryview",
}
_ZONES = {True: "zoned ", False: "naive ", None: ""}


def _scalar(seen: inspect.Type) -> ValueKind | None:
    if isinstance(seen, inspect.EnumType):
        return _enum(seen.cls)
    if isinstance(seen, inspect.LiteralType):
        return _common_kind([one for one in seen.values if one is not None])
    if isinstance(seen, inspect.DateTimeType):
        return kinds[f"{_ZONES[seen.tz]}datetime"]
    if isinstance(seen, inspect.TimeType):
        return kinds["zoned time" if seen.tz else "time"]
    name = _SCALARS.get(type(seen))
    return None if name is None else kinds[name]


def _common_kind(values: Sequence[Any]) -> ValueKind | None:
    types = set(map(type, values))
    if types == {str}:
        return kinds["text"]
    return kinds["int"] if types == {int} else None


def _enum(cls: type[enum.Enum]) -> ValueKind | None:
    """Members of an enum are kept as their values."""
    plain = _common_kind([member.value for member in cls])
    if plain is None:
        return None
    members = {member.value: member for member in cls}

    def value_of(member: Any) -> Any:
        return member.value if isinstance(member, enum.Enum) else member

    def keep(member: Any) -> Any:
        return plain.keep(value_of(member))

    def read(values: Sequence[Any]) -> list[Any]:
        return [None if each is None else members.get(each) or cls(each) for each in values]

    assert plain.equal is not None  # noqa: S101  texts and integers compare
    assert plain.bound is not None  # noqa: S101
    equal, bound = plain.equal, plain.bound
    return msgspec.structs.replace(
        plain,
        keep=keep,
        untouched=frozenset({type(None)}),
        read=read,
        refusal=lambda member: plain.refusal(value_of(member)),
        equal=lambda member: equal(value_of(member)),
        bound=lambda operator, member: bound(operator, value_of(member)),
    )


def _json(annotation: Any, *, may_be_unset: bool) -> ValueKind:
    """Everything that is no single value, as JSON.

    The type is json, which keeps a text as it is. jsonb would change it: the order of keys, floats
    beyond 15 digits of exponent, -0.0; and it refuses NUL.
    """
    decode = msgspec.json.Decoder(annotation).decode
    if may_be_unset:

        def keep(value: Any) -> Any:
            return None if value is UNSET else _encode(value).decode()

        def read(values: Sequence[Any]) -> list[Any]:
            return [UNSET if each is None else decode(each) for each in values]

        return _Json("json", keep, frozenset(), read, sent_as="text")

    def keep_json(value: Any) -> Any:
        return _encode(value).decode()

    def read_json(values: Sequence[Any]) -> list[Any]:
        return [None if each is None else decode(each) for each in values]

    return ValueKind("json", keep_json, frozenset({type(None)}), read_json, sent_as="text")


class _Json(ValueKind, frozen=True):
    """JSON in which None is a value, and nothing at all is UNSET."""

    def kept(self, values: Sequence[Any]) -> Sequence[Any]:
        """See ValueKind."""
        return [self.keep(each) for each in values]
