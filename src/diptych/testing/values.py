"""Strategies for what stands in the fields of events, read from their types.

Values come from small pools as often as from anywhere, so that events meet: on the same row, at the
same moment, under the same name. Needs Hypothesis (the extra `testing`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as types

from diptych.errors import ConfigurationError
from diptych.messages.registry import place_of

__all__ = ["Strategy", "Values"]

Strategy = st.SearchStrategy[Any]
Fields = dict[str, Strategy]

_WORDS = ("a", "b", "ü 日")
_LARGEST = 1_000_000
"""Numbers without bounds are drawn up to here: a product of three still fits every store."""
_FIRST_DAY, _LAST_DAY = datetime(2000, 1, 1), datetime(2039, 12, 31)  # noqa: DTZ001  zones come later
_MOMENTS = (datetime(2026, 1, 1), datetime(2026, 1, 1, 23, 30), datetime(2026, 1, 2))  # noqa: DTZ001
_ZONES = (UTC, timezone(timedelta(hours=2)))
_MORE = 3
"""A collection without an upper bound has up to so many items more than it must have."""
_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
_NOT_MADE = object()


class Values:
    """Makes strategies for classes. Fields named in `keys`, and ids, have few different values.

    `given` are strategies for classes that the caller knows better.
    """

    def __init__(self, keys: frozenset[str], given: Mapping[type, Strategy]) -> None:
        self._keys = keys
        self._known: dict[type, Strategy] = dict(given)

    def of_class(self, cls: type) -> Strategy:
        """Objects of a struct, dataclass, named tuple or pydantic model.

        Raises ConfigurationError for a class whose fields cannot be told.
        """
        found = self._known.get(cls)
        if found is None:
            # Deferred, so that a tree may have nodes that are trees.
            found = self._known[cls] = st.deferred(lambda: self._made(cls))
        return found

    def of_type(self, info: types.Type) -> Strategy:
        """Values of a type as msgspec describes it."""
        for kind in type(info).__mro__:
            if kind in _MAKERS:
                return _MAKERS[kind](self, info)
        raise _unknown(info)

    def _made(self, cls: type) -> Strategy:
        if hasattr(cls, "model_fields"):
            return self._pydantic(cls)
        try:
            info = types.type_info(cls)
        except TypeError as error:
            raise ConfigurationError(
                f"no {place_of(cls)} can be made up: {error}. Say how: "
                f"properties(..., events={{{cls.__name__}: a strategy}})."
            ) from error
        fields = getattr(info, "fields", None)
        if fields is None:
            return st.from_type(cls)
        needed: Fields = {}
        rest: Fields = {}
        for field in fields:
            if _is_given(cls, field.name):
                (needed if field.required else rest)[field.name] = self._field(field)
        return _objects(cls, needed, rest)

    def _field(self, field: types.Field) -> Strategy:
        return self._named(field.name, field.type)

    def _named(self, name: str, info: types.Type) -> Strategy:
        if name not in self._keys and not name.endswith(("_id", "_ids")):
            return self.of_type(info)
        if info == types.StrType():
            return st.sampled_from(_WORDS)
        pool = st.lists(self.of_type(info), min_size=1, max_size=_MORE)
        return st.shared(pool, key=f"{name} {info!r}").flatmap(st.sampled_from)

    def _pydantic(self, cls: Any) -> Strategy:
        needed: Fields = {}
        rest: Fields = {}
        for name, field in cls.model_fields.items():
            called = field.validation_alias if isinstance(field.validation_alias, str) else name
            strategy = self._named(name, _info_of_pydantic(field))
            (needed if field.is_required() else rest)[called] = strategy
        return _objects(cls, needed, rest)

    def _custom(self, info: Any) -> Strategy:
        return self.of_class(info.cls) if hasattr(info.cls, "model_fields") else _foreign(info.cls)

    def _typed_dict(self, info: Any) -> Strategy:
        fields = {one.encode_name: (one.required, self._field(one)) for one in info.fields}
        return st.fixed_dictionaries(
            {name: made for name, (required, made) in fields.items() if required},
            optional={name: made for name, (required, made) in fields.items() if not required},
        )

    def _items(self, info: Any, unique: bool = False) -> Strategy:  # noqa: FBT001, FBT002
        least = info.min_length or 0
        most = least + _MORE if info.max_length is None else min(info.max_length, least + _MORE)
        inner = self.of_type(info.item_type)
        return st.lists(inner, min_size=least, max_size=most, unique=unique)

    def _mapping(self, info: Any) -> Strategy:
        least = info.min_length or 0
        most = least + _MORE if info.max_length is None else min(info.max_length, least + _MORE)
        keys, values = self.of_type(info.key_type), self.of_type(info.value_type)
        return st.dictionaries(keys, values, min_size=least, max_size=most)

    def _one_of(self, info: Any) -> Strategy:
        # None first: the first choice is what a failing history is shrunk to.
        ordered = sorted(info.types, key=lambda one: not isinstance(one, types.NoneType))
        return st.one_of(*(self.of_type(one) for one in ordered))


def _objects(cls: type, needed: Fields, rest: Fields) -> Strategy:
    """Objects of a class; what its constructor refuses is drawn again."""

    def make(fields: dict[str, Any]) -> Any:
        try:
            return cls(**fields)
        except (TypeError, ValueError):
            return _NOT_MADE

    drawn = st.fixed_dictionaries(needed, optional=rest)
    return drawn.map(make).filter(lambda one: one is not _NOT_MADE)


def _is_given(cls: type, name: str) -> bool:
    if not dataclasses.is_dataclass(cls):
        return True
    return next(one.init for one in dataclasses.fields(cls) if one.name == name)


def _info_of_pydantic(field: Any) -> types.Type:
    bounds = {
        name: value
        for one in field.metadata
        for name in _BOUNDS
        if (value := getattr(one, name, None)) is not None
    }
    try:
        return types.type_info(Annotated[field.annotation, msgspec.Meta(**bounds)])
    except (TypeError, ValueError):
        return types.type_info(field.annotation)  # what breaks a bound is drawn again


def _foreign(cls: type) -> Strategy:
    return st.from_type(cls)


def _unknown(info: types.Type) -> ConfigurationError:
    return ConfigurationError(
        f"values of {info!r} cannot be made up. Say how to make the events that hold one: "
        "properties(..., events={TheEvent: a strategy})."
    )


def _integers(info: Any) -> Strategy:
    least = info.ge if info.ge is not None else None if info.gt is None else info.gt + 1
    most = info.le if info.le is not None else None if info.lt is None else info.lt - 1
    if least is None:
        least = -_LARGEST if most is None or most >= -_LARGEST else most - _LARGEST
    if most is None:
        most = max(_LARGEST, least + _LARGEST)
    step = info.multiple_of
    if step is None:
        return st.integers(least, most)
    return st.integers(-(-least // step), most // step).map(lambda one: one * step)


def _floats(info: Any) -> Strategy:
    least = info.ge if info.ge is not None else info.gt
    most = info.le if info.le is not None else info.lt
    if least is None:
        least = -_LARGEST if most is None else min(-_LARGEST, most - 1)
    if most is None:
        most = max(_LARGEST, least + 1)
    return st.floats(
        least,
        most,
        allow_nan=False,
        exclude_min=info.gt is not None and info.ge is None,
        exclude_max=info.lt is not None and info.le is None,
    )


def _texts(info: Any) -> Strategy:
    least, most = info.min_length or 0, info.max_length
    if info.pattern is not None:
        found = st.from_regex(info.pattern)
        return found.filter(lambda one: len(one) >= least and (most is None or len(one) <= most))
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    longest = least + 8 if most is None else most
    free = st.text(letters, min_size=least, max_size=longest)
    words = [one for one in _WORDS if least <= len(one) <= longest]
    return st.sampled_from(words) | free if words else free


def _moments(info: Any) -> Strategy:
    naive = st.sampled_from(_MOMENTS) | st.datetimes(_FIRST_DAY, _LAST_DAY)
    if info.tz is False:
        return naive
    return st.builds(lambda at, zone: at.replace(tzinfo=zone), naive, st.sampled_from(_ZONES))


def _bytes(info: Any) -> Strategy:
    least = info.min_length or 0
    return st.binary(min_size=least, max_size=info.max_length or least + 8)


_PLAIN = st.none() | st.booleans() | st.integers(-_LARGEST, _LARGEST) | st.sampled_from(_WORDS)

_MAKERS: dict[type, Callable[[Values, Any], Strategy]] = {
    types.AnyType: lambda _, __: _PLAIN,
    types.NoneType: lambda _, __: st.none(),
    types.BoolType: lambda _, __: st.booleans(),
    types.IntType: lambda _, info: _integers(info),
    types.FloatType: lambda _, info: _floats(info),
    types.StrType: lambda _, info: _texts(info),
    types.BytesType: lambda _, info: _bytes(info),
    types.ByteArrayType: lambda _, info: _bytes(info).map(bytearray),
    types.DateTimeType: lambda _, info: _moments(info),
    types.DateType: lambda _, __: (
        st.sampled_from([one.date() for one in _MOMENTS])
        | st.dates(date(2000, 1, 1), date(2039, 12, 31))
    ),
    types.TimeType: lambda _, info: (
        st.times(timezones=st.just(UTC)) if info.tz is True else st.times()
    ),
    types.TimeDeltaType: lambda _, __: st.timedeltas(timedelta(days=-999), timedelta(days=999)),
    types.UUIDType: lambda _, __: st.uuids(),
    types.DecimalType: lambda _, __: st.decimals(
        -_LARGEST, _LARGEST, allow_nan=False, allow_infinity=False, places=2
    ),
    types.EnumType: lambda _, info: st.sampled_from(list(info.cls)),
    types.LiteralType: lambda _, info: st.sampled_from(info.values),
    types.Metadata: lambda values, info: values.of_type(info.type),
    types.UnionType: lambda values, info: values._one_of(info),  # noqa: SLF001
    types.ListType: lambda values, info: values._items(info),  # noqa: SLF001
    types.SetType: lambda values, info: values._items(info, True).map(set),  # noqa: SLF001
    types.FrozenSetType: lambda values, info: values._items(info, True).map(frozenset),  # noqa: SLF001
    types.VarTupleType: lambda values, info: values._items(info).map(tuple),  # noqa: SLF001
    types.TupleType: lambda values, info: st.tuples(*map(values.of_type, info.item_types)),
    types.DictType: lambda values, info: values._mapping(info),  # noqa: SLF001
    types.TypedDictType: lambda values, info: values._typed_dict(info),  # noqa: SLF001
    types.StructType: lambda values, info: values.of_class(info.cls),
    types.DataclassType: lambda values, info: values.of_class(info.cls),
    types.NamedTupleType: lambda values, info: values.of_class(info.cls),
    types.CustomType: lambda values, info: values._custom(info),  # noqa: SLF001
}
