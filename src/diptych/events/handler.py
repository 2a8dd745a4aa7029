"""Event handlers: what the world outside is told of events. Mails, webhooks, calls to others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from diptych.errors import ConfigurationError
from diptych.messages.annotations import is_message, members_of, signature_of
from diptych.messages.envelope import Envelope
from diptych.messages.registry import place_of

__all__ = ["Call", "EventHandler", "HandlerSpec", "Start", "handler_spec_of"]

Start = Literal["now", "first"]
"""Where a new event handler begins: after the present head of the log, or at its first event."""


class EventHandler:
    """Does something outside for each event: sends a mail, calls a gateway.

    ```python
    class Mails(EventHandler):
        async def placed(
            self, event: OrderPlaced, envelope: Envelope, mailer: Mailer
        ) -> None:
            await mailer.send(event.address, id=envelope.event_id)
    ```

    Every public method takes an event (or one of several: `A | B`), the event's Envelope if it
    likes, and what App(resources=[...]) holds, by annotation. `async def` is awaited; `def` is
    called in a thread. Events of a stream come in order, one at a time.

    What is done outside cannot be undone by a store, so each event is handled *at least* once:
    after a crash the one in flight comes again. `envelope.event_id` is the same then: give it to
    whoever is called, to be known again. Rebuilding, building, verifying and repairing read models
    never call a handler.

    Class options: `start` says where a handler that never ran begins: `"now"` (nothing is sent for
    history) or `"first"`. A call that raises is made again, `attempts` times in all, after pauses
    that double from `pause_s` up to `longest_pause_s`; then the event is parked with the followers
    of its stream, until somebody says `diptych parked retry`.
    """

    __diptych_handler__: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(
        cls,
        *,
        start: Start = "now",
        attempts: int = 5,
        pause_s: float = 0.2,
        longest_pause_s: float = 30.0,
        **options: Any,
    ) -> None:
        """Note the options. Raises ConfigurationError for values that make no sense."""
        super().__init_subclass__(**options)
        if start not in get_args(Start) or attempts < 1 or not 0 <= pause_s <= longest_pause_s:
            raise ConfigurationError(
                f"{place_of(cls)}: start is 'now' or 'first', attempts are 1 or more, and pause_s "
                "is not below 0 nor above longest_pause_s."
            )
        cls.__diptych_handler__ = {
            "start": start,
            "attempts": attempts,
            "pause_s": pause_s,
            "longest_pause_s": longest_pause_s,
        }


class Call(NamedTuple):
    """How one event class is handled: the method, where its envelope goes, what else it wants."""

    method: Callable[..., Any]
    envelope: str | None
    wants: tuple[tuple[str, Any], ...]
    waits: bool

    def bound(self, resources: Mapping[type, Any]) -> dict[str, Any]:
        """What the method is given beside event and envelope. Raises ConfigurationError."""
        given: dict[str, Any] = {}
        for name, wanted in self.wants:
            if wanted not in resources:
                raise ConfigurationError(
                    f"the parameter {name!r} of {place_of(self.method)} wants {wanted!r}: an event "
                    "handler can have the event's Envelope, and what App(resources=[...]) holds."
                )
            given[name] = resources[wanted]
        return given


class HandlerSpec(NamedTuple):
    """An event handler class read once."""

    handler: type[EventHandler]
    calls: Mapping[type, Call]
    start: Start
    attempts: int
    pause_s: float
    longest_pause_s: float


def handler_spec_of(handler: type[EventHandler]) -> HandlerSpec:
    """Read an event handler class. Raises ConfigurationError naming the method that is wrong."""
    calls: dict[type, Call] = {}
    for name, method in inspect.getmembers(handler(), inspect.ismethod):
        if not name.startswith("_"):
            for event, call in _calls_of(method):
                other = calls.setdefault(event, call)
                if other is not call:
                    raise ConfigurationError(
                        f"{event.__name__} is handled twice in {handler.__name__}: "
                        f"{place_of(other.method)} and {place_of(method)}. Keep one."
                    )
    if not calls:
        raise ConfigurationError(
            f"{place_of(handler)} handles nothing: give it a method that takes an event."
        )
    options: Mapping[str, Any] = handler.__diptych_handler__
    return HandlerSpec(handler, calls, **options)


def _calls_of(method: Any) -> list[tuple[type, Call]]:
    parameters = list(signature_of(method).parameters.items())
    events = members_of(parameters[0][1]) if parameters else ()
    if not events or not all(is_message(one) and one is not Envelope for one in events):
        raise ConfigurationError(
            f"{place_of(method)} does not say which event it handles: its first parameter must be "
            "annotated with an event, as in def placed(self, event: OrderPlaced)."
        )
    envelopes = [name for name, kind in parameters[1:] if kind is Envelope]
    wants = [(name, kind) for name, kind in parameters[1:] if kind is not Envelope]
    for name, kind in wants:
        if kind is inspect.Parameter.empty:
            raise ConfigurationError(
                f"the parameter {name!r} of {place_of(method)} has no annotation, so nothing can "
                "be given to it."
            )
    envelope = envelopes[0] if envelopes else None
    call = Call(method, envelope, tuple(wants), inspect.iscoroutinefunction(method))
    return [(event, call) for event in events]
