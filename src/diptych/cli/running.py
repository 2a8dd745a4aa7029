"""Running until done, or until Ctrl-C or SIGTERM; stopping gracefully either way."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

__all__ = ["interruptible", "run", "run_until_stopped"]

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end.

    Ctrl-C and SIGTERM cancel it, so that it closes what it opened; then KeyboardInterrupt is
    raised. A second one does not wait for that.
    """
    with asyncio.Runner() as runner:
        return runner.run(_terminable(work))


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T | None:
    """Run `work` that goes on until somebody stops it: being stopped is then how it ends well."""
    try:
        return run(work)
    except KeyboardInterrupt:
        return None


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Around something that blocks the event loop, such as waiting for a line to be typed.

    Ctrl-C and SIGTERM raise KeyboardInterrupt there; otherwise they would wait for it to return.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for one in (signal.SIGINT, signal.SIGTERM):
            before[one] = signal.signal(one, signal.default_int_handler)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


async def _terminable(work: Coroutine[Any, Any, T]) -> T:
    # Ctrl-C is asyncio's own business; SIGTERM is made to be the same.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _as_ctrl_c)
    return await work


def _as_ctrl_c() -> None:
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
