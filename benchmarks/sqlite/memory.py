"""Does memory stay flat? A million events are folded, in a process of its own.

What the process holds is read after a tenth of the events (of a rebuild, whose batches are large,
after the first of two) and after all of them: what was decoded or waited for must not have stayed.
"""

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.diptych_cart import ArticleSales, Cart, Sales
from benchmarks.measuring import Benchmark, NotAvailableError, Sample, Scale, Target
from benchmarks.sqlite.log_file import fill_log
from diptych import App

KEYS = 1_000


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare what the process holds at the end with what it held at the beginning."""
    path = folder / "memory.db"
    events = scale.pick(100_000, 1_000_000)
    fill_log(path, events, KEYS)
    return Benchmark(
        name="sqlite.memory",
        unit="MiB",
        variants={way: partial(in_a_process, way, path, events) for way in WAYS},
        targets=[
            Target(
                f"{way}, end against beginning", way, relation="value", detail="growth", at_most=1.1
            )
            for way in WAYS
        ],
        at_most_repetitions=1,
    )


def in_a_process(way: str, path: Path, events: int) -> Sample:
    """Run `main` where nothing else has been done yet."""
    if not Path("/proc/self/statm").exists():
        raise NotAvailableError("what a process holds is read from /proc")
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.sqlite.memory", way, str(path), str(events)],
        check=True,
        capture_output=True,
        text=True,
    )
    early, late = map(float, said.stdout.split())
    return Sample(late, details={"early_mib": early, "growth": late / early})


def held_mib() -> float:
    """Memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


async def following(app: App, events: int) -> float:
    """Fold the log as a runner that follows it does; what was held after a tenth."""
    early = 0.0
    store = app.sources[ArticleSales].store
    await app.open()
    while (stands := (await store.checkpoint("sales")).position) < events:
        if not early and stands >= events // 10:
            early = held_mib()
        await asyncio.sleep(0.005)
    return early


async def rebuilding(app: App, events: int) -> float:
    """Fold the log twice as a rebuild does, in batches of 25,000; what was held after the first."""
    del events
    await app.open(projections=False)
    await app.rebuild(Sales, in_place=True)
    early = held_mib()
    await app.rebuild(Sales, in_place=True)
    return early


async def main(way: str, path: str, events: int) -> None:
    """Fold the whole log; print what was held when."""
    app = App("bench", [Cart, Sales], write=f"sqlite:///{path}")
    early = await WAYS[way](app, events)
    print(early, held_mib())
    await app.close()


WAYS = {"runner": following, "rebuild": rebuilding}

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
