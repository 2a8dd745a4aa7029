"""Asking: routing, readers, tokens, waiting, and answers folded on the spot."""

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
    Richest,
    Withdraw,
)

from diptych import (
    Aggregate,
    App,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    Sql,
    SqlProjection,
    SqlReader,
    UnitOfWork,
)
from diptych.errors import (
    ConfigurationError,
    ForeignToken,
    NoHandler,
    StaleRead,
)


class All(Query[list[Balance]]):
    pass


async def scan_all(query: All, balances: Reader[Balance]) -> list[Balance]:
    return [row async for row in balances.scan()]


class Find(Query[Any]):
    filters: dict[str, Any] = {}
    order_by: str | None = None
    limit: int | None = None


async def find(query: Find, balances: Reader[Balance]) -> Any:
    rows = await balances.find(order_by=query.order_by, limit=query.limit, **query.filters)
    return [row.account_id for row in rows]


class Count(Query[int]):
    filters: dict[str, Any] = {}


async def count(query: Count, balances: Reader[Balance]) -> int:
    return await balances.count(**query.filters)


ASKING = [*BANK, scan_all, find, count]


async def held_up(**options: Any) -> App:
    """An app whose projections do not run: everything is unseen."""
    app = App("bank", ASKING, **options)
    return await app.open(projections=False)


# -- routing ---------------------------------------------------------------------------------------


def refused(*parts: Any) -> str:
    with pytest.raises(ConfigurationError) as failed:
        App("bank", parts)
    return str(failed.value)


def test_two_functions_that_answer_one_query_are_both_named():
    async def again(query: GetBalance, balances: Reader[Balance]) -> Balance | None: ...

    text = refused(*BANK, again)
    assert "GetBalance is answered twice" in text
    assert "get_balance" in text
    assert "again" in text


def test_a_reader_of_what_nobody_fills_is_refused():
    class Other(ReadModel, key="id"):
        id: str

    async def other(query: GetBalance, others: Reader[Other]) -> None: ...

    assert "no projection of this application fills it" in refused(Account, Balances, other)


def test_a_command_handler_cannot_have_a_reader():
    async def peek(command: Deposit, balances: Reader[Balance]) -> None: ...

    assert "handles a command but wants a Reader" in refused(Balances, peek)


def test_a_query_handler_cannot_have_a_unit_of_work():
    async def write(query: GetBalance, work: UnitOfWork) -> None: ...

    assert "query handler can have" in refused(Balances, write)


def test_a_function_cannot_take_an_event():
    async def on_deposit(event: Deposited) -> None: ...

    assert "events are folded by a projection" in refused(Balances, on_deposit)


async def test_a_query_that_nobody_answers_says_which_are():
    class Unheard(Query[int]):
        pass

    async with App("bank", BANK) as app:
        with pytest.raises(NoHandler, match="answers GetBalance, Richest"):
            await app.ask(Unheard())


async def test_a_plain_def_answers_too():
    def answer(query: GetBalance) -> str:
        return query.account_id

    async with App("bank", [answer]) as app:
        assert await app.ask(GetBalance("x")) == "x"


async def test_an_error_of_the_handler_reaches_the_asker():
    async def fail(query: GetBalance, balances: Reader[Balance]) -> None:
        raise ZeroDivisionError

    async with App("bank", [Account, Balances, fail]) as app:
        with pytest.raises(ZeroDivisionError):
            await app.ask(GetBalance("x"))


# -- waiting ---------------------------------------------------------------------------------------


async def test_a_read_with_a_token_shows_the_write():
    async with App("bank", BANK) as app:
        for amount in range(1, 30):
            done = await app.dispatch(Deposit("a", 1))
            assert await app.ask(GetBalance("a"), after=done.token) == Balance("a", amount)


async def test_a_token_of_nothing_changed_waits_for_nothing():
    app = await held_up()
    done = await app.dispatch(Deposit("a", 0))
    assert await app.ask(GetBalance("a"), after=done.token, within_s=0) is None
    await app.close()


async def test_a_read_that_waited_in_vain_says_who_is_behind():
    app = await held_up()
    done = await app.dispatch(Deposit("a", 1))
    with pytest.raises(
        StaleRead, match=r"balances did not reach position 1 within 0\.01 s"
    ) as failed:
        await app.ask(GetBalance("a"), after=done.token, within_s=0.01)
    assert (failed.value.projection, failed.value.wanted) == ("balances", 1)
    assert failed.value.why == "no process runs it: start one (diptych projections run)"
    await app.close()


async def test_a_read_that_waited_in_vain_says_how_far_it_came():
    app = await held_up()
    done = await app.dispatch(Deposit("a", 1))
    try:
        with pytest.raises(StaleRead) as failed:
            await app.ask(GetBalance("a"), after=done.token, within_s=0)
        assert failed.value.reached == 0
    finally:
        await app.close()


async def test_who_would_rather_have_an_old_answer_gets_it():
    app = await held_up()
    done = await app.dispatch(Deposit("a", 1))
    assert await app.ask(GetBalance("a"), after=done.token, within_s=0, on_stale="stale") is None
    await app.close()


async def test_who_would_rather_have_it_folded_on_the_spot_gets_it():
    app = await held_up()
    done = await app.dispatch(Deposit("a", 1))
    answer = await app.ask(GetBalance("a"), after=done.token, within_s=0, on_stale="write_model")
    assert answer == Balance("a", 1)
    assert await app.ask(GetBalance("a"), consistency="write_model") == Balance("a", 1)
    assert await app.ask(GetBalance("a")) is None
    await app.close()


async def test_misspelt_wishes_are_refused():
    async with App("bank", BANK) as app:
        for wish in ({"on_stale": "old"}, {"consistency": "strong"}):
            with pytest.raises(ConfigurationError):
                await app.ask(GetBalance("a"), **wish)


async def test_a_token_of_another_log_is_refused():
    async with App("one", BANK) as one, App("other", BANK) as other:
        done = await one.dispatch(Deposit("a", 1))
        with pytest.raises(ForeignToken) as failed:
            await other.ask(GetBalance("a"), after=done.token)
        assert failed.value.token_log == one.log.identity


async def test_the_token_of_this_moment_waits_for_everything_recorded():
    async with App("bank", BANK) as app:
        for _ in range(5):
            await app.dispatch(Deposit("a", 1))
        assert await app.ask(GetBalance("a"), after=await app.head_token()) == Balance("a", 5)


# -- unseen rows equal waiting ---------------------------------------------------------------------

QUERIES = [
    GetBalance("a"),
    GetBalance("none"),
    All(),
    Richest(),
    Richest(2),
    Find({"balance__gt": 5}, "balance"),
    Find({"balance__lte": 5}, "-balance", 2),
    Find({"balance": 0}),
    Find({"account_id__in": ["a", "b", "q"]}, "account_id"),
    Find({"balance__gte": 3, "balance__lt": 50}, "-account_id", 1),
    Count(),
    Count({"balance__gt": 4}),
]


@pytest.mark.parametrize("seen", [0, 3, 6, 12])
async def test_what_is_folded_on_the_spot_equals_what_waiting_shows(seen):
    history = [
        Deposit("a", 5), Deposit("b", 9), Deposit("c", 5), Withdraw("b", 9), Deposit("d", 3),
        Deposit("a", 1), Deposit("e", 70), Withdraw("e", 66), Deposit("b", 4), Deposit("f", 2),
        Withdraw("c", 5), Deposit("g", 5),
    ]  # fmt: skip
    async with App("bank", ASKING) as app:
        for command in history[:seen]:
            await app.dispatch(command)
        await app.settle()
        source = app.sources[Balances]
        frozen = (await source.store.checkpoint("balances")).position
        assert frozen == seen
        for command in history[seen:]:
            await app.dispatch(command)
        on_the_spot = [await app.ask(query, consistency="write_model") for query in QUERIES]
        await app.settle()
        waited = [await app.ask(query) for query in QUERIES]
        assert on_the_spot == waited


async def test_many_rows_are_scanned_in_the_order_of_their_keys():
    async with App("bank", ASKING) as app:
        for number in range(1_200):
            await app.dispatch(Deposit(f"{number:05}", 1))
        spot = await app.ask(All(), consistency="write_model")
        await app.settle()
        waited = await app.ask(All())
        assert [row.account_id for row in waited] == [f"{n:05}" for n in range(1_200)]
        assert spot == waited


async def test_a_field_that_is_not_declared_is_refused_in_every_way():
    class Owned(ReadModel, key="account_id"):
        account_id: str
        owner: str = ""

    class Owners(Projection[Owned]):
        def deposited(self, row: Owned, event: Deposited) -> None: ...

    class Wish(Query[Any]):
        how: str

    async def wish(query: Wish, rows: Reader[Owned]) -> Any:
        if query.how == "find":
            return await rows.find(owner="x")
        if query.how == "order":
            return await rows.find(order_by="owner")
        if query.how == "count":
            return await rows.count(owner="x")
        return await rows.search("x")

    async with App("bank", [Account, Owners, wish]) as app:
        await app.dispatch(Deposit("a", 1))
        for how in ("find", "order", "count", "search"):
            for consistency in ("eventual", "write_model"):
                with pytest.raises(ConfigurationError):
                    await app.ask(Wish(how), consistency=consistency)


class Named(Event):
    account_id: str
    name: str | None


class Person(ReadModel, key="account_id", indexes=("name",), search=("name",)):
    account_id: str
    name: str | None = None


class People(Projection[Person]):
    def named(self, row: Person, event: Named) -> None:
        row.name = event.name

    def deposited(self, row: Person, event: Deposited) -> None: ...


class ByName(Query[Any]):
    order_by: str


class Search(Query[Any]):
    text: str


async def by_name(query: ByName, people: Reader[Person]) -> Any:
    return [one.account_id for one in await people.find(order_by=query.order_by)]


async def search(query: Search, people: Reader[Person]) -> Any:
    return [one.account_id for one in await people.search(query.text)]


async def named(command: Withdraw, work: UnitOfWork) -> None:
    names = {0: None, 1: "Ann Lee", 2: "bob LEE", 3: "Änne"}
    name = names[command.amount]
    await work.record(Keeper, command.account_id, Named(command.account_id, name))


class Keeper(Aggregate, key="account_id"):
    def keep(self, command: Deposit) -> Deposited:
        return Deposited(command.account_id, 1)


@pytest.mark.parametrize("query", [ByName("name"), ByName("-name"), Search("lee"), Search("än")])
async def test_rows_with_nothing_in_a_field_are_ordered_and_searched_alike(query):
    async with App("people", [Keeper, People, by_name, search, named]) as app:
        for key, number in (("d", 2), ("a", 0), ("c", 1), ("b", 0), ("e", 3)):
            await app.dispatch(Withdraw(key, number))
        spot = await app.ask(query, consistency="write_model")
        await app.settle()
        assert spot == await app.ask(query)


def test_own_sql_needs_a_store_that_has_sql():
    class Sums(SqlProjection):
        schema = ("CREATE TABLE sums(a TEXT)",)
        tables = ("sums",)

        def deposited(self, sql: Sql, event: Deposited) -> None: ...

    async def sums(query: Count, reader: SqlReader[Sums]) -> int: ...

    assert "which memory:// does not have" in refused(Account, Sums, sums)
