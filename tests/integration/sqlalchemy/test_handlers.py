"""Plain handlers that take a session and return events, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from orm_shop import (
    SHOP,
    TABLES,
    Add,
    Cart,
    Deliver,
    OrderPlaced,
    OrderRow,
    PlaceOrder,
    SoldOut,
    StockRow,
    carts,
    deliver,
    pause,
    rows,
)
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from diptych import (
    App,
    Command,
    CommandEnvelope,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    UnitOfWork,
)
from diptych.adapters.sqlalchemy import engine_for
from diptych.errors import (
    ConfigurationError,
    ConflictError,
    DiptychError,
    OutcomeUnknown,
    StoreUnavailable,
    VersionConflict,
)


class Numbers(ReadModel, key="order_id"):
    order_id: str
    number: int = 0


class OrderNumbers(Projection[Numbers]):
    def placed(self, row: Numbers, event: OrderPlaced) -> Numbers:
        return Numbers(event.order_id, event.number)


class Do(Command):
    what: str


async def test_rows_and_events_and_a_read_model(url):
    async with App("shop", [*SHOP, OrderNumbers], write=url) as app:
        await app.dispatch(Deliver("tea", 2))
        done = await app.dispatch(PlaceOrder("o-1"))
        assert done.events == (OrderPlaced("o-1", 1),)
        assert (done.stream, done.token.position) == ("order-o-1", 1)
        await app.settle()
        assert (await app.verify()).ok
        await app.dispatch(PlaceOrder("o-2"))
        with pytest.raises(SoldOut):
            await app.dispatch(PlaceOrder("o-3"))
        assert await app.log.head() == 2
    assert len(await rows(url, OrderRow.__table__)) == 2
    assert await rows(url, StockRow.__table__) == [("tea", 0)]


async def test_an_inline_read_model_commits_with_the_rows(url):
    class Broken(RuntimeError):
        pass

    def refuse(row: Numbers, event: OrderPlaced) -> Numbers:
        if event.order_id == "bad":
            raise Broken
        return Numbers(event.order_id, event.number)

    class Inline(Projection[Numbers]):
        def placed(self, row: Numbers, event: OrderPlaced) -> Numbers:
            return refuse(row, event)

    class GetNumbers(Query[Numbers]):
        order_id: str

    async def get_numbers(query: GetNumbers, numbers: Reader[Numbers]) -> Numbers:
        return await numbers.get(query.order_id)

    get_numbers.__annotations__["query"] = GetNumbers
    parts = [*SHOP, Inline, get_numbers]
    async with App("shop", parts, write=url, inline=[Inline]) as app:
        await app.dispatch(Deliver("tea", 5))
        await app.dispatch(PlaceOrder("good"))
        assert await app.ask(GetNumbers("good")) == Numbers("good", 1)
        with pytest.raises(DiptychError):
            await app.dispatch(PlaceOrder("bad"))
        assert await app.log.head() == 1
    assert await rows(url, OrderRow.__table__) == [("good", "ada", 1)]
    assert await rows(url, StockRow.__table__) == [("tea", 4)]


async def test_one_effect_per_command_id(url):
    async with App("shop", SHOP, write=url) as app:
        await app.dispatch(Deliver("tea", 1), id="d")
        assert (await app.dispatch(Deliver("tea", 1), id="d")).repeated
        placed = [PlaceOrder("o-1")] * 8
        answers = await asyncio.gather(*(app.dispatch(one, id="p") for one in placed))
        assert len({str(one.token) for one in answers}) == 1
        assert {one.events for one in answers} == {(OrderPlaced("o-1", 1),)}
        for _ in range(2):
            with pytest.raises(SoldOut, match="nothing left") as error:
                await app.dispatch(PlaceOrder("o-2"), id="q")
            assert error.value.item == "tea"
        await app.dispatch(Deliver("tea", 5))
        with pytest.raises(SoldOut):  # the first answer, whatever has changed since
            await app.dispatch(PlaceOrder("o-2"), id="q")
        assert await app.log.head() == 1
    assert await rows(url, OrderRow.__table__) == [("o-1", "ada", 1)]


async def test_one_effect_however_many_come_at_once(url):
    async with App("one", SHOP, write=url) as one, App("other", SHOP, write=url) as other:
        for command in [Deliver("tea", 9), PlaceOrder("o-1")]:
            answers = await asyncio.gather(
                *(app.dispatch(command, id=repr(command)) for app in (one, other) * 4)
            )
            assert sum(not one.repeated for one in answers) == 1
            assert len({one.token for one in answers}) == 1
    assert await rows(url, StockRow.__table__) == [("tea", 8)]
    assert await rows(url, OrderRow.__table__) == [("o-1", "ada", 1)]


async def test_who_finds_out_at_the_append_that_it_was_answered_takes_everything_back(url):
    here: list[str] = []
    all_here = asyncio.Event()

    async def add_one(command: Do, session: AsyncSession) -> None:
        here.append(command.what)  # nobody has an answer yet
        if len(here) == 4:
            all_here.set()
        await all_here.wait()
        await session.execute(update(StockRow).values(left=StockRow.left + 1))

    async with App("shop", [add_one, deliver], write=url) as app:
        await app.dispatch(Deliver("tea", 1))
        answers = await asyncio.gather(*(app.dispatch(Do("x"), id="x") for _ in range(4)))
        assert sorted(one.repeated for one in answers) == [False, True, True, True]
    assert await rows(url, StockRow.__table__) == [("tea", 2)]


async def test_rivals_are_decided_again_and_nothing_is_lost(url, chance):
    async with (
        App("one", SHOP, write=url) as one,
        App("other", SHOP, write=url) as other,
    ):
        await one.dispatch(Deliver("tea", 25))

        async def client(number: int) -> bool:
            await pause(chance)
            try:
                await chance.choice([one, other]).dispatch(PlaceOrder(f"o-{number}"))
            except SoldOut:
                return False
            return True

        answers = await asyncio.gather(*(client(number) for number in range(40)))
        assert sum(answers) == 25
        assert await one.log.head() == 25
    placed = await rows(url, OrderRow.__table__)
    assert sorted(number for _, _, number in placed) == list(range(1, 26))
    assert await rows(url, StockRow.__table__) == [("tea", 0)]


async def test_a_unique_key_is_looked_at_once_more_and_then_reported(url):
    calls = []

    async def twice(command: Do, session: AsyncSession) -> None:
        calls.append(command)
        await session.execute(insert(StockRow).values(item="tea", left=1))

    async with App("shop", [twice], write=url) as app:
        await app.dispatch(Do("x"))
        calls.clear()
        with pytest.raises(ConflictError, match="unique key is taken"):
            await app.dispatch(Do("x"))
        assert 1 < len(calls) <= 3


async def test_each_attempt_has_a_session_of_its_own(url):
    sessions = []

    async def unlucky(command: Do, session: AsyncSession) -> None:
        sessions.append(session)
        session.add(StockRow(item=f"tea-{len(sessions)}", left=1))
        await session.flush()
        if len(sessions) == 1:
            raise ConflictError("somebody else was first")

    async with App("shop", [unlucky], write=url) as app:
        await app.dispatch(Do("x"))
    assert len(set(map(id, sessions))) == 2
    assert await rows(url, StockRow.__table__) == [("tea-2", 1)]


async def test_a_session_and_a_unit_of_work_are_one_transaction(url):
    async def both(command: Do, session: AsyncSession, work: UnitOfWork) -> None:
        cart = await work.load(Cart, "c")
        session.add(StockRow(item=command.what, left=cart.changes))
        await work.decide(Cart, "c", Add("c", command.what))
        if command.what == "bad":
            raise RuntimeError("no")

    async with App("shop", [Cart, both], write=url, tables=TABLES) as app:
        await app.dispatch(Do("good"))
        with pytest.raises(RuntimeError):
            await app.dispatch(Do("bad"))
        assert (await app.load(Cart, "c")).items == {"good": 1}
        assert await app.log.head() == 1
    assert await rows(url, StockRow.__table__) == [("good", 0)]
    assert await rows(url, carts) == [("c", 1, 1)]


async def test_an_event_of_an_aggregate_in_the_log_commits_with_the_rows(url):
    async def both(command: Do, session: AsyncSession, work: UnitOfWork) -> None:
        session.add(StockRow(item=command.what, left=1))
        await work.decide(Cart, "c", Add("c", command.what))

    async with App("shop", [Cart, both], write=url) as app:
        done = await app.dispatch(Do("a"))
        assert (done.stream, done.version) == ("Cart-c", 1)
        await app.dispatch(Do("b"))
        assert (await app.load(Cart, "c")).items == {"a": 1, "b": 1}


async def test_the_caller_may_expect_a_version(url):
    async def place(command: Do, session: AsyncSession) -> OrderPlaced:
        session.add(StockRow(item=command.what, left=1))
        return OrderPlaced("o-1", 1)

    async with App("shop", [place], write=url) as app:
        done = await app.dispatch(Do("a"), expected_version=0)
        assert done.version == 1
        assert (await app.dispatch(Do("b"), expected_version=1)).version == 2
        with pytest.raises(VersionConflict):
            await app.dispatch(Do("c"), expected_version=1)
    assert await rows(url, StockRow.__table__) == [("a", 1), ("b", 1)]


async def test_an_event_without_a_stream_is_refused_when_it_is_told_and_when_it_happens(url):
    class Homeless(Event):
        pass

    async def told(command: Do, session: AsyncSession) -> Homeless:
        raise AssertionError

    # The class is local, so its annotation is given by hand.
    told.__annotations__ = {"command": Do, "session": AsyncSession, "return": Homeless}
    with pytest.raises(ConfigurationError, match="which stream it belongs to"):
        App("shop", [told], write=url)

    async def silent(command: Do, session: AsyncSession):
        session.add(StockRow(item="x", left=1))
        return Homeless()

    async with App("shop", [silent], write=url) as app:
        with pytest.raises(ConfigurationError, match=r"-> OrderPlaced"):
            await app.dispatch(Do("x"))
    assert await rows(url, StockRow.__table__) == []


async def test_several_events_go_where_each_of_them_says(url):
    async def many(command: Do, session: AsyncSession) -> list[OrderPlaced]:
        return [OrderPlaced("a", 1), OrderPlaced("b", 2), OrderPlaced("a", 3)]

    async with App("shop", [many], write=url) as app:
        done = await app.dispatch(Do("x"), id="m", actor="ada")
        assert [one.order_id for one in done.events] == ["a", "a", "b"]
        stored = await app.log.read(0, 10)
        assert [(one.stream, one.version) for one in stored] == [
            ("order-a", 1),
            ("order-a", 2),
            ("order-b", 1),
        ]
        assert (await app.dispatch(Do("x"), id="m")).events == done.events


async def test_other_parameters_are_given_as_ever(url):
    async def who(command: Do, session: AsyncSession, envelope: CommandEnvelope) -> None:
        session.add(StockRow(item=envelope.actor, left=1))

    async with App("shop", [who], write=url) as app:
        await app.dispatch(Do("x"), actor="ada")
    assert await rows(url, StockRow.__table__) == [("ada", 1)]


async def test_wrong_sql_stays_what_it_is(url):
    from sqlalchemy.exc import DBAPIError

    async def wrong(command: Do, session: AsyncSession) -> None:
        await session.execute(text("SELECT nothing FROM nowhere"))

    async with App("shop", [wrong], write=url) as app:
        with pytest.raises(DBAPIError, match="nowhere"):
            await app.dispatch(Do("x"))


def test_memory_has_no_tables():
    for more in ({"tables": TABLES}, {}):
        with pytest.raises(ConfigurationError, match="has no tables"):
            App("shop", SHOP, write="memory://", **more)


async def test_a_killed_process_has_every_order_once(url, start, chance):
    heard: set[str] = set()
    async with App("shop", SHOP, write=url) as app:
        await app.dispatch(Deliver("tea", 60))
    for _ in range(3):
        process = start("place_orders", url, "o", 60)
        for _ in range(chance.randint(1, 20)):
            heard.add(process.stdout.readline().strip())
        process.kill()
        heard |= {line.strip() for line in process.stdout if line.endswith("\n")}
        process.wait()
    last = start("place_orders", url, "o", 60)
    assert await asyncio.to_thread(last.wait) == 0
    assert heard <= {f"o-{number}" for number in range(60)}
    placed = await rows(url, OrderRow.__table__)
    assert sorted(number for _, _, number in placed) == list(range(1, 61))
    assert await rows(url, StockRow.__table__) == [("tea", 0)]
    async with App("shop", SHOP, write=url) as app:
        stored = await app.log.read(0, 1000)
        assert sorted(one.stream for one in stored) == sorted(f"order-o-{n}" for n in range(60))


async def test_the_engine_for_a_url_reads_what_the_application_wrote(url):
    async with App("shop", SHOP, write=url) as app:
        await app.dispatch(Deliver("tea", 2))
        engine = engine_for(url)
        async with AsyncSession(engine) as session:
            assert await session.scalar(select(StockRow.left)) == 2
        await engine.dispose()


async def test_a_commit_without_an_answer_is_unknown_and_the_same_id_tells(postgres_url, chance):
    import asyncpg
    from orm_shop import prepare

    url = f"{postgres_url}&search_path={postgres_url.rpartition('schema=')[2]}"
    await prepare(url)
    async with App("shop", SHOP, write=url) as app:
        await app.dispatch(Deliver("tea", 5))
        own = app.log.append_within

        async def append_and_be_cut_off(transaction, append):
            done = await own(transaction, append)
            other = await asyncpg.connect(postgres_url.partition("?")[0])
            await other.execute(
                "SELECT pg_terminate_backend($1, 5000)", transaction.get_server_pid()
            )
            await other.close()
            return done

        app.log.append_within = append_and_be_cut_off
        with pytest.raises(OutcomeUnknown) as error:
            await app.dispatch(PlaceOrder("o-1"), id="p")
        assert error.value.command_id == "p"
        app.log.append_within = own
        assert not (await app.dispatch(PlaceOrder("o-1"), id="p")).repeated  # it had not happened
        assert (await app.dispatch(PlaceOrder("o-1"), id="p")).repeated
    assert await rows(url, StockRow.__table__) == [("tea", 4)]


async def test_who_is_cancelled_leaves_nothing_and_gives_everything_back(url):
    waiting = asyncio.Event()

    async def slow(command: Do, session: AsyncSession) -> OrderPlaced:
        session.add(StockRow(item=command.what, left=1))
        await session.flush()
        waiting.set()
        if command.what == "slow":
            await asyncio.Event().wait()
        return OrderPlaced(command.what, 1)

    async with App("shop", [slow], write=url) as app:
        for _ in range(12):  # more often than there are connections
            waiting.clear()
            task = asyncio.create_task(app.dispatch(Do("slow")))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await app.dispatch(Do("quick"))
        assert await app.log.head() == 1
    assert await rows(url, StockRow.__table__) == [("quick", 1)]


async def test_a_database_that_is_not_there_is_unavailable():
    engine = engine_for("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1/nothing cannot be reached"):
        await engine.connect()
    await engine.dispose()
