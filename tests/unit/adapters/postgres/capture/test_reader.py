"""The order peek, append, advance under crashes: a slot in memory, and a log that fails at will."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import pgoutput_writing as writing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import Event
from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.postgres.capture.beginning import Attached
from diptych.adapters.postgres.capture.chain import Chain
from diptych.adapters.postgres.capture.mapped import Mapped
from diptych.adapters.postgres.capture.reader import Limits, Reader
from diptych.adapters.postgres.capture.seen import Seen
from diptych.adapters.postgres.capture.tables import CapturedTable, by_table
from diptych.environment import Environment
from diptych.errors import CaptureFailed, StoreUnavailable
from diptych.events.capture import RowChange, TransactionChanges, captures

LINES, OTHER = 1, 2
COLUMNS = [("id", 23, 1), ("stream", 25, 0)]


class Told(Event):
    id: int


@captures("lines")
def lines(change: RowChange) -> tuple[str, Told]:
    return change.row["stream"], Told(change.row["id"])


@captures("lines")
def whole(changes: TransactionChanges) -> tuple[str, Told]:
    return "all", Told(len(changes.changes))


class Transaction(NamedTuple):
    """A committed one: its changes as (id, stream), and whether each is of a captured table."""

    lsn: int
    number: int
    changes: list[tuple[int, str, bool]]

    @property
    def end_lsn(self) -> int:
        return self.lsn + 8


class Slot:
    """What the server keeps: peeked in whole transactions, advanced, put back by a crash."""

    def __init__(self, transactions: list[Transaction]) -> None:
        self.transactions = transactions
        self.confirmed = 0
        self.earlier = [0]

    @property
    def flushed(self) -> int:
        return self.transactions[-1].end_lsn + 100 if self.transactions else 1

    def peek(self, upto: int, most: int) -> list[dict[str, Any]]:
        rows: list[bytes] = []
        last = 0
        described: set[int] = set()
        for one in self.transactions:
            if one.lsn < self.confirmed or one.lsn >= upto:
                continue
            if len(rows) >= most:
                break
            rows.append(writing.begin(one.lsn, one.number))
            for number, stream, ours in one.changes:
                table = LINES if ours else OTHER
                if table not in described:
                    described.add(table)
                    rows.append(writing.relation(table, f"t{table}", COLUMNS))
                rows.append(writing.insert(table, [str(number), stream]))
            rows.append(writing.commit(one.lsn, one.end_lsn))
            last = one.end_lsn
        found = [{"rows": None, "upto": None, "data": data} for data in rows]
        return [*found, {"rows": len(rows), "upto": last or None, "data": None}]

    def advance(self, upto: int) -> None:
        self.confirmed = max(self.confirmed, upto)
        self.earlier.append(self.confirmed)


class Peek:
    """As much of a cursor."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self.rows = rows

    async def fetch(self, most: int) -> list[Any]:
        return list(islice(self.rows, most))


class Connection:
    """As much of asyncpg as a reader uses."""

    def __init__(self, slot: Slot, *, lose_advances: bool = False) -> None:
        self.slot = slot
        self.lose_advances = lose_advances

    async def fetchrow(self, statement: str) -> Any:
        return {"flushed": self.slot.flushed}

    async def patiently(self, answer: Any) -> Any:
        return await answer

    def transaction(self) -> Any:
        return contextlib.AsyncExitStack()

    async def cursor(self, statement: str, slot: str, upto: int, most: int, *rest: Any):
        return Peek(iter(self.slot.peek(upto, most)))

    async def fetch(self, statement: str, slot: str, upto: int) -> None:
        if self.lose_advances:
            raise StoreUnavailable("the server crashed instead of advancing")
        self.slot.advance(upto)


class FailingLog(MemoryEventLog):
    """Fails the n-th append from now: before it, or after it was done."""

    fail_in = -1
    after = False

    async def append(self, append):
        self.fail_in -= 1
        if self.fail_in == 0 and not self.after:
            raise StoreUnavailable("before")
        done = await super().append(append)
        if self.fail_in == 0:
            raise StoreUnavailable("after")
        return done


def reader(slot: Slot, log, mapping=lines, limits=None, seen=None, **options) -> Reader:
    tables = {LINES: CapturedTable("lines", LINES, "lines", ("id",))}
    attached = Attached(
        tables, Chain(log, "s", "g"), Mapped("s", by_table([mapping]), Environment()), seen
    )
    return Reader(Connection(slot, **options), "s", attached, limits or Limits())


async def until_nothing_is_left(one: Reader) -> None:
    while await one.look():
        pass


async def told(log) -> list[tuple[str, int]]:
    import msgspec

    return [(e.stream, msgspec.json.decode(e.data)["id"]) for e in await log.read(0, 100_000)]


def by_stream(found: list[tuple[str, int]]) -> dict[str, list[int]]:
    return {stream: [n for s, n in found if s == stream] for stream, _ in found}


def expected(transactions: list[Transaction]) -> list[list[tuple[str, int]]]:
    """What each transaction must leave in the log."""
    return [[(s, n) for n, s, ours in one.changes if ours] for one in transactions]


def in_commit_order(found: list[tuple[str, int]], transactions: list[Transaction]) -> bool:
    """Whether transactions come one after the other, each with its streams in their own order."""
    at = 0
    for wanted in expected(transactions):
        part = found[at : at + len(wanted)]
        if sorted(part) != sorted(wanted) or by_stream(part) != by_stream(wanted):
            return False
        at += len(wanted)
    return at == len(found)


@st.composite
def histories(draw) -> list[Transaction]:
    sizes = draw(st.lists(st.integers(0, 7), max_size=12))
    made, number = [], 0
    for index, size in enumerate(sizes):
        changes = []
        for _ in range(size):
            number += 1
            stream = draw(st.sampled_from("abc"))
            changes.append((number, stream, draw(st.integers(0, 4)) > 0))
        made.append(Transaction(100 + index * 10, 700 + index, changes))
    return made


LIMITS = st.builds(
    Limits,
    rows=st.integers(1, 30),
    together=st.integers(1, 10),
    changes=st.integers(1, 10),
    bytes=st.sampled_from([60, 200, 10_000]),
)
ATTEMPTS = st.lists(
    st.tuples(
        LIMITS,
        st.integers(1, 6),  # which append fails
        st.booleans(),  # before it or after it
        st.booleans(),  # whether the crash keeps the slot from advancing
        st.integers(0, 100),  # to which earlier place the slot falls back
    ),
    max_size=8,
)


@given(histories(), ATTEMPTS, LIMITS)
async def test_nothing_is_lost_doubled_or_misplaced_by_any_crash(history, attempts, limits):
    log, slot = FailingLog(), Slot(history)
    await log.open()
    for other, fail_in, after, lose, back in attempts:
        log.fail_in, log.after = fail_in, after
        with contextlib.suppress(StoreUnavailable):
            await until_nothing_is_left(reader(slot, log, limits=other, lose_advances=lose))
        slot.confirmed = slot.earlier[back % len(slot.earlier)]
    log.fail_in = -1
    await until_nothing_is_left(reader(slot, log, limits=limits))
    found = await told(log)
    assert sorted(found) == sorted(one for some in expected(history) for one in some)
    assert by_stream(found) == by_stream([one for some in expected(history) for one in some])
    if limits.changes > 7 and limits.bytes > 1_000 and not attempts:
        assert in_commit_order(found, history)


@given(histories(), st.lists(st.tuples(st.booleans(), LIMITS), max_size=10), LIMITS)
async def test_two_at_the_same_time_are_harmless(history, turns, limits):
    """One may be stopped anywhere and come back later, with what it had seen then."""
    log, slot = MemoryEventLog(), Slot(history)
    await log.open()
    stale = Slot(history)  # the stopped one peeked before the other advanced
    for late, other in turns:
        await reader(stale if late else slot, log, limits=other).look()
    await until_nothing_is_left(reader(stale, log, limits=limits))
    await until_nothing_is_left(reader(slot, log, limits=limits))
    assert by_stream(await told(log)) == by_stream(
        [one for some in expected(history) for one in some]
    )


@given(histories())
async def test_the_log_has_the_transactions_in_the_order_of_their_commits(history):
    log, slot = MemoryEventLog(), Slot(history)
    await log.open()
    await until_nothing_is_left(reader(slot, log))
    assert in_commit_order(await told(log), history)


async def test_small_transactions_share_an_append():
    history = [Transaction(100 + n * 10, 700 + n, [(n, f"s{n}", True)]) for n in range(50)]
    log, slot = FailingLog(), Slot(history)
    await log.open()
    await until_nothing_is_left(reader(slot, log))
    assert log.fail_in == -2  # one append
    assert len(await told(log)) == 50


async def test_a_capture_that_advances_before_it_appends_loses():
    """The control: the crashes of these tests do hurt whoever does it the other way round."""
    history = [Transaction(100, 700, [(1, "a", True)]), Transaction(110, 701, [(2, "a", True)])]
    log, slot = FailingLog(), Slot(history)
    await log.open()
    log.fail_in = 1
    slot_before = Slot(history)
    slot.advance(slot.flushed)
    with pytest.raises(StoreUnavailable):
        await until_nothing_is_left(reader(slot_before, log))
    await until_nothing_is_left(reader(slot, log))
    assert await told(log) == []


async def test_what_the_rows_at_the_beginning_showed_is_left_out():
    history = [Transaction(100, 700, [(1, "a", True)]), Transaction(110, 701, [(2, "a", True)])]
    log = MemoryEventLog()
    await log.open()
    await until_nothing_is_left(reader(Slot(history), log, seen=Seen("701:701:", 120)))
    assert await told(log) == [("a", 2)]


async def test_a_mapping_that_raises_stops_before_its_transaction():
    @captures("lines")
    def picky(change: RowChange) -> tuple[str, Told]:
        if change.row["id"] == 2:
            raise ValueError("not this one")
        return lines(change)

    history = [Transaction(100 + n * 10, 700 + n, [(n, "a", True)]) for n in range(4)]
    log, slot = MemoryEventLog(), Slot(history)
    await log.open()
    with pytest.raises(CaptureFailed, match=r"insert of lines \{'id': 2\}.*not this one") as failed:
        await until_nothing_is_left(reader(slot, log, picky))
    assert (failed.value.table, failed.value.key, failed.value.lsn) == ("lines", {"id": 2}, "0/78")
    assert slot.confirmed <= 120
    assert await told(log) == [("a", 0), ("a", 1)]
    await until_nothing_is_left(reader(slot, log))
    assert await told(log) == [("a", 0), ("a", 1), ("a", 2), ("a", 3)]


async def test_a_transaction_that_is_too_large_for_its_mapping_stops_the_capture():
    history = [Transaction(100, 700, [(n, "a", True) for n in range(9)])]
    log, slot = MemoryEventLog(), Slot(history)
    await log.open()
    with pytest.raises(CaptureFailed, match="more than 5 changes"):
        await until_nothing_is_left(reader(slot, log, whole, Limits(changes=5)))
    assert (slot.confirmed, await told(log)) == (0, [])
    await until_nothing_is_left(reader(slot, log, whole, Limits(changes=10)))
    assert await told(log) == [("all", 9)]
