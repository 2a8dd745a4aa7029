"""One blocking face for code that does not await: scripts, Django views, notebooks, tests.

```python
from diptych.blocking import Blocking

with Blocking(app) as shop:
    done = shop.dispatch(AddItemToCart("c1", "tea", 2))
    page = shop.ask(GetCart("c1"), after=done.token)
```
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from diptych.application import App
from diptych.commands.envelope import Done
from diptych.events.token import Token
from diptych.messages.kinds import Query
from diptych.operations.drift.results import Verification
from diptych.sync.status import ProjectionStatus

__all__ = ["Blocking"]

A = TypeVar("A")


class Blocking:
    """An App whose calls return when they are done; usable from any number of threads at once.

    The application runs on an event loop in a thread of its own, from `with` (or `open`) to the end
    of the block (or `close`). Calls take the same arguments and raise the same errors as App's.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> Self:
        """Start the loop's thread and open the application."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"diptych {self.app.name}", daemon=True
        )
        self._thread.start()
        self.run(self.app.open())
        return self

    def close(self) -> None:
        """Close the application and end the thread. Calling again does nothing."""
        if self._loop is None or self._thread is None:
            return
        self.run(self.app.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def dispatch(self, command: Any, **options: Any) -> Done:
        """See App.dispatch."""
        return self.run(self.app.dispatch(command, **options))

    @overload
    def ask(self, query: Query[A], **options: Any) -> A: ...

    @overload
    def ask(self, query: object, **options: Any) -> Any: ...

    def ask(self, query: Any, **options: Any) -> Any:
        """See App.ask."""
        return self.run(self.app.ask(query, **options))

    def load(self, kind: Any, key: object, **options: Any) -> Any:
        """See App.load."""
        return self.run(self.app.load(kind, key, **options))

    def settle(self, within_s: float = 5.0) -> None:
        """See App.settle."""
        self.run(self.app.settle(within_s))

    def status(self) -> list[ProjectionStatus]:
        """See App.status."""
        return self.run(self.app.status())

    def head_token(self) -> Token:
        """See App.head_token."""
        return self.run(self.app.head_token())

    def verify(self) -> Verification:
        """See App.verify."""
        return self.run(self.app.verify())

    def run(self, coroutine: Coroutine[Any, Any, A]) -> A:
        """Run any coroutine on the application's loop and return its result."""
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("not open: use `with Blocking(app) as ...:`")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
