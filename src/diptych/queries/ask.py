"""Asking a query: fresh enough for the asker, from whichever store answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

from diptych.errors import ConfigurationError, ForeignToken, NoHandler, StaleRead
from diptych.events.log import EventLog
from diptych.events.token import Token
from diptych.messages.kinds import Command
from diptych.queries.handler import QueryHandler, Source, Unseen

__all__ = ["Asker", "Consistency", "Freshness", "OnStale"]

OnStale = Literal["error", "stale", "write_model"]
Consistency = Literal["eventual", "write_model"]


class Freshness(Protocol):
    """Waits for projections, wherever they run."""

    async def wait(self, source: Source, position: int, within_s: float) -> bool:
        """True once the projection has come to `position`; False when it did not in time."""

    def stopped(self, source: Source) -> bool:
        """Whether waiting longer is in vain."""

    def why(self, source: Source) -> str:
        """Why it is behind, as far as this process knows; ''."""


class Asker:
    """Routes queries by class, waits for what the asker has seen, and lets the handler answer."""

    def __init__(
        self,
        handlers: Mapping[type, QueryHandler],
        freshness: Freshness,
        unseen: Unseen,
        log: EventLog,
    ) -> None:
        self._handlers = handlers
        self._freshness = freshness
        self._unseen = unseen
        self._log = log

    async def ask(
        self,
        query: Any,
        after: Token | None,
        within_s: float,
        on_stale: OnStale,
        consistency: Consistency,
    ) -> Any:
        """See App.ask."""
        handler = self._handlers.get(type(query))
        if handler is None:
            raise self._no_handler(query)
        if after is not None:
            self._check_log(after)
        if consistency == "write_model":
            return await handler.answer(query, self._unseen)
        if consistency not in get_args(Consistency) or on_stale not in get_args(OnStale):
            raise ConfigurationError(
                f"ask(consistency={consistency!r}, on_stale={on_stale!r}): consistency is "
                "'eventual' or 'write_model', on_stale is 'error', 'stale' or 'write_model'."
            )
        if after is not None and after.position:
            behind = await self._behind(handler, after, within_s)
            if behind is not None and on_stale == "error":
                raise await self._stale(behind, after, within_s)
            if behind is not None and on_stale == "write_model":
                return await handler.answer(query, self._unseen)
        return await handler.answer(query)

    async def _behind(self, handler: QueryHandler, after: Token, within_s: float) -> Source | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        for source in handler.sources:
            if not await self._freshness.wait(source, after.position, deadline - loop.time()):
                return source
        return None

    def _check_log(self, after: Token) -> None:
        if after.log != self._log.identity:
            raise ForeignToken(
                f"the token belongs to the log {after.log}, this is {self._log.identity}. Ask the "
                "application that gave it.",
                token_log=after.log,
                log=self._log.identity,
            )

    async def _stale(self, source: Source, after: Token, within_s: float) -> StaleRead:
        name, why = source.plan.name, self._freshness.why(source)
        if self._freshness.stopped(source):
            said = f"{name} has stopped before position {after.position}: {why}"
        else:
            said = (
                f"{name} did not reach position {after.position} within {within_s:g} s"
                f"{': ' + why if why else ''}. Wait longer (within_s), or choose on_stale='stale' "
                "or 'write_model'."
            )
        return StaleRead(
            said,
            projection=name,
            wanted=after.position,
            reached=(await source.store.checkpoint(name)).position,
            within_s=within_s,
            why=why,
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
