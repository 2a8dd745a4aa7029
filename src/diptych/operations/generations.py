"""Blue and green: rows of a projection built beside those that are read, compared, switched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from diptych.errors import ConfigurationError
from diptych.operations.generations_compared import GenerationsCompared, compare_rows, look_again
from diptych.queries.handler import QueryHandler
from diptych.queries.source import Source
from diptych.queries.standings import Generation
from diptych.sync.generations import of_generation
from diptych.sync.panels import LOOK_FOR_SWITCHES_S, Panels
from diptych.sync.rebuild import Progress, Rebuild

__all__ = ["Gate", "Generations"]

_COMPARING = "comparing generations"

Gate = Callable[[GenerationsCompared], bool]
"""Decides by a comparison whether the new rows may be read."""


class Generations:
    """The sets of rows of one projection.

    One is read (`served`). `build` makes another beside it, which costs queries nothing; `compare`
    shows what would change; `switch` has it read, in one moment for every process, and keeps the
    old one up to date to `switch_back` to; `drop` removes what is not read.
    """

    def __init__(
        self,
        panels: Panels,
        source: Source,
        opened: Callable[[], Awaitable[None]],
        handler_of: Callable[[Any], QueryHandler],
    ) -> None:
        self._panels = panels
        self._source = source
        self._opened = opened
        self._handler_of = handler_of

    async def list(self) -> Sequence[Generation]:
        """All there are, the first one first."""
        await self._opened()
        return await self._source.store.generations(self._source.first.name)

    async def build(
        self, *, throttle: float | None = None, progress: Progress | None = None
    ) -> str:
        """Build new rows beside those that are read, up to the head; the name of the generation.

        A build that was killed is gone on with. At most `throttle` events a second are folded.
        Raises ConfigurationError for a projection that is inline, a view, or has tables of its own;
        ProjectionFailed; StoreError.
        """
        await self._opened()
        self._refuse_inline()
        return await self._rebuild(throttle, progress).build()

    async def compare(self, queries: Sequence[Any] = ()) -> GenerationsCompared:
        """Compare the rows built last with those that are read, and answers to real queries.

        Rows are read while both sides move; what differs, or has moved, is looked at again, and the
        queries are answered, while both stand still at one position. Rows with other fields cannot
        be compared: then `looks_different` is true, rows are only counted, and the queries only
        asked of the new ones.

        Raises ConfigurationError when nothing was built, StaleRead when the rows that are read are
        behind and nobody moves them, and what the queries raise.
        """
        await self._opened()
        store, first = self._source.store, self._source.first
        rebuild = self._rebuild()
        if await rebuild.looks_different():
            return await self._counted(queries)
        async with rebuild.level(_COMPARING, equal=True) as (old, new):
            pass  # close to each other, little is to be looked at again
        since = (await store.checkpoint(new)).position
        compared = await compare_rows(store, old, new)
        async with rebuild.level(_COMPARING, equal=True) as (old, new):
            touched = await rebuild.touched(since, (await store.checkpoint(new)).position)
            compared = await look_again(store, compared, touched)
            beside = _Beside(self._source, Source(of_generation(first, new), store))
            answers = []
            for query in queries:
                handler = self._handler_of(query)
                now = await handler.answer(query)
                then = await handler.answer(query, replica=beside)
                if now != then:
                    answers.append((query, now, then))
        return compared.with_answers(len(queries), answers)

    async def _counted(self, queries: Sequence[Any]) -> GenerationsCompared:
        store, first = self._source.store, self._source.first
        async with self._rebuild().level(_COMPARING) as (old, new):
            counts = await store.count(old), await store.count(new)
            beside = _Beside(self._source, Source(of_generation(first, new), store))
            for query in queries:
                await self._handler_of(query).answer(query, replica=beside)
        compared = GenerationsCompared(old, new, *counts, ("", ""), looks_different=True)
        return compared.with_answers(len(queries), ())

    async def switch(self, gate: Gate | None = None, queries: Sequence[Any] = ()) -> str:
        """Have the rows built last read from now on; their generation's name.

        No reader sees time go back: the new rows are at the position of the old ones. With a
        `gate` both are compared before (see `compare`), and it has to say yes. Raises
        ConfigurationError when nothing was built or the gate says no, StaleRead when the new rows
        cannot catch up.
        """
        await self._opened()
        self._refuse_inline()
        if gate is not None and not gate(compared := await self.compare(queries)):
            raise ConfigurationError(
                f"{compared.new} is not read: the gate refused it ({compared.summary()}). Nothing "
                "was changed."
            )
        rebuild = self._rebuild()
        async with rebuild.level("switching generations") as (old, new):
            await rebuild.switch(old, new)
        await self._panels.choose_again(self._source)
        return new

    async def switch_back(self) -> str:
        """Have the rows read again that were read before the last switch; their name.

        Raises ConfigurationError when they were dropped, StaleRead when they are too far behind.
        """
        await self._opened()
        name = await self._rebuild().switch_back()
        await self._panels.choose_again(self._source)
        return name

    async def drop(self) -> Sequence[str]:
        """Remove all rows but those that are read; the names of their generations.

        Waits until other processes have noticed which those are.
        """
        await self._opened()
        retired = await self._rebuild().retire()
        if retired:
            await self._panels.choose_again(self._source)
            await self._panels.environment.sleep(2 * LOOK_FOR_SWITCHES_S)
        for name in retired:
            await self._rebuild().drop(name)
        return retired

    async def rebuild_in_place(
        self, *, throttle: float | None = None, progress: Progress | None = None
    ) -> None:
        """Forget the rows that are read and fold the log again; queries see them come back."""
        await self._opened()
        await self._rebuild(throttle, progress).in_place(self._source.plan.name)

    def _rebuild(self, throttle: float | None = None, progress: Progress | None = None) -> Rebuild:
        return self._panels.rebuild(self._source, throttle, progress)

    def _refuse_inline(self) -> None:
        if self._source.first.name in self._panels.inline:
            raise ConfigurationError(
                f"{self._source.first.name} is inline: its rows commit with the events, and none "
                "can be built beside them. Make it asynchronous first, or rebuild it in place."
            )


class _Beside:
    """Has one projection read from other rows."""

    def __init__(self, source: Source, beside: Source) -> None:
        self._source = source
        self._beside = beside

    def source(self, source: Source) -> Source:
        """Where to read a projection."""
        return self._beside if source is self._source else source
