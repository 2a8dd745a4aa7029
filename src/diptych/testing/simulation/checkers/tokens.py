"""R10: a read with a token is never older, also where something is parked."""

from __future__ import annotations

from collections.abc import Iterator

from diptych.queries.standings import projection_of
from diptych.testing.simulation.checkers.parked import Waiting
from diptych.testing.simulation.history import Asked, History, Looked, Told

__all__ = ["tokens_are_honoured"]


def tokens_are_honoured(history: History) -> Iterator[str]:
    """Whoever asked with a token and was answered was shown rows that stood at it, or later, and
    that lacked nothing of what the token stands for.

    >>> asked = Asked("p1", 1, "GetRow", position=7)
    >>> looked = Looked("p1", 1, "rows", checkpoint=6, keys=("a",))
    >>> list(tokens_are_honoured(History([asked, looked, Told("p1", 1, "told")])))
    ['GetRow after position 7 was answered by p1 from rows at 6']
    """
    told = {one.ask: one.outcome for one in history.of(Told)}
    asked: dict[int, Asked] = {}
    waiting = Waiting()
    wrong: dict[tuple[int, str], list[str]] = {}
    for one in history.records:
        waiting.follow(one)
        if isinstance(one, Asked):
            asked[one.ask] = one
        if not isinstance(one, Looked) or told.get(one.ask) != "told":
            continue
        ask = asked[one.ask]
        if ask.position and ask.on_stale == "error":
            # Rows that turned out to be set back meanwhile are looked at again.
            looked_at = one.ask, projection_of(one.projection)
            wrong[looked_at] = list(_lacks(ask, one, waiting))
    for found in wrong.values():
        yield from found


def _lacks(ask: Asked, one: Looked, waiting: Waiting) -> Iterator[str]:
    said = f"{ask.query} after position {ask.position} was answered by {one.process} from"
    if one.checkpoint < ask.position:
        yield f"{said} {one.projection} at {one.checkpoint}"
    for (lane, position), entry in waiting.of[one.projection].items():
        of_token = ask.stream in ("", entry.stream)
        concerned = lane.name in one.keys if one.keys and not lane.by_stream else of_token
        if position <= ask.position and entry.waits and concerned:
            yield f"{said} {one.projection}, which lacks position {position} of {lane.name!r}"
