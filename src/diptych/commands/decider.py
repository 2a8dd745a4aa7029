"""A decider: `initial` state, `decide` (command and state to events), `evolve` (event to state).

Deciders know no clock, no chance, and no I/O: what they need to know stands in the command.
"""

from __future__ import annotations

import inspect
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from diptych.commands.purity import Purity
from diptych.errors import ConfigurationError, InvalidMessage, UnknownMessageType
from diptych.messages.annotations import has_field, is_message, members_of, signature_of
from diptych.messages.codec import check_text
from diptych.messages.kinds import Event
from diptych.messages.registry import place_of

__all__ = ["Decider", "as_events"]

S = TypeVar("S")
Functions = Callable[..., Any] | Sequence[Callable[..., Any]]


class Decider(Generic[S]):
    """Decisions about one kind of thing, each thing having its own stream.

    Args:
        name: What the thing is called; its streams are `name-key`.
        key: The field of every command that says which thing is meant.
        initial: Makes the state of a thing that has no events yet.
        decide: `(command, state) -> event | iterable of events | None`, one function or several;
            each is called for the commands its first annotation names. Raise Rejection to say no.
        evolve: `(state, event) -> state`, one function or several; each is called for the events
            its second annotation names. An event without one leaves the state as it is.
        snapshot_every: Keep a snapshot each time a stream has grown by this many events.
        snapshot_version: Raise it when the same fields shall mean something else. A snapshot of
            another version, or of other fields, is not used.

    Raises ConfigurationError for missing, unreadable or ambiguous annotations, naming both places.
    """

    def __init__(
        self,
        name: str,
        *,
        key: str,
        initial: Callable[[], S],
        decide: Functions,
        evolve: Functions,
        snapshot_every: int | None = None,
        snapshot_version: int = 1,
    ) -> None:
        if "-" in name or not name:
            raise ConfigurationError(
                f"{name!r} cannot name streams: a stream is called name-key, so a name must not be "
                "empty or hold a dash."
            )
        self.name = name
        self.key = key
        self.initial = initial
        self.snapshot_every = snapshot_every
        self.snapshot_version = snapshot_version
        self._purity = Purity()
        self.decide: dict[type, Callable[[Any, S], Any]] = {}
        self.evolve: dict[type, Callable[[S, Any], S]] = {}
        self.event_types: dict[type, None] = {}
        self.state_type: type = type(initial())
        for function in _several(decide):
            self.add_decision(function, *_first_two(function)[:1])
        for function in _several(evolve):
            self.add_evolution(function, *_first_two(function)[1:])

    def add_decision(
        self,
        function: Callable[..., Any],
        commands: Any,
        call: Callable[[Any, S], Any] | None = None,
    ) -> None:
        """Route the command classes in the annotation `commands` to `function` (through `call`)."""
        _refuse_async(function)
        for command in members_of(commands):
            if not is_message(command):
                raise ConfigurationError(f"{place_of(function)} names no command: {command!r}.")
            other = self.decide.get(command)
            if other is not None:
                raise ConfigurationError(
                    f"{command.__name__} is decided twice in {self.name}: {place_of(other)} and "
                    f"{place_of(function)}. Keep one."
                )
            if not has_field(command, self.key):
                raise ConfigurationError(
                    f"the command {command.__name__} has no field {self.key!r}, the key of "
                    f"{self.name}: {place_of(function)} could not know which one is meant."
                )
            self.decide[command] = call or function
        self._add_events_of(function)

    def add_evolution(
        self, function: Callable[..., Any], events: Any, call: Callable[[S, Any], S] | None = None
    ) -> None:
        """Route the event classes in the annotation `events` to `function` (through `call`)."""
        _refuse_async(function)
        for event in members_of(events):
            if not is_message(event):
                raise ConfigurationError(f"{place_of(function)} names no event: {event!r}.")
            other = self.evolve.get(event)
            if other is not None:
                raise ConfigurationError(
                    f"{event.__name__} evolves {self.name} twice: {place_of(other)} and "
                    f"{place_of(function)}. Keep one."
                )
            self.evolve[event] = call or function
            self.event_types[event] = None

    def stream(self, key: object) -> str:
        """The stream of the thing with this key. Raises InvalidMessage for an empty key."""
        text = key if type(key) is str else _text_key(key)
        if not text:
            raise InvalidMessage(
                f"a {self.name} needs a key: the field {self.key!r} is empty.", type=self.name
            )
        if not text.isascii():
            check_text(text, f"the key {self.key!r} of {self.name}")
        return f"{self.name}-{text}"

    def events_of(self, command: Any, state: S) -> tuple[Any, ...]:
        """Decide: the events that follow from `command` in `state`.

        Raises Rejection, and ConfigurationError when the decision has changed the state.
        """
        decide = self.decide[type(command)]
        return as_events(self._purity.decide(decide, command, state), decide)

    def evolved(self, state: S, event: Any) -> S:
        """The state after `event`."""
        evolve = self.evolve.get(type(event))
        return state if evolve is None else evolve(state, event)

    def snapshot_schema(self) -> int:
        """What is stored with a snapshot and must be the same for it to be used: the declared
        version, and a checksum of the state's fields, for whoever forgets to raise the version.
        """
        try:
            shape = json.dumps(msgspec.json.schema(self.state_type), sort_keys=True, default=repr)
        except TypeError:  # a type that JSON Schema has no word for
            shape = repr(getattr(self.state_type, "__annotations__", {}))
        return self.snapshot_version << 32 | zlib.crc32(shape.encode())

    def state_codec(self) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
        """Encoder and decoder of the state, for snapshots. Raises ConfigurationError."""
        try:
            return msgspec.json.Encoder().encode, msgspec.json.Decoder(self.state_type).decode
        except TypeError as error:
            raise ConfigurationError(
                f"the state of {self.name} cannot be stored: {error}. Use fields that JSON can "
                "carry, or store this one as events without snapshots."
            ) from error

    def _add_events_of(self, function: Callable[..., Any]) -> None:
        returns = signature_of(function).returns
        if returns is inspect.Signature.empty:
            raise ConfigurationError(
                f"{place_of(function)} does not say which events it returns. Annotate it: "
                "-> SomethingHappened, or -> list[A | B], or -> A | None."
            )
        for event in members_of(returns):
            if is_message(event) and event is not Event:
                self.event_types[event] = None


def as_events(result: Any, decide: Callable[..., Any]) -> tuple[Any, ...]:
    """What a decision returned, as a tuple of events: one, several, or none."""
    if result is None:
        return ()
    if isinstance(result, Event):
        return (result,)
    if isinstance(result, list | tuple) or hasattr(result, "__next__"):
        return tuple(result)
    if isinstance(result, str | bytes | int | dict):
        raise UnknownMessageType(
            f"{place_of(decide)} returned {result!r}, which is no event. Return an event, several, "
            "or None.",
            type=type(result).__name__,
        )
    return (result,)


def _refuse_async(function: Callable[..., Any]) -> None:
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"{place_of(function)} is async. Deciding and evolving are pure: make it a plain def, "
            "and put what it needs to know into the command (or use a function handler)."
        )


def _text_key(key: object) -> str:
    return "" if key is None else str(key)


def _several(functions: Functions) -> Sequence[Callable[..., Any]]:
    return functions if isinstance(functions, Sequence) else (functions,)


def _first_two(function: Callable[..., Any]) -> tuple[Any, Any]:
    kinds = list(signature_of(function).parameters.values())
    if len(kinds) != 2 or inspect.Parameter.empty in kinds:
        raise ConfigurationError(
            f"{place_of(function)} must take two annotated parameters: decide(command, state) or "
            "evolve(state, event)."
        )
    return kinds[0], kinds[1]
