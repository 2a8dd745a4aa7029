"""The application on SQLite files: what it keeps, and what two applications on one file do."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from banking import (
    BANK,
    Account,
    Balance,
    Balances,
    Deposit,
    Deposited,
    GetBalance,
    InsufficientFunds,
    Richest,
    Transfer,
    Withdraw,
    Withdrawn,
)

from diptych import App, Projection, Query, Sql, SqlProjection, SqlReader
from diptych.errors import CommandIdReused, ConfigurationError, ForeignToken, StaleRead
from diptych.testing import scenario


class Turnover(SqlProjection):
    schema = ("CREATE TABLE turnover(account TEXT PRIMARY KEY, moved INT NOT NULL) STRICT",)
    tables = ("turnover",)

    def moved(self, sql: Sql, event: Deposited | Withdrawn) -> None:
        sql(
            "INSERT INTO turnover VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET moved = moved + excluded.moved",
            event.account_id,
            event.amount,
        )


class GetTurnover(Query[list[dict[str, Any]]]):
    least: int = 0


async def get_turnover(query: GetTurnover, sql: SqlReader[Turnover]) -> list[dict[str, Any]]:
    return await sql.select("SELECT * FROM turnover WHERE moved >= ? ORDER BY account", query.least)


PARTS = [*BANK, Turnover, get_turnover]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bank.db"


async def test_what_was_acknowledged_is_there_after_close_and_open(url):
    async with App("bank", PARTS, write=url) as app:
        done = await app.dispatch(Deposit("a", 100), id="d1")
        await app.dispatch(Transfer("a", "b", 30))
        await app.settle()
    async with App("bank", PARTS, write=url) as app:
        assert (await app.load(Account, "a")).balance == 70
        assert await app.ask(GetBalance("b"), after=done.token) == Balance("b", 30)
        assert (await app.dispatch(Deposit("a", 100), id="d1")).repeated
        with pytest.raises(CommandIdReused):
            await app.dispatch(Deposit("a", 101), id="d1")
        assert await app.log.head() == 3


async def test_own_sql_is_folded_and_asked(url):
    async with App("bank", PARTS, write=url) as app:
        await app.dispatch(Deposit("a", 100))
        done = await app.dispatch(Transfer("a", "b", 30))
        rows = await app.ask(GetTurnover(31), after=done.token)
        assert rows == [{"account": "a", "moved": 130}]
        with pytest.raises(ConfigurationError, match="own SQL"):
            await app.ask(GetTurnover(), consistency="write_model")


@pytest.mark.parametrize(
    "options", [{}, {"inline": [Balances, Turnover]}, {"state_stored": [Account]}]
)
async def test_the_whole_path_has_scenarios_on_a_file_too(url, options):
    async with scenario(App("bank", PARTS, write=url, **options)) as bank:
        await bank.given(Deposit("a", 100)).when(Withdraw("a", 30)).then(Withdrawn("a", 30))
        await bank.when(Withdraw("a", 71)).then_rejected(InsufficientFunds, missing=1)
        await bank.when(Transfer("a", "b", 5)).then(Withdrawn("a", 5), Deposited("b", 5))
        await bank.ask(Richest()).gives([Balance("a", 65), Balance("b", 5)])
        await bank.ask(GetTurnover(100)).gives([{"account": "a", "moved": 135}])


async def test_two_apps_on_one_file_lose_no_update(url):
    async with App("one", PARTS, write=url) as one, App("other", PARTS, write=url) as other:
        await one.dispatch(Deposit("a", 100))
        await asyncio.gather(
            *(app.dispatch(Deposit("a", 1)) for app in (one, other) for _ in range(15)),
            *(app.dispatch(Transfer("a", f"b{n}", 1)) for n, app in enumerate((one, other))),
        )
        assert (await one.load(Account, "a")).balance == 128
        await one.settle()
        await other.settle()
        assert await one.ask(GetBalance("a")) == Balance("a", 128)
        assert await other.ask(GetBalance("a")) == Balance("a", 128)
        assert (await one.ask(GetTurnover(100)))[0] == {"account": "a", "moved": 132}


async def test_the_cache_of_one_app_never_outlives_what_another_appended(url):
    async with App("one", BANK, write=url) as one, App("other", BANK, write=url) as other:
        await one.dispatch(Deposit("a", 1))
        await other.dispatch(Deposit("a", 99))
        assert (await one.dispatch(Withdraw("a", 100))).version == 3
        with pytest.raises(InsufficientFunds):
            await other.dispatch(Withdraw("a", 1))


async def test_a_token_of_one_app_is_good_in_another(url):
    async with App("one", BANK, write=url) as one, App("other", BANK, write=url) as other:
        for amount in range(1, 15):
            done = await one.dispatch(Deposit("a", 1))
            answer = await other.ask(GetBalance("a"), after=done.token, within_s=10)
            assert answer is not None
            assert answer.balance >= amount


async def test_a_read_only_app_waits_for_the_app_that_runs_the_projections(url):
    reading = App("reading", BANK, write=url)
    await reading.open(projections=False)
    async with App("running", BANK, write=url) as running:
        done = await running.dispatch(Deposit("a", 1))
        answer = await reading.ask(GetBalance("a"), after=done.token, within_s=10)
        assert answer == Balance("a", 1)
    await reading.close()


async def test_read_models_in_a_file_of_their_own(url, tmp_path):
    read = f"sqlite:///{tmp_path}/read.db"
    async with App("bank", PARTS, write=url, read={Balances: read}) as app:
        done = await app.dispatch(Deposit("a", 5))
        assert await app.ask(GetBalance("a"), after=done.token) == Balance("a", 5)


@pytest.mark.parametrize("read", ["memory://", "sqlite:///{}/read.db"])
def test_a_projection_kept_elsewhere_cannot_be_inline(url, tmp_path, read):
    with pytest.raises(ConfigurationError, match="not in the log's database"):
        App("bank", BANK, write=url, read=read.format(tmp_path), inline=[Balances])


async def test_read_models_in_memory_are_made_again_at_every_start(url):
    for start in range(1, 4):
        async with App("bank", BANK, write=url, read="memory://") as app:
            await app.dispatch(Deposit("a", 1))
            await app.settle()
            assert await app.ask(GetBalance("a")) == Balance("a", start)


async def test_switching_between_inline_and_asynchronous_loses_and_repeats_nothing(url):
    expected = 0
    for inline in ([], [Balances], [], [Balances, Turnover], []):
        async with App("bank", PARTS, write=url, inline=inline) as app:
            for _ in range(7):
                await app.dispatch(Deposit("a", 1))
            expected += 7
            if Balances in inline:
                assert await app.ask(GetBalance("a")) == Balance("a", expected)
            await app.settle()
            assert await app.ask(GetBalance("a")) == Balance("a", expected)
            assert await app.ask(GetTurnover()) == [{"account": "a", "moved": expected}]


async def test_switching_in_the_middle_of_the_work_loses_and_repeats_nothing(url):
    app = await App("bank", PARTS, write=url).open(projections=False)
    for _ in range(5):
        await app.dispatch(Deposit("a", 1))
    await app.close()
    async with App("bank", PARTS, write=url, inline=[Balances, Turnover]) as inline:
        assert await inline.ask(GetBalance("a")) == Balance("a", 5)
        await inline.dispatch(Deposit("a", 1))
        assert await inline.ask(GetTurnover()) == [{"account": "a", "moved": 6}]


def doubled(version: int) -> type[Projection[Any]]:
    class Doubled(Projection[Balance], version=version):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance += version * event.amount

    return Doubled


async def test_a_changed_projection_waits_until_it_is_rebuilt(url):
    async with App("bank", [Account, doubled(1), *BANK[2:]], write=url) as app:
        await app.dispatch(Deposit("a", 5))
        await app.settle()
    async with App("bank", [Account, doubled(2), *BANK[2:]], write=url) as app:
        done = await app.dispatch(Deposit("a", 5))
        (status,) = await app.status()
        assert status.state == "changed"
        with pytest.raises(StaleRead, match="Rebuild it"):
            await app.ask(GetBalance("a"), after=done.token)
        assert await app.ask(GetBalance("a")) == Balance("a", 5)
    changed = doubled(2)
    inline = App("bank", [Account, changed, *BANK[2:]], write=url, inline=[changed])
    with pytest.raises(ConfigurationError, match="cannot take part"):
        await inline.open()
    await inline.close()
    rebuilding = App("bank", [Account, doubled(2), *BANK[2:]], write=url)
    await rebuilding.open(projections=False)
    await rebuilding.rebuild("doubled")
    await rebuilding.close()
    async with App("bank", [Account, doubled(2), *BANK[2:]], write=url) as app:
        await app.settle()
        assert await app.ask(GetBalance("a")) == Balance("a", 20)


async def test_f08_another_log_than_the_rows_were_made_of_is_found(url, tmp_path):
    read = f"sqlite:///{tmp_path}/read.db"
    async with App("bank", BANK, write=url, read=read) as app:
        for _ in range(5):
            await app.dispatch(Deposit("a", 1))
        await app.settle()
        old = await app.head_token()
    async with App("bank", BANK, write=f"sqlite:///{tmp_path}/other.db", read=read) as app:
        done = await app.dispatch(Deposit("a", 1))
        with pytest.raises(StaleRead, match="made of another log"):
            await app.settle()
        with pytest.raises(StaleRead):
            await app.ask(GetBalance("a"), after=done.token, within_s=0.5)
        with pytest.raises(ForeignToken):
            await app.ask(GetBalance("a"), after=old)


async def test_the_same_rows_whichever_store_keeps_them(tmp_path):
    answers = []
    for write in ("memory://", f"sqlite:///{tmp_path}/x.db"):
        for inline in ([], [Balances]):
            for state in ([], [Account]):
                name = f"{len(answers)}"
                url = write.replace("x.db", f"{name}.db")
                async with App("bank", BANK, write=url, inline=inline, state_stored=state) as app:
                    for number in range(30):
                        await app.dispatch(Deposit(f"a{number % 4}", number))
                        if number % 5 == 0:
                            await app.dispatch(Transfer(f"a{number % 4}", "b", number))
                    spot = await app.ask(Richest(), consistency="write_model")
                    await app.settle()
                    answers.append(await app.ask(Richest()))
                    assert spot == answers[-1]
    assert all(one == answers[0] for one in answers)
    assert len(answers) == 8


async def test_inline_projections_are_inline_again_after_reopening(url):
    app = App("bank", BANK, write=url, inline=[Balances])
    for start in range(1, 4):
        done = await app.dispatch(Deposit("a", 1))
        assert await app.ask(GetBalance("a"), after=done.token, within_s=0) == Balance("a", start)
        await app.close()


async def test_a_cancelled_dispatch_happened_or_did_not_and_its_id_tells(url):
    async with App("bank", BANK, write=url) as app:
        for number in range(30):
            task = asyncio.create_task(app.dispatch(Deposit("a", 1), id=f"d{number}"))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await app.dispatch(Deposit("a", 1), id=f"d{number}")
        assert await app.log.head() == 30
        assert (await app.load(Account, "a")).balance == 30


async def test_snapshots_and_stored_state_survive_a_change_of_mind(url):
    for number, options in enumerate([{}, {"state_stored": [Account]}] * 3):
        async with App("bank", BANK, write=url, **options) as app:
            assert (await app.load(Account, "a")).balance == number
            await app.dispatch(Deposit("a", 1))
