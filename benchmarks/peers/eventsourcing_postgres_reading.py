"""Reading one's own writes with eventsourcing on PostgreSQL: save, wait, query."""

import json
import sys
import time
from importlib.metadata import version
from typing import Any

from eventsourcing.projection import ProjectionRunner
from eventsourcing_postgres_projection import Cart, Carts, Sales, SalesView, environment

from benchmarks.order_lines import NOTE, order_lines

WARM_UP = 3


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Put lines into carts, and look at the article after each; milliseconds of each step."""
    carts: dict[str, Cart] = {}
    both, asking = [], []
    with ProjectionRunner(
        application_class=Carts,
        projection_class=Sales,
        view_class=SalesView,
        env=environment(options),
    ) as runner:
        for line in order_lines(options["times"] + WARM_UP, 100):
            cart = carts.setdefault(line.cart, Cart())
            began = time.perf_counter()
            cart.add(line.sku, line.qty, line.price, NOTE)
            position = runner.app.save(cart)[-1].notification.id
            between = time.perf_counter()
            runner.wait(position, timeout=5)
            if not runner.view.pieces(line.sku):
                raise ValueError(f"{line.sku} was not seen")
            ended = time.perf_counter()
            both.append((ended - began) * 1_000)
            asking.append((ended - between) * 1_000)
    return {"both_ms": both[WARM_UP:], "asking_ms": asking[WARM_UP:]}


def main() -> None:
    """Measure and print."""
    answer = measure(json.loads(sys.argv[1]))
    print(json.dumps({**answer, "eventsourcing": version("eventsourcing")}))


if __name__ == "__main__":
    main()
