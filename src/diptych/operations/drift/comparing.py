"""Rows beside the refold, page by page, while commands and runners go on.

A page is read, then the checkpoint, and the refold is brought to that checkpoint. A row that equals
its refold is right: its position says that nothing has touched it since, and so says the log. Any
other may only have moved in between, so it is loaded again together with the checkpoint of the same
moment (ReadStore G3), the refold is brought to exactly there, and both are compared again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

import msgspec

from diptych.errors import StoreError
from diptych.operations.drift.pace import Pace
from diptych.operations.drift.refold import Refold, Wanted
from diptych.queries.read_store import Find, Row

__all__ = ["PAGE", "Doubt", "Found", "Looked", "compare_keys", "compare_rows", "look"]

PAGE = 1_000
"""Rows read at once."""


class Doubt(NamedTuple):
    """A key whose row is not what the refold says. None: there is no row on that side."""

    key: str
    kept: Row | None
    expected: Row | None


class Looked(NamedTuple):
    """How many rows the store has of some keys, and which of these are in doubt."""

    rows: int
    doubts: list[Doubt]


class Found(NamedTuple):
    """How many rows were compared, and which keys are in doubt."""

    rows: int
    doubts: list[str]


async def compare_rows(refold: Refold, wanted: Wanted | None, pace: Pace) -> Found:
    """Compare every row that the store has of the wanted keys, then what it should have besides.

    Memory: the refold, one page, and the keys in doubt.
    """
    rows, seen = 0, set[str]()
    doubts: list[str] = []
    async for page in _pages(refold, pace):
        await refold.advance((await refold.store.checkpoint(refold.plan.name)).position)
        mine = page if wanted is None else [row for row in page if wanted(row.key)]
        expected = refold.rows.get
        seen.update(row.key for row in mine if row.key in refold.rows)
        unsure = [row.key for row in mine if row != expected(row.key)]
        rows += len(mine)
        if unsure:
            doubts += [doubt.key for doubt in (await look(refold, unsure)).doubts]
    missing = await compare_keys(refold, sorted(refold.rows.keys() - seen), pace)
    return Found(rows + missing.rows, doubts + missing.doubts)


async def compare_keys(refold: Refold, keys: Sequence[str], pace: Pace) -> Found:
    """Compare the rows of these keys, whether the store has them or not."""
    rows = 0
    doubts: list[str] = []
    for some in _pages_of(keys, pace.at_once(PAGE)):
        looked = await look(refold, some)
        rows += looked.rows
        doubts += [one.key for one in looked.doubts]
        await pace.spend(len(some))
    return Found(rows, doubts)


async def look(refold: Refold, keys: Sequence[str]) -> Looked:
    """Those of `keys` whose rows, at one moment, are not what the refold says of that moment.

    A row that cannot be read is in doubt, with the text of the error as its value. Raises what
    Refold.advance raises.
    """
    try:
        loaded = await refold.store.load(refold.plan.name, keys)
    except StoreError as error:
        if type(error) is not StoreError:  # the store is not there; nothing is wrong with a row
            raise
        if len(keys) == 1:
            kept = Row(keys[0], 0, str(error))
            return Looked(1, [Doubt(keys[0], kept, refold.rows.get(keys[0]))])
        half = len(keys) // 2
        one, other = await look(refold, keys[:half]), await look(refold, keys[half:])
        return Looked(one.rows + other.rows, one.doubts + other.doubts)
    await refold.advance(loaded.checkpoint)
    pairs = ((key, loaded.rows.get(key), refold.rows.get(key)) for key in keys)
    doubts = [Doubt(*pair) for pair in pairs if not _same(*pair[1:])]
    return Looked(len(loaded.rows), doubts)


async def _pages(refold: Refold, pace: Pace) -> AsyncIterator[list[Row]]:
    after: str | None = None
    limit = most = pace.at_once(PAGE)
    while True:
        find = Find(limit=limit, after_key=after)
        try:
            page = await refold.store.find(refold.plan.name, find)
        except StoreError as error:
            if type(error) is not StoreError:
                raise
            if limit > 1:  # the rows before the one that cannot be read
                limit //= 2
                continue
            after, limit = await _unreadable(refold, after, error), most
            continue
        if not page:
            return
        yield page
        await pace.spend(len(page))
        after = page[-1].key


async def _unreadable(refold: Refold, after: str | None, error: StoreError) -> str:
    """The key of the first row after `after`, which cannot be read: the next that should be there.

    It is looked at again with the rows that are missing. Raises `error` when nobody expects it.
    """
    await refold.advance((await refold.store.checkpoint(refold.plan.name)).position)
    expected = sorted(key for key in refold.rows if after is None or key > after)
    for some in _pages_of(expected, PAGE):
        for doubt in (await look(refold, some)).doubts:
            if doubt.kept is not None and isinstance(doubt.kept.value, str):
                return doubt.key
    raise error


def _pages_of(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[at : at + size] for at in range(0, len(keys), size))


def _same(kept: Row | None, expected: Row | None) -> bool:
    if kept == expected:
        return True
    if kept is None or expected is None or kept.position != expected.position:
        return False
    # Stored and read again, a tuple may be a list, and a whole number a float.
    again = msgspec.json.decode(msgspec.json.encode(expected.value), type=type(expected.value))
    return bool(again == kept.value)
