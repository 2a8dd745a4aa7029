"""One event for one stream, when nobody else wants to write: a single short statement."""

from __future__ import annotations

from typing import Any

from diptych.adapters.postgres.jobs import AppendJob

__all__ = ["lone_arguments"]


def lone_arguments(job: AppendJob, now_us: int) -> tuple[Any, ...] | None:
    """The parameters of append_event_v1; None for an append that needs the ordinary road."""
    append = job.append
    if job.participants or not job.plain:
        return None
    stream, expected, events = append.streams[0]
    if len(events) != 1 or events[0].tags:
        return None
    kind, schema, data, meta, _ = events[0]
    return stream, expected, kind, schema, data, meta, job.recorded_us or now_us
