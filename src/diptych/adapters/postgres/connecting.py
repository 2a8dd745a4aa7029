"""Connecting without interruption."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

__all__ = ["connect_through"]

C = TypeVar("C")


async def connect_through(
    connect: Callable[[], Awaitable[C]],
    abandoned: Callable[[C | None], None],
) -> C:
    """The new connection.

    When the caller is cancelled, connecting goes on to its end, and `abandoned` is called with what
    came of it (None: nothing): the driver leaves errors that nobody looks at when it is interrupted
    here, and servers count failed logins.
    """
    connecting = asyncio.ensure_future(connect())
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(partial(_hand_over, abandoned))
        raise


def _hand_over(
    abandoned: Callable[[C | None], None],
    connecting: asyncio.Future[C],
) -> None:
    failed = connecting.cancelled() or connecting.exception() is not None
    abandoned(None if failed else connecting.result())
