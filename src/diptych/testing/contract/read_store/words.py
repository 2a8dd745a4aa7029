"""Words in which the tests of a read store are written."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from diptych.queries.parked import Parked
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import (
    Change,
    Filter,
    Find,
    Lease,
    LeaseSwap,
    Operator,
    ReadStore,
    Row,
    TableSpec,
)

__all__ = [
    "ARTICLES",
    "NOTES",
    "Article",
    "Line",
    "Note",
    "Season",
    "change",
    "everything_of",
    "fetch",
    "found",
    "keep",
    "moment",
    "own",
    "parked",
    "rows_of",
    "where",
]


class Season(enum.Enum):
    """An enum, as fields of read models have them."""

    SUMMER = "summer"
    WINTER = "winter"


class Line(msgspec.Struct):
    """A part of a row."""

    text: str
    amount: Decimal


class Article(
    ReadModel,
    key="sku",
    indexes=("shelf", "stock", "price", "weight", "added", "season", "sold_out"),
    search=("title", "text"),
):
    """A row with a field of every kind that a screen may need."""

    sku: str
    title: str = ""
    text: str | None = None
    shelf: str | None = None
    stock: int | None = None
    price: Decimal = Decimal(0)
    weight: float = 0.0
    added: datetime | None = None
    season: Season | None = None
    sold_out: bool = False
    tags: list[str] = []
    lines: list[Line] = []
    extra: dict[str, Any] = {}


class Note(ReadModel, key="name", indexes=("name", "stock")):
    """Rows of a second projection, with nothing to search in."""

    name: str
    stock: int = 0
    text: str = ""


ARTICLES = TableSpec("articles", "articles-1", shape_of(Article))
NOTES = TableSpec("notes", "notes-1", shape_of(Note))


def moment(text: str) -> datetime:
    """`2026-01-31 12:00` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rows_of(models: Iterable[Any], position: int) -> list[Row]:
    """Read models as rows that the event at `position` touched."""
    return [Row(_key_of(model), position, model) for model in models]


def _key_of(model: Any) -> str:
    key: str = getattr(model, shape_of(type(model)).key)
    return key


def change(
    after: int, upto: int, *models: Any, deleted: Sequence[str] = (), projection: str = "articles"
) -> Change:
    """What a projection makes of the events after `after` up to `upto`."""
    return Change(projection, after, upto, rows_of(models, upto), deleted)


async def keep(
    store: ReadStore, *models: Any, deleted: Sequence[str] = (), projection: str = "articles"
) -> int:
    """Write rows as of the next event; answers the new checkpoint."""
    at = (await store.checkpoint(projection)).position
    await store.apply([change(at, at + 1, *models, deleted=deleted, projection=projection)])
    return at + 1


async def fetch(store: ReadStore, key: str, projection: str = "articles") -> Any:
    """The read model of one key; None where there is none."""
    row = (await store.load(projection, [key])).rows.get(key)
    return row.value if row else None


async def everything_of(
    store: ReadStore, keys: Sequence[str], projection: str = "articles"
) -> tuple[Any, ...]:
    """Rows and checkpoint, to be compared before and after."""
    return await store.load(projection, keys), await store.checkpoint(projection)


def where(field: str, operator: Operator, value: Any) -> tuple[Filter, ...]:
    """One filter."""
    return (Filter(field, operator, value),)


async def found(
    store: ReadStore, *filters: Filter, projection: str = "articles", **more: Any
) -> list[str]:
    """Keys of the rows that a Find finds, in its order."""
    return [row.key for row in await store.find(projection, Find(filters, **more))]


def parked(key: str, position: int, **more: Any) -> Parked:
    """An event that is parked, or skipped, for a key."""
    return Parked(key, position, f"Article-{key}", "ArticlePriced", **more)


async def own(store: ReadStore, epoch: int, terms: str = "", projection: str = "articles") -> None:
    """Take the lease of a projection, whoever has it."""
    before = (await store.checkpoint(projection)).lease
    swapped = await store.swap_leases([LeaseSwap(projection, before, Lease(epoch, terms))])
    assert swapped == [True], f"nobody else wanted the lease, and the swap answered {swapped}"
