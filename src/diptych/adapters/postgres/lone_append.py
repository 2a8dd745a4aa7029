"""One event for one stream, when nobody else wants to write: a single short statement."""

from __future__ import annotations

from typing import Any

from diptych.adapters.postgres.jobs import AppendJob

__all__ = ["lone_arguments"]


def lone_arguments(job: AppendJob, now_us: int) -> tuple[Any, ...] | None:
    """The parameters of append_event_v1; None for an append that needs the ordinary road."""
    if job.single is None or job.participants:
        return None
    stream, expected, (event,) = job.single
    kind, schema, data, meta, _ = event
    return stream, expected, kind, schema, data, meta, job.recorded_us or now_us
