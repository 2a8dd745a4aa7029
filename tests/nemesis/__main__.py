"""`python -m tests.nemesis run --store sqlite --seconds 3600`, `python -m tests.nemesis check ...`.

A run that fails keeps its folder: the seed, every process's history, what the stores held.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.nemesis.checking import Checked, check
from tests.nemesis.stages import STAGES


def main() -> int:
    """Run, or check again what a run has left. The exit code is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.nemesis")
    tasks = parser.add_subparsers(dest="task", required=True)
    run = tasks.add_parser("run", help="torment processes and check what they saw")
    run.add_argument("--store", choices=[*STAGES, "all"], default="all")
    run.add_argument("--seconds", type=float, default=60, help="for each store and each round")
    run.add_argument("--rounds", type=int, default=1)
    run.add_argument("--seed", type=int, default=random.randrange(2**32))
    run.add_argument("--keep", action="store_true", help="keep the histories of good runs, too")
    again = tasks.add_parser("check", help="check the histories in a folder")
    again.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.task == "check":
        return tell(check(options.folder))
    stores = list(STAGES) if options.store == "all" else [options.store]
    failed = 0
    for turn in range(options.rounds):
        for store in stores:
            failed |= one_run(store, options.seed + turn, options.seconds, keep=options.keep)
    return failed


def one_run(store: str, seed: int, seconds: float, *, keep: bool) -> int:
    folder = Path(tempfile.mkdtemp(prefix=f"nemesis-{store}-"))
    began = time.monotonic()
    with STAGES[store](folder, seed) as run:
        checked = asyncio.run(run.run(seconds))
    print(f"{store}, seed {seed}, {time.monotonic() - began:.0f} s, {folder}")
    failed = tell(checked)
    if not failed and not keep:
        shutil.rmtree(folder)
    return failed


def tell(checked: Checked) -> int:
    print("  " + ", ".join(f"{count} {what}" for what, count in sorted(checked.counts.items())))
    for complaint in checked.complaints[:50]:
        print(f"  {complaint}")
    return bool(checked.complaints)


if __name__ == "__main__":
    sys.exit(main())
