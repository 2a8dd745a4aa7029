"""What a query handler reads with. A reader cannot write, by type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

from diptych.errors import ConfigurationError
from diptych.queries.lacking import Lacking
from diptych.queries.matching import check_fields, matches, ordered
from diptych.queries.projection import SqlProjection
from diptych.queries.read_model import ReadModel
from diptych.queries.read_store import Filter, Find, Operator, Row
from diptych.queries.source import Source

__all__ = ["Reader", "SqlReader"]

R = TypeVar("R", bound=ReadModel)
P = TypeVar("P", bound=SqlProjection)

Unseen = dict[str, Row | None]
"""Rows as they will be once the projection has seen every event; None: it will be deleted."""

_OPERATORS: dict[str, Operator] = {
    "lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "in": "in"
}  # fmt: skip
_PAGE = 1_000


class Reader(Generic[R]):
    """Reads the rows of one read model: `Reader[CartPage]` in a query handler's parameters.

    Filters are keyword arguments: `find(customer_id="c1", total__gte=100)` with the endings `__lt`,
    `__lte`, `__gt`, `__gte` and `__in`. Filters and order may name the key and the read model's
    `indexes`, nothing else: a query that would look at every row is refused, not slow.
    """

    def __init__(
        self,
        source: Source,
        unseen: Callable[[], Coroutine[Any, Any, Unseen]] | None = None,
        lacking: Lacking | None = None,
    ) -> None:
        shape = source.plan.shape
        if shape is None:
            name = source.plan.name
            raise ConfigurationError(f"{name} has no rows by key; read it with SqlReader.")
        self._store = source.store
        # Not its name: which generation of the rows is read, the source says each time.
        self._source = source
        self._shape = shape
        self._load_unseen = unseen
        self._lacking = lacking
        self._unseen: Unseen | None = None

    async def get(self, key: str) -> R | None:
        """The row with this key, or None."""
        if self._lacking is not None:
            self._lacking.look_at_key(key)
        if self._load_unseen is not None:
            unseen = await self._overlay()
            if key in unseen:
                row = unseen[key]
                return None if row is None else row.value
        found = (await self._store.load(self._source.plan.name, (key,))).rows.get(key)
        return None if found is None else found.value

    async def find(
        self, *, order_by: str | None = None, limit: int | None = None, **filters: Any
    ) -> list[R]:
        """Rows that meet the filters, ordered by a field (`"-total"`: descending; ties by key).

        Raises ConfigurationError for a field that is neither the key nor an index.
        """
        descending = order_by is not None and order_by.startswith("-")
        field = order_by[1:] if order_by is not None and descending else order_by
        find = Find(_filters(filters), field, descending, limit)
        return [row.value for row in await self._find(find)]

    async def search(self, text: str, *, limit: int | None = 100, **filters: Any) -> list[R]:
        """Rows whose search fields hold all words of `text` (or words that begin with them)."""
        return [
            row.value for row in await self._find(Find(_filters(filters), search=text, limit=limit))
        ]

    async def count(self, **filters: Any) -> int:
        """How many rows meet the filters."""
        if self._lacking is not None:
            self._lacking.look_at_all()
        if self._load_unseen is not None:
            return len(await self._find(Find(_filters(filters))))
        check_fields(self._shape, Find(_filters(filters)))
        return await self._store.count(self._source.plan.name, _filters(filters))

    async def scan(self) -> AsyncIterator[R]:
        """Every row, by key, a page at a time; rows may change while it runs."""
        after: str | None = None
        while page := await self._find(Find(limit=_PAGE, after_key=after)):
            for row in page:
                yield row.value
            after = page[-1].key

    async def _find(self, find: Find) -> list[Row]:
        check_fields(self._shape, find)
        if self._lacking is not None:
            self._lacking.look_at_all()
        if self._load_unseen is None:
            return await self._store.find(self._source.plan.name, find)
        unseen = await self._overlay()
        # Of the rows the store finds, those that have changed since count as they are now.
        wider = find._replace(limit=None if find.limit is None else find.limit + len(unseen))
        rows = [
            row
            for row in await self._store.find(self._source.plan.name, wider)
            if row.key not in unseen
        ]
        for key, row in unseen.items():
            if row is None or (find.after_key is not None and key <= find.after_key):
                continue
            if matches(row.value, find, self._shape):
                rows.append(row)
        return ordered(rows, find)[: find.limit]

    async def _overlay(self) -> Unseen:
        if self._unseen is None:
            assert self._load_unseen is not None  # noqa: S101  asked before
            self._unseen = await self._load_unseen()
        return self._unseen


class SqlReader(Generic[P]):
    """Reads the own tables of a SqlProjection: `SqlReader[SalesByDay]` in a query handler."""

    def __init__(self, source: Source, lacking: Lacking | None = None) -> None:
        self._store = source.store
        self._lacking = lacking

    async def select(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Run one SELECT and return its rows as dicts; anything that writes is refused."""
        if self._lacking is not None:
            self._lacking.look_at_all()
        return await self._store.select(sql, parameters)


def _filters(filters: dict[str, Any]) -> tuple[Filter, ...]:
    made = []
    for name, value in filters.items():
        field, _, ending = name.rpartition("__")
        if field and ending in _OPERATORS:
            made.append(Filter(field, _OPERATORS[ending], value))
        else:
            made.append(Filter(name, "=", value))
    return tuple(made)
