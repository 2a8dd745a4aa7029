"""The same aggregates, kept in tables: the domain cannot tell, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from orm_shop import (
    SHOP,
    TABLES,
    Add,
    Added,
    Cart,
    Move,
    Take,
    cart_items,
    carts,
    genesis,
    pause,
    rows,
)
from sqlalchemy import event, insert, select, update

from diptych import App, Rejection
from diptych.adapters.sqlalchemy import TableOf, engine_for, mapped
from diptych.errors import ConfigurationError, ConflictError, StoreError, VersionConflict


def in_tables(url: str, **options) -> App:
    return App("shop", SHOP, write=url, **{"tables": TABLES, **options})


def in_log(url: str, **options) -> App:
    return App("shop", SHOP, write=url, **options)


async def with_rows(url: str, *statements) -> None:
    engine = engine_for(url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)
    await engine.dispose()


async def test_tables_and_log_say_the_same(url, chance):
    items = ["tea", "milk", "bread"]
    async with in_tables(url) as app:
        for _ in range(40):
            cart = chance.choice("abc")
            if chance.random() < 0.3:
                commands = [Move(cart, chance.choice("xy"), chance.choice(items))]
            else:
                commands = [Add(cart, chance.choice(items), chance.randint(-1, 3))]
            for command in commands:
                try:
                    await app.dispatch(command)
                except Rejection:
                    continue
        kept = {key: await app.load(Cart, key) for key in "abcxy"}
    assert any(cart.items for cart in kept.values())
    async with in_log(url) as app:
        assert kept == {key: await app.load(Cart, key) for key in "abcxy"}
    versions = {key: version for key, version, _ in await rows(url, carts)}
    assert versions == {key: cart.changes for key, cart in kept.items() if cart.changes}
    assert len(await rows(url, cart_items)) == sum(len(cart.items) for cart in kept.values())


async def test_an_older_version_is_folded_from_the_events(url):
    async with in_tables(url) as app:
        for _ in range(3):
            await app.dispatch(Add("a", "tea"))
        assert (await app.load(Cart, "a", version=2)).items == {"tea": 2}


async def test_a_save_writes_only_what_changed(url):
    written: list[str] = []
    async with in_tables(url) as app:
        for item in ("tea", "milk", "bread"):
            await app.dispatch(Add("a", item))
        engine = app.left._options.tables._engine

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def note(_connection, _cursor, statement, *_) -> None:
            if not statement.startswith("SELECT"):
                written.append(statement.partition(" SET ")[0].partition(" (")[0])

        await app.dispatch(Add("a", "tea"))
        assert written == ["UPDATE carts", "UPDATE cart_items"]
        written.clear()
        await app.dispatch(Add("a", "tea", 0))
        with pytest.raises(Rejection):
            await app.dispatch(Add("a", "tea", -1))
        assert written == []


async def test_two_applications_on_one_aggregate_lose_no_update(url, chance):
    async with in_tables(url) as one, in_tables(url) as other:

        async def client() -> None:
            for _ in range(5):
                await pause(chance)
                await chance.choice([one, other]).dispatch(Add("a", "tea"))

        await asyncio.gather(*(client() for _ in range(8)))
        assert (await one.load(Cart, "a")).items == {"tea": 40}
        assert [e.version for e in await one.log.read_stream("Cart-a")] == list(range(1, 41))
    assert await rows(url, carts) == [("a", 40, 40)]


async def test_two_processes_on_one_aggregate_lose_no_update(url, start):
    started = [start("fill_cart", url, "a", 40) for _ in range(2)]
    for process in started:
        assert await asyncio.to_thread(process.stdout.readline) == "done\n"
    assert await rows(url, cart_items) == [("a", "tea", 80)]
    assert await rows(url, carts) == [("a", 80, 80)]


async def test_tables_and_log_may_be_used_at_the_same_time(url, chance):
    # As in the middle of a move from one to the other, or back.
    async with in_tables(url) as tables, in_log(url) as log:

        async def client(number: int) -> int:
            """How much was added."""
            added = 0
            for _ in range(5):
                await pause(chance)
                app = chance.choice([tables, log])
                if number % 3:
                    await app.dispatch(Add("a", "tea"))
                    added += 1
                else:
                    with contextlib.suppress(Rejection):
                        await app.dispatch(Move("a", "b", "tea"))
            return added

        added = await asyncio.gather(*(client(number) for number in range(9)))
        for key in "ab":
            assert await tables.load(Cart, key) == await log.load(Cart, key)
        both = [(await log.load(Cart, key)).items.get("tea", 0) for key in "ab"]
        assert sum(both) == sum(added)


async def test_a_row_that_is_behind_is_brought_up_before_anything_is_decided(url):
    async with in_tables(url) as app:
        await app.dispatch(Add("a", "tea"))
    async with in_log(url) as app:
        await app.dispatch(Move("a", "b", "tea"))
    async with in_tables(url) as app:
        with pytest.raises(Rejection, match="not there"):
            await app.dispatch(Move("a", "b", "tea"))
        done = await app.dispatch(Add("a", "milk"), expected_version=2)
        assert done.version == 3
        assert (await app.load(Cart, "a")).items == {"milk": 1}
        assert (await app.load(Cart, "b")).items == {"tea": 1}  # it has no row yet
    assert await rows(url, cart_items) == [("a", "milk", 1)]


class CartByEvents(TableOf[Cart]):
    """Writes what each event changed, and never looks at the state."""

    table = carts

    async def load(self, session, key):
        found = await session.execute(select(cart_items).where(cart_items.c.cart_id == key))
        changes = await session.scalar(select(carts.c.changes).where(carts.c.cart_id == key))
        return Cart({row.item: row.quantity for row in found}, changes)

    async def save(self, session, key, state, events):
        mine = carts.c.cart_id == key
        if await session.scalar(select(carts.c.cart_id).where(mine)) is None:
            await session.execute(insert(carts).values(cart_id=key, changes=0))
        await session.execute(
            update(carts).where(mine).values(changes=carts.c.changes + len(events))
        )
        for one in events:
            more = one.quantity if isinstance(one, Added) else -one.quantity
            line = (cart_items.c.cart_id == key) & (cart_items.c.item == one.item)
            changed = update(cart_items).where(line)
            changed = changed.values(quantity=cart_items.c.quantity + more)
            if not (await session.execute(changed)).rowcount:
                made = {"cart_id": key, "item": one.item, "quantity": more}
                await session.execute(insert(cart_items).values(made))


async def test_a_mapping_by_events_is_given_all_that_its_row_has_not_seen(url):
    by_events = {"tables": [CartByEvents]}
    async with in_tables(url, **by_events) as tables, in_log(url) as log:
        await log.dispatch(Add("a", "tea", 5))  # before there is a row
        for app in (tables, log, tables, log, log, tables):
            await app.dispatch(Add("a", "tea"))
            await app.dispatch(Add("a", "milk", 2))
        assert (await tables.load(Cart, "a")) == (await log.load(Cart, "a"))
        await log.dispatch(Add("b", "tea", 3))
        await tables.dispatch(Move("a", "b", "tea"))  # a unit of work, too
    assert await rows(url, carts) == [("a", 14, 14), ("b", 2, 2)]
    assert await rows(url, cart_items) == [("a", "milk", 12), ("a", "tea", 10), ("b", "tea", 4)]


async def test_a_rejection_is_not_believed_of_a_row_that_is_behind(url):
    async def no(app) -> None:
        with pytest.raises(Rejection):
            await app.dispatch(Add("a", "tea", -1))

    async with in_tables(url) as app:
        await no(app)
        await app.dispatch(Add("a", "tea"))
        await no(app)
        done = await app.dispatch(Add("a", "tea", 0))
        assert (done.version, done.events) == (1, ())


async def test_what_only_the_log_knows_is_not_rejected(url):
    async with in_tables(url) as tables, in_log(url) as log:
        await tables.dispatch(Add("a", "tea"))
        await log.dispatch(Add("a", "milk"))
        assert (await tables.dispatch(Take("a", "milk"))).version == 3
        await log.dispatch(Take("a", "tea"))
        with pytest.raises(Rejection):
            await tables.dispatch(Take("a", "tea"))


async def test_the_first_answer_again(url):
    async with in_tables(url) as app:
        first = await app.dispatch(Add("a", "tea"), id="1")
        again = await app.dispatch(Add("a", "tea"), id="1")
        assert again.repeated
        assert (again.token, again.events, again.version) == (first.token, first.events, 1)
        await app.dispatch(Add("a", "tea"))
        expected = await app.dispatch(Add("a", "tea"), id="2", expected_version=2)
        assert (await app.dispatch(Add("a", "tea"), id="2", expected_version=2)).repeated
        assert expected.version == 3
        for _ in range(2):
            with pytest.raises(Rejection, match="debts"):
                await app.dispatch(Add("a", "tea", -1), id="3")
        assert (await app.load(Cart, "a")).items == {"tea": 3}


async def test_an_unexpected_version_is_refused(url):
    async with in_tables(url) as app:
        await app.dispatch(Add("a", "tea"))
        for expected in (0, 2):
            with pytest.raises(VersionConflict):
                await app.dispatch(Add("a", "tea"), expected_version=expected)
    assert await rows(url, carts) == [("a", 1, 1)]


async def test_a_row_ahead_of_its_stream_is_refused(url):
    async with in_tables(url) as app:
        await app.dispatch(Add("a", "tea"))
        await with_rows(url, update(carts).values(version=9))
        with pytest.raises(StoreError, match="beyond the end of its stream"):
            await app.dispatch(Add("a", "tea"))
    assert await rows(url, carts) == [("a", 9, 1)]


# -- events that are not kept ----------------------------------------------------------------------


async def test_without_events_commands_work_all_the_same(url):
    async with in_tables(url, keep_events=False) as app:
        for _ in range(2):
            done = await app.dispatch(Add("a", "tea"), id="1")
        assert done.repeated
        assert done.version == 1
        assert done.token.nothing_changed
        await app.dispatch(Add("a", "tea"))
        moved = await app.dispatch(Move("a", "b", "tea"))
        assert len(moved.events) == 2
        assert await app.log.head() == 0
        with pytest.raises(VersionConflict):
            await app.dispatch(Add("a", "tea"), expected_version=1)
    assert await rows(url, carts) == [("a", 3, 3), ("b", 1, 1)]
    assert await rows(url, cart_items) == [("a", "tea", 1), ("b", "tea", 1)]


async def test_without_events_rivals_lose_no_update(url, chance):
    async with (
        in_tables(url, keep_events=False) as one,
        in_tables(url, keep_events=False) as other,
    ):

        async def client() -> None:
            for _ in range(5):
                await pause(chance)
                await chance.choice([one, other]).dispatch(Add("a", "tea"))

        await asyncio.gather(*(client() for _ in range(8)))
    assert await rows(url, carts) == [("a", 40, 40)]


def test_what_has_no_table_cannot_do_without_events(empty_url):
    with pytest.raises(ConfigurationError, match="would be forgotten"):
        App("shop", [Cart], write=empty_url, keep_events=False)


def test_an_aggregate_cannot_be_kept_twice(empty_url):
    with pytest.raises(ConfigurationError, match="two places"):
        in_tables(empty_url, state_stored=[Cart])
    with pytest.raises(ConfigurationError, match="two tables"):
        App("shop", SHOP, write=empty_url, tables=[*TABLES, mapped(Cart, carts, items=cart_items)])
    with pytest.raises(ConfigurationError, match="not listed"):
        App("shop", [], write=empty_url, tables=TABLES)


# -- genesis ---------------------------------------------------------------------------------------

WITH_GENESIS = [mapped(Cart, carts, items=cart_items, genesis=genesis)]


async def without_events(url: str, keys: str) -> None:
    async with in_tables(url, keep_events=False) as app:
        for key in keys:
            for item in ("tea", "milk"):
                await app.dispatch(Add(key, item, 2))


async def test_a_stream_begins_with_what_the_row_was(url):
    await without_events(url, "a")
    async with in_tables(url, tables=WITH_GENESIS) as app:
        done = await app.dispatch(Add("a", "bread"), id="1")
        assert (done.version, done.events) == (3, (Added("a", "bread", 1),))
        assert (await app.dispatch(Add("a", "bread"), id="1")).events == done.events
        kept = await app.load(Cart, "a")
    async with in_log(url) as app:
        assert await app.load(Cart, "a") == kept
        assert (await app.log.read_stream("Cart-a"))[0].version == 1
    assert await rows(url, carts) == [("a", 3, 3)]


async def test_a_rejection_begins_no_stream(url):
    await without_events(url, "a")
    async with in_tables(url, tables=WITH_GENESIS) as app:
        with pytest.raises(Rejection):
            await app.dispatch(Add("a", "tea", -1))
        assert await app.log.head() == 0
        await app.dispatch(Move("a", "b", "tea"))  # a unit of work tells it too
    async with in_log(url) as app:
        assert (await app.load(Cart, "a")).items == {"tea": 1, "milk": 2}


async def test_a_stream_that_has_begun_goes_on_where_events_are_not_kept(url):
    await without_events(url, "a")
    async with (
        in_tables(url, tables=WITH_GENESIS) as new,
        in_tables(url, keep_events=False) as old,
    ):
        await new.dispatch(Add("a", "tea"))
        done = await old.dispatch(Add("a", "tea"))
        assert (done.version, done.token.position) == (4, 4)
        await new.dispatch(Add("a", "tea"))
        assert (await new.load(Cart, "a")).items == {"tea": 5, "milk": 2}


async def test_old_and_new_processes_leave_no_hole(url, chance):
    await without_events(url, "abcd")
    async with (
        in_tables(url, tables=WITH_GENESIS) as new,
        in_tables(url, keep_events=False) as old,
    ):

        async def client() -> None:
            for _ in range(6):
                await pause(chance)
                app = chance.choice([old, new])
                await app.dispatch(Add(chance.choice("abcd"), "tea"))

        begun = asyncio.create_task(new.left.begin_streams(Cart))
        await asyncio.gather(*(client() for _ in range(8)))
        assert (await begun).rows == 4
        kept = {key: await new.load(Cart, key) for key in "abcd"}
        assert sum(cart.items["tea"] for cart in kept.values()) == 4 * 2 + 6 * 8
    async with in_log(url) as app:
        assert {key: (await app.load(Cart, key)).items for key in "abcd"} == {
            key: cart.items for key, cart in kept.items()
        }


async def test_genesis_for_all_goes_on_where_it_was_stopped(url):
    await without_events(url, "abcdefg")
    told = []
    async with in_tables(url, tables=WITH_GENESIS) as app:
        await app.dispatch(Add("c", "bread"))
        done = await app.left.begin_streams(Cart, progress=told.append)
        assert (done.name, done.rows, done.streams, done.events) == ("Cart", 7, 6, 12)
        assert told[-1] == done
        again = await app.left.begin_streams(Cart)
        assert (again.rows, again.streams) == (7, 0)
        rest = await app.left.begin_streams(Cart, after="e")
        assert rest.rows == 2
    async with in_log(url) as app:
        assert (await app.load(Cart, "a")).items == {"tea": 2, "milk": 2}
    assert {version for _, version, _ in await rows(url, carts)} == {2, 3}


async def test_a_row_that_somebody_else_inserted_has_a_genesis_too(url):
    await with_rows(
        url,
        insert(carts).values(cart_id="a", changes=1),
        insert(cart_items).values(cart_id="a", item="tea", quantity=7),
    )
    async with in_tables(url, tables=WITH_GENESIS) as app:
        assert (await app.dispatch(Take("a", "tea"))).version == 2
    async with in_log(url) as app:
        assert (await app.load(Cart, "a")).items == {"tea": 6}


async def test_a_genesis_that_tells_something_else_is_refused(url):
    async def liar(session, key):
        return [Added(key, "gold", 1)]

    await without_events(url, "a")
    lying = [mapped(Cart, carts, items=cart_items, genesis=liar)]
    async with in_tables(url, tables=lying) as app:
        with pytest.raises(ConfigurationError, match="does not tell what its row says"):
            await app.dispatch(Add("a", "tea"))
        with pytest.raises(ConfigurationError, match="does not tell what its row says"):
            await app.left.begin_streams(Cart)
        assert await app.log.head() == 0


async def test_without_a_genesis_the_stream_begins_now(url):
    await without_events(url, "a")
    async with in_tables(url) as app:
        done = await app.dispatch(Add("a", "bread"))
        assert done.version == 1
        assert (await app.load(Cart, "a")).items == {"tea": 2, "milk": 2, "bread": 1}
        await app.dispatch(Add("a", "bread"))
        assert (await app.left.begin_streams(Cart)).streams == 0
    assert await rows(url, carts) == [("a", 2, 4)]


async def test_somebody_who_writes_the_row_by_hand_is_noticed(url):
    async with in_tables(url) as app:
        await app.dispatch(Add("a", "tea"))
        table = app.left._options.tables
        with pytest.raises(ConflictError):
            async with table.begin() as transaction:
                await transaction.save(Cart, "a", Cart(), (), (7, 8))
