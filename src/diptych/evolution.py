"""An application on its way from one stage to the next: two applications that act as one.

Every process runs it in place of its App for as long as the move takes. Who decides and who answers
is kept in the log, so all processes change over at one and the same position.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import msgspec

from diptych.application import App
from diptych.commands.aggregate import decider_of
from diptych.commands.envelope import Done
from diptych.commands.genesis import Begun, GenesisProgress
from diptych.errors import ConfigurationError, StoreError
from diptych.events.guarded import GuardMoved
from diptych.events.token import Token
from diptych.operations.evolution.comparison import Comparison, compare
from diptych.operations.evolution.transition import (
    BeginShadow,
    CutOver,
    Phase,
    RollBack,
    Transition,
)
from diptych.urls import shown

__all__ = ["Evolution", "EvolutionStatus"]

LOOK_EVERY_S = 0.25
"""How long a process may go on reading from the side that answered until now."""

_ATTEMPTS = 20
_log = logging.getLogger("diptych")
_chosen_at: ContextVar[int | None] = ContextVar("chosen_at", default=None)
"""The version of the move at which the side that decides a command was chosen."""

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much is done, and how much there is in all (if known)."""


class EvolutionStatus(msgspec.Struct, frozen=True):
    """How far the move has come: who decides and who answers, and how far the new side lags."""

    name: str
    phase: Phase
    decides: str
    answers: str
    lag_events: int


class Evolution:
    """Moves a running application from `old` to `new`, which share one write database.

    ```python
    evolution = Evolution("shop", old=stage1.shop_at(url), new=stage3.shop_at(url))
    async with evolution:
        await evolution.dispatch(AddItemToCart("c1", "tea", 2))
    ```

    Phases: "old" (nothing has changed), "shadow" (commands keep both sides in step, the old one
    answers), "new" (the new one decides and answers), and back from "new" to "shadow". One side
    must keep tables and events both: it decides in shadow.

    Every process must run the Evolution before the first step: an App that is used by itself knows
    of no phase.
    """

    def __init__(self, name: str, *, old: App, new: App) -> None:
        if old.write != new.write:
            places = [shown(w) if isinstance(w, str) else "a log" for w in (old.write, new.write)]
            raise ConfigurationError(
                f"the two sides of {name} write to {places[0]} and {places[1]}, or with other "
                "options: a move keeps the write database. Give both the same URL."
            )
        self.name = name
        self.environment = new.environment
        self.old = old
        self.new = new
        self._both = self._side_that_keeps_both()
        self._control = App(name, [Transition], write=old.write, environment=old.environment)
        self._phase: Phase = "old"
        self._version = 0
        self._watching: asyncio.Task[None] | None = None
        self._stream = decider_of(Transition).stream(name)

    # -- life ------------------------------------------------------------------------------------

    async def open(self, *, projections: bool = True) -> Self:
        """Open both sides, and look how far the move has come. Raises what App.open raises."""
        try:
            await self._open(projections)
        except BaseException:
            await self.close()
            raise
        return self

    async def _open(self, projections: bool) -> None:  # noqa: FBT001  as open was told
        await self._control.open()
        await self._look()
        for side in (self.old, self.new):
            side.left.guard(self._stream, self._believed)
        await self.old.open(projections=projections)
        await self.new.open(projections=projections)
        self._watching = asyncio.create_task(self._watch(), name=f"evolution of {self.name}")

    async def close(self) -> None:
        """Close both sides."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for one in (self.new, self.old, self._control):
            await one.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # -- both panels -------------------------------------------------------------------------------

    async def dispatch(self, command: Any, **options: Any) -> Done:
        """As App.dispatch, on the side that decides now.

        When the move goes on meanwhile, the command is decided again by the side that decides then;
        nothing was written before.
        """
        for _ in range(_ATTEMPTS):
            # What holds now must still hold when the command is written, however long it takes.
            chosen = _chosen_at.set(self._version)
            try:
                return await self._deciding.dispatch(command, **options)
            except GuardMoved:
                await self._look()
            finally:
                _chosen_at.reset(chosen)
        raise GuardMoved(f"{self.name} moved on {_ATTEMPTS} times during one command.")

    async def ask(self, query: Any, **options: Any) -> Any:
        """As App.ask, on the side that answers now."""
        return await self._answering.ask(query, **options)

    async def load(self, kind: Any, key: object) -> Any:
        """As App.load, from the side that decides now."""
        return await self._deciding.load(kind, key)

    async def head_token(self) -> Token:
        """As App.head_token."""
        return await self._deciding.head_token()

    # -- the move ----------------------------------------------------------------------------------

    async def status(self) -> EvolutionStatus:
        """How far the move has come."""
        await self._look()
        lag = max((one.lag_events for one in await self.new.status()), default=0)
        return EvolutionStatus(
            self.name, self._phase, self._side(self._deciding), self._side(self._answering), lag
        )

    async def begin_shadow(self, progress: Progress | None = None) -> None:
        """Keep both sides in step from now on, and bring the new one up to the present.

        Commands go on. Rows that were written before events were kept get their genesis; then the
        new read models are waited for. Stopped and called again, it goes on. Raises NotYet after a
        cut-over.
        """
        await self._look()
        if self._phase != "shadow":
            await self._control.dispatch(BeginShadow(self.name))
            await self._look()
        for kind in self._both.left.table_kinds:
            told = None if progress is None else _told(progress)
            await self._both.left.begin_streams(kind, progress=told)
        await self._catch_up(progress)

    async def compare(self, queries: Iterable[Any], progress: Progress | None = None) -> Comparison:
        """Ask both sides the same queries while commands go on, and compare the answers."""
        told = None if progress is None else _counted(progress, "comparing")
        return await compare(self.old, self.new, queries, told)

    async def cut_over(
        self, queries: Iterable[Any], because: str = "", progress: Progress | None = None
    ) -> Comparison:
        """Compare once more; if all answers are the same, the new side takes over.

        Raises NotYet when answers differ, unless `because` says why that is right.
        """
        comparison = await self.compare(queries, progress)
        different = len(comparison.different)
        await self._control.dispatch(CutOver(self.name, comparison.compared, different, because))
        await self._look()
        return comparison

    async def roll_back(self, because: str) -> None:
        """Let the old side take over again; nothing is lost. Raises NotYet before a cut-over."""
        await self._control.dispatch(RollBack(self.name, because))
        await self._look()

    # -- inside ------------------------------------------------------------------------------------

    def _believed(self) -> int:
        chosen = _chosen_at.get()
        return self._version if chosen is None else chosen

    @property
    def _deciding(self) -> App:
        if self._phase == "shadow":
            return self._both
        return self.new if self._phase == "new" else self.old

    @property
    def _answering(self) -> App:
        return self.new if self._phase == "new" else self.old

    def _side(self, app: App) -> str:
        return "new" if app is self.new else "old"

    def _side_that_keeps_both(self) -> App:
        for side in (self.new, self.old):
            if side.left.keeps_events and side.left.table_kinds:
                return side
        raise ConfigurationError(
            f"neither side of {self.name} keeps both tables and events, so there is no moment at "
            "which both could be right. Move by way of a stage that does (stage 3)."
        )

    async def _look(self) -> None:
        version = len(await self._control.log.read_stream(self._stream))
        if version != self._version:
            transition: Transition = await self._control.load(Transition, self.name)
            self._phase, self._version = transition.phase, version

    async def _watch(self) -> None:
        while True:
            await self.environment.sleep(LOOK_EVERY_S)
            try:
                await self._look()
            except StoreError as error:
                _log.warning("%s cannot look how far its move has come: %s", self.name, error)

    async def _catch_up(self, progress: Progress | None) -> None:
        while True:
            statuses = await self.new.status()
            lag = max((one.lag_events for one in statuses), default=0)
            if progress is not None and statuses:
                head = statuses[0].head
                progress("new read models", head - lag, head)
            if lag <= 1_000:
                break
            await self.environment.sleep(0.1)
        await self.new.settle(within_s=60)


def _told(progress: Progress) -> GenesisProgress:
    def tell(begun: Begun) -> None:
        progress(f"genesis of {begun.name}", begun.rows, None)

    return tell


def _counted(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, of: progress(what, done, of)
