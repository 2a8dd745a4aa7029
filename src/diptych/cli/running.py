"""Running until done, or until Ctrl-C or SIGTERM; stopping gracefully either way."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run", "run_until_stopped"]

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


async def _terminable(work: Coroutine[Any, Any, T]) -> T:
    # Ctrl-C is asyncio's own business; SIGTERM is made to be the same.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _as_ctrl_c)
    return await work


def _as_ctrl_c() -> None:
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
