"""Many appends that expect the same version of one stream: one wins, and all others can be told at
once.

Each of them would have to wait for a batch of its own, to hear what is known already: where the
stream stood at the moment the batch was committed. Refused with that, they were refused at that
moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from diptych.adapters.postgres.append_batch import conflict
from diptych.adapters.postgres.jobs import AppendJob
from diptych.errors import VersionConflict
from diptych.events.log import ANY_VERSION, Appended

__all__ = ["refuse_stale"]


def refuse_stale(
    settled: Iterable[tuple[AppendJob, Any]], later: Sequence[AppendJob]
) -> tuple[list[AppendJob], list[tuple[AppendJob, VersionConflict]]]:
    """Those of `later` that may still succeed, and those that cannot, with the reason.

    `settled` are the members of a batch that has just been committed, with their outcomes.
    """
    standing = _standing(settled)
    waiting: list[AppendJob] = []
    refused: list[tuple[AppendJob, VersionConflict]] = []
    for job in later:
        first = job.append.streams[0] if job.plain else None
        if first is not None and first.stream in standing and first.expected != ANY_VERSION:
            refusal = conflict(job.append, [standing[first.stream]])
            if refusal is not None:
                refused.append((job, refusal))
                continue
        waiting.append(job)
        # From here on its streams stand where this one leaves them, which nobody knows yet.
        for stream, _, _ in job.append.streams:
            standing.pop(stream, None)
    return waiting, refused


def _standing(settled: Iterable[tuple[AppendJob, Any]]) -> dict[str, int]:
    """Where the streams stand that a batch has named, as far as its outcomes tell."""
    standing: dict[str, int] = {}
    for job, outcome in settled:
        if not job.plain:
            continue
        stream, expected, events = job.append.streams[0]
        if isinstance(outcome, VersionConflict):
            standing[stream] = outcome.actual
        elif isinstance(outcome, Appended) and expected != ANY_VERSION:
            standing[stream] = expected + len(events)
    return standing
