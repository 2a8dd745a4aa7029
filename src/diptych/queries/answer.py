"""An answer with what it does not show, and how new it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.queries.lacking import Lacking
from diptych.queries.parked import Parked
from diptych.queries.source import Source

__all__ = ["Answer", "Told", "lacking_of"]


class Answer(msgspec.Struct, frozen=True):
    """What a query was answered (`value`), and what is to be known of it.

    `parked` are the events that rows it read do not show, because they are parked: rows read by
    key lack their own, lists may lack any. `positions` says, by projection, up to which position
    its rows show everything else, at least.
    """

    value: Any
    parked: tuple[Parked, ...] = ()
    positions: dict[str, int] = {}


class Told:
    """Collects what an Answer says beside its value, while a query is answered."""

    def __init__(self) -> None:
        self._lacking: dict[str, Lacking] = {}
        self._positions: dict[str, int] = {}

    async def look(self, sources: Sequence[Source], lacking: dict[str, Lacking]) -> None:
        """Look where the sources stand, just before they are read.

        What they lack is added to `lacking`, unless it is there already.
        """
        self._lacking, self._positions = lacking, {}
        for source in sources:
            name = source.plan.name
            stands = await source.store.checkpoint(name)
            self._positions[name] = stands.position
            if stands.parks and name not in lacking:
                lacking[name] = await lacking_of(source, None, refuse=False)

    def answer(self, value: Any) -> Answer:
        """The whole answer."""
        met = [one for lacks in self._lacking.values() for one in lacks.met]
        return Answer(value, tuple(met), self._positions)


async def lacking_of(
    source: Source, wanted: int | None, stream: str = "", *, refuse: bool
) -> Lacking:
    """What is parked of a projection up to `wanted` (None: all of it), for its readers."""
    name = source.plan.name
    entries = await source.store.parked(name)
    return Lacking(name, entries, wanted, stream, refuse=refuse)
