"""A token: how far a read model must have come to show what the holder has seen or done."""

from __future__ import annotations

import base64
import binascii

import msgspec

from diptych.errors import ForeignToken, InvalidMessage

__all__ = ["Token"]


class Token(msgspec.Struct, frozen=True, array_like=True):
    """Opaque to callers: pass it on, compare nothing. `str(token)` travels in headers and URLs.

    `log` names the log; `position` is the last position that must have been seen, 0 when the
    command changed nothing, so that no read has to wait; `stream` and `version` say the same for
    the one stream that was written.
    """

    log: str
    position: int
    stream: str = ""
    version: int = 0

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()

    @staticmethod
    def parse(text: str) -> Token:
        """The token in `text`. Raises InvalidMessage when it is none."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return msgspec.json.decode(data, type=Token)
        except (binascii.Error, ValueError, msgspec.DecodeError) as error:
            raise InvalidMessage(
                f"{text[:80]!r} is not a token. Pass on exactly what a dispatch answered.",
                type="Token",
            ) from error

    @property
    def nothing_changed(self) -> bool:
        """Whether the command that gave this token recorded no event."""
        return self.position == 0

    def merge(self, other: Token) -> Token:
        """A token that waits for both. Raises ForeignToken when they belong to two logs."""
        if other.log != self.log:
            raise ForeignToken(
                f"tokens of two logs cannot be merged: {self.log} and {other.log}.",
                token_log=other.log,
                log=self.log,
            )
        later, earlier = (self, other) if self.position >= other.position else (other, self)
        if earlier.nothing_changed or earlier.stream == later.stream:
            return later
        return Token(self.log, later.position)  # of no one stream any more
