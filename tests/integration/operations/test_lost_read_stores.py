"""F36: a read store that was lost, or set back to an older copy, is noticed and filled again."""

from __future__ import annotations

import shutil

import apsw
import asyncpg
import pytest
from banking import BANK, Balance, Deposit, GetBalance

from diptych import App

pytestmark = pytest.mark.anyio


def app_in(folder) -> App:
    return App(
        "bank", BANK, write=f"sqlite:///{folder / 'log.db'}", read=f"sqlite:///{folder / 'read.db'}"
    )


async def fill(app: App, accounts: int = 10) -> None:
    for number in range(accounts):
        await app.dispatch(Deposit(f"k{number}", 1))
    await app.settle()


@pytest.mark.parametrize("lost", [False, True], ids=["older copy", "lost"])
async def test_f36_a_file_that_was_replaced_while_nobody_looked_is_caught_up(
    tmp_path, drift_of, lost
):
    async with app_in(tmp_path) as app:
        await fill(app)
    shutil.copy(tmp_path / "read.db", tmp_path / "older.db")
    async with app_in(tmp_path) as app:
        await fill(app)
        await fill(app, 15)
    for name in ("read.db", "read.db-wal", "read.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    if not lost:
        shutil.copy(tmp_path / "older.db", tmp_path / "read.db")
    app = app_in(tmp_path)
    await app.open(projections=False)
    found = await drift_of(app).verify()
    assert (found.ok, found.compared[0].position) == (True, 0 if lost else 10)
    await app.close()
    async with app_in(tmp_path) as app:
        await app.settle()
        assert await app.ask(GetBalance("k3")) == Balance("k3", 3)
        found = await drift_of(app).verify()
        assert (found.ok, found.rows, found.compared[0].position) == (True, 15, 35)


EMPTIED = "UPDATE checkpoints SET position = 0"
GONE = "DELETE FROM checkpoints"


@pytest.fixture
def lose(url, tmp_path, request):
    """Takes all rows away, and the checkpoint with them, in one transaction."""

    async def lose_all(checkpoint: str) -> None:
        statements = ("DELETE FROM balances", checkpoint)
        if url.startswith("sqlite"):
            connection = apsw.Connection(str(tmp_path / "bank.db"))
            connection.set_busy_timeout(5_000)
            with connection:
                for statement in statements:
                    connection.execute(statement)
            connection.close()
            return
        other = await asyncpg.connect(
            url.partition("?")[0],
            server_settings={"search_path": request.getfixturevalue("postgres_schema")},
        )
        async with other.transaction():
            for statement in statements:
                await other.execute(statement)
        await other.close()

    return lose_all


@pytest.mark.parametrize("checkpoint", [EMPTIED, GONE])
async def test_f36_what_was_lost_under_a_running_application_is_folded_again(
    url, lose, drift_of, checkpoint
):
    async with App("bank", BANK, write=url) as app:
        await fill(app)
        await lose(checkpoint)
        done = await app.dispatch(Deposit("k3", 1))
        assert await app.ask(GetBalance("k3"), after=done.token, within_s=5) == Balance("k3", 2)
        await app.settle()
        found = await drift_of(app).verify()
        assert (found.ok, found.rows) == (True, 10)


@pytest.mark.parametrize("checkpoint", [EMPTIED, GONE])
async def test_f36_what_was_lost_is_noticed_though_no_command_comes(
    url, lose, drift_of, checkpoint
):
    async with App("bank", BANK, write=url) as app:
        await fill(app)
        await lose(checkpoint)
        await app.settle()
        found = await drift_of(app).verify()
        assert (found.ok, found.rows, found.compared[0].position) == (True, 10, 10)


async def test_f36_rows_that_were_lost_without_their_checkpoint_are_named_and_mended(
    url, by_hand, drift_of
):
    async with App("bank", BANK, write=url) as app:
        await fill(app)
        hands = await by_hand()
        for number in range(10):
            await hands.delete(f"k{number}")
        found = await drift_of(app).verify()
        assert [one.key for one in found.differences] == [f"k{n}" for n in range(10)]
        await drift_of(app).repair("balances", [one.key for one in found.differences])
        assert (await drift_of(app).verify()).ok
        assert await app.ask(GetBalance("k3")) == Balance("k3", 1)
