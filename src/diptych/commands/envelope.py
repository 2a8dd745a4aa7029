"""A command on its way to its handler, and the answer that comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from diptych.events.token import Token

__all__ = ["CommandEnvelope", "CommandHandler", "Done", "Middleware"]


class CommandEnvelope(msgspec.Struct, frozen=True, gc=False):
    """A command with what its caller said about it.

    `command_id` is given by a caller who may retry (an HTTP key, a saga step, a broker message):
    the first answer is then kept and given again. `expected_version` refuses the command unless its
    stream stands exactly there. The rest is copied to the events.
    """

    command: Any
    command_id: str | None = None
    actor: str | None = None
    tenant: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    expected_version: int | None = None


class Done(msgspec.Struct, frozen=True):
    """The answer to an accepted command.

    `token` makes a query wait for what the command did; `events` are what was recorded, oldest
    first; `stream` and `version` say where the (first) stream stands now (version 0: its handler
    did not look). `repeated` is true when this is the first answer again.
    """

    token: Token
    events: tuple[Any, ...] = ()
    stream: str = ""
    version: int = 0
    repeated: bool = False


CommandHandler = Callable[[CommandEnvelope], Awaitable[Done]]
"""What stands at the end of the middleware chain."""

Middleware = Callable[[CommandEnvelope, CommandHandler], Awaitable[Done]]
"""Code around every command, as in `async def timing(envelope, proceed)`; it awaits `proceed`."""
