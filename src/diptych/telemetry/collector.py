"""What Prometheus is told of an application's stores: the last look, as metric families."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from diptych.sync.status import ProjectionStatus
from diptych.telemetry.look import Look
from diptych.telemetry.names import METRICS

__all__ = ["LookCollector"]

Value = float | int | None
Samples = Sequence[tuple[Sequence[str], Value]]

_OF_PROJECTIONS: dict[str, Callable[[ProjectionStatus], Value]] = {
    "diptych_projection_position": lambda one: one.position,
    "diptych_projection_lag_events": lambda one: one.lag_events,
    "diptych_projection_lag_seconds": lambda one: one.delay_s,
    "diptych_projection_rate": lambda one: one.events_per_s,
    "diptych_projection_eta_seconds": lambda one: one.eta_s,
    "diptych_projection_epoch": lambda one: one.epoch,
    "diptych_projection_parked_sequences": lambda one: one.parked_keys,
    "diptych_projection_errors_total": lambda one: one.errors,
}


class LookCollector(Collector):
    """Gives what was seen last. A scrape is synchronous and asks nobody: it costs microseconds."""

    def __init__(self) -> None:
        self._look = Look()
        self._beyond: frozenset[str] = frozenset()
        self._regressions = 0
        self._verified_ok_s: float | None = None
        self._differences: Mapping[str, int] = {}

    def saw(self, look: Look) -> None:
        """Show this from now on."""
        if look.projections:
            # Each projection counts once until it has been seen in order again.
            self._regressions += len(look.beyond - self._beyond)
            self._beyond = look.beyond
        self._look = look

    def verified(self, differences: Mapping[str, int], at_s: float) -> None:
        """Show what a verification found, by projection."""
        self._differences = dict(differences)
        if not any(differences.values()):
            self._verified_ok_s = at_s

    def describe(self) -> Iterator[Metric]:
        """The families without samples."""
        for name in self._samples():
            yield _family(name, ())

    def collect(self) -> Iterator[Metric]:
        """The families as of the last look; what is not known has no sample."""
        for name, samples in self._samples().items():
            yield _family(name, samples)

    def _samples(self) -> dict[str, Samples]:
        look = self._look
        known = [((one.name, one.generation), one) for one in look.projections]
        blocked = [((look.obstacle.cause,), look.obstacle.seconds)] if look.obstacle else []
        found: dict[str, Samples] = {
            name: [(labels, value(one)) for labels, one in known]
            for name, value in _OF_PROJECTIONS.items()
        }
        return found | {
            "diptych_log_head_position": [((), look.head)],
            "diptych_horizon_blocked_seconds": blocked,
            "diptych_store_checkpoint_regressions_total": [((), self._regressions)],
            "diptych_verify_last_ok_timestamp": [((), self._verified_ok_s)],
            "diptych_verify_differences": [
                ((name,), count) for name, count in self._differences.items()
            ],
            "diptych_replica_up": [((one.name,), int(one.up)) for one in look.replicas],
            "diptych_replica_lag_events": [((one.name,), one.lag_events) for one in look.replicas],
            "diptych_replica_lag_seconds": [((one.name,), one.delay_s) for one in look.replicas],
        }


def _family(name: str, samples: Samples) -> Metric:
    metric = METRICS[name]
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(name, metric.says, labels=metric.labels)
    for labels, value in samples:
        if value is not None:
            family.add_metric(labels, value)
    return family
