"""How things are measured here: samples interleaved, medians, and the machine written down.

A benchmark is a set of variants (diptych, a floor, a peer) and the targets that compare them.
Each repetition runs every variant once, beginning with another one each time, so that a neighbour
who loads the machine for a while hurts all of them alike. A ratio is taken inside each repetition,
and the median of those ratios is reported.
"""

import asyncio
import os
import platform
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import apsw

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much work a run does; `quick` is a smoke test, its numbers prove nothing."""

    quick: bool
    repetitions: int

    def pick(self, quick: T, full: T) -> T:
        """Choose between the size for a smoke test and the size for a measurement."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of one variant gave."""

    value: float
    cpu_us: float | None = None
    """CPU time of this process per operation, where an operation is what `value` counts."""
    details: Mapping[str, Any] = field(default_factory=dict)


Variant: TypeAlias = Callable[[], Sample]


class NotAvailableError(Exception):
    """A variant cannot run here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the report: a variant, what it is held against, and the bound it should keep."""

    name: str
    of: str
    against: str | None = None
    relation: Literal["ratio", "difference", "value"] = "ratio"
    at_least: float | None = None
    at_most: float | None = None

    def outcomes(self, samples: Mapping[str, list[Sample]]) -> list[float]:
        """Relate the two variants inside each repetition; empty when one of them is absent."""
        ours = [sample.value for sample in samples.get(self.of, ())]
        if self.relation == "value":
            return ours
        theirs = [sample.value for sample in samples.get(self.against or "", ())]
        pairs = zip(ours, theirs, strict=False)
        if self.relation == "ratio":
            return [mine / base for mine, base in pairs]
        return [mine - base for mine, base in pairs]

    def met(self, outcome: float) -> bool | None:
        """Tell whether the bound is kept; None when the row has no bound."""
        if self.at_least is not None:
            return outcome >= self.at_least
        if self.at_most is not None:
            return outcome <= self.at_most
        return None

    def __str__(self) -> str:
        """Write the bound as the report shows it."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A question, the variants that answer it, and the targets the answers are held to."""

    name: str
    unit: str
    variants: Mapping[str, Variant]
    targets: list[Target]


@dataclass(slots=True)
class Outcome:
    """All samples of one benchmark, and why a variant has none."""

    benchmark: Benchmark
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def median(self, variant: str | None) -> float | None:
        """Give the median value of a variant, None when it did not run."""
        samples = self.samples.get(variant or "")
        return statistics.median(sample.value for sample in samples) if samples else None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give one line per target, ready for the table and for the file."""
        for target in self.benchmark.targets:
            outcomes = target.outcomes(self.samples)
            outcome = statistics.median(outcomes) if outcomes else None
            yield {
                "name": target.name,
                "value": self.median(target.of),
                "against": target.against,
                "against_value": self.median(target.against),
                "relation": target.relation,
                "outcome": outcome,
                "outcomes": outcomes,
                "target": str(target),
                "met": target.met(outcome) if outcome is not None else None,
            }

    def as_json(self) -> dict[str, Any]:
        """Give everything measured, each repetition included."""
        return {
            "name": self.benchmark.name,
            "unit": self.benchmark.unit,
            "rows": list(self.rows()),
            "samples": {
                name: [asdict(sample) for sample in samples]
                for name, samples in self.samples.items()
            },
            "absent": self.absent,
        }


def measure(
    benchmark: Benchmark,
    repetitions: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run every variant `repetitions` times, interleaved, beginning with another one each time."""
    outcome = Outcome(benchmark)
    variants = list(benchmark.variants.items())
    for repetition in range(repetitions):
        start = repetition % len(variants)
        for name, run in variants[start:] + variants[:start]:
            if name in outcome.absent:
                continue
            progress(f"{benchmark.name}: {name} ({repetition + 1} of {repetitions})")
            try:
                outcome.samples.setdefault(name, []).append(run())
            except NotAvailableError as missing:
                outcome.absent[name] = str(missing)
                del outcome.samples[name]
    return outcome


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


def commit() -> tuple[str, bool]:
    """Name the commit that is measured, and say whether the files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    return git("rev-parse", "--short", "HEAD") or "no-commit", bool(changed)


def machine(folder: Path) -> dict[str, Any]:
    """Describe the machine: without it an absolute number says nothing."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": cpus[0] if cpus else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlite_of_apsw": apsw.sqlite_lib_version(),
        "kernel": platform.release(),
        "fsync_us": fsync_us(folder),
    }


def fsync_us(folder: Path, count: int = 100) -> float:
    """Measure one durable write of a page: the median in microseconds."""
    path = folder / "fsync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(bytes(4_096))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    path.unlink()
    return round(statistics.median(times) * 1e6, 1)
