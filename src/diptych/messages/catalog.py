"""The commands and queries of one application by name, for edges that get them as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diptych.errors import ConfigurationError, UnknownMessageType
from diptych.messages.codec import MAX_MESSAGE_BYTES, Codec
from diptych.messages.kinds import identity_of
from diptych.messages.registry import place_of

__all__ = ["Catalog"]


class Catalog:
    """Message classes of one kind (`"command"`, `"query"`) of an application, with their codecs."""

    def __init__(
        self, app: str, kind: str, classes: Iterable[type], max_bytes: int = MAX_MESSAGE_BYTES
    ) -> None:
        self._app = app
        self._kind = kind
        self._max_bytes = max_bytes
        self._codecs: dict[type, Codec] = {}
        names: dict[str, type] = {}
        for cls in classes:
            codec = self.codec(cls)
            other = names.setdefault(codec.name, cls)
            if other is not cls:
                raise ConfigurationError(
                    f"two {kind} types are called {codec.name!r}: {place_of(other)} and "
                    f'{place_of(cls)}. Give one of them another name: class ...(name="...").'
                )

    def codec(self, cls: type) -> Codec:
        """The codec of a message class, made when it is first asked for."""
        found = self._codecs.get(cls)
        if found is None:
            found = self._codecs[cls] = Codec(cls, identity_of(cls).name, self._max_bytes)
        return found

    def decode(self, name: str, data: bytes) -> Any:
        """The message called `name` in untrusted JSON.

        Raises UnknownMessageType listing the names there are, and InvalidMessage.
        """
        for codec in self._codecs.values():
            if name == codec.name:
                return codec.decode_from_outside(data)
        names = ", ".join(sorted(codec.name for codec in self._codecs.values())) or "none"
        raise UnknownMessageType(
            f"{self._app} has no {self._kind} {name[:80]!r}; it has {names}.", type=name[:80]
        )
