"""The one place where handlers, stores and the runners between them meet."""

import asyncio
import contextlib
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
    Withdraw,
)

from diptych import App, Command, Event, Projection, Reader, ReadModel, upcaster
from diptych.errors import (
    ConfigurationError,
    InvalidMessage,
    StaleRead,
    StoreUnavailable,
    UnknownMessageType,
)


def running_projections() -> list[str]:
    return [one.get_name() for one in asyncio.all_tasks() if "projections" in one.get_name()]


# -- life ------------------------------------------------------------------------------------------


async def test_nothing_is_opened_before_first_use():
    app = App("bank", BANK)
    assert running_projections() == []
    with pytest.raises(StoreUnavailable):
        await app.log.head()
    await app.dispatch(Deposit("a", 1))
    assert len(running_projections()) == 1
    await app.close()
    assert running_projections() == []


@pytest.mark.parametrize("use", ["ask", "load", "status", "settle", "head_token"])
async def test_the_first_use_of_any_kind_opens(use):
    app = App("bank", BANK)
    arguments: dict[str, list[Any]] = {"ask": [GetBalance("a")], "load": [Account, "a"]}
    await getattr(app, use)(*arguments.get(use, []))
    assert await app.log.head() == 0
    await app.close()


async def test_many_first_uses_at_once_open_once():
    app = App("bank", BANK)
    await asyncio.gather(*(app.dispatch(Deposit("a", 1)) for _ in range(10)))
    assert len(running_projections()) == 1
    await app.close()


async def test_closing_twice_or_before_opening_does_nothing():
    app = App("bank", BANK)
    await app.close()
    await app.dispatch(Deposit("a", 1))
    await app.close()
    await app.close()
    await asyncio.gather(app.close(), app.close())


async def test_use_after_close_opens_again():
    app = App("bank", BANK)
    await app.dispatch(Deposit("a", 1))
    await app.close()
    await app.dispatch(Deposit("a", 2))
    await app.settle()
    assert await app.ask(GetBalance("a")) == Balance("a", 2)
    await app.close()


async def test_a_read_after_reopening_waits_for_its_write():
    app = App("bank", BANK)
    for _ in range(5):
        await app.dispatch(Deposit("a", 1))
    await app.settle()
    await app.close()
    try:
        done = await app.dispatch(Deposit("b", 2))
        assert await app.ask(GetBalance("b"), after=done.token) == Balance("b", 2)
    finally:
        await app.close()


async def test_opening_while_closing_can_be_closed():
    app = App("bank", BANK)
    await app.open()
    closing = asyncio.create_task(app.close())
    await asyncio.sleep(0)
    await app.open()
    await closing
    await app.close()
    left = running_projections()
    await app._panels.close()
    assert left == []


async def test_an_app_is_left_closed_when_its_body_raises():
    app = App("bank", BANK)

    async def fail() -> None:
        async with app:
            await app.dispatch(Deposit("a", 1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert running_projections() == []


class Unfoldable(Projection[Balance]):
    def deposited(self, row: Balance, event: Deposited) -> None:
        raise ValueError("no")


async def test_an_open_that_fails_leaves_nothing_open(on_one_log):
    first = on_one_log("first", [Account])
    await first.dispatch(Deposit("a", 1))
    app = on_one_log("second", [Account, Unfoldable], inline=[Unfoldable])
    closed = []
    close = app.log.close

    async def watched() -> None:
        closed.append(True)
        await close()

    app.log.close = watched
    with pytest.raises(ConfigurationError, match="cannot take part"):
        await app.open()
    assert closed


async def test_close_closes_everything_although_a_runner_died():
    app = App("bank", BANK)
    await app.open()

    async def die() -> None:
        raise ZeroDivisionError

    app._panels._tasks.append(asyncio.create_task(die()))
    await asyncio.sleep(0)
    with contextlib.suppress(ZeroDivisionError):
        await app.close()
    with pytest.raises(StoreUnavailable):
        await app.log.head()


async def test_what_was_forgotten_by_closing_is_not_decided_on():
    app = App("bank", BANK)
    await app.dispatch(Deposit("a", 5))
    await app.close()
    with pytest.raises(InsufficientFunds) as failed:
        await app.dispatch(Withdraw("a", 6))
    await app.close()
    assert failed.value.missing == 6


async def test_inline_projections_are_inline_again_after_reopening():
    app = App("bank", BANK, inline=[Balances])
    for _ in range(3):
        await app.dispatch(Deposit("a", 1))
        done = await app.dispatch(Deposit("a", 1))
        assert await app.ask(GetBalance("a"), after=done.token, within_s=0) == Balance("a", 2)
        await app.close()


# -- bad configurations ----------------------------------------------------------------------------


class Open(Command):
    account_id: str


class Opened(Event):
    account_id: str


class Shape(Event, version=2):
    account_id: str


@upcaster("Nothing", version=1)
def lost(shape: dict[str, Any]) -> dict[str, Any]:
    return shape


async def takes_both(message: Deposit | GetBalance, balances: Reader[Balance]) -> None: ...


async def wants_number(query: GetBalance, number: int) -> None: ...


async def bare(query: GetBalance, balances) -> None: ...


class Impostor(Event, name="Deposited"):
    account_id: str


class Impostors(Projection[Balance]):
    def impostor(self, row: Balance, event: Impostor) -> None: ...


@pytest.mark.parametrize(
    ("parts", "options", "says"),
    [
        (BANK, {"write": "mysql://x"}, "no adapter opens 'mysql://x'"),
        (BANK, {"write": ""}, "no adapter opens ''"),
        (BANK, {"read": "mongo://x"}, "no adapter opens 'mongo://x'"),
        (BANK, {"read": {Deposit: "memory://"}}, "is no projection"),
        (BANK, {"inline": [Account]}, "is no projection"),
        (BANK, {"state_stored": [Balances]}, "not listed"),
        ([*BANK, lost], {}, "'Nothing', which no handler mentions"),
        ([Account, Balances, takes_both], {}, "commands or queries, not both"),
        ([Account, Balances, wants_number], {}, "'number'"),
        ([Account, Balances, bare], {}, "'balances'"),
        ([*BANK, Impostors], {}, "called 'Deposited'"),
        ([*BANK, None], {}, "is nothing an application is made of"),
        ([Balance], {}, "is nothing an application is made of"),
    ],
)
def test_what_could_not_work_is_refused_when_it_is_built(parts, options, says):
    with pytest.raises(ConfigurationError, match=says.replace("(", r"\(")):
        App("bank", parts, **options)


# -- edges -----------------------------------------------------------------------------------------


async def test_commands_and_queries_come_from_their_names_and_json():
    app = App("bank", BANK, max_message_bytes=200)
    deposit = app.decode_command("Deposit", b'{"account_id":"a","amount":3}')
    assert deposit == Deposit("a", 3)
    assert app.decode_query("Richest", b"{}") == Richest()
    with pytest.raises(UnknownMessageType, match="Deposit, Transfer, Withdraw"):
        app.decode_command("Depose", b"{}")
    with pytest.raises(UnknownMessageType):
        app.decode_query("Deposit", b"{}")
    with pytest.raises(InvalidMessage, match="amount"):
        app.decode_command("Deposit", b'{"account_id":"a","amount":"3"}')
    with pytest.raises(InvalidMessage, match="too large"):
        app.decode_command("Deposit", b" " * 201)


async def test_a_message_that_does_not_fit_is_refused_and_nothing_is_written():
    async with App("bank", BANK, max_message_bytes=100) as app:
        with pytest.raises(InvalidMessage, match="too large"):
            await app.dispatch(Deposit("a" * 200, 1))
        with pytest.raises(InvalidMessage):
            await app.dispatch(Deposit("a", 1.5))  # type: ignore[arg-type]
        assert await app.log.head() == 0


async def test_plans_are_found_by_class_read_model_and_name():
    app = App("bank", BANK)
    plans = [app.plan_named(one) for one in (Balances, Balance, "balances", "Balances")]
    assert len({plan.name for plan in plans}) == 1
    with pytest.raises(ConfigurationError, match="it has balances"):
        app.plan_named("carts")


async def test_settle_names_who_is_behind_before_which_event_and_why():
    app = App("bank", BANK)
    await app.open(projections=False)
    await app.dispatch(Deposit("a", 1))
    await app.dispatch(Deposit("a", 1))
    with pytest.raises(
        StaleRead, match="balances stands at position 0 before Deposited of Account-a, 2 events"
    ) as failed:
        await app.settle(within_s=0.01)
    assert (failed.value.reached, failed.value.wanted) == (0, 2)
    await app.close()


async def test_settle_on_an_empty_log_is_at_once():
    async with App("bank", BANK) as app:
        await app.settle(0)


async def test_a_rebuild_beside_running_projections_is_read_when_it_is_complete():
    async with App("bank", BANK) as app:
        for _ in range(3):
            await app.dispatch(Deposit("a", 1))
        await app.settle()
        await app.rebuild(Balances)
        done = await app.dispatch(Deposit("a", 1))
        assert await app.ask(GetBalance("a"), after=done) == Balance("a", 4)


async def test_a_rebuild_folds_the_log_from_the_first_event():
    app = await App("bank", BANK).open(projections=False)
    for _ in range(3):
        await app.dispatch(Deposit("a", 1))
    await app.rebuild("balances")
    assert await app.ask(GetBalance("a")) == Balance("a", 3)
    await app.rebuild(Balance)
    assert await app.ask(GetBalance("a")) == Balance("a", 3)
    await app.close()


async def test_commands_and_queries_at_the_same_time_are_all_answered():
    async with App("bank", BANK) as app:

        async def customer(name: str) -> int:
            for _ in range(10):
                done = await app.dispatch(Deposit(name, 2))
                await app.dispatch(Withdraw(name, 1))
                row = await app.ask(GetBalance(name), after=done.token)
                assert row is not None
            return (await app.load(Account, name)).balance

        assert await asyncio.gather(*(customer(f"c{n}") for n in range(20))) == [10] * 20


async def test_settle_waits_for_all_and_names_everybody_who_stayed_behind():
    class Failing(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            raise ZeroDivisionError

    class Seen(ReadModel, key="account_id"):
        account_id: str
        times: int = 0

    class Watching(Projection[Seen]):
        def deposited(self, row: Seen, event: Deposited) -> None:
            row.times += 1

    async with App("bank", [Account, Failing, Watching]) as app:
        await app.dispatch(Deposit("a", 1))
        with pytest.raises(StaleRead, match=r"failing has parked 'a' at position 1.*ZeroDivision"):
            await app.settle(within_s=5)
        watched = app.sources[Seen].store
        assert (await watched.checkpoint("watching")).position == 1
