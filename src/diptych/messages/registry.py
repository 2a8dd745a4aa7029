"""The event types of one application under their stable names, and how stored bytes become them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from diptych.errors import (
    ConfigurationError,
    DiptychError,
    InvalidMessage,
    UnknownMessageType,
    UpcastFailed,
)
from diptych.messages.codec import MAX_MESSAGE_BYTES, Codec
from diptych.messages.kinds import Identity, identity_of, tags_of
from diptych.messages.stream_names import stream_named_by
from diptych.messages.upcaster import Upcaster

__all__ = ["MessageType", "Registry", "no_stream", "place_of"]


class MessageType(msgspec.Struct, frozen=True):
    """One message class with its stable identity and its codec."""

    cls: type
    identity: Identity
    codec: Codec

    def tags_of(self, event: object) -> tuple[str, ...]:
        """The tags of one event of this type."""
        return tags_of(event, self.identity.tags) if self.identity.tags else ()

    def stream_of(self, event: object) -> str:
        """The stream that one event of this type names. Raises ConfigurationError for none."""
        if not self.identity.stream:
            raise no_stream(self.cls)
        return stream_named_by(event, self.identity.stream)


class Registry:
    """Stable names of message types, and the way from stored bytes to the present class.

    Raises ConfigurationError when two classes claim one name, naming both places, and when an
    upcaster leads nowhere.
    """

    def __init__(
        self, upcasters: Iterable[Upcaster] = (), max_bytes: int = MAX_MESSAGE_BYTES
    ) -> None:
        self._max_bytes = max_bytes
        self._by_class: dict[type, MessageType] = {}
        self._by_name: dict[str, MessageType] = {}
        self._upcasters: dict[tuple[str, int], Upcaster] = {}
        self._decoders: dict[tuple[str, int], Any] = {}
        for one in upcasters:
            self._add_upcaster(one)

    def add(self, cls: type) -> MessageType:
        """Register a message class (again: no harm) and return its type."""
        known = self._by_class.get(cls)
        if known is not None:
            return known
        identity = identity_of(cls)
        other = self._by_name.get(identity.name)
        if other is not None:
            raise ConfigurationError(
                f"two message types are called {identity.name!r}: {place_of(other.cls)} and "
                f'{place_of(cls)}. Give one of them another name: class ...(name="...").'
            )
        made = MessageType(cls, identity, Codec(cls, identity.name, self._max_bytes))
        self._by_class[cls] = self._by_name[identity.name] = made
        self._decoders[identity.name, identity.version] = made.codec.decode
        return made

    def of(self, cls: type) -> MessageType:
        """The type of a registered class. Raises UnknownMessageType."""
        try:
            return self._by_class[cls]
        except KeyError:
            raise UnknownMessageType(
                f"{place_of(cls)} is not known to this application. Name it in the annotation of a "
                "handler, an aggregate or a projection that is listed in App(...).",
                type=cls.__name__,
            ) from None

    def named(self, name: str) -> MessageType:
        """The type with this stable name. Raises UnknownMessageType, listing close names."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownMessageType(
                f"no message type is called {name!r}; this application knows "
                f"{', '.join(sorted(self._by_name)) or 'none'}.",
                type=name,
            ) from None

    def __iter__(self) -> Any:
        return iter(self._by_name.values())

    def fast_decoder(self, cls: type) -> tuple[tuple[str, int], Callable[[bytes], Any]]:
        """The (name, version) under which a registered class is stored now, and its bare decoder.

        For loops over many events: it raises the decoder's own errors, so whoever uses it decodes
        again with `decode` to get the clear one.
        """
        known = self.of(cls)
        return (known.identity.name, known.identity.version), known.codec.bare_decode

    def decode(self, name: str, version: int, data: bytes) -> Any:
        """The event stored as `name` at shape `version`.

        Raises UnknownMessageType, InvalidMessage, or UpcastFailed (also for a version this code
        does not know yet).
        """
        decode = self._decoders.get((name, version))
        if decode is None:
            return self._upcast(name, version, data)
        try:
            return decode(data)
        except InvalidMessage as error:
            raise InvalidMessage(
                f"a stored {name} (version {version}) does not fit its class: {error.why}. If its "
                f"fields have changed, raise the version of {place_of(self.named(name).cls)} and "
                f"add @upcaster({name!r}, version={version}).",
                type=name,
                why=error.why,
            ) from error

    def check(self) -> None:
        """Raise ConfigurationError when an upcaster belongs to no type or leaves a gap."""
        for name, version in self._upcasters:
            known = self._by_name.get(name)
            if known is None:
                raise ConfigurationError(
                    f"an upcaster names the event type {name!r}, which no handler mentions."
                )
            if version >= known.identity.version:
                raise ConfigurationError(
                    f"the upcaster of {name} from version {version} leads past its present version "
                    f"{known.identity.version}: raise the version of {place_of(known.cls)}."
                )
        for known in self._by_name.values():
            steps = [v for n, v in self._upcasters if n == known.identity.name]
            for version in range(
                min(steps, default=known.identity.version), known.identity.version
            ):
                if version not in steps:
                    raise ConfigurationError(
                        f"{known.identity.name} has an upcaster from version {min(steps)} but none "
                        f"from version {version}: add one, the chain must reach version "
                        f"{known.identity.version}."
                    )

    def _add_upcaster(self, one: Upcaster) -> None:
        other = self._upcasters.setdefault((one.name, one.version), one)
        if other is not one:
            raise ConfigurationError(
                f"two upcasters bring {one.name} from version {one.version}: "
                f"{place_of(other.upcast)} and {place_of(one.upcast)}. Keep one."
            )

    def _upcast(self, name: str, version: int, data: bytes) -> Any:
        known = self.named(name)
        if version > known.identity.version:
            raise UpcastFailed(
                f"{name} is stored at version {version}, this code knows version "
                f"{known.identity.version}: a newer release wrote it. Deploy that release here.",
                type=name,
                version=version,
            )
        at = version
        try:
            shape = msgspec.json.decode(data)
            for at in range(version, known.identity.version):
                shape = self._step(name, at)(shape)
            return known.codec.decode(msgspec.json.encode(shape))
        except DiptychError:
            raise
        except Exception as error:
            raise UpcastFailed(
                f"the upcaster of {name} from version {at} raised {error!r}.",
                type=name,
                version=version,
            ) from error

    def _step(self, name: str, version: int) -> Upcaster:
        step = self._upcasters.get((name, version))
        if step is None:
            raise UpcastFailed(
                f"{name} is stored at version {version} and nothing brings it to version "
                f"{version + 1}: add @upcaster({name!r}, version={version}).",
                type=name,
                version=version,
            )
        return step


def no_stream(cls: type) -> ConfigurationError:
    """What to raise when an event has to name its stream and does not."""
    return ConfigurationError(
        f"{place_of(cls)} does not say which stream it belongs to: class {cls.__name__}(Event, "
        'stream="order-{order_id}"), with a field of its own in braces. (What an aggregate decides '
        "needs none.)"
    )


def place_of(thing: Any) -> str:
    """Where a class or function is written, for messages that must name a place."""
    thing = inspect.unwrap(getattr(thing, "__func__", thing)) if callable(thing) else thing
    name = f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', repr(thing))}"
    try:
        _, line = inspect.getsourcelines(thing)
        file = inspect.getsourcefile(thing) or "?"
    except (OSError, TypeError):
        return name
    return f"{name} ({file}:{line})"
