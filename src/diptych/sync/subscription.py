"""A subscription: the log from a position on, in order, each event decoded at most once.

Catching up and live are the same code: read what is after the checkpoint; when there is nothing,
wait for the head to move and read again from the same checkpoint. There is no hand-over at which an
event could be missed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from diptych.errors import MessageError
from diptych.events.log import EventLog, StoredEvent
from diptych.messages.envelope import Envelope
from diptych.messages.registry import Registry

__all__ = ["Delivery", "Subscription", "decode"]


class Delivery(NamedTuple):
    """Events with position > `after` up to and including `upto`, of the wanted types only.

    When an event cannot be decoded, the delivery ends before it and `broken` says at which position
    and why.
    """

    envelopes: list[Envelope]
    after: int
    upto: int
    broken: tuple[StoredEvent, MessageError] | None = None


class Subscription:
    """Reads one log for projections that want events of some types."""

    def __init__(self, log: EventLog, registry: Registry, types: Collection[type]) -> None:
        self._log = log
        self._registry = registry
        self._names = frozenset(registry.of(cls).identity.name for cls in types)

    async def deliver(self, after: int, limit: int, until: int | None = None) -> Delivery:
        """The next events after `after`: at most `limit` of the log, none past `until`."""
        if until is not None:
            limit = min(limit, until - after)
        return decode(await self._log.read(after, limit), after, self._registry, self._names)


def decode(
    stored: Sequence[StoredEvent], after: int, registry: Registry, names: Collection[str]
) -> Delivery:
    """Decode the stored events whose type name is among `names`.

    A type that nobody wants is passed over undecoded; a type that is not even known ends the
    delivery, because nobody can say that it does not matter.
    """
    envelopes: list[Envelope] = []
    add = envelopes.append
    of_type = registry.decode
    upto = after
    for one in stored:
        position, stream, version, name, schema, data, meta, recorded_us = one
        try:
            if name in names:
                event: Any = of_type(name, schema, data)
                add(Envelope(event, position, stream, version, name, meta, recorded_us))
            else:
                registry.named(name)
        except MessageError as error:
            return Delivery(envelopes, after, upto, (one, error))
        upto = position
    return Delivery(envelopes, after, upto)
