"""The same file under an application that was changed between two starts."""

import asyncio
from typing import Any

import apsw
import pytest
from banking import BANK, Account, Balance, Balances, Deposit, GetBalance, Richest, Transfer

from diptych import (
    Aggregate,
    App,
    Command,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    upcaster,
)
from diptych.errors import ConfigurationError, StaleRead, UpcastFailed


async def test_storing_state_or_events_inline_or_not_is_changed_at_every_start(url, chance):
    balances = dict.fromkeys("abcd", 0)
    for start in range(12):
        options: dict[str, Any] = {
            "state_stored": chance.choice([[], [Account]]),
            "inline": chance.choice([[], [Balances]]),
            "cached_states": chance.choice([0, 1, 10_000]),
        }
        async with App("bank", BANK, write=url, **options) as app:
            for name, balance in balances.items():
                assert (await app.load(Account, name)).balance == balance, options
            for step in range(8):
                source, target = chance.sample("abcd", 2)
                await app.dispatch(Deposit(source, 2), id=f"{start}-{step}")
                await app.dispatch(Transfer(source, target, 1))
                balances[source] += 1
                balances[target] += 1
                again = await app.dispatch(Deposit(source, 2), id=f"{start}-{step}")
                assert again.repeated
            if chance.random() < 0.5:
                continue  # close with projections behind
            await app.settle()
            assert {one.account_id: one.balance for one in await app.ask(Richest())} == {
                name: balance for name, balance in balances.items() if balance
            }
            assert (await app.verify()).ok


async def test_two_apps_that_store_differently_agree(url):
    one = App("one", BANK, write=url, state_stored=[Account])
    other = App("other", BANK, write=url, cached_states=0)
    third = App("third", BANK, write=url, inline=[Balances], state_stored=[Account])
    async with one, other, third:
        apps = [one, other, third]
        await asyncio.gather(
            *(apps[n % 3].dispatch(Deposit("ab"[n % 2], 1), id=f"{n}") for n in range(60)),
        )
        for app in apps:
            assert (await app.load(Account, "a")).balance == 30
            assert (await app.load(Account, "b")).balance == 30
    async with App("bank", BANK, write=url, state_stored=[Account]) as app:
        await app.settle()
        assert await app.ask(GetBalance("a")) == Balance("a", 30)
        assert (await app.verify()).ok


class Add(Command):
    cart_id: str
    item: str


class Page(ReadModel, key="cart_id"):
    cart_id: str
    lines: list[str] = []


class GetCart(Query[Page | None]):
    cart_id: str


async def get_page(query: GetCart, pages: Reader[Page]) -> Page | None:
    return await pages.get(query.cart_id)


def shop(release: int, **aggregate: Any) -> list[Any]:  # noqa: C901  three small releases
    """The cart as it was in its first, second and third release."""
    if release == 1:

        class ItemAdded(Event, name="item-added"):
            cart_id: str
            item: str

        class Cart(Aggregate, key="cart_id", **aggregate):
            items: list[str] = []

            def add(self, command: Add) -> ItemAdded:
                return ItemAdded(command.cart_id, command.item)

            def added(self, event: ItemAdded) -> None:
                self.items.append(event.item)

        class Pages(Projection[Page]):
            def added(self, page: Page, event: ItemAdded) -> None:
                page.lines.append(f"1 {event.item}")

        return [Cart, Pages, get_page]

    if release == 2:

        class Added2(Event, name="item-added", version=2):
            cart_id: str
            item: str
            quantity: int

        class Cart2(Aggregate, key="cart_id", name="Cart", **aggregate):
            items: dict[str, int] = {}

            def add(self, command: Add) -> Added2:
                return Added2(command.cart_id, command.item, 2)

            def added(self, event: Added2) -> None:
                self.items[event.item] = self.items.get(event.item, 0) + event.quantity

        class Pages(Projection[Page]):
            def added(self, page: Page, event: Added2) -> None:
                page.lines.append(f"{event.quantity} {event.item}")

        return [Cart2, Pages, get_page, one_of_it]

    class Added3(Event, name="item-added", version=3):
        cart_id: str
        lines: dict[str, int]

    class Cart3(Aggregate, key="cart_id", name="Cart", **aggregate):
        items: dict[str, int] = {}

        def add(self, command: Add) -> Added3:
            return Added3(command.cart_id, {command.item: 3})

        def added(self, event: Added3) -> None:
            for item, quantity in event.lines.items():
                self.items[item] = self.items.get(item, 0) + quantity

    class Pages(Projection[Page]):
        def added(self, page: Page, event: Added3) -> None:
            page.lines += [f"{quantity} {item}" for item, quantity in event.lines.items()]

    return [Cart3, Pages, get_page, one_of_it, as_lines]


@upcaster("item-added", version=1)
def one_of_it(shape: dict[str, Any]) -> dict[str, Any]:
    return {**shape, "quantity": 1}


@upcaster("item-added", version=2)
def as_lines(shape: dict[str, Any]) -> dict[str, Any]:
    return {"cart_id": shape["cart_id"], "lines": {shape["item"]: shape["quantity"]}}


@pytest.mark.parametrize("mode", ["events", "snapshots", "state"])
async def test_a_chain_of_upcasters_reads_what_every_release_wrote(mode, url, tmp_path):
    for release in (1, 2, 3):
        aggregate = {} if mode == "events" else {"snapshot_version": release}
        if mode == "snapshots":
            aggregate["snapshot_every"] = 1
        parts = shop(release, **aggregate)
        stored = parts[:1] if mode == "state" else []
        async with App("shop", parts, write=url, state_stored=stored) as app:
            done = await app.dispatch(Add("c", "tea"), id=f"release {release}")
            page = await app.ask(GetCart("c"), after=done)
            assert page.lines == [f"{n} tea" for n in range(1, release + 1)]
            assert (await app.verify()).ok
            if release == 3:
                assert (await app.load(parts[0], "c")).items == {"tea": 6}
                first = await app.dispatch(Add("c", "tea"), id="release 1")
                assert first.repeated
                assert first.events[0].lines == {"tea": 1}, "the first answer, in today's shape"
    connection = apsw.Connection(str(tmp_path / "bank.db"))
    stored = connection.execute("SELECT schema FROM events ORDER BY position").fetchall()
    assert stored == [(1,), (2,), (3,)], "the log itself is not rewritten"
    connection.close()
    with pytest.raises(ConfigurationError, match="item-added"):
        App("shop", [part for part in shop(3) if part is not as_lines], write=url)


async def test_an_old_release_stops_at_what_a_newer_one_wrote(url):
    newer = await App("shop", shop(2), write=url).open(projections=False)
    await newer.dispatch(Add("c", "tea"))
    await newer.close()
    async with App("shop", shop(1), write=url) as app:
        with pytest.raises(UpcastFailed, match="newer release"):
            await app.dispatch(Add("c", "tea"))
        token = await app.head_token()
        with pytest.raises(StaleRead, match="newer release"):
            await app.ask(GetCart("c"), after=token, within_s=5)
        assert await app.log.head() == 1
    async with App("shop", shop(2), write=url) as app:  # which retries by itself what was parked
        done = await app.dispatch(Add("c", "tea"))
        page = await app.ask(GetCart("c"), after=done, within_s=5)
        assert page.lines == ["2 tea", "2 tea"]


class Put(Event):
    cart_id: str
    item: str


def thing(*, counts: bool, version: int) -> type[Aggregate]:
    class Cart(Aggregate, key="cart_id", snapshot_every=2, snapshot_version=version):
        items: list[str] = []

        def add(self, command: Add) -> Put:
            return Put(command.cart_id, command.item)

        def added(self, event: Put) -> None:
            self.items.append(event.item)

    if not counts:
        return Cart

    class Counting(
        Aggregate, key="cart_id", name="Cart", snapshot_every=2, snapshot_version=version
    ):
        items: list[str] = []
        count: int = 0

        def add(self, command: Add) -> Put:
            return Put(command.cart_id, command.item)

        def added(self, event: Put) -> None:
            self.items.append(event.item)
            self.count += 1

    return Counting


@pytest.mark.parametrize(
    "version",
    [
        2,
        1,
    ],
)
@pytest.mark.parametrize("how", ["snapshots", "state"])
async def test_a_snapshot_of_an_older_shape_is_not_taken_for_the_new_one(version, how, url):
    for counts, one in (
        (False, thing(counts=False, version=1)),
        (True, thing(counts=True, version=version)),
    ):
        stored = [one] if how == "state" else []
        async with App("shop", [one], write=url, state_stored=stored) as app:
            if not counts:
                for _ in range(5):
                    await app.dispatch(Add("c", "tea"))
            else:
                state: Any = await app.load(one, "c")
                assert (len(state.items), state.count) == (5, 5)
                await app.dispatch(Add("c", "tea"))
                assert (await app.load(one, "c")).count == 6
