"""The permutation runner, on a database of nothing but locks."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict

import pytest

from diptych.testing.permutations import Party, permute


class DeadlockError(Exception):
    pass


class Locks:
    """Connections that can do `lock NAME`, `unlock`, and `fail`; nobody looks for deadlocks unless
    `watchful`.
    """

    def __init__(self, *, watchful: bool = True) -> None:
        self.owner: dict[str, str] = {}
        self.wants: dict[str, str] = {}
        self.changed = asyncio.Condition()
        self.watchful = watchful
        self.open_connections: set[str] = set()
        self.ran: list[str] = []

    async def open(self, party):
        self.open_connections.add(party)
        return party

    async def close(self, connection):
        self.open_connections.remove(connection)

    async def end(self, connection):
        await self.run(connection, "unlock")

    async def is_waiting(self, connection):
        wanted = self.wants.get(connection)
        return wanted is not None and self.owner.get(wanted, connection) != connection

    def is_deadlock(self, error):
        return isinstance(error, DeadlockError)

    async def run(self, connection, text):
        verb, _, name = text.partition(" ")
        if verb == "fail":
            raise ValueError(name)
        self.ran.append(f"{connection}: {text}")
        async with self.changed:
            if verb == "unlock":
                self.owner = {one: who for one, who in self.owner.items() if who != connection}
                self.changed.notify_all()
                return None
            self.wants[connection] = name
            try:
                if self.watchful and self.in_a_circle(connection):
                    raise DeadlockError(name)
                await self.changed.wait_for(lambda: self.owner.get(name, connection) == connection)
                self.owner[name] = connection
            finally:
                del self.wants[connection]
        return name

    def in_a_circle(self, connection):
        seen, one = set(), connection
        while one not in seen:
            seen.add(one)
            one = self.owner.get(self.wants.get(one, ""), "")
        return one == connection


def party(name, *texts):
    return Party(name, **{text.replace(" ", "_"): text for text in texts})


async def test_all_orders_are_tried_once():
    runs = await permute(
        Locks(),
        [party("a", "lock x", "unlock"), party("b", "lock y", "unlock"), party("c", "lock z")],
    )
    orders = [run.order for run in runs]
    assert len(orders) == len(set(orders)) == 30
    assert all(sorted(order) == list("aabbc") for order in orders)
    assert all(run.waited == [] and run.errors == {} for run in runs)


async def test_a_party_that_waits_lets_the_others_go_on_and_takes_its_turn_later():
    parties = [party("a", "lock x", "unlock"), party("b", "lock x", "unlock"), party("c", "lock y")]
    (run,) = await permute(Locks(), parties, orders=["abbca"])
    assert list(run.outcomes) == ["a.lock_x", "c.lock_y", "a.unlock", "b.lock_x", "b.unlock"]
    assert run.waited == ["b.lock_x"]
    assert run["b.lock_x"] == "x"
    assert "    b.lock_x waits" in run.story
    assert "    b.lock_x goes on" in run.story


async def test_a_step_may_be_a_function_of_its_connection():
    async def own(connection):
        return connection * 2

    (run,) = await permute(Locks(), [Party("a", own=own)])
    assert run["a.own"] == "aa"


async def test_a_deadlock_is_reported_and_the_rest_goes_on():
    def crossing(one, two):
        return [
            party("a", f"lock {one}", f"lock {two}", "unlock"),
            party("b", f"lock {two}", f"lock {one}", "unlock"),
        ]

    runs = await permute(Locks(), crossing("x", "y"))
    deadlocked = defaultdict(list)
    for run in runs:
        deadlocked[len(run.deadlocked)].append("".join(run.order))
    assert "abab" in {order[:4] for order in deadlocked[1]}
    assert "aaabbb" in deadlocked[0]
    assert set(deadlocked) == {0, 1}
    stuck = next(run for run in runs if run.deadlocked)
    with pytest.raises(DeadlockError):
        stuck[stuck.deadlocked[0]]


async def test_a_deadlock_that_nobody_notices_is_told_with_its_story():
    parties = [party("a", "lock x", "lock y"), party("b", "lock y", "lock x")]
    locks = Locks(watchful=False)
    with pytest.raises(AssertionError, match=r"a\.lock_y, b\.lock_x wait for ever") as failed:
        await permute(locks, parties, orders=["abab"], within_s=0.2)
    assert "In the order a b a b:" in str(failed.value)
    assert locks.owner == {}
    assert locks.open_connections == set()


async def test_a_failing_step_is_recorded_and_its_party_goes_on():
    (run,) = await permute(Locks(), [party("a", "fail here", "lock x")])
    assert list(run.outcomes) == ["a.fail_here", "a.lock_x"]
    assert isinstance(run.errors["a.fail_here"], ValueError)


async def test_a_check_that_fails_tells_the_order():
    def check(run):
        assert run.order[0] == "a", "b was first"

    with pytest.raises(AssertionError, match=r"(?s)b was first.*In the order b a:"):
        await permute(Locks(), [party("a", "lock x"), party("b", "lock y")], check)


async def test_a_check_may_be_async():
    async def check(run):
        await asyncio.sleep(0)
        raise AssertionError("seen")

    with pytest.raises(AssertionError, match="seen"):
        await permute(Locks(), [party("a", "lock x")], check)


async def test_each_order_begins_with_nothing_held_and_a_preparation():
    prepared = []
    locks = Locks()

    async def prepare():
        prepared.append(dict(locks.owner))

    await permute(locks, [party("a", "lock x"), party("b", "lock y")], prepare=prepare)
    assert prepared == [{}, {}]


async def test_what_a_reader_sees_is_noted_after_each_step():
    locks = Locks()

    async def watch():
        return len(locks.owner)

    parties = [party("a", "lock x", "unlock"), party("b", "lock y", "unlock")]
    (run,) = await permute(locks, parties, orders=["abab"], watch=watch)
    assert run.seen == [1, 2, 1, 0]


async def test_of_many_orders_some_are_drawn_from_a_seed_that_is_printed(capsys):
    parties = [party("a", "lock x", "unlock"), *(party(name, "lock y", "unlock") for name in "bc")]
    first = await permute(Locks(), parties, at_most=5)
    (printed,) = re.findall(r"5 of 90 orders, seed (\d+)", capsys.readouterr().out)
    again = await permute(Locks(), parties, at_most=5, seed=int(printed))
    assert [run.order for run in first] == [run.order for run in again]
    assert len({run.order for run in first}) == 5


async def test_an_order_that_forgets_somebody_is_refused():
    with pytest.raises(ValueError, match="a 1, b 1"):
        await permute(Locks(), [party("a", "lock x"), party("b", "lock y")], orders=["a"])
