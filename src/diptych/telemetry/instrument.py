"""Metrics and spans for an application: one call, once, where it is built."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

try:
    from prometheus_client import CollectorRegistry, Histogram, generate_latest
    from prometheus_client import Counter as CounterMetric
except ImportError as error:
    raise ImportError(
        "metrics need prometheus-client: pip install 'diptych[telemetry]'", name=error.name
    ) from error

from diptych.application import App
from diptych.commands.envelope import CommandEnvelope, CommandHandler, Done
from diptych.errors import ConflictError, Rejection
from diptych.operations.drift.results import Verification
from diptych.telemetry.collector import LookCollector
from diptych.telemetry.look import look_at
from diptych.telemetry.names import METRICS

if TYPE_CHECKING:
    from diptych.telemetry.spans import Spans

__all__ = ["CONTENT_TYPE", "Telemetry", "instrument"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of what `metrics_text` gives."""

BUCKETS_S = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)

LOOK_EVERY_S = 1.0
"""However often it is scraped, the stores are asked no more often than this."""

LOOK_WITHIN_S = 5.0
"""A store that does not answer for so long is left out of this look: half of a usual scrape."""


def instrument(
    app: App, *, registry: CollectorRegistry | None = None, spans: Spans | None = None
) -> Telemetry:
    """Measure every command and query of `app` from now on; call it once, before it is used.

    ```python
    telemetry = instrument(app)
    text = await telemetry.metrics_text()  # what a route /metrics answers
    ```

    Args:
        app: The application.
        registry: Where the metrics are put: one registry per application. Default: one of its own.
        spans: `Spans()`, for spans of OpenTelemetry; they cost more than the metrics do.

    Raises ValueError when the registry has these metrics already.
    """
    return Telemetry(app, registry or CollectorRegistry(), spans)


class Telemetry:
    """What is measured of one application. Made by `instrument`."""

    def __init__(self, app: App, registry: CollectorRegistry, spans: Spans | None) -> None:
        self.registry = registry
        self._app = app
        self._spans = spans
        self._clock = app.environment.monotonic_s
        self._commands = _histogram("diptych_command_seconds", registry)
        self._waits = _histogram("diptych_token_wait_seconds", registry)
        self._conflicts = CounterMetric(
            "diptych_append_conflicts_total",
            METRICS["diptych_append_conflicts_total"].says,
            registry=registry,
        )
        # Finding a child by its labels takes a lock; here they are found by a tuple.
        self._took: dict[tuple[type, str], Any] = {}
        self._collector = LookCollector()
        registry.register(self._collector)
        self._looked_at_s = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        app.watch(self)

    # -- what is measured ------------------------------------------------------------------------

    async def dispatching(self, envelope: CommandEnvelope, proceed: CommandHandler) -> Done:
        """The middleware: times a command with its outcome, within a span if there are any."""
        began = self._clock()
        outcome = "error"
        try:
            if self._spans is None:
                done = await proceed(envelope)
            else:
                done = await self._spans.dispatching(envelope, proceed)
            outcome = "accepted"
            return done
        except Rejection:
            outcome = "rejected"
            raise
        except ConflictError:
            outcome = "conflict"
            self._conflicts.inc()
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._observe(type(envelope.command), outcome, self._clock() - began)

    def asking(self, query: Any, answering: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """See queries.ask.Watch."""
        return answering if self._spans is None else self._spans.asking(query, answering)

    def waited(self, seconds: float, *, reached: bool) -> None:
        """See queries.ask.Watch."""
        self._waits.labels("reached" if reached else "stale").observe(seconds)
        if self._spans is not None:
            self._spans.waited(seconds, reached=reached)

    def verified(self, found: Verification) -> None:
        """Record what `app.verify()` found: whoever verifies, calls this."""
        plans = self._app.parts.plans.values()
        differences = {plan.name: 0 for plan in plans if plan.table.view is None}
        differences |= Counter(one.projection for one in found.differences)
        self._collector.verified(differences, self._app.environment.time_us() / 1_000_000)

    # -- what is told ----------------------------------------------------------------------------

    async def metrics_text(self) -> bytes:
        """The registry as Prometheus reads it, with a look at the stores that is a second old.

        Of content type CONTENT_TYPE. Never raises for a store that does not answer: what it would
        say is missing then.
        """
        await self.look()
        return generate_latest(self.registry)

    async def look(self) -> None:
        """Ask the stores where they stand, unless that was just done; many who ask share a look."""
        if self._clock() - self._looked_at_s < LOOK_EVERY_S:
            return
        loop = asyncio.get_running_loop()
        looking = self._looking
        if looking is None or looking.done() or looking.get_loop() is not loop:
            looking = self._looking = loop.create_task(self._look())
        await asyncio.shield(looking)

    async def keep_looking(self, every_s: float = 10.0) -> None:
        """Look every `every_s` seconds until cancelled.

        For a registry that somebody else exposes, as `prometheus_client.start_http_server` does:
        such a scrape cannot wait for stores, and gets the last look.
        """
        while True:
            await self.look()
            await self._app.environment.sleep(every_s)

    async def _look(self) -> None:
        self._collector.saw(await look_at(self._app, LOOK_WITHIN_S))
        self._looked_at_s = self._clock()

    def _observe(self, command: type, outcome: str, seconds: float) -> None:
        took = self._took.get((command, outcome))
        if took is None:
            took = self._commands.labels(command.__name__, outcome)
            self._took[command, outcome] = took
        took.observe(seconds)


def _histogram(name: str, registry: CollectorRegistry) -> Histogram:
    metric = METRICS[name]
    return Histogram(name, metric.says, metric.labels, registry=registry, buckets=BUCKETS_S)
