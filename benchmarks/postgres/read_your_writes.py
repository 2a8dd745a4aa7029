"""How long until a client sees what it has just written, through an asynchronous projection?

A client sends a command, then asks for the read model as of that command; one after the other, as
a person clicks. Both in one process, the log and the read model in one database. The time is that
of both steps together, and beside it that of the second one alone. The peer waits as its
documentation says: `ProjectionRunner.wait`, then a query of its view.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial

from benchmarks.clocks import latencies
from benchmarks.diptych_cart import AddItem, ArticleSales, Cart, Sales
from benchmarks.measuring import Benchmark, Sample, Scale, Target
from benchmarks.order_lines import NOTE, order_lines
from benchmarks.peers import run_peer
from benchmarks.postgres.server import BenchServer, Schema
from diptych import App, Query, Reader

OURS, PEER = "diptych", "eventsourcing"
WARM_UP = 20


class GetSales(Query[ArticleSales | None]):
    """The sales of one article."""

    sku: str


async def get_sales(query: GetSales, sales: Reader[ArticleSales]) -> ArticleSales | None:
    """Answer."""
    return await sales.get(query.sku)


def benchmark(scale: Scale, server: BenchServer) -> Benchmark:
    """Compare both."""
    times = scale.pick(30, 300)
    peer_times = scale.pick(5, 30)
    return Benchmark(
        name="postgres.read_your_writes",
        unit="ms",
        variants={
            OURS: server.on_new_schema(diptych, times=times),
            PEER: partial(eventsourcing, server, peer_times),
        },
        targets=[
            Target("dispatch and ask, p50", OURS, PEER, "value", at_most=10),
            Target("the same, as a share", OURS, PEER),
            Target("dispatch and ask, p99", OURS, PEER, "value", detail="p99_ms"),
            Target("ask alone, p50", OURS, PEER, "value", detail="ask_p50_ms"),
            Target("ask alone, p99", OURS, PEER, "value", detail="ask_p99_ms"),
        ],
    )


def diptych(schema: Schema, times: int) -> Sample:
    """Dispatch, then ask after the token."""

    async def run() -> Sample:
        both, asking = [], []
        async with App("bench", [Cart, Sales, get_sales], write=schema.url) as app:
            for line in order_lines(times + WARM_UP, 100):
                command = AddItem(line.cart, line.sku, line.qty, line.price, NOTE)
                began = time.perf_counter()
                done = await app.dispatch(command)
                between = time.perf_counter()
                seen = await app.ask(GetSales(line.sku), after=done.token, within_s=5)
                ended = time.perf_counter()
                if not seen or not seen.pieces:
                    raise ValueError(f"{line.sku} was not seen")
                both.append((ended - began) * 1_000)
                asking.append((ended - between) * 1_000)
        alone = latencies(asking[WARM_UP:])
        return latencies(
            both[WARM_UP:], **{f"ask_{name}": value for name, value in alone.details.items()}
        )

    return asyncio.run(run())


def eventsourcing(server: BenchServer, times: int) -> Sample:
    """Save, then wait for the projection and query it."""
    with server.new_database() as database:
        answer = run_peer("eventsourcing_postgres_reading", **database, times=times)
    asking = latencies(answer.pop("asking_ms"))
    return latencies(
        answer.pop("both_ms"),
        **{f"ask_{name}": value for name, value in asking.details.items()},
        **answer,
    )
