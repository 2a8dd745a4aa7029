"""Connections whose steps are interleaved in every order: what locks and snapshots really do.

After PostgreSQL's own isolation tester. Several parties, each with a connection of its own, have
steps to run; one order after another is tried. A step that waits for somebody else's lock is
noticed, the others go on, and it is met again when it is free. This knows no database: whoever
waits is told by `Connections`.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import random
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

__all__ = ["Connections", "Interleaving", "Outcome", "Party", "permute"]

Step = str | Callable[[Any], Awaitable[Any]]
"""A text for `Connections.run`, or a function of the party's connection."""

Check = Callable[["Interleaving"], Awaitable[None] | None]

_LOOK_AGAIN_S = 0.001


class Connections(Protocol):
    """Opens connections to one database, and knows which of them waits for another one."""

    async def open(self, party: str) -> Any:
        """A connection for the party of this name."""

    async def run(self, connection: Any, text: str) -> Any:
        """Run a step that is a text, and return what it gives."""

    async def is_waiting(self, connection: Any) -> bool:
        """Whether what runs on the connection waits for a lock of somebody else."""

    def is_deadlock(self, error: BaseException) -> bool:
        """Whether a step failed because parties waited for each other."""

    async def end(self, connection: Any) -> None:
        """Roll back what was begun and not ended, so that the next order finds it like new."""

    async def close(self, connection: Any) -> None:
        """Let go of the connection."""


class Party:
    """Somebody with a connection and steps, which always run in their own order.

    >>> Party("writer", begin="BEGIN", insert="INSERT ...", commit="COMMIT").steps
    ('begin', 'insert', 'commit')
    """

    def __init__(self, name: str, /, **steps: Step) -> None:
        self.name = name
        self.steps = tuple(steps)
        self.texts = tuple(steps.values())


class Outcome(NamedTuple):
    """What became of a step: a value or an error, and whether it had to wait for a lock."""

    value: Any = None
    error: BaseException | None = None
    waited: bool = False


class Interleaving:
    """One order of the steps, and what came of it.

    `order` names the party of each step; `outcomes` are by step (`"writer.commit"`), in the order
    of their ends; `story` tells it all in lines; `deadlocked` are the steps that failed because
    parties waited for each other; `seen` is what `watch` gave after each step.
    """

    def __init__(self, order: Sequence[str]) -> None:
        self.order = tuple(order)
        self.outcomes: dict[str, Outcome] = {}
        self.deadlocked: list[str] = []
        self.seen: list[Any] = []
        self.story: list[str] = []

    def __getitem__(self, step: str) -> Any:
        """What a step gave; raises the error it ended with."""
        outcome = self.outcomes[step]
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    @property
    def errors(self) -> dict[str, BaseException]:
        """The steps that failed, with their errors."""
        return {name: one.error for name, one in self.outcomes.items() if one.error is not None}

    @property
    def waited(self) -> list[str]:
        """The steps that had to wait for a lock."""
        return [name for name, one in self.outcomes.items() if one.waited]


async def permute(
    connections: Connections,
    parties: Sequence[Party],
    check: Check | None = None,
    *,
    orders: Iterable[Sequence[str]] | None = None,
    prepare: Callable[[], Awaitable[Any]] | None = None,
    watch: Callable[[], Awaitable[Any]] | None = None,
    at_most: int = 100,
    seed: int | None = None,
    within_s: float = 20.0,
) -> list[Interleaving]:
    """Run the steps of the parties in many orders, and `check` what came of each.

    ```python
    one = Party("one", begin="BEGIN", add="UPDATE n SET n = n + 1", end="COMMIT")
    two = Party("two", begin="BEGIN", add="UPDATE n SET n = n + 1", end="COMMIT")
    for run in await permute(connections, [one, two], check):
        ...
    ```

    Without `orders` (each the name of the party whose turn it is, turn by turn) all are tried, or,
    if there are more than `at_most`, so many drawn from a seed, which is printed. `prepare` is
    awaited before each order. `watch` is awaited after each step, when everybody has come to rest:
    what a reader sees at that moment. A party that waits misses its turn and takes it when it is
    free. A step that fails is recorded, and its party goes on: the check decides what that means.

    Raises AssertionError that tells the order and how it went: when `check` raises one, and when
    nobody has moved for `within_s` seconds, be it a deadlock that the database did not notice or a
    party that waits for one with no steps left.
    """
    if orders is None:
        orders = _all_or_some(parties, at_most, seed)
    done: list[Interleaving] = []
    async with _opened(connections, parties) as held:
        for order in orders:
            if prepare is not None:
                await prepare()
            run = await _Run(
                connections, held, parties, order, watch=watch, within_s=within_s
            ).play()
            try:
                if inspect.isawaitable(checked := check(run) if check else None):
                    await checked
            except AssertionError as error:
                raise _told(run, str(error)) from error
            done.append(run)
    return done


class _Run:
    """The parties while they run in one order."""

    def __init__(
        self,
        connections: Connections,
        held: dict[str, Any],
        parties: Sequence[Party],
        order: Sequence[str],
        *,
        watch: Callable[[], Awaitable[Any]] | None,
        within_s: float,
    ) -> None:
        self._connections = connections
        self._held = held
        self._steps = {party.name: _named_steps(party) for party in parties}
        self._made = Interleaving(order)
        self._watch = watch
        self._within_s = within_s
        self._running: dict[str, tuple[str, asyncio.Task[Any]]] = {}
        self._waited: set[str] = set()
        _check_order(parties, order)

    async def play(self) -> Interleaving:
        """Give everybody their turns; leave the connections as they were found."""
        turns = list(self._made.order)
        try:
            while turns or self._running:
                name = next((one for one in turns if one not in self._running), None)
                if name is None:
                    await self._one_is_free()
                else:
                    turns.remove(name)
                    self._start(name)
                await self._rest()
                if self._watch is not None:
                    self._made.seen.append(await self._watch())
        finally:
            await self._leave()
        return self._made

    def _start(self, name: str) -> None:
        step, what = next(self._steps[name])
        connection = self._held[name]
        work = (
            self._connections.run(connection, what) if isinstance(what, str) else what(connection)
        )
        self._made.story.append(step)
        self._running[name] = step, asyncio.ensure_future(work)

    async def _rest(self) -> None:
        """Return when everybody who runs waits for a lock, as seen since the last one ended."""
        async with self._patience():
            moving = True
            while moving:
                moving = self._ended()
                for name, (step, task) in self._running.items():
                    if await self._connections.is_waiting(self._held[name]):
                        self._waits(step)
                    elif not task.done():
                        await asyncio.wait([task], timeout=_LOOK_AGAIN_S)
                        moving = True
                    else:
                        moving = True

    async def _one_is_free(self) -> None:
        tasks = [task for _, task in self._running.values()]
        async with self._patience():
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    def _ended(self) -> bool:
        """Note who has come to the end of a step; whether anybody has."""
        ended = [(name, *one) for name, one in self._running.items() if one[1].done()]
        if ended and ended[-1][0] == next(reversed(self._running)):
            ended = ended[-1:] + ended[:-1]  # the step begun last is what has freed the others
        for name, step, task in ended:
            del self._running[name]
            error = task.exception()
            value = None if error else task.result()
            self._made.outcomes[step] = Outcome(value, error, step in self._waited)
            if error is not None and self._connections.is_deadlock(error):
                self._made.deadlocked.append(step)
            if error is not None or step in self._waited:
                how = f"fails: {error!r}" if error else "goes on"
                self._made.story.append(f"    {step} {how}")
        return bool(ended)

    def _waits(self, step: str) -> None:
        if step not in self._waited:
            self._waited.add(step)
            self._made.story.append(f"    {step} waits")

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._within_s):
                yield
        except TimeoutError:
            waiting = ", ".join(step for step, _ in self._running.values())
            raise _told(
                self._made, f"nobody has moved for {self._within_s:g} s: {waiting} wait for ever."
            ) from None

    async def _leave(self) -> None:
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._held.values():
            await self._connections.end(connection)


@asynccontextmanager
async def _opened(
    connections: Connections, parties: Sequence[Party]
) -> AsyncIterator[dict[str, Any]]:
    held: dict[str, Any] = {}
    try:
        for party in parties:
            held[party.name] = await connections.open(party.name)
        yield held
    finally:
        for connection in held.values():
            await connections.close(connection)


def _named_steps(party: Party) -> Iterator[tuple[str, Step]]:
    return zip([f"{party.name}.{step}" for step in party.steps], party.texts, strict=True)


def _check_order(parties: Sequence[Party], order: Sequence[str]) -> None:
    wanted = Counter({party.name: len(party.steps) for party in parties})
    if Counter(order) != wanted:
        turns = ", ".join(f"{name} {count}" for name, count in wanted.items())
        raise ValueError(
            f"the order {' '.join(order)} does not give everybody their turns: {turns}"
        )


def _all_or_some(
    parties: Sequence[Party], at_most: int, seed: int | None
) -> Iterable[tuple[str, ...]]:
    counts = [len(party.steps) for party in parties]
    there_are = math.factorial(sum(counts)) // math.prod(map(math.factorial, counts))
    turns = {party.name: len(party.steps) for party in parties}
    if there_are <= at_most:
        return _all(turns)
    seed = secrets.randbits(32) if seed is None else seed
    sys.stdout.write(f"{at_most} of {there_are:,} orders, seed {seed}\n")
    chance = random.Random(seed)  # noqa: S311  repeatable by design
    some: dict[tuple[str, ...], None] = {}
    whole = [name for name, count in turns.items() for _ in range(count)]
    while len(some) < at_most:
        chance.shuffle(whole)
        some[tuple(whole)] = None
    return some


def _all(turns: dict[str, int]) -> Iterator[tuple[str, ...]]:
    if not any(turns.values()):
        yield ()
    for name, left in turns.items():
        if left:
            for rest in _all({**turns, name: left - 1}):
                yield (name, *rest)


def _told(run: Interleaving, what: str) -> AssertionError:
    lines = [what, "", f"In the order {' '.join(run.order)}:", *(f"  {one}" for one in run.story)]
    return AssertionError("\n".join(lines))
