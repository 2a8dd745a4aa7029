"""Asking a query: fresh enough for the asker, from whichever store answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal, Protocol, get_args

from diptych.errors import (
    ConfigurationError,
    ForeignToken,
    NoHandler,
    StaleRead,
    StoreError,
    StoreUnavailable,
)
from diptych.events.log import EventLog
from diptych.events.token import Token
from diptych.messages.kinds import Command
from diptych.queries.answer import Answer, Told, lacking_of
from diptych.queries.handler import QueryHandler, Unseen
from diptych.queries.lacking import Lacking
from diptych.queries.replicas import Replica, Replicas
from diptych.queries.source import Source
from diptych.queries.standings import CheckpointInfo

__all__ = ["Asker", "Consistency", "Freshness", "OnStale", "Watch"]

OnStale = Literal["error", "stale", "write_model", "primary"]
Consistency = Literal["eventual", "write_model"]


class Freshness(Protocol):
    """Waits for projections, wherever they run."""

    async def wait(self, source: Source, position: int, within_s: float) -> CheckpointInfo | None:
        """Where the projection stands once it has come to `position`; None: it did not in time."""

    def stopped(self, source: Source) -> bool:
        """Whether waiting longer is in vain."""

    async def read_anew(self, sources: Sequence[Source]) -> bool:
        """Read what is served now where the rows of a source were dropped; whether any were."""

    async def why(self, source: Source) -> str:
        """Why it is behind, as far as can be found out; ''."""


class Watch(Protocol):
    """Sees every query and every wait for a token, and changes neither; see telemetry."""

    def asking(self, query: Any, answering: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """What to await instead of `answering`, which it awaits."""

    def waited(self, seconds: float, *, reached: bool) -> None:
        """A query with a token has waited so long, and its read models have come as far or not."""


class _Wait:
    """How far the asker's token says, until when, and what if not.

    `stood` says where the sources stood that had come so far.
    """

    def __init__(self, after: Token | None, within_s: float, on_stale: OnStale) -> None:
        self.position = 0 if after is None else after.position
        self.stream = "" if after is None else after.stream
        self.within_s = within_s
        self.began = asyncio.get_running_loop().time()
        self.deadline = self.began + within_s
        self.on_stale = on_stale
        self.stood: list[tuple[Source, CheckpointInfo]] = []


class _Elsewhere(Exception):
    """This replica is behind, and the asker chose to be answered by the primary then."""


class Asker:
    """Routes queries by class, waits for what the asker has seen, and lets the handler answer.

    `watch` may be set at any time; without one, a query pays for a comparison with None.
    """

    watch: Watch | None = None

    def __init__(
        self,
        handlers: Mapping[type, QueryHandler],
        freshness: Freshness,
        unseen: Unseen,
        log: EventLog,
        replicas: Replicas,
    ) -> None:
        self._handlers = handlers
        self._freshness = freshness
        self._unseen = unseen
        self._log = log
        self._replicas = replicas

    def ask(
        self,
        query: Any,
        after: Token | None,
        within_s: float,
        on_stale: OnStale,
        consistency: Consistency,
    ) -> Coroutine[Any, Any, Any]:
        """See App.ask."""
        # Not async: the coroutine is handed on, one frame less to await.
        answering = self._ask(query, after, within_s, on_stale, consistency)
        return answering if self.watch is None else self.watch.asking(query, answering)

    async def answer(
        self,
        query: Any,
        after: Token | None,
        within_s: float,
        on_stale: OnStale,
        consistency: Consistency,
    ) -> Answer:
        """As `ask`, with what the answer does not show because it is parked."""
        told = Told()
        answering = self._ask(query, after, within_s, on_stale, consistency, told=told)
        watched = answering if self.watch is None else self.watch.asking(query, answering)
        return told.answer(await watched)

    def handler_of(self, query: Any) -> QueryHandler:
        """What answers a query. Raises NoHandler."""
        handler = self._handlers.get(type(query))
        if handler is None:
            raise self._no_handler(query)
        return handler

    async def _ask(
        self,
        query: Any,
        after: Token | None,
        within_s: float,
        on_stale: OnStale,
        consistency: Consistency,
        *,
        told: Told | None = None,
    ) -> Any:
        handler = self.handler_of(query)
        if after is not None:
            self._check_log(after)
        if consistency == "write_model":
            return await self._from_log(query, handler, told)
        if consistency not in get_args(Consistency) or on_stale not in get_args(OnStale):
            raise ConfigurationError(
                f"ask(consistency={consistency!r}, on_stale={on_stale!r}): consistency is "
                "'eventual' or 'write_model'; on_stale is 'error', 'stale', 'write_model' or "
                "'primary'."
            )
        wait = _Wait(after, within_s, on_stale)
        for replica in self._replicas.in_turn():
            try:
                return await replica.attempt(self._answer(query, handler, wait, replica, told))
            except _Elsewhere:
                break
            except StoreUnavailable:
                # A dead replica does not stop reads. Whether it is dead, the next probe says: it
                # may have been another store that the handler reads.
                continue
        return await self._answer(query, handler, wait, None, told)

    async def _answer(
        self,
        query: Any,
        handler: QueryHandler,
        wait: _Wait,
        replica: Replica | None,
        told: Told | None,
    ) -> Any:
        """The answer; made anew where other rows are read by its end, or its rows were set back."""
        again = False
        while True:
            answer, same = await self._looked(
                handler, lambda: self._look(query, handler, wait, replica, told)
            )
            if not wait.stood and told is None:
                return answer
            if same and not await _were_set_back(wait.stood):
                return answer
            if again and asyncio.get_running_loop().time() > wait.deadline:
                raise self._set_back(handler, wait)
            again = True

    async def _look(
        self,
        query: Any,
        handler: QueryHandler,
        wait: _Wait,
        replica: Replica | None,
        told: Told | None,
    ) -> Any:
        lacking: dict[str, Lacking] = {}
        wait.stood.clear()
        behind = await self._behind(handler, wait, replica, lacking)
        if self.watch is not None and wait.position:
            waited = asyncio.get_running_loop().time() - wait.began
            self.watch.waited(waited, reached=behind is None)
        if behind is not None:
            wait.stood.clear()
            if wait.on_stale == "write_model":
                return await self._from_log(query, handler, told)
            if wait.on_stale == "primary" and replica is not None:
                raise _Elsewhere
            if wait.on_stale != "stale":
                raise await self._stale(behind, wait, replica)
        if told is not None:
            at = handler.sources
            await told.look(at if replica is None else [replica.source(one) for one in at], lacking)
        return await handler.answer(query, replica=replica, lacking=lacking)

    async def _from_log(self, query: Any, handler: QueryHandler, told: Told | None) -> Any:
        """The answer with what no projection has seen yet, which what is parked is not part of."""
        while True:
            answer, same = await self._looked(
                handler, lambda: self._look_with_unseen(query, handler, told)
            )
            if same:
                return answer

    async def _look_with_unseen(self, query: Any, handler: QueryHandler, told: Told | None) -> Any:
        lacking: dict[str, Lacking] = {}
        for source in handler.sources:
            if (await source.store.checkpoint(source.plan.name)).parks:
                lacking[source.plan.name] = await lacking_of(source, None, refuse=True)
        if told is not None:
            await told.look(handler.sources, lacking)
        return await handler.answer(query, self._unseen, lacking=lacking)

    async def _looked(
        self, handler: QueryHandler, look: Callable[[], Coroutine[Any, Any, Any]]
    ) -> tuple[Any, bool]:
        """The answer that `look` gives, and whether the same rows are read by its end.

        Where its rows were dropped, and others are read by now, it looks again.
        """
        while True:
            read = _read_by(handler)
            try:
                return await look(), read == _read_by(handler)
            except StoreError as error:
                gone = not error.retryable and (
                    read != _read_by(handler) or await self._freshness.read_anew(handler.sources)
                )
                if not gone:
                    raise

    async def _behind(
        self,
        handler: QueryHandler,
        wait: _Wait,
        replica: Replica | None,
        lacking: dict[str, Lacking],
    ) -> Source | None:
        """The first source that did not come as far as the token in time; None: all did.

        Those that did are added to `wait.stood`; what they lack, as it is parked, to `lacking`.
        """
        if wait.position:
            for source in handler.sources:
                at = source if replica is None else replica.source(source)
                left = wait.deadline - asyncio.get_running_loop().time()
                stands = await self._freshness.wait(at, wait.position, left)
                if stands is None:
                    return at
                wait.stood.append((at, stands))
                if stands.parks and wait.on_stale != "stale":
                    lacking[source.plan.name] = await lacking_of(
                        at, wait.position, wait.stream, refuse=True
                    )
        return None

    def _check_log(self, after: Token) -> None:
        if after.log != self._log.identity:
            raise ForeignToken(
                f"the token belongs to the log {after.log}, this is {self._log.identity}. Ask the "
                "application that gave it.",
                token_log=after.log,
                log=self._log.identity,
            )

    async def _stale(self, source: Source, wait: _Wait, replica: Replica | None) -> StaleRead:
        name, why = source.plan.name, await self._freshness.why(source)
        if replica is not None:
            why = f"the replica {replica.name} has replayed position {await replica.log.head()}"
        if self._freshness.stopped(source):
            said = f"{name} has stopped before position {wait.position}: {why}"
        else:
            choices = "'stale', 'write_model'" + (", 'primary'" if replica else "")
            said = (
                f"{name} did not reach position {wait.position} within {wait.within_s:g} s"
                f"{': ' + why if why else ''}. Wait longer (within_s), or choose another on_stale: "
                f"{choices}."
            )
        return StaleRead(
            said,
            projection=name,
            wanted=wait.position,
            reached=(await source.store.checkpoint(name)).position,
            within_s=wait.within_s,
            why=why,
        )

    def _set_back(self, handler: QueryHandler, wait: _Wait) -> StaleRead:
        names = ", ".join(_read_by(handler))
        return StaleRead(
            f"the rows of {names} were moved by others, or made anew in place, each time they were "
            f"read within {wait.within_s:g} s, so nobody can say that they were new enough. Wait "
            "longer (within_s), or look at what moves them: diptych projections status",
            projection=names,
            wanted=wait.position,
            reached=None,
            within_s=wait.within_s,
            why="they were set back, or change hands",
        )

    def _no_handler(self, query: Any) -> NoHandler:
        if isinstance(query, type):
            return NoHandler(
                f"{query.__name__} is a class, not a query: ask {query.__name__}(...).",
                query=query.__name__,
            )
        if isinstance(query, Command):
            return NoHandler(
                f"{type(query).__name__} is a command: use dispatch, not ask.",
                query=type(query).__name__,
            )
        names = ", ".join(sorted(cls.__name__ for cls in self._handlers)) or "none"
        return NoHandler(
            f"no handler answers the query {type(query).__name__}; this application answers "
            f"{names}. List its function in App(...).",
            query=type(query).__name__,
        )


async def _were_set_back(stood: Sequence[tuple[Source, CheckpointInfo]]) -> bool:
    """Whether rows may have been emptied, to be made anew in place, since they stood there.

    Whoever does that takes the lease before, and again under a new epoch when they are empty.
    """
    for source, then in stood:
        now = await source.store.checkpoint(source.plan.name)
        if now.lease.epoch != then.lease.epoch or now.position < then.position:
            return True
    return False


def _read_by(handler: QueryHandler) -> list[str]:
    """The rows that a query reads. When others are read at its end, it has to be answered anew:
    what those lack because it is parked, nobody has looked at.
    """
    return [source.plan.name for source in handler.sources]
