"""Another process, near enough: an event loop of its own in a thread of its own."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

__all__ = ["elsewhere"]

T = TypeVar("T")


@asynccontextmanager
async def elsewhere(subject: T) -> AsyncIterator[T]:
    """The same object, all of whose work is done on another event loop.

    To a store that shares nothing between event loops, that is another process: what is read and
    written there has to pass through the database.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="elsewhere", daemon=True)
    thread.start()
    try:
        yield cast("T", _Elsewhere(subject, loop))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()


class _Elsewhere:
    """Stands for an object; its coroutines run on another loop."""

    def __init__(self, subject: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._subject = subject
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        thing = getattr(self._subject, name)
        if not inspect.iscoroutinefunction(thing):
            return thing

        async def there(*arguments: Any, **options: Any) -> Any:
            return await self._run(thing(*arguments, **options))

        return there

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
