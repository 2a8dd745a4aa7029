"""The commands and queries of one application by name, for edges that get them as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diptych.errors import UnknownMessageType
from diptych.messages.codec import MAX_MESSAGE_BYTES, Codec
from diptych.messages.kinds import identity_of

__all__ = ["Catalog"]


class Catalog:
    """Message classes of one kind (`"command"`, `"query"`) of an application, with their codecs."""

    def __init__(
        self, app: str, kind: str, classes: Iterable[type], max_bytes: int = MAX_MESSAGE_BYTES
    ) -> None:
        self._app = app
        self._kind = kind
        self._max_bytes = max_bytes
        self._codecs = {cls: Codec(cls, identity_of(cls).name, max_bytes) for cls in classes}

    def codec(self, cls: type) -> Codec:
        """The codec of a message class, made when it is first asked for."""
        found = self._codecs.get(cls)
        if found is None:
            found = self._codecs[cls] = Codec(cls, identity_of(cls).name, self._max_bytes)
        return found

    def decode(self, name: str, data: bytes) -> Any:
        """The message called `name` (stable name or class name) in untrusted JSON.

        Raises UnknownMessageType listing the names there are, and InvalidMessage.
        """
        for cls, codec in self._codecs.items():
            if name in (codec.name, cls.__name__):
                return codec.decode_from_outside(data)
        names = ", ".join(sorted(codec.name for codec in self._codecs.values())) or "none"
        raise UnknownMessageType(
            f"{self._app} has no {self._kind} {name[:80]!r}; it has {names}.", type=name[:80]
        )
