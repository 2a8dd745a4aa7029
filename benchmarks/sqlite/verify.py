"""How long does it take to prove a read model right, against making it?

Verification folds the log again in memory and reads all rows; a rebuild folds it and writes them.
"""

from functools import partial
from pathlib import Path

from benchmarks.measuring import Benchmark, Scale, Target, Variant
from benchmarks.sqlite.log_file import fill_log
from benchmarks.verify import FEW_KEYS, MANY_KEYS, rebuilding, verifying


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare verification with a rebuild of the same rows from the same log."""
    variants: dict[str, Variant] = {}
    targets: list[Target] = []
    for keys in (FEW_KEYS, MANY_KEYS):
        path = folder / f"verify-{keys}.db"
        fill_log(path, scale.pick(10_000, 50_000), keys)
        verify, rebuild = f"verify, {keys:,} keys", f"rebuild, {keys:,} keys"
        variants |= {
            verify: partial(verifying, f"sqlite:///{path}"),
            rebuild: partial(rebuilding, f"sqlite:///{path}"),
        }
        targets.append(Target(f"verification, {keys:,} keys", verify, rebuild, at_least=0.5))
    return Benchmark("sqlite.verify", "events/s", variants, targets)
