"""A subscription: the log from a position on, in order, each event decoded at most once.

Catching up and live are the same code: read what is after the checkpoint; when there is nothing,
wait for the head to move and read again from the same checkpoint. There is no hand-over at which an
event could be missed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from diptych.errors import MessageError, ProjectionFailed
from diptych.events.log import EventLog, StoredEvent
from diptych.messages.envelope import Envelope
from diptych.messages.registry import Registry

__all__ = ["Delivery", "EventDecoder", "Subscription"]


_UNDECODABLE = (MessageError, msgspec.DecodeError, ValueError, TypeError, RecursionError)


class Delivery(NamedTuple):
    """Events with position > `after` up to and including `upto`, of the wanted types only.

    When an event cannot be decoded, the delivery ends before it and `broken` says at which position
    and why.
    """

    envelopes: list[Envelope]
    after: int
    upto: int
    broken: tuple[StoredEvent, MessageError] | None = None

    def failure(self, projection: str) -> ProjectionFailed | None:
        """What to say of a projection that wants the event which could not be decoded."""
        if self.broken is None:
            return None
        stored, error = self.broken
        failure = ProjectionFailed(
            f"{projection} stands before position {stored.position} ({stored.type} of "
            f"{stored.stream}), which cannot be read: {error}",
            projection=projection,
            position=stored.position,
            event_type=stored.type,
            stream=stored.stream,
        )
        failure.__cause__ = error
        return failure


class EventDecoder:
    """Decodes stored events of the wanted types."""

    def __init__(self, registry: Registry, types: Collection[type]) -> None:
        self._registry = registry
        self._names = frozenset(registry.of(cls).identity.name for cls in types)
        self._present = dict(registry.fast_decoder(cls) for cls in types)

    def decode(self, stored: Sequence[StoredEvent], after: int) -> Delivery:
        """Decode what is wanted of events that follow position `after`.

        A type that nobody wants is passed over undecoded; a type that is not even known ends the
        delivery, because nobody can say that it does not matter.
        """
        envelopes: list[Envelope] = []
        add, present = envelopes.append, self._present
        upto = after
        for one in stored:
            decode = present.get(one[3:5])  # type and schema
            try:
                if decode is not None:
                    add(Envelope(decode(one.data), one))
                else:
                    self._rare(one, envelopes)
            except _UNDECODABLE:  # decoding again says why
                return Delivery(envelopes, after, upto, (one, self._reason(one)))
            upto = one.position
        return Delivery(envelopes, after, upto)

    def _rare(self, one: StoredEvent, envelopes: list[Envelope]) -> None:
        if one.type in self._names:  # an older shape
            event = self._registry.decode(one.type, one.schema, one.data)
            envelopes.append(Envelope(event, one))
        else:
            self._registry.named(one.type)

    def _reason(self, one: StoredEvent) -> MessageError:
        try:
            self._registry.decode(one.type, one.schema, one.data)
        except MessageError as error:
            return error
        raise AssertionError("an event failed to decode and then did not")


class Subscription:
    """Reads one log for projections that want events of some types."""

    def __init__(self, log: EventLog, registry: Registry, types: Collection[type]) -> None:
        self._log = log
        self._decoder = EventDecoder(registry, types)

    async def deliver(self, after: int, limit: int, until: int | None = None) -> Delivery:
        """The next events after `after`: at most `limit` of the log, none past `until`."""
        if until is not None:
            limit = min(limit, until - after)
        return self._decoder.decode(await self._log.read(after, limit), after)
