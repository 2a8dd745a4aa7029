"""How fast does a read model catch up with a log, on disk, with its checkpoint?

The read model counts lines, pieces and turnover per article. The floor reads and decodes the same
file and keeps nothing. "By hand" is what a patient programmer would write: fold a batch by key,
write each key once, and the checkpoint in the same transaction.

The peer does not fold: it commits once per event, so the rate does not depend on the number of
events and it may stop after a few seconds.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec

from benchmarks.clocks import stopwatch
from benchmarks.diptych_cart import ArticleSales, Cart, Sales
from benchmarks.events import ItemAdded
from benchmarks.measuring import Benchmark, Sample, Scale, Target, Variant
from benchmarks.peers import run_peer
from benchmarks.sqlite.events_file import READ_ALL, fill, open_apsw
from benchmarks.sqlite.log_file import fill_log
from diptych import App

FEW_KEYS = 1_000
MANY_KEYS = 20_000
BATCH = 5_000

READ_MODEL = """
CREATE TABLE IF NOT EXISTS sales (
    sku TEXT PRIMARY KEY, lines INTEGER, pieces INTEGER, turnover REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint (id INTEGER PRIMARY KEY, position INTEGER);
"""
UPSERT = """
INSERT INTO sales VALUES (?, ?, ?, ?) ON CONFLICT (sku) DO UPDATE SET
    lines = lines + excluded.lines,
    pieces = pieces + excluded.pieces,
    turnover = turnover + excluded.turnover
"""


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare a projection from the first event with reading, and with the peer."""
    events = scale.pick(10_000, 50_000)
    variants: dict[str, Variant] = {}
    targets: list[Target] = []
    for keys, of_floor in ((FEW_KEYS, 0.28), (MANY_KEYS, 0.18)):
        path = folder / f"projection-{keys}.db"
        fill(path, events, keys)
        log_path = folder / f"projection-log-{keys}.db"
        fill_log(log_path, events, keys)
        ours, floor = f"diptych, {keys} keys", f"floor, read and decode, {keys} keys"
        by_hand, peer = f"by hand, {keys} keys", f"eventsource-py, {keys} keys"
        variants |= {
            floor: lambda path=path: reading(path),  # type: ignore[misc]
            by_hand: lambda path=path: folding(path),  # type: ignore[misc]
            ours: lambda path=log_path, events=events: projecting(path, events),  # type: ignore[misc]
            peer: lambda keys=keys: eventsource_py(scale, folder, keys),  # type: ignore[misc]
        }
        targets += [
            Target(f"projection, {keys} keys", ours, floor, at_least=of_floor),
            Target(f"projection, {keys} keys", ours, peer, at_least=80),
            Target(f"the same by hand, {keys} keys", by_hand, floor),
        ]
    return Benchmark("sqlite.projection", "events/s", variants, targets)


def batches(db: apsw.Connection) -> Iterator[list[tuple[int, ItemAdded]]]:
    """Read the whole log from the first event, decoded, in batches."""
    decode = msgspec.json.Decoder(ItemAdded).decode
    position = 0
    while True:
        batch = [
            (at, decode(data)) for at, _, _, _, data in db.execute(READ_ALL, (position, BATCH))
        ]
        if not batch:
            return
        position = batch[-1][0]
        yield batch


def reading(path: Path) -> Sample:
    """Read and decode, nothing else: no projection can be faster than this."""
    db = open_apsw(path)
    with stopwatch() as watch:
        events = sum(len(batch) for batch in batches(db))
    db.close()
    return watch.rate(events)


def folding(path: Path) -> Sample:
    """Fold each batch by key, then write the keys and the checkpoint in one transaction."""
    log = open_apsw(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as fresh:
        read = open_apsw(Path(fresh) / "read.db")
        read.execute(READ_MODEL)
        events = 0
        with stopwatch() as watch:
            for batch in batches(log):
                sales: dict[str, list[float]] = {}
                for _, event in batch:
                    sale = sales.setdefault(event.sku, [0, 0, 0.0])
                    sale[0] += 1
                    sale[1] += event.qty
                    sale[2] += event.qty * event.price
                with read:
                    read.executemany(UPSERT, ((sku, *sale) for sku, sale in sales.items()))
                    read.execute("REPLACE INTO checkpoint VALUES (1, ?)", (batch[-1][0],))
                events += len(batch)
        read.close()
    log.close()
    return watch.rate(events)


def projecting(path: Path, events: int) -> Sample:
    """Rebuild a read model from the first event, in the log's own file, effect once."""

    async def run() -> Sample:
        app = App("bench", [Cart, Sales], write=f"sqlite:///{path}")
        await app.open(projections=False)
        try:
            with stopwatch() as watch:
                await app.rebuild(Sales, in_place=True)
            found = await app.sources[ArticleSales].store.checkpoint("sales")
            if found.position != events:
                raise ValueError(f"only {found.position} of {events} events were folded")
            return watch.rate(events)
        finally:
            await app.close()

    return asyncio.run(run())


def eventsource_py(scale: Scale, folder: Path, keys: int) -> Sample:
    """Let eventsource-py project its own log of the same lines, for a few seconds."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        answer = run_peer(
            "eventsource_py_projection",
            path=str(Path(fresh) / "peer.db"),
            events=scale.pick(2_000, 10_000),
            keys=keys,
            seconds=scale.pick(2.0, 8.0),
        )
    return Sample(answer.pop("rate"), answer.pop("cpu_us"), answer)
