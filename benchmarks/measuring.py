"""How things are measured here: samples interleaved, medians, and the machine written down.

A benchmark is a set of variants (diptych, a floor, a peer) and the targets that compare them.
Each repetition runs every variant once, in an order of its own that the seed decides, so that a
neighbour who loads the machine for a while hurts all of them alike. A ratio is taken inside each
repetition, and the median of those ratios is reported.
"""

import random
import statistics
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

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
    detail: str | None = None
    """What of a sample counts, where it is not the value."""

    def of_sample(self, sample: Sample) -> float:
        """Give what counts of a sample."""
        return sample.details[self.detail] if self.detail else sample.value

    def outcomes(self, samples: Mapping[str, list[Sample]]) -> list[float]:
        """Relate the two variants inside each repetition; empty when one of them is absent."""
        ours = [self.of_sample(sample) for sample in samples.get(self.of, ())]
        if self.relation == "value":
            return ours
        theirs = [self.of_sample(sample) for sample in samples.get(self.against or "", ())]
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
    at_most_repetitions: int | None = None
    """For what takes so long that it evens out by itself."""


@dataclass(slots=True)
class Outcome:
    """All samples of one benchmark, and why a variant has none."""

    benchmark: Benchmark
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Variants that broke off with an error, and which; what they gave before does not count."""

    def median(self, target: Target, variant: str | None) -> float | None:
        """Give the median of what counts of a variant, None when it did not run."""
        samples = self.samples.get(variant or "")
        return statistics.median(map(target.of_sample, samples)) if samples else None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give one line per target, ready for the table and for the file."""
        for target in self.benchmark.targets:
            outcomes = target.outcomes(self.samples)
            outcome = statistics.median(outcomes) if outcomes else None
            yield {
                "name": target.name,
                "value": self.median(target, target.of),
                "against": target.against,
                "against_value": self.median(target, target.against),
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
            "failed": self.failed,
        }


def measure(
    benchmark: Benchmark,
    repetitions: int,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
    wrap: Callable[[str, Variant], Variant] | None = None,
) -> Outcome:
    """Run every variant `repetitions` times, interleaved, each time in another order."""
    outcome = Outcome(benchmark)
    variants = [
        (name, wrap(name, run) if wrap else run) for name, run in benchmark.variants.items()
    ]
    chance = random.Random(seed)
    repetitions = min(repetitions, benchmark.at_most_repetitions or repetitions)
    for repetition in range(repetitions):
        chance.shuffle(variants)
        for name, run in variants:
            if name in outcome.absent or name in outcome.failed:
                continue
            progress(f"{benchmark.name}: {name} ({repetition + 1} of {repetitions})")
            try:
                outcome.samples.setdefault(name, []).append(run())
            except NotAvailableError as missing:
                outcome.absent[name] = str(missing)
                del outcome.samples[name]
            except Exception as error:  # noqa: BLE001 - half an hour of samples must not be lost
                outcome.failed[name] = "".join(traceback.format_exception(error))
                del outcome.samples[name]
    return outcome
