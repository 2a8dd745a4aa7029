"""Where a decider's state comes from: folded from its events, or stored as state.

Both kinds append the same events to the same log; a domain class cannot tell which one it has.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec

from diptych.commands.decider import Decider
from diptych.events.log import EventLog, Snapshot
from diptych.messages.registry import Registry

__all__ = ["EventSourcedRepository", "Held", "Repository", "StateStoredRepository"]

_PAGE = 1_000


class Held(NamedTuple):
    """The state of a stream after `version`."""

    state: Any
    version: int


class Repository(Protocol):
    """Loads state, and says what to store beside the events of an append."""

    decider: Decider[Any]

    async def load(self, stream: str) -> Held:
        """The present state; the initial one at version 0 for an unknown stream."""

    async def catch_up(self, stream: str, held: Held) -> Held:
        """`held` brought up to the present; the same object when nothing was added."""

    def snapshots(self, stream: str, before: int, held: Held) -> tuple[Snapshot, ...]:
        """What to store with an append that brings the stream from `before` to `held`."""


class EventSourcedRepository:
    """State is the fold of the stream's events, from the newest usable snapshot on."""

    def __init__(
        self,
        decider: Decider[Any],
        log: EventLog,
        registry: Registry,
        snapshot_every: int | None = None,
    ) -> None:
        self.decider = decider
        self._log = log
        self._registry = registry
        self._every = snapshot_every or decider.snapshot_every
        if self._every is not None:
            self._encode, self._decode = decider.state_codec()
            self._schema = decider.snapshot_schema()

    async def load(self, stream: str) -> Held:
        """See Repository."""
        held = Held(self.decider.initial(), 0)
        if self._every is not None:
            held = await self._from_snapshot(stream) or held
        return await self.catch_up(stream, held)

    async def load_at(self, stream: str, version: int) -> Held:
        """The state just after `version` (or the newest, if the stream is shorter)."""
        held = Held(self.decider.initial(), 0)
        return await self.catch_up(stream, held, until=version)

    async def catch_up(self, stream: str, held: Held, until: int | None = None) -> Held:
        """See Repository."""
        decode, evolve = self._registry.decode, self.decider.evolve
        while until is None or held.version < until:
            limit = _PAGE if until is None else min(_PAGE, until - held.version)
            page = await self._log.read_stream(stream, held.version, limit)
            if not page:
                break
            state = held.state
            for _, _, version, name, schema, data, _, _ in page:  # noqa: B007  last one is kept
                event = decode(name, schema, data)
                step = evolve.get(type(event))
                if step is not None:
                    state = step(state, event)
            held = Held(state, version)
            if len(page) < limit:
                break
        return held

    def snapshots(self, stream: str, before: int, held: Held) -> tuple[Snapshot, ...]:
        """See Repository."""
        if self._every is None or before // self._every == held.version // self._every:
            return ()
        state = self._encode(held.state)
        return (Snapshot(stream, held.version, self._schema, state),)

    async def _from_snapshot(self, stream: str) -> Held | None:
        found = await self._log.snapshot(stream)
        if found is None or found.schema != self._schema:
            return None  # another shape: folding the events is always right
        try:
            return Held(self._decode(found.state), found.version)
        except (msgspec.DecodeError, TypeError, ValueError):
            return None  # its shape changed and nobody said so: likewise


class StateStoredRepository(EventSourcedRepository):
    """State is stored whole with every append, and loaded whole.

    The events of the same append are for the other panel, and for what was recorded before the
    state was stored (or in another shape): then the state is folded from them once more.
    """

    def __init__(self, decider: Decider[Any], log: EventLog, registry: Registry) -> None:
        super().__init__(decider, log, registry, snapshot_every=1)
