"""Many clients, faults and cancellations, in interleavings that a seed chooses and replays."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

import pytest
from banking import (
    BANK,
    Account,
    Balance,
    Balances,
    Deposit,
    GetBalance,
    Richest,
    Transfer,
    Withdraw,
)

from diptych import App, Environment, Rejection
from diptych.errors import ConflictError, OutcomeUnknown, StoreUnavailable
from diptych.stores import Stores
from diptych.testing import for_each_seed

SEEDS = range(40)


class FaultyLog:
    """A log that now and then is down before an append, or silent after it has happened."""

    def __init__(self, log: Any, environment: Environment) -> None:
        self._log = log
        self._chance = environment.random
        self._sleep = environment.sleep
        self.faults = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, append: Any) -> Any:
        fate = self._chance.random()
        await self._sleep(fate * 0.002)
        if fate < 0.1:
            self.faults += 1
            raise StoreUnavailable("down")
        done = await self._log.append(append)
        if fate > 0.9:
            self.faults += 1
            raise OutcomeUnknown("no answer came", command_id=None)
        return done

    async def read_stream(self, *arguments: Any) -> Any:
        await self._sleep(0)
        return await self._log.read_stream(*arguments)


def apps_on_one_log(
    monkeypatch: pytest.MonkeyPatch, environment: Environment, names: Iterable[str], **options: Any
) -> list[App]:
    logs: list[Any] = []
    own = Stores._open_log

    def shared(self: Stores, *arguments: Any) -> Any:
        if not logs:
            logs.append(FaultyLog(own(self, *arguments), environment))
        return logs[0]

    with monkeypatch.context() as patch:
        patch.setattr(Stores, "_open_log", shared)
        return [App(name, BANK, environment=environment, **options) for name in names]


async def insist(app: App, command: Any, command_id: str) -> Any:
    """What a client with a retry does: the same id until there is an answer."""
    while True:
        try:
            return await app.dispatch(command, id=command_id)
        except (StoreUnavailable, OutcomeUnknown, ConflictError):
            await app.environment.sleep(0.01)
        except Rejection as rejection:
            return rejection


@pytest.mark.parametrize(
    "options", [{}, {"cached_states": 1}, {"state_stored": [Account]}], ids=str
)
def test_no_money_is_lost_or_made_whatever_fails(monkeypatch, options):
    async def main(environment: Environment) -> int:
        one, other = apps_on_one_log(monkeypatch, environment, ["one", "other"], **options)
        chance = environment.random

        async def client(number: int) -> None:
            for step in range(4):
                app = chance.choice([one, other])
                source, target = chance.sample("abc", 2)
                task = asyncio.create_task(
                    insist(app, Transfer(source, target, chance.randint(1, 60)), f"{number}-{step}")
                )
                if chance.random() < 0.2:
                    await environment.sleep(chance.random() * 0.01)
                    task.cancel()  # the client went away; nobody knows whether it happened
                with contextlib.suppress(asyncio.CancelledError):
                    await task

        for name in "abc":
            await insist(one, Deposit(name, 100), f"first {name}")
        await asyncio.gather(*(client(number) for number in range(4)))
        states = [(await other.load(Account, name)).balance for name in "abc"]
        assert sum(states) == 300, states
        assert min(states) >= 0, states
        await one.settle(60)
        await other.settle(60)
        for app in (one, other):
            rows = await app.ask(Richest())
            assert {row.account_id: row.balance for row in rows} == dict(
                zip("abc", states, strict=True)
            )
            assert (await app.verify()).ok
        faults: int = one.log.faults
        await one.close()
        await other.close()
        return faults

    assert sum(for_each_seed(main, SEEDS)) > len(SEEDS)


def test_one_id_has_one_effect_whatever_fails(monkeypatch):
    async def main(environment: Environment) -> None:
        one, other = apps_on_one_log(monkeypatch, environment, ["one", "other"])
        answers = await asyncio.gather(
            *(insist(app, Deposit("a", 7), "same") for app in (one, other) for _ in range(4)),
            *(insist(app, Withdraw("a", 1), f"w{n}") for n, app in enumerate((one, other))),
        )
        assert len({answer.token for answer in answers[:8]}) == 1
        stored = await one.log.read(0, 100)
        assert sum(event.type == "Deposited" for event in stored) == 1
        withdrawn = sum(event.type == "Withdrawn" for event in stored)
        assert withdrawn == sum(not isinstance(answer, Rejection) for answer in answers[8:])
        assert (await one.load(Account, "a")).balance == 7 - withdrawn
        await one.close()
        await other.close()

    for_each_seed(main, SEEDS)


def test_a_read_with_a_token_is_never_older_whatever_the_interleaving():
    async def main(environment: Environment) -> None:
        async with App("bank", BANK, environment=environment) as app:

            async def client(name: str) -> None:
                for amount in range(1, 6):
                    done = await app.dispatch(Deposit(name, 1))
                    wish = environment.random.choice(["eventual", "write_model"])
                    row = await app.ask(GetBalance(name), after=done.token, consistency=wish)
                    assert row == Balance(name, amount)
                    await environment.sleep(environment.random.random() * 0.02)

            await asyncio.gather(*(client(f"c{n}") for n in range(6)))

    for_each_seed(main, SEEDS)


def test_an_inline_read_shows_everything_that_was_acknowledged_before_it():
    async def main(environment: Environment) -> None:
        acknowledged = 0

        async def client() -> None:
            nonlocal acknowledged
            for _ in range(20):
                await app.dispatch(Deposit("a", 1))
                acknowledged += 1
                await environment.sleep(environment.random.random() * 0.01)

        async with App("bank", BANK, environment=environment, inline=[Balances]) as app:
            clients = [asyncio.create_task(client()) for _ in range(3)]
            for _ in range(10):
                await environment.sleep(environment.random.random() * 0.02)
                before = acknowledged
                seen = await app.ask(GetBalance("a"))
                assert (seen.balance if seen else 0) >= before
            await asyncio.gather(*clients)
            assert await app.ask(GetBalance("a")) == Balance("a", 60)

    for_each_seed(main, SEEDS)


def test_closing_in_the_middle_of_the_work_stops_everything_and_breaks_nothing():
    async def main(environment: Environment) -> None:
        app = await App("bank", BANK, environment=environment).open()

        async def client() -> None:
            for _ in range(10):
                await app.dispatch(Deposit("a", 1))
                await environment.sleep(environment.random.random() * 0.01)

        clients = [asyncio.create_task(client()) for _ in range(3)]
        for _ in range(3):  # who dispatches after a close opens again
            await environment.sleep(environment.random.random() * 0.03)
            await app.close()
        for ended in await asyncio.gather(*clients, return_exceptions=True):
            assert ended is None or isinstance(ended, StoreUnavailable), repr(ended)
        await app.settle(60)
        assert (await app.verify()).ok
        await app.close()
        assert [one for one in asyncio.all_tasks() if "projections" in one.get_name()] == []

    for_each_seed(main, range(200))
