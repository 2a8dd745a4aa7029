"""Somebody changes the log behind our back, with all rights; the anchor gives it away."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest
from banking import BANK, Deposit

from diptych import App
from diptych.errors import SealBroken
from diptych.operations.trail import Trail
from diptych.operations.trail.checking import SealCheck

EVENTS = 60
NUMBERS = {"position": 6, "version": 10, "schema": 1, "recorded": 20}
BYTES = ("stream", "type", "data", "meta")


class Tampered:
    """One log of sixty events, sealed in blocks of ten, and somebody with all rights."""

    def __init__(self, url: str, anchor: Path, tamper: Callable[..., Awaitable[Any]]) -> None:
        self.url = url
        self.anchor = anchor
        self.sql = tamper

    async def use(self, work: Callable[[Trail], Awaitable[Any]]) -> Any:
        app = App("bank", BANK, write=self.url, read="memory://")
        await app.open(projections=False)
        try:
            return await work(app.trail)
        finally:
            await app.close()

    async def check(self) -> SealCheck:
        return await self.use(lambda trail: trail.check(self.anchor))

    async def sealed(self, every: int = 10) -> Tampered:
        async with App("bank", BANK, write=self.url, read="memory://") as app:
            for number in range(EVENTS):
                await app.dispatch(Deposit(f"k{number % 7}", number + 1), actor="ann")
        await self.use(lambda trail: trail.seal(self.anchor, every=every, to_head=True))
        assert (await self.check()).ok
        return self


class SqliteLog(Tampered):
    recorded = "recorded_at"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"sqlite:///{folder}/bank.db", folder / "anchor", self._tamper)
        self.file = folder / "bank.db"

    async def _tamper(self, sql: str, *parameters: Any) -> list[Any]:
        connection = apsw.Connection(str(self.file))
        try:
            for trigger in ("events_never_change", "events_never_vanish"):
                connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            connection.pragma("ignore_check_constraints", True)
            return list(connection.execute(sql, parameters))
        finally:
            connection.close()

    async def flip(self, column: str, position: int, bit: int) -> None:
        if column in NUMBERS:
            name = self.recorded if column == "recorded" else column
            flipped = f"({name} | ?) - ({name} & ?)"
            await self._tamper(
                f"UPDATE events SET {name} = {flipped} WHERE position = ?",
                1 << bit,
                1 << bit,
                position,
            )
            return
        [[value]] = await self._tamper(
            f"SELECT CAST({column} AS BLOB) FROM events WHERE position = ?", position
        )
        kind = "BLOB" if column in ("data", "meta") else "TEXT"
        await self._tamper(
            f"UPDATE events SET {column} = CAST(? AS {kind}) WHERE position = ?",
            flipped_bit(value, bit),
            position,
        )


class PostgresLog(Tampered):
    recorded = "recorded_us"

    def __init__(self, url: str, primary: str, schema: str, folder: Path) -> None:
        super().__init__(url, folder / "anchor", self._tamper)
        self._primary = primary
        self._schema = schema

    async def _tamper(self, sql: str, *parameters: Any) -> list[Any]:
        connection = await asyncpg.connect(self._primary)
        try:
            await connection.execute(f'SET search_path TO "{self._schema}"')
            await connection.execute("DROP TRIGGER IF EXISTS events_never_change ON events")
            for number in range(1, len(parameters) + 1):
                sql = sql.replace("?", f"${number}", 1)
            return [tuple(row) for row in await connection.fetch(sql, *parameters)]
        finally:
            await connection.close()

    async def flip(self, column: str, position: int, bit: int) -> None:
        if column in NUMBERS:
            name = self.recorded if column == "recorded" else column
            await self._tamper(
                f"UPDATE events SET {name} = {name} # {1 << bit} WHERE position = ?", position
            )
            return
        [[value]] = await self._tamper(f"SELECT {column} FROM events WHERE position = ?", position)
        if isinstance(value, str):  # whose every byte PostgreSQL holds to be UTF-8
            value = flipped_bit(value.encode(), bit & ~7).decode()
        else:
            value = flipped_bit(value, bit)
        await self._tamper(f"UPDATE events SET {column} = ? WHERE position = ?", value, position)


def flipped_bit(value: bytes, bit: int) -> bytes:
    place = bit // 8 % len(value)
    return value[:place] + bytes([value[place] ^ (1 << bit % 8)]) + value[place + 1 :]


@pytest.fixture(params=["sqlite", "postgres"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        return SqliteLog(tmp_path)
    primary = request.getfixturevalue("postgres").primary
    url = request.getfixturevalue("postgres_url")
    return PostgresLog(url, primary, request.getfixturevalue("postgres_schema"), tmp_path)


def found(check: SealCheck) -> list[tuple[int, int, str]]:
    return [(one.first, one.last, one.changed) for one in check.findings]


@pytest.mark.parametrize("column", [*NUMBERS, *BYTES])
async def test_f41_a_flipped_bit_in_any_column_is_found_and_its_block_is_named(log, column: str):
    await log.sealed()
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201  what makes a failure repeatable
    bit = NUMBERS.get(column, random.Random(seed).randrange(32))
    await log.flip(column, 57, bit)
    check = await log.check()
    assert found(check) == [(51, 60, "log")]
    with pytest.raises(SealBroken):
        await log.use(lambda trail: trail.seal(log.anchor))


async def test_f41_blocks_of_one_name_the_very_position(log):
    await log.sealed(every=1)
    await log.flip("data", 23, 9)
    assert found(await log.check()) == [(23, 23, "log")]


async def test_f41_a_bit_flipped_back_is_as_sealed(log):
    await log.sealed()
    for _ in range(2):
        await log.flip("data", 23, 9)
    assert (await log.check()).ok


@pytest.mark.parametrize(("left", "first"), [(50, 51), (34, 31), (0, 1)])
async def test_a_truncated_log_is_found(log, left: int, first: int):
    await log.sealed()
    await log.sql("DELETE FROM events WHERE position > ?", left)
    check = await log.check()
    assert found(check)[0] == (first, first + 9, "log")
    assert f"the log ends at position {left}" in check.findings[0].why


async def test_an_event_that_was_taken_out_is_found_also_when_the_others_close_up(log):
    await log.sealed()
    await log.sql("DELETE FROM events WHERE position = 23")
    check = await log.check()
    assert found(check) == [(21, 30, "log")]
    assert "position 23 is gone" in check.findings[0].why
    for position in range(24, EVENTS + 1):
        await log.sql("UPDATE events SET position = position - 1 WHERE position = ?", position)
    assert found(await log.check())[0] == (21, 30, "log")


async def test_events_that_changed_places_are_found(log):
    await log.sealed()
    for before, after in ((15, 900), (16, 15), (900, 16)):
        await log.sql("UPDATE events SET position = ? WHERE position = ?", after, before)
    assert found(await log.check()) == [(11, 20, "log")]


async def test_the_history_of_a_tampered_log_is_still_told(log):
    await log.sealed()
    await log.flip("meta", 23, 7)  # no UTF-8 any more
    await log.flip("type", 24, 8)

    async def history(trail: Trail) -> list[Any]:
        return [one async for one in trail.history()]

    records = await log.use(history)
    assert [one.position for one in records if one.unreadable] == [23, 24]
    assert len(records) == EVENTS


async def test_f41_a_bit_flipped_in_the_file_itself_is_found(tmp_path):
    log = await SqliteLog(tmp_path).sealed()
    content = bytearray(log.file.read_bytes())
    place = content.index(b'"amount":57')
    content[place + 10] ^= 1
    log.file.write_bytes(content)
    assert found(await log.check()) == [(51, 60, "log")]


async def test_f41_a_text_that_is_no_text_any_more_is_a_finding_and_no_crash(tmp_path):
    log = await SqliteLog(tmp_path).sealed()
    await log.flip("stream", 23, 7)
    check = await log.check()
    assert found(check) == [(21, 30, "log")]
    assert "cannot be read" in check.findings[0].why


async def test_another_log_in_the_place_of_the_sealed_one_is_found(tmp_path):
    log = await SqliteLog(tmp_path).sealed()
    for file in tmp_path.glob("bank.db*"):
        file.unlink()
    async with App("bank", BANK, write=log.url) as app:
        for number in range(EVENTS):
            await app.dispatch(Deposit(f"k{number % 7}", number + 1), actor="ann")
    check = await log.check()
    assert found(check) == [(1, 10, "anchor")]
    assert "seals the log" in check.findings[0].why
