"""Projections that are wrong, each in its own way, and some that are right."""

from __future__ import annotations

import itertools
import random
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pydantic

from diptych import Envelope, Event, Projection, ReadModel, Sql, SqlProjection, keyed_by


class Color(Enum):
    RED = "red"
    GREEN = "green"


class Part(msgspec.Struct, frozen=True):
    name: str
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1


class Added(Event):
    cart_id: str
    item: str
    tags: list[str] = []


class Cleared(Event):
    cart_id: str


@dataclass(frozen=True)
class Weighed:
    cart_id: str
    grams: Decimal
    at: datetime
    color: Color | None = None


class Shipped(pydantic.BaseModel, frozen=True):
    cart_id: str
    parcels: Annotated[int, pydantic.Field(gt=0, lt=5)]
    code: Annotated[str, pydantic.Field(pattern="^[A-Z]{2}$", alias="postCode")] = "XX"
    parts: list[dict[str, int]] = []


class Everything(Event):
    cart_id: uuid.UUID
    part: Part
    parts: tuple[Part, ...]
    prices: dict[str, float]
    how: Literal["air", "sea"]
    either: int | str | None
    pair: tuple[int, str]
    words: Annotated[list[str], msgspec.Meta(min_length=1)]
    blob: bytes = b""
    seen: frozenset[str] = frozenset()


class Page(ReadModel, key="cart_id"):
    cart_id: str
    count: int = 0
    items: list[str] = []
    at: datetime | None = None
    number: float = 0.0


class Right(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.count += 1
        page.items += [event.item, *event.tags]

    def cleared(self, page: Page, event: Cleared) -> Page | None:
        return None

    def weighed(self, page: Page, event: Weighed, envelope: Envelope) -> None:
        page.at = envelope.recorded_at
        page.number = float(event.grams)

    def shipped(self, page: Page, event: Shipped) -> None:
        page.count += event.parcels

    @keyed_by(lambda event: [str(event.cart_id), *event.prices])
    def everything(self, page: Page, event: Everything) -> None:
        page.count += event.part.count


class UsesTheClock(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.at = datetime.now(UTC)


class UsesTime(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.number = time.perf_counter()


class UsesChance(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.number = random.random()


class UsesIds(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.items.append(str(uuid.uuid4()))


numbers = itertools.count()


class CountsInTheModule(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.count = next(numbers)


met: set[str] = set()


class RemembersInTheModule(Projection[Page]):
    """Shows nothing twice in a process, so that the history fails only once."""

    def added(self, page: Page, event: Added) -> None:
        if event.item not in met:
            met.add(event.item)
            page.count += 1


class CountsInTheObject(Projection[Page]):
    def __init__(self) -> None:
        self.count = 0

    def added(self, page: Page, event: Added) -> None:
        self.count += 1
        page.count = self.count


class SharesADefault(Projection[Page]):
    """The list belongs to the class, and so to every row."""

    items: list[str] = []

    def added(self, page: Page, event: Added) -> None:
        self.items.append(event.item)
        page.items = list(self.items[-2:])


class LooksAtTheRowBefore(Projection[Page]):
    """Keeps the last row it was given: other keys leave something behind."""

    last = ""

    def added(self, page: Page, event: Added) -> None:
        page.items.append(self.last)
        type(self).last = event.cart_id


class DependsOnOtherKeys(Projection[Page]):
    """Starts anew with the first event of a fold, so that only the order can show it."""

    def __init__(self) -> None:
        self.leader: dict[int, str] = {}

    def added(self, page: Page, event: Added, envelope: Envelope) -> None:
        self.leader[envelope.position] = event.cart_id
        page.items.append(self.leader.get(envelope.position - 1, ""))


class CountsWhatCameBefore(Projection[Page]):
    """Keeps what it has seen by position, so that nothing but another order can show it."""

    seen: dict[int, str] = {}

    def added(self, page: Page, event: Added, envelope: Envelope) -> None:
        if envelope.position == 1:
            self.seen.clear()
        self.seen[envelope.position] = event.cart_id
        page.count = sum(at < envelope.position for at in self.seen)


class OrderOfASet(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.items = list({*page.items, event.item, "x", "y", "z"})


class UsesHash(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.count += hash(event.item) % 1000


class ChangesTheEvent(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        event.tags.append("seen")


class KeepsAListOfTheEvent(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        if not page.items:
            page.items = event.tags
        page.items.append(event.item)


class DoesNotSurvive(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.number = float("nan")


class WrongType(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.items.append(event)  # type: ignore[arg-type]


class NotJson(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.items = [NotJson]  # type: ignore[list-item]


class MovesTheKey(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.cart_id = event.item


class DependsOnTheBatch(Projection[Page]):
    """Recognises a row it has seen in this batch: by the identity of the object."""

    def __init__(self) -> None:
        self.seen: Any = None

    def added(self, page: Page, event: Added) -> None:
        if self.seen is page:
            page.count += 1
        self.seen = page


class NeedsAdded(Projection[Page]):
    """Raises where an item was cleared away that nobody had added."""

    def added(self, page: Page | None, event: Added) -> Page:
        return page or Page(event.cart_id)

    def cleared(self, page: Page | None, event: Cleared) -> Page | None:
        if page is None:
            raise LookupError(event.cart_id)
        return None


class AlwaysRaises(Projection[Page]):
    def added(self, page: Page, event: Added) -> None:
        page.count += 1

    def cleared(self, page: Page, event: Cleared) -> None:
        raise NotImplementedError


TABLE = "CREATE TABLE {} (cart TEXT PRIMARY KEY, items INT, at TEXT)"


class RightSql(SqlProjection):
    schema = (TABLE.format("counted"),)
    tables = ("counted",)

    def added(self, sql: Sql, event: Added) -> None:
        sql(
            "INSERT INTO counted VALUES (?, 1, NULL) "
            "ON CONFLICT (cart) DO UPDATE SET items = items + 1",
            event.cart_id,
        )

    def cleared(self, sql: Sql, event: Cleared) -> None:
        sql("DELETE FROM counted WHERE cart = ?", event.cart_id)


class WrongUpsert(SqlProjection):
    schema = (TABLE.format("once"),)
    tables = ("once",)

    def added(self, sql: Sql, event: Added) -> None:
        sql("INSERT INTO once VALUES (?, 1, NULL)", event.cart_id)


class UpsertWithoutAKey(SqlProjection):
    schema = ("CREATE TABLE keyless (cart TEXT, items INT)",)
    tables = ("keyless",)

    def added(self, sql: Sql, event: Added) -> None:
        sql(
            "INSERT INTO keyless VALUES (?, 1) ON CONFLICT (cart) DO UPDATE SET items = items + 1",
            event.cart_id,
        )


class SqlClock(SqlProjection):
    schema = (TABLE.format("clocked"),)
    tables = ("clocked",)

    def added(self, sql: Sql, event: Added) -> None:
        sql("INSERT OR REPLACE INTO clocked VALUES (?, 1, datetime('now'))", event.cart_id)


class SqlOfTheBatch(SqlProjection):
    """Adds up in the object and writes every second time."""

    schema = (TABLE.format("pairs"),)
    tables = ("pairs",)

    def __init__(self) -> None:
        self.waiting: list[str] = []

    def added(self, sql: Sql, event: Added) -> None:
        self.waiting.append(event.cart_id)
        if len(self.waiting) == 2:
            sql("INSERT OR REPLACE INTO pairs VALUES (?, 2, NULL)", self.waiting[1])
            self.waiting.clear()
