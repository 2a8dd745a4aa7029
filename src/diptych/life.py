"""Opening and closing: one at a time, and what was accepted ends before its stores are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from diptych.errors import StoreUnavailable

__all__ = ["Life"]


class Life:
    """Counts what is in flight: `with life:` around each; nothing else is paid for by a command."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._closing = 0
        self._in_flight = 0
        self._ended: asyncio.Future[None] | None = None

    def turn(self) -> asyncio.Lock:
        """One at a time opens or closes. A lock belongs to one event loop, an App to none."""
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock())
        return self._turn[1]

    @contextmanager
    def closing(self) -> Iterator[None]:
        """From the wish to close until it is done, `check` refuses."""
        self._closing += 1
        try:
            yield
        finally:
            self._closing -= 1

    def check(self) -> None:
        """Raise StoreUnavailable while it is being closed."""
        if self._closing:
            raise StoreUnavailable(
                f"{self._name} is being closed: it accepts nothing more, and nothing was done. "
                "Try again elsewhere, or once `close()` has returned."
            )

    async def ended(self) -> None:
        """Return once nothing is in flight."""
        while self._in_flight:
            self._ended = asyncio.get_running_loop().create_future()
            try:
                await self._ended
            finally:
                self._ended = None

    def __enter__(self) -> None:
        self._in_flight += 1

    def __exit__(self, *_: object) -> None:
        self._in_flight -= 1
        if self._ended is not None and not self._in_flight and not self._ended.done():
            self._ended.set_result(None)
