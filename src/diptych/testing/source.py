"""A history as Python source: the scenario that somebody pastes into a test."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from diptych.testing.recording import Recorded

__all__ = ["scenario_source"]

_WIDTH = 88
_ABSENT = object()


def scenario_source(projection: type, events: Sequence[Any], last: str) -> str:
    """`scenario(...).given(...)` and `last`, with the imports it needs.

    What is defined inside a function cannot be imported; a comment says where it is.
    """
    names = _Names()
    subject = names.of(projection)
    names.add("diptych.testing", "scenario")
    given = [_written(event, names) for event in events]
    line = f"scenario({subject}).given({', '.join(given)}){last}"
    if len(line) > _WIDTH:
        inner = "".join(f"    {one},\n" for one in given)
        line = f"scenario({subject}).given(\n{inner}){last}"
    return "\n".join([*names.lines(), "", line])


class _Names:
    """The names that a piece of source uses, and where they come from."""

    def __init__(self) -> None:
        self._modules: set[str] = set()
        self._imported: dict[str, tuple[str, str]] = {}
        self._within: dict[str, str] = {}

    def add(self, module: str, name: str) -> str:
        """Import a name; the name to use, which is another one if this is taken."""
        used = name
        while self._imported.get(used, (module, name)) != (module, name):
            used += "_"
        self._imported[used] = (module, name)
        return used

    def module(self, name: str) -> None:
        """Import a module."""
        self._modules.add(name)

    def of(self, cls: type) -> str:
        """How to write a class."""
        outer, _, inner = cls.__qualname__.partition(".")
        if "<locals>" in cls.__qualname__:
            self._within[cls.__name__] = cls.__qualname__.rpartition(".<locals>")[0]
            return cls.__name__
        return ".".join(filter(None, [self.add(cls.__module__, outer), inner]))

    def lines(self) -> list[str]:
        """The imports, and what to say about what cannot be imported."""
        whole = [f"import {name}" for name in sorted(self._modules)]
        of: dict[str, list[str]] = {}
        for used, (module, name) in sorted(self._imported.items(), key=lambda one: one[1]):
            of.setdefault(module, []).append(name if used == name else f"{name} as {used}")
        parts = [f"from {module} import {', '.join(names)}" for module, names in of.items()]
        inside = [f"# {name} is defined in {where}" for name, where in sorted(self._within.items())]
        return [*whole, *parts, *inside]


def _written(value: Any, names: _Names) -> str:
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value, names)
    fields = _fields(value)
    if fields is None:
        return repr(value)
    return f"{names.of(type(value))}({_arguments(fields, names)})"


def _arguments(fields: Iterable[tuple[str, Any]], names: _Names) -> str:
    return ", ".join(f"{name}={_written(value, names)}" for name, value in fields)


def _fields(value: Any) -> list[tuple[str, Any]] | None:
    """What has to be said to make an object again: fields that are not at their defaults."""
    defaults: Mapping[str, Any]
    if isinstance(value, msgspec.Struct):
        defaults = {
            one.name: _default(one.default, one.default_factory, msgspec.NODEFAULT)
            for one in msgspec.structs.fields(value)
        }
    elif dataclasses.is_dataclass(value):
        defaults = {
            one.name: _default(one.default, one.default_factory, dataclasses.MISSING)
            for one in dataclasses.fields(value)
            if one.init
        }
    elif hasattr(type(value), "model_fields"):
        defaults = {
            name: _ABSENT if one.is_required() else one.get_default(call_default_factory=True)
            for name, one in type(value).model_fields.items()
        }
    else:
        return None
    said = [(name, getattr(value, name)) for name in defaults]
    return [
        (_called(value, n), v)
        for n, v in said
        if type(v) is not type(defaults[n]) or v != defaults[n]
    ]


def _called(value: Any, name: str) -> str:
    """What the constructor calls a field: a pydantic model may have another name for it."""
    fields: Mapping[str, Any] = getattr(type(value), "model_fields", {})
    alias = fields[name].validation_alias if name in fields else None
    return alias if isinstance(alias, str) else name


def _default(default: Any, factory: Any, absent: Any) -> Any:
    if default is not absent:
        return default
    return _ABSENT if factory is absent else factory()


def _recorded(value: Recorded, names: _Names) -> str:
    around = [(name, getattr(value, name)) for name in value.__struct_fields__[1:]]
    said = _arguments([(name, one) for name, one in around if one is not None], names)
    event = _written(value.event, names)
    if not said:
        return event
    return f"{names.add('diptych.testing', 'recorded')}({event}, {said})"


def _enumeration(value: enum.Enum, names: _Names) -> str:
    return f"{names.of(type(value))}[{value.name!r}]"


def _moment(value: Any, names: _Names) -> str:
    names.module("datetime")
    zone = getattr(value, "tzinfo", None)
    if zone is None:
        return repr(value)
    # Every library has its own zones; what is stored is only how far from UTC they are.
    offset = value.utcoffset()
    bare = repr(value.replace(tzinfo=None))
    minutes = int(offset.total_seconds() // 60)
    written = (
        f"datetime.timezone(datetime.timedelta(minutes={minutes}))" if minutes else "datetime.UTC"
    )
    return f"{bare[:-1]}, tzinfo={written})"


def _decimal(value: Decimal, names: _Names) -> str:
    return f"{names.add('decimal', 'Decimal')}({str(value)!r})"


def _uuid(value: uuid.UUID, names: _Names) -> str:
    return f"{names.add('uuid', 'UUID')}({str(value)!r})"


def _mapping(value: Mapping[Any, Any], names: _Names) -> str:
    pairs = [f"{_written(key, names)}: {_written(one, names)}" for key, one in value.items()]
    return f"{{{', '.join(pairs)}}}"


def _list(value: list[Any], names: _Names) -> str:
    return f"[{', '.join(_written(one, names) for one in value)}]"


def _tuple(value: Any, names: _Names) -> str:
    if hasattr(value, "_fields"):
        return f"{names.of(type(value))}({_arguments(value._asdict().items(), names)})"
    items = [_written(one, names) for one in value]
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _set(value: set[Any] | frozenset[Any], names: _Names) -> str:
    items = sorted(_written(one, names) for one in value)
    return f"{type(value).__name__}([{', '.join(items)}])"


_WRITERS: dict[type | tuple[type, ...], Callable[[Any, _Names], str]] = {
    Recorded: _recorded,
    enum.Enum: _enumeration,
    (dt.date, dt.time, dt.timedelta): _moment,
    Decimal: _decimal,
    uuid.UUID: _uuid,
    dict: _mapping,
    list: _list,
    tuple: _tuple,
    (set, frozenset): _set,
}
