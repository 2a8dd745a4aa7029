"""A projection into PostgreSQL with eventsourcing, from the first event.

This is its documented way to a durable read model: a tracking recorder of one's own that writes
the row and the position in one transaction, fed by a `ProjectionRunner`. Defaults throughout;
statements are prepared, as its own are. It reads 500 events at a time, in a thread of its own.
"""

import json
import sys
import time
from importlib.metadata import version
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from benchmarks.order_lines import NOTE, OrderLine, order_lines


class Cart(Aggregate):
    """A cart of order lines."""

    @event("ItemAdded")
    def add(self, sku: str, qty: int, price: float, note: str) -> None:
        """Nothing to keep: nobody decides anything here."""


class Carts(Application[UUID]):
    """The log."""


class SalesView(PostgresTrackingRecorder):
    """Lines, pieces and turnover per article, with the position that they stand at."""

    def __init__(self, datastore: Any, **kwargs: Any) -> None:
        """Say what the table is, and how a line gets into it."""
        super().__init__(datastore, **kwargs)
        table = Identifier(datastore.schema), Identifier("sales")
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {}.{} (sku text PRIMARY KEY, lines bigint,"
                " pieces bigint, turnover double precision)"
            ).format(*table)
        )
        self.upsert = SQL(
            "INSERT INTO {0}.{1} AS sales VALUES (%s, 1, %s, %s) ON CONFLICT (sku) DO UPDATE SET"
            " lines = sales.lines + 1, pieces = sales.pieces + excluded.pieces,"
            " turnover = sales.turnover + excluded.turnover"
        ).format(*table)
        self.one = SQL("SELECT pieces FROM {}.{} WHERE sku = %s").format(*table)
        self.total = SQL("SELECT coalesce(sum(lines), 0)::bigint AS total FROM {}.{}").format(
            *table
        )

    def add(self, sku: str, qty: int, price: float, tracking: Tracking) -> None:
        """Count one line and move the position."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self.upsert, (sku, qty, qty * price), prepare=True)

    def pieces(self, sku: str) -> int:
        """Say how many pieces of an article have been sold."""
        with self.datastore.transaction() as cursor:
            cursor.execute(self.one, (sku,), prepare=True)
            found = cursor.fetchone()
            return int(found["pieces"]) if found else 0

    def lines(self) -> int:
        """Count the lines that have arrived."""
        with self.datastore.transaction() as cursor:
            cursor.execute(self.total)
            return int(cursor.fetchone()["total"])


class Sales(Projection[SalesView]):
    """Only `ItemAdded` concerns us."""

    name = "sales"
    topics = (f"{__name__}:Cart.ItemAdded",)

    @singledispatchmethod
    def process_event(self, _: Any, tracking: Tracking) -> None:
        """Skip everything else."""
        self.view.insert_tracking(tracking)

    @process_event.register
    def item_added(self, line: Cart.ItemAdded, tracking: Tracking) -> None:
        """Count one line."""
        self.view.add(line.sku, line.qty, line.price, tracking)


def environment(options: dict[str, Any], pool: int = 5) -> dict[str, str]:
    """Say where the server is, in the peer's words."""
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": options["dbname"],
        "POSTGRES_HOST": options["host"],
        "POSTGRES_PORT": options["port"],
        "POSTGRES_USER": options["user"],
        "POSTGRES_PASSWORD": options["password"],
        "POSTGRES_POOL_SIZE": str(pool),
    }


def seed(env: dict[str, str], events: int, keys: int) -> None:
    """Append the order lines, 50 carts at a time."""
    carts: dict[str, list[OrderLine]] = {}
    for line in order_lines(events, keys):
        carts.setdefault(line.cart, []).append(line)
    aggregates = []
    for lines in carts.values():
        cart = Cart()
        for line in lines:
            cart.add(line.sku, line.qty, line.price, NOTE)
        aggregates.append(cart)
    application = Carts(env)
    for start in range(0, len(aggregates), 50):
        application.save(*aggregates[start : start + 50])
    application.close()


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Seed a log, then let the projection catch up until it is done or time is up."""
    env = environment(options)
    seed(env, options["events"], options["keys"])
    wall, cpu = time.perf_counter(), time.process_time()
    with ProjectionRunner(
        application_class=Carts, projection_class=Sales, view_class=SalesView, env=env
    ) as runner:
        while (done := runner.view.lines()) < options["events"]:
            if time.perf_counter() - wall > options["seconds"]:
                break
            time.sleep(0.05)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"rate": done / wall, "cpu_us": cpu * 1e6 / done, "events": done}


def main() -> None:
    """Measure and print."""
    answer = measure(json.loads(sys.argv[1]))
    versions = {name: version(name) for name in ("eventsourcing", "psycopg")}
    print(json.dumps({**answer, **versions}))


if __name__ == "__main__":
    main()
