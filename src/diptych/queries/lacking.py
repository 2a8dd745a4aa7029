"""What a read model lacks because it is parked: the rows that do not show what they should."""

from __future__ import annotations

from collections.abc import Sequence

from diptych.errors import StaleRead
from diptych.queries.parked import Parked

__all__ = ["Lacking"]


class Lacking:
    """The events up to `wanted` that one read model lacks, as its reader meets them.

    A row by its key lacks what is parked for that key. A list may lack anything; with a token of
    one `stream`, what is asked for is what that stream did, and only its events count. What has
    been met is in `met`; with `refuse` the reader raises StaleRead instead.
    """

    def __init__(
        self,
        projection: str,
        entries: Sequence[Parked],
        wanted: int | None,
        stream: str = "",
        *,
        refuse: bool,
    ) -> None:
        self.met: list[Parked] = []
        self._projection = projection
        self._entries = [
            one for one in entries if one.waits and (wanted is None or one.position <= wanted)
        ]
        self._wanted = wanted
        self._stream = stream
        self._refuse = refuse

    def look_at_key(self, key: str) -> None:
        """A row is read by its key. Raises StaleRead."""
        self._meet(
            [
                one
                for one in self._entries
                if (self._is_of_token(one) if one.by_stream else one.key == key)
            ]
        )

    def look_at_all(self) -> None:
        """Rows are read that nobody can name beforehand. Raises StaleRead."""
        self._meet([one for one in self._entries if self._is_of_token(one)])

    def _is_of_token(self, one: Parked) -> bool:
        return not self._stream or one.stream == self._stream

    def _meet(self, found: Sequence[Parked]) -> None:
        self.met += [one for one in found if one not in self.met]
        if found and self._refuse:
            first = found[0]
            why = (
                f"{first.key!r} is parked since position {first.position} ({first.type} of "
                f"{first.stream}): {first.error or 'it follows one that failed'}"
            )
            raise StaleRead(
                f"{self._projection} lacks {len(found)} of the events asked for: {why}. Retry what "
                f"is parked (diptych parked retry {self._projection}), or ask with "
                "on_stale='stale'.",
                projection=self._projection,
                wanted=self._wanted,
                reached=first.position - 1,
                within_s=0.0,
                why=why,
            )
