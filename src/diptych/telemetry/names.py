"""Every metric by name. Names and labels are an interface: alerts and dashboards rely on them."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["METRICS", "Metric"]


class Metric(NamedTuple):
    """One metric: what Prometheus calls it, and what it says."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    says: str


_PROJECTION = ("name", "version")

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "diptych_command_seconds",
            "histogram",
            ("type", "outcome"),
            "How long commands took: accepted, rejected, conflict, error or cancelled.",
        ),
        Metric(
            "diptych_append_conflicts_total",
            "counter",
            (),
            "Commands that ended with a conflict, after they had been decided again in vain.",
        ),
        Metric(
            "diptych_token_wait_seconds",
            "histogram",
            ("outcome",),
            "How long queries with a token waited for their read models: reached or stale.",
        ),
        Metric("diptych_log_head_position", "gauge", (), "The highest position in the log."),
        Metric(
            "diptych_horizon_blocked_seconds",
            "gauge",
            ("cause",),
            "For how long somebody has kept appends waiting; there only while somebody does.",
        ),
        Metric(
            "diptych_projection_position", "gauge", _PROJECTION, "How far a projection has come."
        ),
        Metric(
            "diptych_projection_lag_events", "gauge", _PROJECTION, "Events it has not seen yet."
        ),
        Metric(
            "diptych_projection_lag_seconds", "gauge", _PROJECTION, "The age of the oldest of them."
        ),
        Metric("diptych_projection_rate", "gauge", _PROJECTION, "Events folded a second, lately."),
        Metric(
            "diptych_projection_eta_seconds",
            "gauge",
            _PROJECTION,
            "When it will have come to the head; not there while that cannot be told.",
        ),
        Metric(
            "diptych_projection_epoch",
            "gauge",
            _PROJECTION,
            "How often a process has taken it over from another one.",
        ),
        Metric(
            "diptych_projection_parked_sequences",
            "gauge",
            _PROJECTION,
            "Keys whose events are parked until somebody acts.",
        ),
        Metric(
            "diptych_projection_errors_total",
            "counter",
            _PROJECTION,
            "What went wrong since the process that runs it began.",
        ),
        Metric(
            "diptych_store_checkpoint_regressions_total",
            "counter",
            (),
            "Projections that were found beyond the end of the log: it was restored or replaced.",
        ),
        Metric(
            "diptych_verify_last_ok_timestamp",
            "gauge",
            (),
            "When a verification last found no difference, in seconds since 1970.",
        ),
        Metric(
            "diptych_verify_differences",
            "gauge",
            ("name",),
            "Rows that the last verification found to differ from the log.",
        ),
        Metric(
            "diptych_replica_up", "gauge", ("name",), "1: it answers queries. 0: it is left out."
        ),
        Metric(
            "diptych_replica_lag_events", "gauge", ("name",), "Events a replica has not replayed."
        ),
        Metric("diptych_replica_lag_seconds", "gauge", ("name",), "The age of the oldest of them."),
    )
}
