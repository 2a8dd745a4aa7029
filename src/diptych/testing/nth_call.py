"""Every call to a store goes wrong once: the n-th one of a story, for every n and in every way.

A fault that a test thinks of is one of a few; this finds the call nobody has thought of. Count the
calls of a story that goes well, then let it run once for each of them.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar, get_args

from diptych.errors import OutcomeUnknown, StoreUnavailable

__all__ = ["LOG_CALLS", "STORE_CALLS", "WAYS", "NthCall", "Way"]

P = TypeVar("P")

Way = Literal["before", "after", "hang", "cancel"]
"""An error and no effect; the effect and an error; no answer, ever; the caller is cancelled."""

WAYS: tuple[Way, ...] = get_args(Way)

LOG_CALLS = ("append", "read", "read_stream", "head", "wait", "snapshot", "command")
STORE_CALLS = (
    "load",
    "apply",
    "find",
    "count",
    "checkpoint",
    "checkpoints",
    "swap_leases",
    "parked",
    "generations",
)
"""What a story calls. Opening and closing are left alone: they belong to the test."""

_WRITES = {"append", "apply", "swap_leases"}


class NthCall:
    """Counts the calls of the ports it stands before; the `nth` of them goes wrong (0: none).

    `which` says afterwards which one that was. A write that goes wrong after its effect raises
    OutcomeUnknown, as a lost connection does; everything else StoreUnavailable.

    >>> from diptych.adapters.memory.event_log import MemoryEventLog
    >>> async def main():
    ...     nth = NthCall(1, "before")
    ...     log = nth.before(MemoryEventLog(), LOG_CALLS)
    ...     await log.open()
    ...     try:
    ...         await log.head()
    ...     except StoreUnavailable as error:
    ...         print(nth.which, "-", error.message)
    ...     return await log.head()
    >>> asyncio.run(main())
    MemoryEventLog.head - call 1, MemoryEventLog.head, was to fail.
    0
    """

    def __init__(self, nth: int = 0, way: Way = "before") -> None:
        self.calls = 0
        self.which = ""
        self._nth = nth
        self._way = way

    def before(self, port: P, calls: tuple[str, ...]) -> P:
        """Stand before these methods of a log or a read store, and give it back."""
        for name in calls:
            call = getattr(port, name)
            assert inspect.iscoroutinefunction(call), f"{name} is not awaited"
            setattr(port, name, self._watched(call, name, f"{type(port).__name__}.{name}"))
        return port

    def _watched(
        self, call: Callable[..., Awaitable[Any]], name: str, which: str
    ) -> Callable[..., Awaitable[Any]]:
        async def watched(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls != self._nth:
                return await call(*arguments, **named)
            self.which = which
            if self._way == "before":
                raise StoreUnavailable(f"call {self.calls}, {which}, was to fail.")
            if self._way == "hang":
                await asyncio.Event().wait()
            if self._way == "cancel":
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                return await call(*arguments, **named)
            await call(*arguments, **named)
            if name in _WRITES:
                raise OutcomeUnknown(f"call {self._nth}, {which}, was done, and nobody heard.")
            raise StoreUnavailable(f"call {self._nth}, {which}, was not heard.")

        return watched
