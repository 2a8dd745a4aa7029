"""The demo: real orders through both panels, a report, and a proof that every read model is right.

Run it: `diptych demo`, or `python -m diptych_examples.shop.demo`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from diptych import App

from .app import shop
from .queries.customer_profiles import FindBestCustomers
from .queries.product_pages import SearchProducts
from .queries.sales import GetSalesByCountry
from .queries.shipping_dashboard import GetShippingDashboard
from .replay.ledger import Ledger
from .replay.rules import script_of
from .replay.running import Replay
from .replay.source import Source, read_source
from .report import Answer, OnTick, Report, Tick
from .terminal import print_report, progress_bar

__all__ = [
    "DEFAULT_IN_FLIGHT",
    "Answer",
    "Report",
    "Tick",
    "default_database",
    "default_source",
    "print_report",
    "progress_bar",
    "run_demo",
]

DATA = Path(__file__).parent / "data"
DEFAULT_IN_FLIGHT = 64
_SETTLE_S = 600.0
_TICK_S = 0.2


def default_source(*, sample: bool = False) -> Path:
    """The full file where it is there (a checkout), else the packaged sample."""
    full = DATA / "online_retail.csv.gz"
    return full if full.exists() and not sample else DATA / "sample.csv.gz"


def default_database(source: Path) -> Path:
    """A file in the current directory that a killed run is found in again."""
    return Path(f"shop-demo-{source.name.partition('.')[0].replace('_', '-')}.db")


async def run_demo(
    database: str | Path,
    source: str | Path,
    in_flight: int = DEFAULT_IN_FLIGHT,
    progress: OnTick | None = None,
    *,
    fresh: bool = False,
    restart_finished: bool = False,
) -> Report:
    """Replay `source` into `database`, continuing where an earlier run was killed.

    Args:
        database: A file, or the URL of an event log.
        source: A file of order lines.
        in_flight: How many commands are under way at once.
        progress: Is called a few times a second.
        fresh: Delete the database first.
        restart_finished: Delete it if an earlier run has finished; otherwise what stands in it is
            reported and verified again.

    Raises OSError or ValueError when the file cannot be read, Rejection when the database holds the
    replay of another file, and StoreError.
    """
    tick = progress or (lambda _: None)
    orders = read_source(Path(source))
    tick(Tick("reading", orders.lines, orders.lines, 0.0, "lines"))
    url = str(database) if "://" in str(database) else f"sqlite:///{database}"
    if fresh or (restart_finished and await _is_finished(url)):
        _forget(url)
    app = shop(url, more=[Ledger])
    async with app:
        return await _Demo(app, orders, url, in_flight, tick).run()


async def _is_finished(url: str) -> bool:
    path = _path_of(url)
    if path is None or not path.exists():
        return False
    app = shop(url, more=[Ledger])
    await app.open(projections=False)
    try:
        ledger: Ledger = await app.load(Ledger, "replay")
        return ledger.finished
    finally:
        await app.close()


def _forget(url: str) -> None:
    path = _path_of(url)
    if path is not None:
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)


def _path_of(url: str) -> Path | None:
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


class _Demo:
    """One run: replay, let the right panel catch up, ask, verify."""

    def __init__(self, app: App, source: Source, url: str, in_flight: int, tick: OnTick) -> None:
        self._app = app
        self._source = source
        self._url = url
        self._in_flight = in_flight
        self._tick = tick
        self._clock = app.environment.monotonic_s
        self._peak_events = 0
        self._peak_s = 0.0

    async def run(self) -> Report:
        replay = Replay(self._app, script_of(self._source), self._in_flight)
        await replay.start()
        finished_before = replay.finished
        async with self._watched(replay):
            await replay.run()
        worked = replay.seconds
        settled = await self._settle()
        queries = await self._ask()
        countries = await self._app.ask(GetSalesByCountry())
        events = await self._app.log.head()
        began = self._clock()
        proof = await self._app.verify(self._verifying(began))
        tally = replay.tally
        if finished_before:
            worked = (await self._ledger()).seconds
        return Report(
            data=self._source.name,
            database=self._url,
            in_flight=self._in_flight,
            continued=replay.continued,
            finished_before=finished_before,
            lines=tally.lines,
            lines_accepted=_sorted(tally.lines_accepted),
            lines_rejected=_sorted(tally.lines_rejected),
            commands=tally.commands,
            accepted=sum(tally.accepted.values()),
            accepted_by_command=_sorted(tally.accepted),
            rejected=_sorted(tally.rejected),
            events=events,
            orders_placed=tally.accepted.get("CheckOut", 0),
            returns_accepted=tally.accepted.get("ReturnItems", 0),
            revenue_by_country={name: one.revenue_pence / 100 for name, one in countries.items()},
            refunds_by_country={
                name: one.refunded_pence / 100
                for name, one in countries.items()
                if one.refunded_pence
            },
            seconds=round(worked, 3),
            commands_per_s=_rate(tally.commands, worked),
            projection_events_per_s=_rate(events, worked + settled),
            peak_lag_events=self._peak_events,
            peak_lag_s=round(self._peak_s, 3),
            settled_after_s=round(settled, 3),
            queries=queries,
            verified=proof.ok,
            verified_rows=proof.rows,
            verify_seconds=round(self._clock() - began, 3),
            differences=[f"{one.projection} {one.key}" for one in proof.differences[:20]],
        )

    async def _ledger(self) -> Ledger:
        ledger: Ledger = await self._app.load(Ledger, "replay")
        return ledger

    @contextlib.asynccontextmanager
    async def _watched(self, replay: Replay) -> Any:
        watching = asyncio.create_task(self._watch(replay))
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        self._tick(self._replaying(replay))

    async def _watch(self, replay: Replay) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._tick(self._replaying(replay))
            for one in await self._app.status():
                self._peak_events = max(self._peak_events, one.lag_events)
                self._peak_s = max(self._peak_s, one.delay_s)

    def _replaying(self, replay: Replay) -> Tick:
        rate = _rate(replay.commands, replay.run_seconds)
        return Tick("replaying", replay.lines, self._source.lines, rate, "commands")

    async def _settle(self) -> float:
        """Seconds until every read model has seen the last event."""
        began = self._clock()
        head = await self._app.log.head()
        settling = asyncio.create_task(self._app.settle(within_s=_SETTLE_S))
        while not (await asyncio.wait({settling}, timeout=_TICK_S))[0]:
            behind = max(one.lag_events for one in await self._app.status())
            self._tick(Tick("catching up", head - behind, head, 0.0, "events"))
        await settling
        return self._clock() - began

    def _verifying(self, began: float) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            rate = _rate(done, self._clock() - began)
            self._tick(Tick("verifying", done, total, rate, "events"))

        return report

    async def _ask(self) -> list[Answer]:
        lanterns = await self._app.ask(SearchProducts("heart t-light", limit=3))
        best = await self._app.ask(FindBestCustomers(limit=3))
        parcels = await self._app.ask(GetShippingDashboard(limit=3))
        return [
            Answer(
                'Which products have the words "heart t-light"?',
                [f"{one.stock_code} {one.name}: {one.sold:,} sold" for one in lanterns],
            ),
            Answer(
                "Who are the best customers?",
                [
                    f"{one.name}, {one.country}: £{one.spent_pence / 100:,.2f} in "
                    f"{one.orders} orders"
                    for one in best
                ],
            ),
            Answer(
                "What is there to pack?",
                [f"{parcels.waiting} parcels wait"]
                + [
                    f"{one.order_id} for {one.customer_name}, {one.country}: {one.pieces} pieces"
                    for one in parcels.next
                ],
            ),
        ]


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0


def _sorted(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def main() -> None:
    """Run it with the defaults; `diptych demo` has the options."""
    console = Console(stderr=True)
    source = default_source(sample="--sample" in sys.argv)
    database = default_database(source)
    console.print(f"{source} into {database}; kill me and run me again: I continue.")
    with progress_bar(console) as tick:
        report = asyncio.run(run_demo(database, source, progress=tick, restart_finished=True))
    print_report(report, Console())


if __name__ == "__main__":
    main()
