"""Write models as they were: at a version, or at a moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from diptych.commands.decider import Decider
from diptych.errors import ConfigurationError
from diptych.events.log import EventLog, StoredEvent
from diptych.messages.registry import Registry, place_of
from diptych.operations.trail.history import microseconds
from diptych.operations.trail.record import Record, record_of

__all__ = ["LoadState", "PastState", "PastStates", "owner_of"]

LoadState = Callable[[Any, object, int | None], Awaitable[Any]]
"""`LeftPanel.load`: the state of a kind and a key at a version."""

_PAGE = 1_000


class PastState(msgspec.Struct, frozen=True):
    """The state that a stream had at `version`, and the event that led to it.

    Version 0 is the state before the first event; then `last` is None.
    """

    stream: str
    version: int
    state: Any
    last: Record | None = None


class PastStates:
    """Loads states from before. Raises ConfigurationError for what never was."""

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        deciders: Mapping[Any, Decider[Any]],
        load: LoadState,
    ) -> None:
        self._log = log
        self._registry = registry
        self._deciders = deciders
        self._load = load

    async def at_version(self, kind: Any, key: object, version: int) -> PastState:
        """The state just after this version."""
        stream = self._decider(kind).stream(key)
        last: StoredEvent | None = None
        if version:
            found = await self._log.read_stream(stream, version - 1, 1) if version > 0 else []
            if not found:
                stands = await self._version(stream, None)
                raise ConfigurationError(
                    f"{stream} has no version {version}, it stands at "
                    f"{stands.version if stands else 0}."
                )
            last = found[0]
        return await self._state(kind, key, stream, last)

    async def at_moment(self, kind: Any, key: object, at: datetime) -> PastState:
        """The state after the longest beginning of the stream that was recorded by `at`."""
        stream = self._decider(kind).stream(key)
        return await self._state(kind, key, stream, await self._version(stream, microseconds(at)))

    async def newest(self, kind: Any, key: object) -> PastState:
        """The state after the last event."""
        stream = self._decider(kind).stream(key)
        return await self._state(kind, key, stream, await self._version(stream, None))

    def _decider(self, kind: Any) -> Decider[Any]:
        decider = self._deciders.get(kind)
        if decider is None:
            raise ConfigurationError(
                f"{place_of(kind)} is no aggregate or decider of this application: list it in "
                "App(...)."
            )
        return decider

    async def _version(self, stream: str, until_us: int | None) -> StoredEvent | None:
        """The last event before the first that was recorded later."""
        last: StoredEvent | None = None
        while page := await self._log.read_stream(stream, last.version if last else 0, _PAGE):
            for stored in page:
                if until_us is not None and stored.recorded_us > until_us:
                    return last
                last = stored
        return last

    async def _state(
        self, kind: Any, key: object, stream: str, last: StoredEvent | None
    ) -> PastState:
        version = last.version if last else 0
        state = await self._load(kind, key, version)
        return PastState(stream, version, state, record_of(last, self._registry) if last else None)


def owner_of(deciders: Mapping[Any, Decider[Any]], stream: str) -> tuple[Any, str]:
    """The write model whose stream this is, and the key. Raises ConfigurationError for none.

    Names hold no dash, so what stands before the first one is the name.
    """
    name, _, key = stream.partition("-")
    for kind, decider in deciders.items():
        if decider.name == name and key:
            return kind, key
    names = ", ".join(f"{one.name}-..." for one in deciders.values()) or "none"
    raise ConfigurationError(f"{stream!r} is no stream of a write model. There are: {names}")
