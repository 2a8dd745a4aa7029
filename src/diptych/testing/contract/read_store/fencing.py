"""Who lost the lease writes nothing (G11); what is parked shares the fate of its change (G12)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio

from diptych.errors import CheckpointMoved, DiptychError, LeaseLost
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, Lease, LeaseSwap, ReadStore
from diptych.testing.contract.read_store.opening import StoreContract
from diptych.testing.contract.read_store.words import (
    Article,
    Note,
    change,
    everything_of,
    own,
    parked,
)
from diptych.testing.contract.suite import outcomes, refusal

__all__ = ["Fencing"]


class Fencing(StoreContract):
    """Tests of G11 (the lease is a fence) and G12 (parked with rows and checkpoint, or not)."""

    async def test_g11_a_change_is_written_only_under_the_present_lease(
        self, store: ReadStore
    ) -> None:
        await own(store, 5)
        await store.apply([change(0, 3, Article("a"))._replace(epoch=5)])
        before = await everything_of(store, ["a", "b"])
        for epoch in (0, 4, 6, 2**40):
            late = change(3, 4, Article("b"), deleted=["a"])._replace(epoch=epoch)
            lost = await refusal(LeaseLost, store.apply([late]), "the lease is at epoch 5")
            facts = (lost.projection, lost.epoch, lost.actual)
            assert facts == ("articles", epoch, 5), f"the facts of the error are wrong: {facts}"
            assert await everything_of(store, ["a", "b"]) == before, "a refused change was written"
        await store.apply([change(3, 4, Article("b"))._replace(epoch=5)])

    async def test_g11_a_change_without_epoch_asks_for_no_lease(self, store: ReadStore) -> None:
        await own(store, 5)
        await store.apply([change(0, 1, Article("a"))])
        assert (await store.checkpoint("articles"))[:1] == (1,)

    async def test_g11_nobody_owned_is_epoch_0(self, store: ReadStore) -> None:
        late = change(0, 1, Article("a"))._replace(epoch=1)
        await refusal(LeaseLost, store.apply([late]), "nobody has owned articles")
        await store.apply([change(0, 1, Article("a"))._replace(epoch=0)])

    async def test_g11_a_change_without_rows_stands_behind_it_too(self, store: ReadStore) -> None:
        await own(store, 2)
        entry = parked("a", 1)
        for late in (
            Change("articles", 0, 1, epoch=1),
            Change("articles", 0, 0, epoch=1),
            Change("articles", 0, 0, epoch=1, parked=[entry]),
            Change("articles", 0, 0, epoch=1, unparked=[entry]),
        ):
            await refusal(LeaseLost, store.apply([late]), "the lease is at epoch 2")
        assert (await store.checkpoint("articles")).position == 0
        assert await store.parked("articles") == []

    async def test_g11_a_lost_lease_is_said_before_a_moved_checkpoint(
        self, store: ReadStore
    ) -> None:
        await own(store, 2)
        await store.apply([Change("articles", 0, 7)])
        late = change(3, 4, Article("a"))._replace(epoch=1)
        await refusal(LeaseLost, store.apply([late]), "both are wrong, and the lease is the reason")
        early = change(3, 4, Article("a"))._replace(epoch=2)
        await refusal(CheckpointMoved, store.apply([early]), "the lease is right")

    async def test_g11_one_lost_lease_keeps_all_from_being_written(self, store: ReadStore) -> None:
        await own(store, 2)
        await own(store, 4, projection="notes")
        good = change(0, 1, Article("a"))._replace(epoch=2, parked=[parked("b", 1)])
        late = change(0, 1, Note("n"), projection="notes")._replace(epoch=3)
        for both in ([good, late], [late, good]):
            await refusal(LeaseLost, store.apply(both), "notes are at epoch 4")
            assert (await store.load("articles", ["a"])).rows == {}
            assert (await store.checkpoint("articles")).position == 0
            assert await store.parked("articles") == []
        await store.apply([good, late._replace(epoch=4)])

    async def test_g11_a_lease_lost_while_writing_stops_the_next_change(
        self, store: ReadStore
    ) -> None:
        async with self.another(store) as other:
            for epoch in range(1, 13):
                await own(store, epoch, "first")
                await self._lose_it(store, other or store, epoch)

    async def _lose_it(self, writer: ReadStore, thief: ReadStore, epoch: int) -> None:
        at_work = asyncio.Event()
        writing = asyncio.create_task(_write_until_lost(writer, epoch, at_work))
        try:
            await self.soon(at_work.wait(), "the first change under the lease")
            for _ in range(epoch % 6):  # the lease is taken at any moment of a change
                await asyncio.sleep(0)
            stolen = LeaseSwap("articles", Lease(epoch, "first"), Lease(epoch, "between"))
            # Renewing first: new terms are no new owner, and stop nobody.
            assert await thief.swap_leases([stolen]) == [True]
            taken = LeaseSwap("articles", stolen.after, Lease(epoch + 1, "second"))
            assert await thief.swap_leases([taken]) == [True]
            then = (await thief.checkpoint("articles")).position
            await self.soon(writing, "the writer learning that its lease is lost")
        finally:
            writing.cancel()
        now = await thief.load("articles", ["a"])
        assert now.checkpoint == then, "a change was written after its lease was taken"
        assert now.rows["a"].value.stock == then

    async def test_g12_what_is_parked_comes_with_its_change(self, store: ReadStore) -> None:
        one, two = parked("a", 1), parked("b", 2)
        await store.apply([change(0, 2, Article("c"))._replace(parked=[one, two])])
        assert await store.parked("articles") == [one, two]
        assert (await store.load("articles", ["c"])).checkpoint == 2
        await store.apply([change(2, 3, Article("a"))._replace(unparked=[one])])
        assert await store.parked("articles") == [two]
        assert set((await store.load("articles", ["a", "c"])).rows) == {"a", "c"}

    async def test_g12_parking_needs_no_event(self, store: ReadStore) -> None:
        await store.apply([Change("articles", 0, 6)])
        one, two = parked("a", 4), parked("a", 6, because="follows")
        await store.apply([Change("articles", 6, 6, parked=[one, two])])
        assert await store.parked("articles") == [one, two]
        done = change(6, 6, Article("a"), deleted=["b"])._replace(unparked=[one, two])
        await store.apply([done])
        assert await store.parked("articles") == []
        loaded = await store.load("articles", ["a"])
        assert (loaded.checkpoint, loaded.rows["a"].value) == (6, Article("a"))
        moved = Change("articles", 5, 5, parked=[one])
        await refusal(CheckpointMoved, store.apply([moved]), "articles stand at 6")
        assert await store.parked("articles") == []

    async def test_g12_a_failing_change_leaves_nothing_parked_and_nothing_unparked(
        self, store: ReadStore
    ) -> None:
        waits, new = parked("a", 1), parked("b", 2)
        await store.apply([Change("articles", 0, 1, parked=[waits])])
        await own(store, 1, projection="notes")
        good = Change("articles", 1, 2, parked=[new], unparked=[waits])
        note = change(0, 1, Note("n"), projection="notes")
        for error, bad in (
            (CheckpointMoved, note._replace(after=3, upto=4)),
            (LeaseLost, note._replace(epoch=9)),
            (CheckpointMoved, good),  # a second time: the first of the two moves it
        ):
            for both in ([good, bad], [bad, good]):
                await refusal(error, store.apply(both), "one of the two cannot be written")
                assert await store.parked("articles") == [waits], "a failed apply left a trace"
                assert (await store.checkpoint("articles")).position == 1
        await store.apply([good, note])
        assert await store.parked("articles") == [new]

    async def test_g12_readers_see_what_is_parked_with_the_checkpoint(
        self, store: ReadStore
    ) -> None:
        last = 30

        async def write() -> None:
            for at in range(last):
                await store.apply(
                    [Change("articles", at, at + 1, parked=[parked(f"k-{at}", at + 1)])]
                )
                await asyncio.sleep(0)

        async def read(reader: ReadStore) -> None:
            before = after = 0
            while after < last:
                before = (await reader.checkpoint("articles")).position
                entries = await reader.parked("articles")
                after = (await reader.checkpoint("articles")).position
                assert before <= len(entries) <= after, (
                    f"{len(entries)} were parked, and the checkpoint went from {before} to {after}"
                )
                assert all(isinstance(one, Parked) for one in entries)
                await asyncio.sleep(0)

        async with self.another(store) as other:
            work = [
                asyncio.create_task(one) for one in (write(), read(store), read(other or store))
            ]
            try:
                await self.soon(asyncio.gather(*work), "readers seeing what is parked")
            finally:
                for task in work:
                    task.cancel()
                await outcomes(work)


async def _write_until_lost(store: ReadStore, epoch: int, at_work: asyncio.Event) -> None:
    """Write change after change under one lease; ends when it is lost."""
    at = (await store.checkpoint("articles")).position
    while True:
        try:
            await store.apply(
                [change(at, at + 1, Article("a", stock=at + 1))._replace(epoch=epoch)]
            )
        except DiptychError as error:
            assert isinstance(error, LeaseLost), f"expected LeaseLost, but: {error!r}"
            return
        at += 1
        at_work.set()
        await asyncio.sleep(0)
