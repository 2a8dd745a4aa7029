"""N commands in flight, in order where order matters.

Scenes of one chain (one customer) are played one after the other, because a return is decided by
what was bought before it. Chains mix freely: none of them asks what another one did. That is why
the answers are the same for every number in flight, and after every kill.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from diptych import App, Command, Rejection
from diptych.errors import DiptychError
from diptych_examples.shop.messages.commands import CheckOut, ShipOrder

from .ledger import REPLAY, Advance, Ledger, StartReplay, Tally
from .rules import Scene, Script

__all__ = ["Replay"]

_SCENES_PER_ENTRY = 100
_ATTEMPTS = 8


class Replay:
    """Plays a script through an application whose parts include Ledger.

    `tally` holds the answers of all scenes that are done, in this run or an earlier one. `commands`
    counts what was answered in this run, `lines` what was answered in all of them.
    """

    def __init__(self, app: App, script: Script, in_flight: int) -> None:
        self._app = app
        self._script = script
        self._in_flight = in_flight
        self._scenes = [*script.catalogue, *script.invoices]
        self._upto = 0
        self._beyond: set[int] = set()
        self._clock = app.environment.monotonic_s
        self._began = self._clock()
        self._seconds_before = 0.0
        self.tally = Tally()
        self.finished = False
        self.continued = False
        self.commands = 0
        self.lines = 0

    @property
    def seconds(self) -> float:
        """Seconds of work until now, in all runs."""
        return self._seconds_before + self.run_seconds

    @property
    def run_seconds(self) -> float:
        """Seconds since `start`."""
        return self._clock() - self._began

    async def start(self) -> None:
        """Look where an earlier run came to.

        Raises OtherReplay when the database holds the replay of another file.
        """
        source = self._script.source
        await self._app.dispatch(StartReplay(REPLAY, source.name, source.digest))
        ledger: Ledger = await self._app.load(Ledger, REPLAY)
        self._upto, self._beyond, self.tally = ledger.upto, set(ledger.beyond), ledger.tally
        self._seconds_before, self.finished = ledger.seconds, ledger.finished
        self.continued = ledger.scenes > 0
        self.lines = self.tally.lines
        self._began = self._clock()

    async def run(self) -> None:
        """Dispatch everything that was not answered yet.

        Raises what a dispatch raises, but for rejections: those are counted.
        """
        if self.finished:
            return
        opening = len(self._script.catalogue)
        await self._play(range(opening))
        await self._play(range(opening, len(self._scenes)))
        await self._enter(finished=True)
        self.finished = True

    async def _play(self, of_stage: range) -> None:
        numbers = [one for one in of_stage if one >= self._upto and one not in self._beyond]
        stage = _Stage(self._scenes, numbers)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._in_flight, len(numbers))):
                    workers.create_task(self._work(stage))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _work(self, stage: _Stage) -> None:
        while (number := stage.take()) is not None:
            tally = await self._perform(self._scenes[number])
            # A log in memory never waits, and the right panel wants its turn.
            await asyncio.sleep(0)
            stage.leave(number)
            await self._close(number, tally)

    async def _perform(self, scene: Scene) -> Tally:
        tally = Tally()
        ordered = False
        for command_id, command, is_line in scene.play():
            kind = type(command)
            if kind is ShipOrder and not ordered:
                continue  # nothing was ordered, so there is no parcel
            reason = await self._answer(command, command_id)
            if kind is CheckOut:
                ordered = reason is None
            tally.count(command=kind.__name__, reason=reason, is_line=is_line)
            self.commands += 1
            self.lines += is_line
        return tally

    async def _answer(self, command: Command, command_id: str) -> str | None:
        """The reason of a rejection; None when the command was accepted.

        When the outcome is unknown, or the store is busy, the same command under the same id is
        dispatched again: it has its effect once.
        """
        for attempt in range(_ATTEMPTS):
            try:
                await self._app.dispatch(command, id=command_id)
            except Rejection as rejection:
                return rejection.code
            except DiptychError as error:
                if not error.retryable or attempt == _ATTEMPTS - 1:
                    raise
                await self._app.environment.sleep(0.05 * 2**attempt)
            else:
                return None
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _close(self, number: int, tally: Tally) -> None:
        self.tally.add(tally)
        self._beyond.add(number)
        while self._upto in self._beyond:
            self._beyond.remove(self._upto)
            self._upto += 1
        if (self._upto + len(self._beyond)) % _SCENES_PER_ENTRY == 0:
            await self._enter()

    async def _enter(self, *, finished: bool = False) -> None:
        # A copy, because others count on while this one waits to be written.
        tally = Tally()
        tally.add(self.tally)
        beyond = tuple(sorted(self._beyond))
        entry = Advance(REPLAY, self._upto, beyond, tally, self.seconds, finished)
        await self._app.dispatch(entry)


class _Stage:
    """Which scene is next, while those before it in its chain are being played."""

    def __init__(self, scenes: Sequence[Scene], numbers: Iterable[int]) -> None:
        self._scenes = scenes
        self._coming = iter(numbers)
        self._waiting: dict[str, deque[int]] = {}
        self._ready: deque[int] = deque()

    def take(self) -> int | None:
        """The next scene that may begin; None: those who play a chain also play the rest of it."""
        if self._ready:
            return self._ready.popleft()
        for number in self._coming:
            chain = self._scenes[number].chain
            waiting = self._waiting.get(chain)
            if waiting is None:
                self._waiting[chain] = deque()
                return number
            waiting.append(number)
        return None

    def leave(self, number: int) -> None:
        """The scene was played: the next of its chain may begin."""
        chain = self._scenes[number].chain
        waiting = self._waiting[chain]
        if waiting:
            self._ready.append(waiting.popleft())
        else:
            del self._waiting[chain]
