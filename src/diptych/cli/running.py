"""Running until done, or until Ctrl-C or SIGTERM; stopping gracefully either way."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any, Self, TypeVar

__all__ = ["interruptible", "run", "run_until_stopped"]

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end.

    Ctrl-C and SIGTERM cancel it, so that it closes what it opened; then KeyboardInterrupt is
    raised. A second one does not wait for that.
    """
    with _Stopping() as stopping, asyncio.Runner() as runner:
        try:
            return runner.run(stopping.watch(work))
        except asyncio.CancelledError:
            if stopping.asked:
                raise KeyboardInterrupt from None
            raise


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T | None:
    """Run `work` that goes on until somebody stops it: being stopped is then how it ends well."""
    try:
        return run(work)
    except KeyboardInterrupt:
        return None


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Around something that blocks the event loop, such as waiting for a line to be typed.

    Ctrl-C and SIGTERM raise KeyboardInterrupt there; a cancellation would wait until it returns.
    """
    stopping = _Stopping.present
    if stopping is None:
        yield
        return
    stopping.blocked = True
    try:
        if stopping.asked:  # just before: its cancellation has not arrived yet
            raise KeyboardInterrupt
        yield
    finally:
        stopping.blocked = False


class _Stopping:
    """What Ctrl-C and SIGTERM do while it is entered."""

    present: _Stopping | None = None

    def __init__(self) -> None:
        self.asked = False
        self.blocked = False
        self._cancel = self._do_nothing
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        with contextlib.suppress(ValueError):  # not the main thread: nobody sends us signals
            for one in (signal.SIGINT, signal.SIGTERM):
                self._before[one] = signal.signal(one, self._stop)
        _Stopping.present = self
        return self

    def __exit__(self, *_: object) -> None:
        _Stopping.present = None
        for one, handler in self._before.items():
            signal.signal(one, handler)

    async def watch(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` as what is cancelled."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101  a runner runs tasks
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            return await work
        finally:
            self._cancel = self._do_nothing

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if again or self.blocked:
            raise KeyboardInterrupt
        self._cancel()

    def _do_nothing(self) -> object:
        return None
