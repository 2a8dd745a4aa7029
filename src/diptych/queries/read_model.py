"""A read model: the shape one screen, report or caller needs, one row per key."""

from __future__ import annotations

import re
from typing import Any, dataclass_transform

import msgspec

from diptych.errors import ConfigurationError

__all__ = ["ReadModel", "RowShape", "shape_of", "snake_case"]

_SHAPE = "__diptych_shape__"


class RowShape(msgspec.Struct, frozen=True):
    """What a read store must know of a read model.

    `key` is the field that names a row (a string, at most one row each); `indexes` are fields that
    queries look up or order by; `search` are text fields for full-text search.
    """

    model: type
    key: str
    indexes: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


@dataclass_transform(field_specifiers=(msgspec.field,))
class ReadModelMeta(msgspec.StructMeta):
    """Lets a read model say `class CartPage(ReadModel, key="cart_id")`."""

    def __new__(
        mcls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        key: str | None = None,
        indexes: tuple[str, ...] = (),
        search: tuple[str, ...] = (),
        **struct_options: Any,
    ) -> Any:
        """Make the struct, then note and check its shape."""
        cls = super().__new__(mcls, class_name, bases, namespace, **struct_options)
        if not any(isinstance(base, ReadModelMeta) for base in bases):
            return cls
        inherited: RowShape | None = getattr(cls, _SHAPE, None)
        key = key or (inherited.key if inherited else None)
        fields = cls.__struct_fields__
        if key is None:
            raise ConfigurationError(
                f"the read model {class_name} names no key: "
                f'class {class_name}(ReadModel, key="..."), one of its fields.'
            )
        for name in (key, *indexes, *search):
            if name not in fields:
                raise ConfigurationError(
                    f"the read model {class_name} has no field {name!r}; its fields are "
                    f"{', '.join(fields)}."
                )
        setattr(cls, _SHAPE, RowShape(cls, key, tuple(indexes), tuple(search)))
        return cls


class ReadModel(msgspec.Struct, metaclass=ReadModelMeta, forbid_unknown_fields=True, gc=False):
    """A row shaped for its reader: denormalized, complete, answered by one store read.

    Class options: `key` (required: the field that names the row, a str), `indexes` (fields that
    queries look up or order by), `search` (text fields for full-text search).
    """


def shape_of(model: type) -> RowShape:
    """The shape of a read model class."""
    shape: RowShape = getattr(model, _SHAPE)
    return shape


def snake_case(name: str) -> str:
    """`CartPages` as `cart_pages`: the name of a projection in stores and on the command line."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
