"""Routing: the class of a command leads to its handler, through middleware composed once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from diptych.commands.envelope import CommandEnvelope, CommandHandler, Done, Middleware
from diptych.errors import NoHandler
from diptych.messages.kinds import Query

__all__ = ["Dispatcher"]


class Dispatcher:
    """One handler per command class, each behind the same middleware, the first one outermost."""

    def __init__(
        self, handlers: Mapping[type, CommandHandler], middleware: Sequence[Middleware] = ()
    ) -> None:
        # Composed here and not per dispatch: a chain built per call costs three times as much.
        self._chains = {cls: _compose(handler, middleware) for cls, handler in handlers.items()}

    async def dispatch(self, envelope: CommandEnvelope) -> Done:
        """Hand a command to its handler. Raises NoHandler, and whatever the handler raises."""
        try:
            chain = self._chains[type(envelope.command)]
        except KeyError:
            raise _no_handler(envelope.command, self._chains) from None
        return await chain(envelope)


def _compose(handler: CommandHandler, middleware: Sequence[Middleware]) -> CommandHandler:
    for one in reversed(middleware):
        handler = _around(one, handler)
    return handler


def _around(middleware: Middleware, proceed: CommandHandler) -> CommandHandler:
    def step(envelope: CommandEnvelope) -> Any:
        # Not async: the middleware's own coroutine is handed on, one frame less to await.
        return middleware(envelope, proceed)

    return step


def _no_handler(command: object, known: Iterable[type]) -> NoHandler:
    if isinstance(command, type):
        return NoHandler(
            f"{command.__name__} is a class, not a command: dispatch {command.__name__}(...).",
            command=command.__name__,
        )
    name = type(command).__name__
    if isinstance(command, Query):
        return NoHandler(f"{name} is a query: use ask, not dispatch.", command=name)
    names = ", ".join(sorted(cls.__name__ for cls in known)) or "none"
    return NoHandler(
        f"no handler takes the command {name}; this application handles {names}. "
        "List its aggregate, decider or function in App(...).",
        command=name,
    )
