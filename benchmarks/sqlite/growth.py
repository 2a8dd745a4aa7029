"""Does it stay fast? Appends and loads on a log of 10 thousand events and on one of 2 million.

Appends open new carts in groups of 64, as 64 clients in flight would; names are like random ids,
so the index on streams is written all over, which is what gets slower in a store that does not
scale. Loads read carts of ten events from anywhere in the log.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec

from benchmarks.clocks import stopwatch
from benchmarks.diptych_cart import Cart, one_event
from benchmarks.events import ItemAdded
from benchmarks.measuring import Benchmark, Sample, Scale, Target, Variant
from benchmarks.order_lines import LINES_PER_CART, cart_id
from benchmarks.sqlite.events_file import INSERT, READ_STREAM, fill, item_added, open_apsw
from benchmarks.sqlite.log_file import fill_log
from diptych import App
from diptych.adapters.sqlite.event_log import SqliteEventLog

SMALL = 10_000
GROUP = 64
# Page caches are filled before the clock runs: the question is growth, not the first minute.
WARM_UP = 200


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare each rate on the large log with the same on the small one."""
    large = scale.pick(100_000, 2_000_000)
    appends = scale.pick(1_280, 12_800)
    loads = scale.pick(500, 5_000)
    paths = {size: folder / f"growth-{size}.db" for size in (SMALL, large)}
    logs = {size: folder / f"growth-log-{size}.db" for size in (SMALL, large)}
    for size, path in paths.items():
        fill(path, size, keys=20_000)
        fill_log(logs[size], size, keys=20_000)

    def on_each(
        name: str,
        run: Callable[[Path, int, int], Sample],
        count: int,
        files: dict[int, Path] = paths,
    ) -> None:
        for size, path in files.items():
            variants[f"{name}, {size:,} events"] = bound(run, path, size, count)

    variants: dict[str, Variant] = {}
    on_each("floor, append", appending, appends)
    on_each("floor, load", loading, loads)
    on_each("diptych, append", appending_to_log, appends, logs)
    on_each("diptych, load", loading_aggregates, loads, logs)

    def target(name: str, of: str, at_least: float | None) -> Target:
        return Target(
            f"{name}, {large:,} against {SMALL:,}",
            f"{of}, {large:,} events",
            f"{of}, {SMALL:,} events",
            at_least=at_least,
        )

    return Benchmark(
        name="sqlite.growth",
        unit="events/s",
        variants=variants,
        targets=[
            target("append", "diptych, append", 0.85),
            target("load", "diptych, load", 0.85),
            target("the floor's append", "floor, append", None),
            target("the floor's load", "floor, load", None),
        ],
    )


def bound(run: Callable[[Path, int, int], Sample], path: Path, size: int, count: int) -> Variant:
    """Bind a measurement to one log."""
    return lambda: run(path, size, count)


def appending(path: Path, size: int, appends: int) -> Sample:
    """Append the first line of new carts, 64 in a commit."""
    del size
    db = open_apsw(path)
    with stopwatch() as watch:
        for _ in range(appends // GROUP):
            with db:
                db.executemany(INSERT, (item_added(uuid4().hex, 1) for _ in range(GROUP)))
    db.close()
    return watch.rate(appends)


def loading(path: Path, size: int, loads: int) -> Sample:
    """Read and decode carts from anywhere in the log; events per second."""
    db = open_apsw(path)
    decode = msgspec.json.Decoder(ItemAdded).decode
    chance = random.Random(7)
    carts = [cart_id(chance.randrange(size // LINES_PER_CART)) for _ in range(loads + WARM_UP)]

    def load(cart: str) -> int:
        return len([decode(data) for _, _, data in db.execute(READ_STREAM, (cart,))])

    for cart in carts[:WARM_UP]:
        load(cart)
    with stopwatch() as watch:
        events = sum(load(cart) for cart in carts[WARM_UP:])
    db.close()
    return watch.rate(events)


def appending_to_log(path: Path, size: int, appends: int) -> Sample:
    """Append the first line of new carts through the log, 64 in flight."""
    del size
    numbers = iter(range(appends))

    async def run() -> Sample:
        log = SqliteEventLog(path)
        await log.open()

        async def client() -> None:
            for _ in numbers:
                await log.append(one_event(uuid4().hex, 1))

        try:
            with stopwatch() as watch:
                await asyncio.gather(*(client() for _ in range(GROUP)))
            return watch.rate(appends)
        finally:
            await log.close()

    return asyncio.run(run())


def loading_aggregates(path: Path, size: int, loads: int) -> Sample:
    """Load carts from anywhere in the log through the application; events per second."""
    chance = random.Random(7)
    carts = [
        cart_id(chance.randrange(size // LINES_PER_CART)).removeprefix("cart-")
        for _ in range(loads + WARM_UP)
    ]

    async def run() -> Sample:
        async with App("bench", [Cart], write=f"sqlite:///{path}") as app:
            for cart in carts[:WARM_UP]:
                await app.load(Cart, cart)
            with stopwatch() as watch:
                for cart in carts[WARM_UP:]:
                    await app.load(Cart, cart)
            return watch.rate(loads * LINES_PER_CART)

    return asyncio.run(run())
