"""Replicas: copies of the write database, kept by the database itself, that answer queries.

A replica shows its primary as it was a moment ago: log, read models and views of one and the same
position. So nothing has to be known of the database's own replication: how far a replica has come
is read from the replica.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from diptych.environment import Environment
from diptych.errors import StoreError, StoreUnavailable
from diptych.events.delay import delay_s
from diptych.events.log import EventLog
from diptych.queries.read_store import ReadStore
from diptych.queries.source import Source

__all__ = ["CopiedStore", "Replica", "ReplicaStatus", "Replicas"]

T = TypeVar("T")
_logger = logging.getLogger("diptych")

PROBE_EVERY_S = 0.5
"""How often each replica is asked where it stands: its lag, and whether it is alive at all."""

PROBE_WITHIN_S = 2.0
"""A replica that does not say where it stands for so long is not asked until it does."""


class ReplicaStatus(msgspec.Struct, frozen=True):
    """One replica at one moment.

    `lag_events` counts the events it has not replayed; `delay_s` is the age of the oldest of them.
    `why` says what is wrong with one that is not `up`: queries go elsewhere meanwhile.
    """

    name: str
    up: bool
    position: int
    head: int
    lag_events: int
    delay_s: float
    why: str = ""


class CopiedStore(ReadStore, Protocol):
    """A read store that can say whether it is a copy."""

    async def is_copy(self) -> bool:
        """Whether it follows another database, and takes no writes of its own."""


class Replica:
    """A copy of the write database: the same log, to be read, and the same read store."""

    def __init__(self, name: str, log: EventLog, store: CopiedStore, primary: ReadStore) -> None:
        self.name = name
        self.log = log
        self.store = store
        self.primary = primary
        self.up = False
        self.why = "not asked yet"
        self.position = 0
        self.known: frozenset[str] = frozenset()
        self._gone: asyncio.Future[None] | None = None

    def source(self, source: Source) -> Source:
        """The same projection here, if its store is the one that is copied.

        Raises StoreUnavailable for rows that are read since a moment ago, until the next probe.
        """
        if source.store is not self.primary:
            return source
        if source.plan.name not in self.known:
            raise StoreUnavailable(
                f"the replica {self.name} was not asked for {source.plan.name} yet"
            )
        return Source(source.plan, self.store)

    async def attempt(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a read here. Raises StoreUnavailable as soon as the replica is known dead.

        A server that hangs would hold the reader for ever; the probe frees it.
        """
        if self._gone is None or self._gone.done():
            self._gone = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work)
        either: list[asyncio.Future[Any]] = [task, self._gone]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise StoreUnavailable(f"the replica {self.name} {self.why}")
        finally:
            task.cancel()

    def answers(self, position: int) -> None:
        """It has said where it stands."""
        if not self.up:
            _logger.info("the replica %s answers queries from now on", self.name)
        self.up, self.why, self.position = True, "", position

    def fails(self, why: str) -> None:
        """It does not answer: whoever waits for it goes elsewhere."""
        if self.up:
            _logger.warning("the replica %s answers no queries: %s", self.name, why)
        self.leave(why)

    def leave(self, why: str = "was closed") -> None:
        """Ask it nothing more, and let go of everybody who waits for it."""
        self.up, self.why = False, why
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)


class Replicas:
    """All replicas of an application: which is alive, how far each has come, whose turn it is."""

    def __init__(
        self, replicas: Sequence[Replica], primary: EventLog, environment: Environment
    ) -> None:
        self._replicas = replicas
        self._primary = primary
        self._environment = environment
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = 0
        self._sources: Sequence[Source] = ()

    async def open(self, sources: Sequence[Source]) -> None:
        """Ask every replica once for what is read there, then go on asking. A dead one hinders
        nobody.
        """
        self._sources = sources
        await asyncio.gather(*(self._probe(one) for one in self._replicas))
        self._tasks = [
            asyncio.create_task(self._watch(one), name=f"replica {one.name}")
            for one in self._replicas
        ]

    async def close(self) -> None:
        """Stop asking, and let go of every replica."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for one in self._replicas:
            one.leave()
            for part in (one.store, one.log):
                with contextlib.suppress(StoreError):
                    await part.close()

    def in_turn(self) -> list[Replica]:
        """The replicas that are alive, another one first each time."""
        alive = [one for one in self._replicas if one.up]
        if not alive:
            return []
        self._turn = (self._turn + 1) % len(alive)
        return alive[self._turn :] + alive[: self._turn]

    async def status(self) -> list[ReplicaStatus]:
        """Where each replica stands."""
        head = await self._primary.head()
        return [await self._status_of(one, head) for one in self._replicas]

    async def _status_of(self, one: Replica, head: int) -> ReplicaStatus:
        if one.up:
            await self._probe(one, connect=False)
        lag = max(0, head - one.position)
        delay = await delay_s(self._primary, self._environment, one.position) if lag else 0.0
        return ReplicaStatus(one.name, one.up, one.position, head, lag, delay, one.why)

    async def _watch(self, one: Replica) -> None:
        while True:
            await self._environment.sleep(PROBE_EVERY_S)
            await self._probe(one)

    async def _connect(self, one: Replica) -> None:
        """Open what is read there now: it changes when generations of rows are switched."""
        tables = {source.plan.name: source.plan.table for source in self._sources}
        if one.up and one.known >= tables.keys():
            return
        await one.log.open()
        await one.store.open(list(tables.values()))
        one.known = frozenset(tables)

    async def _probe(self, one: Replica, *, connect: bool = True) -> None:
        try:
            async with asyncio.timeout(PROBE_WITHIN_S):
                if connect:
                    await self._connect(one)
                head = await one.log.head()
                if one.log.identity != self._primary.identity:
                    one.fails("holds another log: it is no replica of this application's database")
                elif not await one.store.is_copy():
                    one.fails("is no replica any more: it was promoted, and goes its own way")
                else:
                    one.answers(head)
        except TimeoutError:
            one.fails(f"did not say where it stands within {PROBE_WITHIN_S:g} s")
        except StoreError as error:
            one.fails(f"cannot be asked: {error}")
