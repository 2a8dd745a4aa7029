"""A collection in a state and the rows of a child table: `lines` of an order, `items` of a cart."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, get_args, get_origin

from sqlalchemy import Column, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.adapters.sqlalchemy.columns import FieldColumn, fields_of, is_record, refuse_unfed
from diptych.errors import ConfigurationError

__all__ = ["ChildRows"]

Rows = dict[Any, dict[str, Any]]
"""Values of columns by the rest of the primary key."""


class ChildRows:
    """A dict, list or set of a state, kept as rows of `child`.

    The child's primary key is the parent's key and one more column: the key of a dict, the element
    of a set, the number in a list (or, where the elements of a list have such a field, that field:
    the list then stands in its order). Only rows that differ are written.
    """

    def __init__(self, field: str, kind: Any, child: Table, parent_key: Column[Any]) -> None:
        self.field = field
        self.child = child
        self._shape, arguments = get_origin(kind) or kind, get_args(kind)
        if self._shape not in (dict, list, set) or not arguments:
            raise ConfigurationError(
                f"the field {field!r} is {kind!r}: a child table keeps a dict[key, value], a "
                "list[...] or a set[...]."
            )
        self._element = arguments[-1]
        self._parent = _parent_column(child, parent_key)
        rest = [one for one in child.primary_key.columns if one is not self._parent]
        if len(rest) != 1:
            raise ConfigurationError(
                f"the primary key of {child.name} must be {self._parent.name} and one more column: "
                "what tells the elements of one parent apart."
            )
        key_type = arguments[0] if self._shape in (dict, set) else int
        self._values = self._value_columns(rest[0])
        named = [one for one in self._values if one.column is rest[0]]
        # A list whose elements carry the key is kept in its order; any other list is numbered.
        self._key = named[0] if named else FieldColumn(rest[0].name, key_type, rest[0])
        self._keyed_by_field = bool(named)
        fed = {one.column.name: one for one in self._values}
        refuse_unfed(child, {**fed, self._parent.name: self, rest[0].name: self})

    async def load(self, connection: AsyncConnection, parent: Any) -> Rows:
        """The rows of one parent."""
        key = self._key.column
        columns = [one.column for one in self._values if one.column is not key]
        wanted = select(key, *columns).where(self._parent == parent).order_by(key)
        found = (await connection.execute(wanted)).all()
        names = [one.name for one in columns]
        return {row[0]: dict(zip(names, row[1:], strict=True)) for row in found}

    def to_field(self, rows: Rows) -> Any:
        """The collection that rows stand for."""
        if self._shape is set:
            return {self._key.to_field(key) for key in rows}
        elements = [self._element_of(key, row) for key, row in rows.items()]
        if self._shape is dict:
            return dict(zip(map(self._key.to_field, rows), elements, strict=True))
        return elements

    def to_rows(self, collection: Any) -> Rows:
        """The rows for a collection. Raises ConfigurationError for a list out of its order."""
        if self._shape is set:
            return {self._key.to_column(one): {} for one in collection}
        if self._shape is dict:
            return {
                self._key.to_column(key): self._row_of(one, key) for key, one in collection.items()
            }
        if not self._keyed_by_field:
            return {number: self._row_of(one, number) for number, one in enumerate(collection)}
        name = self._key.field
        keys = [self._key.to_column(getattr(one, name)) for one in collection]
        if any(one >= other for one, other in pairwise(keys)):
            raise ConfigurationError(
                f"the list {self.field!r} would come back in another order: its rows stand in the "
                f"order of {self.child.name}.{self._key.column.name}, these in the order {keys!r}. "
                "Keep it so, or number the rows in a column of their own."
            )
        return {key: self._row_of(one, key) for key, one in zip(keys, collection, strict=True)}

    async def save(self, connection: AsyncConnection, parent: Any, old: Rows, new: Rows) -> None:
        """Write what differs."""
        mine, key = self._parent == parent, self._key.column
        gone = [one for one in old if one not in new]
        if gone:
            await connection.execute(delete(self.child).where(mine, key.in_(gone)))
        for one in new:
            if one in old and old[one] != new[one]:
                changed = {n: v for n, v in new[one].items() if old[one][n] != v}
                await connection.execute(update(self.child).where(mine, key == one).values(changed))
        added = [
            {self._parent.name: parent, key.name: one, **new[one]} for one in new if one not in old
        ]
        if added:
            await connection.execute(insert(self.child), added)

    def _value_columns(self, key: Column[Any]) -> list[FieldColumn]:
        if self._shape is set:
            return []
        rest = [one for one in self.child.c if one is not self._parent]
        if is_record(self._element):
            names = {one.name: one for one in rest}
            made = []
            for name, kind in fields_of(self._element).items():
                if name not in names:
                    raise ConfigurationError(
                        f"{self._element.__name__}.{name} has no column in {self.child.name}."
                    )
                made.append(FieldColumn(name, kind, names[name]))
            return made
        values = [one for one in rest if one is not key and not _filled_by_itself(one)]
        if len(values) != 1:
            raise ConfigurationError(
                f"{self.child.name} has {len(values)} columns for the values of {self.field!r}: "
                "plain values need one, structs one per field."
            )
        return [FieldColumn(values[0].name, self._element, values[0])]

    def _row_of(self, element: Any, key: Any) -> dict[str, Any]:
        if not is_record(self._element):
            (only,) = self._values
            return {only.column.name: only.to_column(element)}
        row = {one.column.name: one.to_column(getattr(element, one.field)) for one in self._values}
        if row.pop(self._key.column.name, key) != self._key.to_column(key):
            raise ConfigurationError(
                f"{self.field}[{key!r}] is {element!r}, whose own {self._key.field} is another: "
                f"its row in {self.child.name} can have one key only."
            )
        return row

    def _element_of(self, key: Any, row: Mapping[str, Any]) -> Any:
        if not is_record(self._element):
            (only,) = self._values
            return only.to_field(row[only.column.name])
        values = {self._key.column.name: key, **row}
        return self._element(
            **{one.field: one.to_field(values[one.column.name]) for one in self._values}
        )


def _parent_column(child: Table, parent_key: Column[Any]) -> Column[Any]:
    for column in child.primary_key.columns:
        if column.references(parent_key):
            return column
    if parent_key.name in child.primary_key.columns:
        return child.primary_key.columns[parent_key.name]
    raise ConfigurationError(
        f"the primary key of {child.name} does not hold the key of its parent: a column that "
        f"references {parent_key.table.name}.{parent_key.name}, or is called {parent_key.name}."
    )


def _filled_by_itself(column: Column[Any]) -> bool:
    return column.default is not None or column.server_default is not None
