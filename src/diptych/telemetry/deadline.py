"""A question with a deadline that holds, whatever hangs at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["within"]

T = TypeVar("T")


async def within(seconds: float, question: Coroutine[Any, Any, T]) -> T:
    """Its answer, or TimeoutError after `seconds`.

    Unlike asyncio.timeout it does not wait until what was cancelled has ended: a connection that
    is half open may take its time over that, too.
    """
    task = asyncio.ensure_future(question)
    try:
        await asyncio.wait([task], timeout=seconds)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        if not task.done():
            task.add_done_callback(_nobody_waits)
            task.cancel()


def _nobody_waits(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not complain
