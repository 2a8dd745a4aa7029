"""State kept in the process between commands, and the gate that lets one command in per stream.

The cache is never trusted, only used: an append carries the cached version as its expected version,
and a rejection decided on cached state is confirmed against the log before it is believed.
"""

from __future__ import annotations

import asyncio
from collections import deque

from diptych.commands.repository import Held

__all__ = ["StateCache", "StreamGate"]


class StateCache:
    """The states used last, at most `limit` of them."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._held: dict[str, Held] = {}

    def take(self, stream: str) -> Held | None:
        """Take a state out: whoever is about to change it owns it, and puts back what is true."""
        return self._held.pop(stream, None)

    def put(self, stream: str, held: Held) -> None:
        """Keep a state that is known to be the stream's at that version."""
        if not self._limit:
            return
        self._held[stream] = held
        if len(self._held) > self._limit:
            del self._held[next(iter(self._held))]

    def clear(self) -> None:
        """Keep nothing."""
        self._held.clear()

    def __len__(self) -> int:
        return len(self._held)


class StreamGate:
    """Lets commands for one stream pass one after the other within this process, in order.

    Without it, commands that arrive together for one stream would all decide on the same version
    and all but one would have to try again. Other processes are met by version checks.
    """

    def __init__(self) -> None:
        self._inside: dict[str, deque[asyncio.Future[None]] | None] = {}

    def occupied(self, stream: str) -> bool:
        """Whether somebody is inside."""
        return stream in self._inside

    async def enter(self, stream: str) -> None:
        """Wait until no other command is inside for `stream`."""
        if stream not in self._inside:
            self._inside[stream] = None
            return
        waiting = self._inside[stream]
        if waiting is None:
            waiting = self._inside[stream] = deque()
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(stream)  # it was our turn already: pass it on
            raise

    def leave(self, stream: str) -> None:
        """Let the next one in."""
        waiting = self._inside[stream]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._inside[stream]
