"""R3: one effect per command id, and the same answer however often it is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from diptych.messages.envelope import Metadata
from diptych.testing.simulation.history import Answered, Attempted, History

__all__ = ["effect_once", "same_answer"]

_metadata = msgspec.json.Decoder(Metadata).decode


def effect_once(history: History) -> Iterator[str]:
    """The events of one command id are those of one append: neighbours in the log, each once.

    >>> from diptych.messages.envelope import StoredEvent
    >>> meta = b'{"id":"e","cau":"c-1"}'
    >>> twice = [StoredEvent(at, "a", at, "Added", 1, b"{}", meta, 0) for at in (1, 2)]
    >>> list(effect_once(History([Attempted("p1", 1, "c-1")], twice)))
    ['c-1 has its effect twice: Added of a at positions 1, 2']
    """
    ids = {one.command_id for one in history.of(Attempted)}
    found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    places: dict[str, list[int]] = defaultdict(list)
    for event in history.log:
        cause = _metadata(event.meta).causation_id or ""
        if cause in ids:
            found[cause, event.type, event.stream].append(event.position)
            places[cause].append(event.position)
    for (cause, type_name, stream), positions in found.items():
        if len(positions) > 1:
            at = ", ".join(map(str, positions))
            yield f"{cause} has its effect twice: {type_name} of {stream} at positions {at}"
    for cause, positions in places.items():
        if positions[-1] - positions[0] != len(positions) - 1:
            yield f"{cause} was written in parts, at positions {positions}"


def same_answer(history: History) -> Iterator[str]:
    """Whoever asks again with a command id gets the first answer.

    >>> answers = [
    ...     Answered("p1", n, "c-1", "done", text=text) for n, text in enumerate("ab")
    ... ]
    >>> list(same_answer(History(answers)))
    ["c-1 was answered 'a', and later 'b'"]
    """
    first: dict[str, str] = {}
    for one in history.of(Answered):
        if one.outcome in ("done", "rejected"):
            before = first.setdefault(one.command_id, one.text)
            if before != one.text:
                yield f"{one.command_id} was answered {before!r}, and later {one.text!r}"
