"""How long does it take to prove a read model in PostgreSQL right, against making it?

Verification folds the log again in memory and reads all rows; a rebuild folds it and writes them.
"""

from __future__ import annotations

from functools import partial

from benchmarks.measuring import Benchmark, Scale, Target, Variant
from benchmarks.postgres.log_tables import fill
from benchmarks.postgres.projection import TIMES, settled
from benchmarks.postgres.server import BenchServer
from benchmarks.verify import FEW_KEYS, MANY_KEYS, rebuilding, verifying


def benchmark(scale: Scale, server: BenchServer) -> Benchmark:
    """Compare verification with a rebuild of the same rows from the same log."""
    variants: dict[str, Variant] = {}
    targets: list[Target] = []
    for keys in (FEW_KEYS, MANY_KEYS):
        schema = server.make_schema()
        fill(schema, scale.pick(5_000, 20_000), keys)
        verify, rebuild = f"verify, {keys:,} keys", f"rebuild, {keys:,} keys"
        variants |= {
            verify: settled(server, partial(verifying, schema.url, TIMES)),
            rebuild: settled(server, partial(rebuilding, schema.url, TIMES)),
        }
        targets.append(Target(f"verification, {keys:,} keys", verify, rebuild, at_least=0.5))
    return Benchmark("postgres.verify", "events/s", variants, targets)
