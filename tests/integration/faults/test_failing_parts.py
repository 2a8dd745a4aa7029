"""Projections, handlers and closes that go wrong in the middle, on a file."""

import asyncio
import time

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
    Transfer,
    Withdraw,
)

from diptych import (
    Aggregate,
    App,
    Command,
    Projection,
    Query,
    Reader,
    ReadModel,
    Sql,
    SqlProjection,
    UnitOfWork,
)
from diptych.errors import (
    ConfigurationError,
    DiptychError,
    ForeignToken,
    InvalidMessage,
    StaleRead,
    StoreUnavailable,
)

POISON = 666


class Tally(ReadModel, key="account_id"):
    account_id: str
    times: int = 0


class Tallies(Projection[Tally]):
    def deposited(self, row: Tally, event: Deposited) -> None:
        if event.amount == POISON:
            raise ZeroDivisionError("this one I cannot count")
        row.times += 1


class Ledger(SqlProjection):
    schema = ("CREATE TABLE ledger(amount INT NOT NULL CHECK (amount <> 666)) STRICT",)
    tables = ("ledger",)

    def deposited(self, sql: Sql, event: Deposited) -> None:
        sql("INSERT INTO ledger VALUES (?)", event.amount)


class GetTally(Query[Tally | None]):
    account_id: str


async def get_tally(query: GetTally, tallies: Reader[Tally]) -> Tally | None:
    return await tallies.get(query.account_id)


class Explode(Command):
    account_id: str
    how: str


async def explode(command: Explode, work: UnitOfWork) -> None:
    await work.decide(Account, command.account_id, Deposit(command.account_id, 1))
    if command.how == "group":
        raise ExceptionGroup("both", [ValueError("one"), KeyError("two")])
    if command.how == "cancel":
        raise asyncio.CancelledError
    raise ZeroDivisionError("one by none")


PARTS = [*BANK, Tallies, get_tally, Ledger, explode]


@pytest.mark.parametrize("inline", [Tallies, Ledger])
async def test_an_inline_projection_that_raises_fails_its_command_and_nothing_is_written(
    inline, url
):
    async with App("bank", PARTS, write=url, inline=[Balances, inline]) as app:
        await app.dispatch(Deposit("a", 1), id="good")
        before = [one async for one in every(app)]
        for _ in range(2):
            with pytest.raises(DiptychError) as refused:
                await app.dispatch(Deposit("a", POISON), id="bad")
            assert refused.value.message
        with pytest.raises(DiptychError):
            await app.dispatch(Deposit("a", POISON))
        assert [one async for one in every(app)] == before
        assert await app.ask(GetBalance("a")) == Balance("a", 1)
        assert (await app.load(Account, "a")).balance == 1
        # Nothing of the failed command is remembered: its id is free, and others go on beside it.
        assert not (await app.dispatch(Deposit("a", 2), id="bad")).repeated
        results = await asyncio.gather(
            *(app.dispatch(Deposit(f"n{n}", POISON if n == 3 else 1)) for n in range(8)),
            return_exceptions=True,
        )
        assert [isinstance(one, DiptychError) for one in results] == [n == 3 for n in range(8)]
        await app.settle()
        assert (await app.verify()).ok
        assert await app.log.head() == 9
    async with App("bank", BANK, write=url) as app:
        assert await app.log.head() == 9


async def every(app: App):
    for one in await app.log.read(0, 1000):
        yield one


@pytest.mark.parametrize("how", ["raise", "group", "cancel"])
async def test_a_handler_that_raises_leaves_log_and_cache_as_they_were(how, url):
    async with App("bank", PARTS, write=url) as app:
        await app.dispatch(Deposit("a", 1))
        with pytest.raises((ZeroDivisionError, ExceptionGroup, asyncio.CancelledError)):
            await app.dispatch(Explode("a", how), id="x")
        assert await app.log.head() == 1
        done = await app.dispatch(Withdraw("a", 1), id="x")
        assert (done.version, done.repeated) == (2, False)
        assert await app.ask(GetBalance("a"), after=done) == Balance("a", 0)


@pytest.mark.parametrize(("failing", "lane"), [(Tallies, "a"), (Ledger, "Account-a")])
async def test_a_failing_event_holds_up_only_its_key_and_who_asks_is_told_at_once(
    failing, lane, url
):
    parts = [*BANK, failing, *([get_tally] if failing is Tallies else [])]
    async with App("bank", parts, write=url) as app:
        for amount in (1, 2, POISON, 3):
            done = await app.dispatch(Deposit("a", amount))
        other = await app.dispatch(Deposit("b", 4))
        assert await app.ask(GetBalance("a"), after=done) == Balance("a", 6 + POISON)
        began = time.monotonic()
        if failing is Tallies:
            with pytest.raises(StaleRead, match="cannot count") as refused:
                await app.ask(GetTally("a"), after=done, within_s=20)
            assert refused.value.reached == 2
            assert await app.ask(GetTally("b"), after=other, within_s=20) == Tally("b", 1)
            assert await app.ask(GetTally("a"), after=done, on_stale="stale") == Tally("a", 2)
            with pytest.raises(StaleRead, match="cannot count"):
                await app.ask(GetTally("a"), after=done, on_stale="write_model")
            with pytest.raises(StaleRead, match="cannot count"):
                await app.ask(GetTally("a"), consistency="write_model")
        with pytest.raises(StaleRead, match=f"has parked '{lane}' at position 3 .*and 1 more"):
            await app.settle(20)
        assert time.monotonic() - began < 10, "nobody waits for what cannot come"
        states = {one.name: (one.state, one.position) for one in await app.status()}
        assert set(states.values()) == {("live", 5)}
        source = app.sources[failing]
        found = await source.store.parked(source.plan.name)
        assert [(one.key, one.position) for one in found] == [(lane, 3), (lane, 4)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"on_stale": "stale"},
        {"on_stale": "write_model"},
        {"consistency": "write_model"},
    ],
)
async def test_a_token_of_another_log_is_refused_however_it_is_asked(options, url, tmp_path):
    async with App("other", BANK, write=f"sqlite:///{tmp_path}/other.db") as other:
        foreign = (await other.dispatch(Deposit("a", 1))).token
    async with App("bank", BANK, write=url, inline=[Balances]) as app:
        await app.dispatch(Deposit("a", 1))
        with pytest.raises(ForeignToken, match="belongs to the log"):
            await app.ask(GetBalance("a"), after=foreign, **options)


class Second(Projection[Balance]):
    def deposited(self, row: Balance, event: Deposited) -> None:
        row.balance += event.amount


async def get_balance_again(query: GetBalance, balances: Reader[Balance]) -> Balance | None:
    return None


async def deposit_again(command: Deposit, work: UnitOfWork) -> None:
    pass


async def transfer_again(command: Transfer, work: UnitOfWork) -> None:
    pass


@pytest.mark.parametrize(
    ("more", "names"),
    [
        (get_balance_again, ["get_balance", "get_balance_again"]),
        (deposit_again, ["deposit_again", "deposit"]),
        (transfer_again, ["transfer", "transfer_again"]),
        (Second, ["Balances", "Second"]),
    ],
)
def test_duplicate_handlers_are_refused_when_the_app_is_built(more, names, url, tmp_path):
    with pytest.raises(ConfigurationError) as refused:
        App("bank", [*BANK, more], write=url)
    for name in names:
        assert name in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_an_aggregate_without_a_key_is_refused_where_it_is_written():
    with pytest.raises(ConfigurationError, match="key"):

        class Nameless(Aggregate):
            count: int = 0


async def test_a_large_catch_up_lets_commands_through_and_loses_nothing(url):
    async with App("bank", BANK, write=url) as app:
        await app.close()
        await app.open(projections=False)
        await asyncio.gather(*(app.dispatch(Deposit(f"a{n % 2000}", 1)) for n in range(20_000)))
        head = await app.log.head()
    assert head == 20_000
    waits: list[float] = []
    async with App("bank", BANK, write=url) as app:
        done = None
        while (await app.status())[0].position < head:
            began = time.perf_counter()
            done = await app.dispatch(Deposit("late", 1))
            waits.append(time.perf_counter() - began)
        print(f"{len(waits)} commands during the catch-up, longest {max(waits) * 1e3:.1f} ms")  # noqa: T201
        assert done is not None
        row = await app.ask(GetBalance("late"), after=done, within_s=10)
        assert row == Balance("late", len(waits))
        await app.settle()
        assert sum(one.balance for one in await app.ask(Richest(10_000))) == head + len(waits)
        assert (await app.verify()).ok


async def test_a_read_of_ones_own_write_is_woken_not_polled(url):
    took = []
    async with App("bank", BANK, write=url) as app:
        for amount in range(1, 201):
            done = await app.dispatch(Deposit("a", 1))
            began = time.perf_counter()
            assert await app.ask(GetBalance("a"), after=done) == Balance("a", amount)
            took.append(time.perf_counter() - began)
    took.sort()
    print(f"read-your-writes p50 {took[100] * 1e3:.2f} ms, p99 {took[198] * 1e3:.2f} ms")  # noqa: T201


@pytest.mark.parametrize("options", [{}, {"inline": [Balances]}, {"state_stored": [Account]}])
async def test_closing_during_work_answers_everybody_and_what_was_answered_is_there(
    options, url, chance
):
    acknowledged: set[str] = set()
    errors: list[BaseException] = []
    app = await App("bank", BANK, write=url, **options).open()

    async def client(number: int) -> None:
        for step in range(20):
            one = f"{number}-{step}"
            try:
                done = await app.dispatch(Deposit("a", 1), id=one)
                await app.ask(GetBalance("a"), after=done, on_stale="stale", within_s=0.1)
            except DiptychError as error:
                errors.append(error)
            else:
                acknowledged.add(one)

    clients = [asyncio.create_task(client(number)) for number in range(8)]
    for _ in range(5):
        await asyncio.sleep(chance.random() * 0.02)
        await asyncio.wait_for(app.close(), 10)
    await asyncio.wait_for(asyncio.gather(*clients), 30)
    await app.close()
    assert {type(error) for error in errors} <= {StoreUnavailable}
    assert not [one for one in asyncio.all_tasks() if "projections" in one.get_name()]
    async with App("bank", BANK, write=url, **options) as again:
        head = await again.log.head()
        assert len(acknowledged) <= head
        for number in range(8):
            for step in range(20):
                done = await again.dispatch(Deposit("a", 1), id=f"{number}-{step}")
                assert done.repeated or f"{number}-{step}" not in acknowledged
        assert await again.log.head() == 160
        await again.settle()
        assert await again.ask(GetBalance("a")) == Balance("a", 160)
        assert (await again.verify()).ok


@pytest.mark.parametrize("how", ["async", "inline", "inline, no runners"])
async def test_another_process_that_is_faster_is_no_restored_log(how, url, monkeypatch):
    """It appends, and folds what it appended, between the moments a runner looks at both."""
    one = App("one", BANK, write=url, inline=[] if how == "async" else [Balances])
    async with App("other", BANK, write=url, inline=[Balances]) as other:
        await other.dispatch(Deposit("a", 1))
        store = one.sources[Balances].store
        honest = store.checkpoints
        between = iter([Deposit("a", 2)])

        async def checkpoints(names):
            for command in between:
                await other.dispatch(command)
            return await honest(names)

        monkeypatch.setattr(store, "checkpoints", checkpoints)
        await one.open(projections="no runners" not in how)
        try:
            done = await one.dispatch(Deposit("a", 4))
            row = await one.ask(GetBalance("a"), after=None if "inline" in how else done)
            assert row == Balance("a", 7)
            await one.settle(1)
        finally:
            await one.close()


@pytest.mark.parametrize(
    "projections",
    [
        True,
        False,
    ],
)
async def test_an_inline_projection_of_another_version_is_never_silently_left_out(projections, url):
    def releases(version: int) -> type[Projection[Balance]]:
        class Sums(Projection[Balance], version=version):
            def deposited(self, row: Balance, event: Deposited) -> None:
                row.balance += version * event.amount

        return Sums

    old, new = releases(1), releases(2)
    async with App("bank", [Account, old], write=url, inline=[old]) as app:
        await app.dispatch(Deposit("a", 1))
    app = App("bank", [Account, new], write=url, inline=[new])
    try:
        with pytest.raises((ConfigurationError, StaleRead)):
            await dispatch_after_opening(app, projections=projections)
    finally:
        await app.close()
    async with App("bank", [Account, old], write=url) as app:
        assert await app.log.head() == 1


async def dispatch_after_opening(app: App, *, projections: bool) -> None:
    await app.open(projections=projections)
    await app.dispatch(Deposit("a", 1))


@pytest.mark.parametrize("command_id", ["", "x" * 1_000_000, "\ud800", 5])
async def test_a_command_id_that_is_none_is_refused(command_id, url):
    async with App("bank", BANK, write=url) as app:
        with pytest.raises(DiptychError):
            await app.dispatch(Deposit("a", 1), id=command_id)
        assert await app.log.head() == 0


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        5,
        "\ud800",
        "x" * 10_000_000,
    ],
    ids=["None", "empty", "number", "half a surrogate", "10 MB"],
)
async def test_a_key_that_is_none_is_refused(key, url):
    async with App("bank", BANK, write=url) as app:
        with pytest.raises(InvalidMessage):
            await app.dispatch(Deposit(key, 1))
        assert await app.log.head() == 0


async def test_a_retry_after_a_release_that_added_a_field_with_a_default_gets_the_first_answer(url):
    class Deposit2(Command, name="Deposit"):
        account_id: str
        amount: int
        note: str = ""

    class Account2(Aggregate, key="account_id", name="Account"):
        balance: int = 0

        def deposit(self, command: Deposit2) -> Deposited:
            return Deposited(command.account_id, command.amount)

        def deposited(self, event: Deposited) -> None:
            self.balance += event.amount

    async with App("bank", [Account], write=url) as app:
        await app.dispatch(Deposit("a", 1), id="x")
    async with App("bank", [Account2], write=url) as app:
        assert (await app.dispatch(Deposit2("a", 1), id="x")).repeated
