"""How long does it take to prove a read model right, against making it?

Verification folds the log again in memory and reads all rows; a rebuild folds it and writes them.
"""

import asyncio
from functools import partial
from pathlib import Path

from benchmarks.clocks import stopwatch
from benchmarks.diptych_cart import Cart, Sales
from benchmarks.measuring import Benchmark, Sample, Scale, Target, Variant
from benchmarks.sqlite.log_file import fill_log
from benchmarks.sqlite.projection import FEW_KEYS, MANY_KEYS, projecting
from diptych import App


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare verification with a rebuild of the same rows from the same log."""
    events = scale.pick(10_000, 50_000)
    variants: dict[str, Variant] = {}
    targets: list[Target] = []
    for keys in (FEW_KEYS, MANY_KEYS):
        path = folder / f"verify-{keys}.db"
        fill_log(path, events, keys)
        verify, rebuild = f"verify, {keys:,} keys", f"rebuild, {keys:,} keys"
        variants |= {
            verify: partial(verifying, f"sqlite:///{path}", events),
            rebuild: partial(projecting, path, events),
        }
        targets.append(Target(f"verification, {keys:,} keys", verify, rebuild, at_least=0.5))
    return Benchmark("sqlite.verify", "events/s", variants, targets)


def verifying(url: str, events: int, times: int = 1) -> Sample:
    """Fold the log again and compare every row, while the rows stand at the head."""

    async def run() -> Sample:
        app = App("bench", [Cart, Sales], write=url)
        await app.open(projections=False)
        try:
            if (await app.status())[0].position != events:
                await app.rebuild(Sales)
            with stopwatch() as watch:
                for _ in range(times):
                    found = await app.verify()
            if not found.ok or found.events != events:
                raise ValueError(f"{len(found.differences)} rows differ after {found.events}")
            return watch.rate(events * times)
        finally:
            await app.close()

    return asyncio.run(run())
