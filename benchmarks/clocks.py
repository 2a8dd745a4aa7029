"""Wall time, CPU time, rates, and how long single operations take."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.measuring import Sample


class Stopwatch:
    """Wall and CPU time since the block began; stands still once the block has ended."""

    def __init__(self) -> None:
        """Start both clocks."""
        self.wall_s = 0.0
        self.cpu_s = 0.0
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    @property
    def elapsed_s(self) -> float:
        """Tell how long the block has run so far."""
        return time.perf_counter() - self._wall

    def stop(self) -> None:
        """Take both times."""
        self.wall_s = time.perf_counter() - self._wall
        self.cpu_s = time.process_time() - self._cpu

    def rate(self, count: int, **details: Any) -> Sample:
        """Give operations per second."""
        return Sample(count / self.wall_s, self.cpu_s * 1e6 / count, details)

    def cpu_us_each(self, count: int, **details: Any) -> Sample:
        """Give CPU microseconds per operation: small costs, nearly blind to other processes."""
        each = self.cpu_s * 1e6 / count
        return Sample(each, each, details)


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Time a block."""
    watch = Stopwatch()
    yield watch
    watch.stop()


async def keep_in_flight(
    operation: Callable[[int, int], Awaitable[object]], in_flight: int, seconds: float
) -> Sample:
    """Run `operation(client, turn)` from `in_flight` clients for some seconds; its rate.

    A client waits for its answer before it asks again, as a web request does.
    """
    deadline = time.perf_counter() + seconds

    async def client(number: int) -> int:
        turn = 0
        while time.perf_counter() < deadline:
            await operation(number, turn)
            turn += 1
        return turn

    with stopwatch() as watch:
        done = await asyncio.gather(*(client(number) for number in range(in_flight)))
    return watch.rate(sum(done))


def latencies(times_ms: Sequence[float], **details: Any) -> Sample:
    """Give the median as the value, and the tail beside it."""
    cuts = statistics.quantiles(times_ms, n=1_000, method="inclusive")
    return Sample(
        cuts[499],
        None,
        {
            "count": len(times_ms),
            "p50_ms": cuts[499],
            "p90_ms": cuts[899],
            "p99_ms": cuts[989],
            "max_ms": max(times_ms),
            **details,
        },
    )
