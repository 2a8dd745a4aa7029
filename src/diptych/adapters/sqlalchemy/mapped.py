"""A write model mapped to tables by the names of its fields: the common shape, without code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from diptych.adapters.sqlalchemy.child_rows import ChildRows, Rows
from diptych.adapters.sqlalchemy.columns import FieldColumn, fields_of, refuse_unfed
from diptych.adapters.sqlalchemy.table_of import TableOf
from diptych.errors import ConfigurationError

__all__ = ["MappedTable", "mapped"]

Genesis = Callable[[AsyncSession, Any], Awaitable[Iterable[Any]]]


class _Image(NamedTuple):
    """What stands in the tables, as it was loaded."""

    row: dict[str, Any]
    children: dict[str, Rows]


class MappedTable(TableOf[Any]):
    """See `mapped`."""

    def __init__(
        self, of: Any, table: Table, genesis: Genesis | None, children: dict[str, Table]
    ) -> None:
        self.of, self.table = of, table  # type: ignore[misc]  # one class for many tables
        super().__init__()
        self._genesis = genesis
        self._state_type = getattr(of, "state_type", of)
        fields = fields_of(self._state_type)
        for name in children.keys() - fields.keys():
            raise ConfigurationError(f"{self._state_type.__name__} has no field {name!r}.")
        self._children = {
            name: ChildRows(name, fields.pop(name), child, self.key_column)
            for name, child in children.items()
        }
        self._columns = [FieldColumn(n, kind, self._column(n)) for n, kind in fields.items()]
        fed = {one.column.name: one for one in self._columns}
        refuse_unfed(self.root, {**fed, self.key_column.name: self, self.version: self})

    async def genesis(self, session: AsyncSession, key: Any) -> Iterable[Any]:
        """What the function given says."""
        return () if self._genesis is None else await self._genesis(session, key)

    async def load_locked(self, session: AsyncSession, key: object) -> tuple[Any, int] | None:
        """The state and its version, locked until the end of the transaction."""
        key = self.as_column(key)
        connection = await session.connection()
        columns = [one.column for one in self._columns]
        wanted = select(self.version_column, *columns).where(self.key_column == key)
        found = (await connection.execute(wanted.with_for_update())).one_or_none()
        if found is None:
            return None
        row = {one.column.name: value for one, value in zip(self._columns, found[1:], strict=True)}
        children = {n: await one.load(connection, key) for n, one in self._children.items()}
        # Kept for `save_stamped`, which writes only what differs from it.
        session.info[self, key] = _Image(row, children)
        return self._state_of(row, children), found[0] or 0

    async def save_stamped(
        self,
        session: AsyncSession,
        key: object,
        state: Any,
        events: Sequence[Any],
        versions: tuple[int | None, int],
    ) -> None:
        """Write what differs from what was loaded, and the version. Raises VersionConflict."""
        key = self.as_column(key)
        before, after = versions
        row = {one.column.name: one.to_column(getattr(state, one.field)) for one in self._columns}
        children = {n: one.to_rows(getattr(state, n)) for n, one in self._children.items()}
        if row.pop(self.key_column.name, key) != key:
            raise ConfigurationError(
                f"the state of {key!r} says that its {self.key_column.name} is another; a row has "
                f"one key only: {state!r}."
            )
        old = session.info.get((self, key)) if before is not None else None
        old = old or _Image({}, {name: {} for name in children})
        connection = await session.connection()
        if before is None:
            named = {self.key_column.name: key, self.version: after, **row}
            with self.noticing_rivals(key, before):
                await connection.execute(insert(self.root).values(named))
        else:
            changed = {n: v for n, v in row.items() if n not in old.row or old.row[n] != v}
            stamp = update(self.root).where(self.at_version(key, before))
            done = await connection.execute(stamp.values({**changed, self.version: after}))
            if done.rowcount != 1:
                raise self.conflict(key, before)
        for name, child in self._children.items():
            await child.save(connection, key, old.children[name], children[name])
        session.info[self, key] = _Image({self.key_column.name: key, **row}, children)

    def _state_of(self, row: dict[str, Any], children: dict[str, Rows]) -> Any:
        values = {one.field: one.to_field(row[one.column.name]) for one in self._columns}
        for name, child in self._children.items():
            values[name] = child.to_field(children[name])
        return self._state_type(**values)

    def _column(self, field: str) -> Any:
        if field in self.root.c and field != self.version:
            return self.root.c[field]
        raise ConfigurationError(
            f"{self._state_type.__name__}.{field} has no column in {self.root.name}: add one, name "
            f"a child table for it, as in mapped(..., {field}=...), or write a TableOf."
        )


def mapped(of: Any, table: Any, *, genesis: Genesis | None = None, **children: Any) -> MappedTable:
    """Map an aggregate class (or decider) to a table whose columns are called like its fields.

    ```python
    App(
        "shop",
        [Order],
        write=...,
        tables=[mapped(Order, orders, lines=order_lines)],
    )
    ```

    Args:
        of: The aggregate class or the decider.
        table: The root table (or its ORM class): primary key, `version`, a column per field. Values
            that the column's type does not know cross as JSON.
        genesis: `async (session, key) -> events`: how a row came to be; see TableOf.
        children: Child tables (or ORM classes) of fields that are a dict, list or set.

    Raises ConfigurationError for a field without a column, and a column without a value.
    """
    made = {name: getattr(child, "__table__", child) for name, child in children.items()}
    return MappedTable(of, getattr(table, "__table__", table), genesis, made)
