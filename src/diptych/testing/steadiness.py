"""Whether a projection gives the same rows whatever happens to those who run it.

A runner is stopped and started, delivers what it has delivered, folds a batch whose commit fails
and folds it again; a rebuild starts from nothing beside it; and a partition meets the keys in an
order of its own. None of that may be seen in the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import MethodType
from typing import Any, TypeVar

import apsw
import msgspec

from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.errors import CheckpointMoved
from diptych.messages.envelope import Envelope
from diptych.queries.fold import Batch
from diptych.queries.projection import Plan
from diptych.queries.read_store import Change, Find, Statement
from diptych.testing.difference import differences
from diptych.testing.recording import envelopes_of

__all__ = ["orders_of", "renewed", "unsteady_rows", "unsteady_statements"]

T = TypeVar("T")
Rows = dict[str, Any]
Unsteady = tuple[str, list[str]] | None
"""What is wrong, as the rest of a sentence, and the differences; None when nothing is."""

_ASKS_THE_DATABASE = re.compile(
    r"\b(CURRENT_(?:TIMESTAMP|DATE|TIME)|RANDOM\(|RANDOMBLOB\(|GEN_RANDOM_UUID\(|NOW\(|"
    r"CLOCK_TIMESTAMP\(|UNIXEPOCH\(\)|LAST_INSERT_ROWID\()|'now'",
    re.IGNORECASE,
)


def unsteady_rows(plan: Plan, events: Sequence[Any], rows: Rows) -> Unsteady:
    """What makes the rows of a projection other than `rows`, which its events have given."""
    envelopes = envelopes_of(events)
    found = differences(rows, _rebuilt(plan, envelopes))
    if found:
        return (
            "gives other rows when it is rebuilt: the object of the projection keeps state",
            found,
        )
    found = differences(rows, _at_once(_restarted(plan, envelopes)))
    if found:
        return (
            (
                "gives other rows when its runner is restarted between any two events, having "
                "folded what was never committed: something is kept outside the rows"
            ),
            found,
        )
    for order in orders_of(plan, envelopes):
        found = differences(rows, _rebuilt(plan, [envelopes[at] for at in order]))
        if found:
            told = ", ".join(str(at + 1) for at in order)
            return (
                (
                    f"gives other rows when the events come in the order {told}, which is the same "
                    "order for each key: a row depends on events of other keys"
                ),
                found,
            )
    return None


def unsteady_statements(plan: Plan, events: Sequence[Any]) -> Unsteady:
    """What makes the tables of a SqlProjection other than its statements, run in order, do."""
    asked = [
        sql
        for sql in dict.fromkeys([*plan.table.schema, *(one.sql for one in _stated(plan, events))])
        if _ASKS_THE_DATABASE.search(sql)
    ]
    if asked:
        return "asks the database for the time or for chance; put it into the event", asked
    envelopes = envelopes_of(events)
    once = _tables(plan, [_stated(plan, events)])
    batches = []
    fresh = plan
    for at in range(len(envelopes)):
        fresh = renewed(plan)
        lost = _statements(fresh, envelopes[at:])
        batches.append((lost, _statements(fresh, envelopes[at : at + 1])))
    found = differences(once, _tables(plan, [kept for _, kept in batches], batches))
    if found:
        return (
            (
                "leaves other tables when its runner is restarted between any two events, having "
                "applied what was never committed: something is kept outside the tables"
            ),
            found,
        )
    return None


def renewed(plan: Plan) -> Plan:
    """The plan with a new object of the projection, as another process would have it.

    Reading the class again would give the same, and take a thousand times longer.
    """
    fresh = plan.projection()
    steps = {
        event: step
        if isinstance(step.call.__self__, type)  # type: ignore[attr-defined]
        else step._replace(call=MethodType(step.call.__func__, fresh))  # type: ignore[attr-defined]
        for event, step in plan.steps.items()
    }
    return plan._replace(steps=steps)


def orders_of(plan: Plan, envelopes: Sequence[Envelope]) -> Iterator[list[int]]:
    """Some other orders of the events in which those of each key keep theirs."""
    keys = [frozenset(Batch(plan, [one], 0, one.position).keys) for one in envelopes]
    tried = [list(range(len(keys)))]
    first = [min(one, default="") for one in keys]
    ranks = sorted(set(first))
    for preference in (
        [ranks.index(one) for one in first],
        [-ranks.index(one) for one in first],
        [-at for at in range(len(keys))],
    ):
        order = _ordered(keys, preference)
        if order not in tried:
            tried.append(order)
            yield order


def _ordered(keys: Sequence[frozenset[str]], preference: Sequence[int]) -> list[int]:
    """Take, again and again, the preferred event that no earlier one of its keys is left before."""
    left = list(range(len(keys)))
    order = []
    while left:
        held: set[str] = set()
        free = []
        for at in left:
            if not keys[at] & held:
                free.append(at)
            held |= keys[at]
        order.append(min(free, key=lambda at: (preference[at], at)))
        left.remove(order[-1])
    return order


# -- rows ------------------------------------------------------------------------------------------


def _rebuilt(plan: Plan, envelopes: Sequence[Envelope]) -> Rows:
    """Rows of a new object of the projection, folded from nothing in one batch."""
    change = Batch(renewed(plan), envelopes, 0, len(envelopes)).change({})
    assert plan.shape is not None
    # As a store would give them back: a list in a row may be a tuple in the fold.
    read: Callable[[bytes], Any] = msgspec.json.Decoder(plan.shape.model).decode
    return {row.key: read(msgspec.json.encode(row.value)) for row in sorted(change.rows)}


async def _restarted(plan: Plan, envelopes: Sequence[Envelope]) -> Rows:
    """Rows after a restart at each checkpoint, each batch having been folded before in vain."""
    store = MemoryReadStore()
    await store.open([plan.table])
    for at in range(len(envelopes)):
        fresh = renewed(plan)
        # A larger batch that died before its commit.
        await _change(store, fresh, envelopes[at:], at)
        change = await _change(store, fresh, envelopes[at : at + 1], at)
        await store.apply([change])
        try:
            await store.apply([change])
        except CheckpointMoved:
            continue  # delivered again, refused by the fence
        raise AssertionError("the store took the same change twice")
    found = await store.find(plan.name, Find())
    return {row.key: row.value for row in found}


async def _change(
    store: MemoryReadStore, plan: Plan, envelopes: Sequence[Envelope], after: int
) -> Change:
    batch = Batch(plan, envelopes, after, after + len(envelopes))
    return batch.change((await store.load(plan.name, batch.keys)).rows)


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nobody, as those of memory do."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("memory does not wait")


# -- tables ----------------------------------------------------------------------------------------


def _stated(plan: Plan, events: Sequence[Any]) -> list[Statement]:
    return _statements(renewed(plan), envelopes_of(events))


def _statements(plan: Plan, envelopes: Sequence[Envelope]) -> list[Statement]:
    return list(Batch(plan, envelopes, 0, len(envelopes)).change({}).statements)


def _tables(
    plan: Plan,
    batches: Sequence[Sequence[Statement]],
    lost: Sequence[tuple[Sequence[Statement], Any]] = (),
) -> dict[str, Any]:
    """What the tables hold afterwards; before each batch, `lost` ones are run and rolled back."""
    database = apsw.Connection(":memory:")
    for sql in plan.table.schema:
        database.execute(sql)
    for at, batch in enumerate(batches):
        for statements, end in ((lost[at][0] if lost else (), "ROLLBACK"), (batch, "COMMIT")):
            database.execute("BEGIN")
            for statement in statements:
                database.execute(statement.sql, statement.parameters)
            database.execute(end)
    found = {
        name: [list(row) for row in database.execute(f'SELECT * FROM "{name}"')]  # noqa: S608
        for name in plan.table.tables
    }
    database.close()
    return found
