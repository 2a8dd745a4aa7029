"""What other programs do to tables, and what comes of it in the log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from diptych import Event
from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.postgres.capture import Capture, mark_own_transaction
from diptych.adapters.postgres.capture.reader import Limits
from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.errors import CaptureFailed, CaptureLost, ConfigurationError
from diptych.events.capture import RowChange, TransactionChanges, captures


class Seen(Event, stream="order-{id}"):
    id: Any
    operation: str
    new: dict[str, Any] | None
    old: dict[str, Any] | None
    unchanged: list[str]


class Placed(Event, stream="order-{id}"):
    id: int
    total: str


def seen(change: RowChange) -> Seen:
    new, old = change.new, change.old
    unchanged = sorted(new.unchanged) if new is not None else []
    id = change.key.get("id", "none")  # noqa: A001
    return Seen(id, change.operation, new and dict(new), old and dict(old), unchanged)


order_changes = captures("orders")(seen)


@pytest.fixture
async def log() -> AsyncIterator[MemoryEventLog]:
    made = MemoryEventLog()
    await made.open()
    yield made
    await made.close()


async def told(log) -> list[dict[str, Any]]:
    return [msgspec.json.decode(one.data) for one in await log.read(0, 100_000)]


async def what(log) -> list[tuple[str, Any]]:
    return [(one["operation"], one["id"]) for one in await told(log)]


async def test_inserts_updates_deletes_and_truncates_come_with_their_rows(url, database, log):
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
        await database.execute("INSERT INTO orders (id, note) VALUES (1, 'a')")
        await database.execute("UPDATE orders SET state = 'paid' WHERE id = 1")
        await database.execute("UPDATE orders SET id = 2 WHERE id = 1")
        await database.execute("DELETE FROM orders WHERE id = 2")
        await database.execute("TRUNCATE orders")
        await capture.caught_up()
    new = {"id": 1, "state": "new", "note": "a"}
    paid = {**new, "state": "paid"}
    assert [(e["operation"], e["id"], e["new"], e["old"]) for e in await told(log)] == [
        ("insert", 1, new, None),
        ("update", 1, paid, None),
        ("update", 2, {**paid, "id": 2}, {"id": 1}),
        ("delete", 2, None, {"id": 2}),
        ("truncate", "none", None, None),
    ]


async def test_an_event_says_where_it_came_from(url, database, log):
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
        await database.execute("INSERT INTO orders (id) VALUES (1)")
        await capture.caught_up()
        status = await capture.status()
    meta = msgspec.json.decode((await log.read(0, 1))[0].meta)
    assert meta["cau"] == meta["cor"] == f"diptych:{status.last_lsn}"
    assert meta["act"] == "capture:diptych"
    assert (status.state, status.events, status.why) == ("running", 1, "")
    assert status.kept.limit_bytes == 1 << 30
    assert (await capture.status()).state == "stopped"


async def test_what_is_rolled_back_is_never_seen(url, database, log):
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
        with contextlib.suppress(ZeroDivisionError):
            async with database.transaction():
                await database.execute("INSERT INTO orders (id) VALUES (1)")
                raise ZeroDivisionError
        async with database.transaction():
            await database.execute("INSERT INTO orders (id) VALUES (2)")
            with contextlib.suppress(ZeroDivisionError):
                async with database.transaction():
                    await database.execute("INSERT INTO orders (id) VALUES (3)")
                    raise ZeroDivisionError
        await capture.caught_up()
    assert await what(log) == [("insert", 2)]


async def test_own_transactions_are_left_out_wherever_the_mark_stands(url, database, log):
    async with Capture(url, log, [order_changes], limits=Limits(changes=2)) as capture:
        await capture.caught_up()
        async with database.transaction():
            await database.execute("INSERT INTO orders (id) SELECT generate_series(1, 9)")
            await mark_own_transaction(database)
        # The description of the table came with the transaction that was left out.
        await database.execute("INSERT INTO orders (id) VALUES (10)")
        with contextlib.suppress(ZeroDivisionError):
            async with database.transaction():
                await mark_own_transaction(database)
                raise ZeroDivisionError
        async with database.transaction():
            await database.execute("INSERT INTO orders (id) VALUES (11)")
            await database.execute("SELECT pg_logical_emit_message(true, 'other', 'diptych')")
        await capture.caught_up()
    assert await what(log) == [("insert", 10), ("insert", 11)]


async def test_a_large_value_that_did_not_change_is_said_to_be_unchanged(url, database, log):
    await database.execute("ALTER TABLE orders ALTER note SET STORAGE EXTERNAL")
    large = "x" * 10_000
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
        await database.execute("INSERT INTO orders (id, note) VALUES (1, $1)", large)
        await database.execute("UPDATE orders SET state = 'paid'")
        await database.execute("ALTER TABLE orders REPLICA IDENTITY FULL")
        await database.execute("UPDATE orders SET state = 'sent'")
        await capture.caught_up()
    first, second, third = await told(log)
    assert first["new"]["note"] == large
    assert (second["unchanged"], "note" in second["new"]) == (["note"], False)
    assert (third["unchanged"], third["new"]["note"], third["old"]["note"]) == ([], large, large)


async def test_a_large_transaction_comes_whole_and_in_order(url, database, log):
    async with Capture(url, log, [order_changes], limits=Limits(changes=1_000)) as capture:
        await capture.caught_up()
        await database.execute("INSERT INTO orders (id) SELECT generate_series(1, 25500)")
        await database.execute("DELETE FROM orders WHERE id = 25500")
        await capture.caught_up()
    assert await what(log) == [*(("insert", n) for n in range(1, 25_501)), ("delete", 25_500)]


async def test_a_mapping_may_take_a_whole_transaction(url, database, log):
    await database.execute("CREATE TABLE lines (id int PRIMARY KEY, of_order int, price numeric)")

    @captures("orders", "lines")
    def placed(together: TransactionChanges) -> list[Placed]:
        orders = [one.row["id"] for one in together.changes if one.table == "orders"]
        prices = [one.row["price"] for one in together.changes if one.table == "lines"]
        return [Placed(id, str(sum(prices))) for id in orders]  # noqa: A001

    async with Capture(url, log, [placed]) as capture:
        await capture.caught_up()
        async with database.transaction():
            await database.execute("INSERT INTO lines VALUES (1, 7, 1.10), (2, 7, 2.20)")
            await database.execute("INSERT INTO orders (id) VALUES (7)")
        await capture.caught_up()
    assert await told(log) == [{"id": 7, "total": "3.30"}]


async def test_columns_and_names_may_change_while_it_runs(url, database, log):
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
        await database.execute("INSERT INTO orders (id) VALUES (1)")
        await database.execute("ALTER TABLE orders ADD extra int[] DEFAULT '{1}'")
        await database.execute("INSERT INTO orders (id) VALUES (2)")
        await database.execute("ALTER TABLE orders RENAME state TO condition")
        await database.execute("INSERT INTO orders (id) VALUES (3)")
        await database.execute("ALTER TABLE orders DROP note")
        await database.execute("INSERT INTO orders (id) VALUES (4)")
        await database.execute("ALTER TABLE orders RENAME TO purchases")
        await database.execute("INSERT INTO purchases (id) VALUES (5)")
        await capture.caught_up()
    assert [sorted(one["new"]) for one in await told(log)] == [
        ["id", "note", "state"],
        ["extra", "id", "note", "state"],
        ["condition", "extra", "id", "note"],
        ["condition", "extra", "id"],
        ["condition", "extra", "id"],
    ]


async def test_changes_while_nobody_captures_come_later(url, database, tmp_path: Path):
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    for number in range(3):
        async with Capture(url, log, [order_changes]) as capture:
            await capture.caught_up()
        await database.execute("INSERT INTO orders (id) VALUES ($1)", number)
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
    assert await what(log) == [("insert", 0), ("insert", 1), ("insert", 2)]
    await log.close()


async def test_it_begins_with_the_rows_that_are_there_while_others_write(url, database, log):
    """Every row is told once, by the snapshot or by its insert; every later change once."""
    await database.execute("INSERT INTO orders (id) SELECT generate_series(1, 5000)")
    enough = asyncio.Event()
    written: dict[int, list[str]] = {n: [] for n in range(1, 5_001)}

    async def write(number: int) -> None:
        connection = await asyncpg.connect(url)
        at = number
        while not enough.is_set() or at < 200:
            at += 4
            async with connection.transaction():
                await connection.execute("UPDATE orders SET state = $2 WHERE id = $1", at, str(at))
                await connection.execute("INSERT INTO orders (id) VALUES ($1)", 10_000 + at)
            written[at].append("update")
            written[10_000 + at] = []
        await connection.close()

    writing = [asyncio.create_task(write(number)) for number in range(4)]
    capture = Capture(url, log, [order_changes], snapshot=True)
    async with capture:
        await capture.caught_up()
        enough.set()
        await asyncio.gather(*writing)
        await capture.caught_up()
    state: dict[int, str] = {}
    times: dict[int, int] = {}
    for one in await told(log):
        state[one["id"]] = one["new"]["state"]
        if one["operation"] in ("snapshot", "insert"):
            times[one["id"]] = times.get(one["id"], 0) + 1
        else:
            times[one["id"]] += 10
    rows = dict(await database.fetch("SELECT id, state FROM orders"))
    assert state == rows
    assert set(times.values()) <= {1, 11}, "a row, or a change, was told twice"
    assert 11 in times.values(), "nobody wrote after the snapshot"
    assert await log.head() == sum(1 if n == 1 else 2 for n in times.values())


async def test_values_of_the_beginning_are_those_of_changes(url, database, log):
    await database.execute(
        "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE kinds (id int PRIMARY KEY, a numeric,"
        " b bool, c timestamptz, d bytea, e text[], f mood, g jsonb, h text, i char(3))"
    )
    row = (
        "1.50, true, '2026-01-02 03:04:05+01', '\\x00ff', '{\"a\\\\b\",NULL}', 'ok',"
        " '{\"k\": [1]}', E'tab\\tline\\nback\\\\slash \\u00e9', 'x'"
    )
    await database.execute(f"INSERT INTO kinds VALUES (1, {row})")
    taken: list[dict[str, Any]] = []

    @captures("kinds")
    def take(change: RowChange) -> None:
        taken.append({**change.row, "id": 0})

    async with Capture(url, log, [take], snapshot=True) as capture:
        await capture.caught_up()
        await database.execute(f"INSERT INTO kinds VALUES (2, {row})")
        await capture.caught_up()
    assert taken[0] == taken[1]
    assert taken[0]["h"] == "tab\tline\nback\\slash é"
    assert taken[0]["e"] == ["a\\b", None]
    assert taken[0]["i"] == "x  "


async def test_a_mapping_that_raises_stops_it_and_a_better_one_goes_on(
    url, database, tmp_path: Path, caplog
):
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()

    @captures("orders")
    def picky(change: RowChange) -> Seen:
        if change.row["id"] == 2:
            raise ValueError("not this one")
        return seen(change)

    async with Capture(url, log, [picky]) as capture:
        await capture.caught_up()
        for number in range(4):
            await database.execute("INSERT INTO orders (id) VALUES ($1)", number)
        with pytest.raises(CaptureFailed, match=r"insert of orders \{'id': 2\}") as failed:
            await capture.caught_up()
        assert (await capture.status()).state == "failed"
        assert "not this one" in (await capture.status()).why
    assert failed.value.facts.keys() == {"slot", "table", "key", "lsn"}
    assert await what(log) == [("insert", 0), ("insert", 1)]
    assert "stopped" in caplog.text
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
    assert await what(log) == [("insert", n) for n in range(4)]
    await log.close()


async def refused(url: str, log, *mappings, **options) -> str:
    with pytest.raises(ConfigurationError) as error:
        await Capture(url, log, mappings or [order_changes], **options).run()
    return str(error.value)


async def test_what_cannot_be_captured_is_refused_before_anything_is_made(url, database, log):
    await database.execute(
        "CREATE TABLE bare (id int); CREATE VIEW orders_view AS TABLE orders;"
        "CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY)"
    )
    bare = await refused(url, log, captures("bare")(seen))
    assert "ALTER TABLE bare REPLICA IDENTITY FULL" in bare
    assert "there is no table nowhere" in await refused(url, log, captures("nowhere")(seen))
    assert "ordinary" in await refused(url, log, captures("orders_view")(seen))
    assert "unlogged" in await refused(url, log, captures("unlogged")(seen))
    wants = captures("orders", old_rows=True)(seen)
    assert "ALTER TABLE orders REPLICA IDENTITY FULL" in await refused(url, log, wants)
    same = captures("orders", "public.orders")(seen)
    assert "the same table" in await refused(url, log, same)
    assert await database.fetch("SELECT FROM pg_publication") == []
    assert await database.fetch("SELECT FROM pg_replication_slots") == []
    await database.execute("ALTER TABLE bare REPLICA IDENTITY FULL")
    async with Capture(url, log, [captures("bare")(seen)]) as capture:
        await capture.caught_up()


async def test_another_log_or_a_foreign_slot_is_refused(url, database, log):
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
    other = MemoryEventLog()
    await other.open()
    assert "feeds the log" in await refused(url, other)
    await database.execute("SELECT pg_create_logical_replication_slot('foreign', 'pgoutput')")
    assert "not this capture's" in await refused(url, log, slot="foreign")


async def test_a_slot_that_was_dropped_is_lost_until_it_begins_again(url, database, log):
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
    await database.execute("SELECT pg_drop_replication_slot('diptych')")
    await database.execute("INSERT INTO orders (id) VALUES (1)")
    async with Capture(url, log, [order_changes]) as capture:
        with pytest.raises(CaptureLost, match="resnapshot"):
            await capture.caught_up()
        assert (await capture.status()).state == "lost"
        with pytest.raises(ConfigurationError, match="close it"):
            await capture.resnapshot()
    await capture.resnapshot()
    async with capture:
        await capture.caught_up()
        await database.execute("INSERT INTO orders (id) VALUES (2)")
        await capture.caught_up()
    assert await what(log) == [("snapshot", 1), ("insert", 2)]


async def test_partitions_come_as_their_table(url, database, log):
    await database.execute(
        "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10);"
        "INSERT INTO parted VALUES (1)"
    )
    async with Capture(url, log, [captures("parted")(seen)], snapshot=True) as capture:
        await capture.caught_up()
        await database.execute("INSERT INTO parted VALUES (2)")
        await capture.caught_up()
    assert await what(log) == [("snapshot", 1), ("insert", 2)]


async def test_it_can_be_removed_for_good(url, database, log):
    capture = Capture(url, log, [order_changes])
    async with capture:
        await capture.caught_up()
    await capture.drop()
    assert await database.fetch("SELECT FROM pg_publication") == []
    assert await database.fetch("SELECT FROM pg_replication_slots") == []
    assert await database.fetch("SELECT FROM diptych.captures") == []


async def test_a_quiet_table_lets_go_of_what_others_write(url, database, log):
    async with Capture(url, log, [order_changes]) as capture:
        await capture.caught_up()
        behind = (
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)"
            " FROM pg_replication_slots"
        )
        await database.execute("INSERT INTO others SELECT generate_series(1, 100000)")
        assert await database.fetchval(behind) > 4 << 20
        await capture.caught_up()
        assert await database.fetchval(behind) < 4 << 20
    assert await what(log) == []
