"""Connecting without interruption."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import asyncpg

__all__ = ["connect_through"]


async def connect_through(
    connect: Callable[[], Awaitable[asyncpg.Connection]],
    abandoned: Callable[[asyncpg.Connection | None], None],
) -> asyncpg.Connection:
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
    abandoned: Callable[[asyncpg.Connection | None], None],
    connecting: asyncio.Future[asyncpg.Connection],
) -> None:
    failed = connecting.cancelled() or connecting.exception() is not None
    abandoned(None if failed else connecting.result())
