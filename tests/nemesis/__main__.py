"""`python -m tests.nemesis run --store sqlite --seconds 3600`, and `check` and `replay --full`.

A run that fails keeps its folder: the seed, every process's history, what the stores held.
"""

# ruff: noqa: T201  printing is its job
from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.nemesis.checking import Checked, check
from tests.nemesis.replaying import Replaying
from tests.nemesis.stages import STAGES

from diptych_examples.shop.demo import default_source
from services.postgres import PrivatePostgres


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
    replay = tasks.add_parser("replay", help="the real orders, killed until they are done")
    replay.add_argument("--store", choices=[*STAGES, "all"], default="all")
    replay.add_argument("--full", action="store_true", help="240,007 lines, not the sample")
    replay.add_argument("--every", type=float, default=1.0, help="seconds between two kills")
    replay.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    if options.task == "check":
        return tell(check(options.folder))
    if options.task == "replay":
        stores = list(STAGES) if options.store == "all" else [options.store]
        return max(one_replay(one, options) for one in stores)
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


def one_replay(store: str, options: argparse.Namespace) -> int:
    source = default_source(sample=not options.full)
    folder = Path(tempfile.mkdtemp(prefix=f"nemesis-replay-{store}-"))
    print(f"{store}, {source.name}, seed {options.seed}, {folder}", flush=True)
    with ExitStack() as stack:
        url, restart = f"sqlite:///{folder}/shop.db", None
        if store == "postgres":
            server = stack.enter_context(PrivatePostgres())
            url, restart = f"{server.url}?timeout_s=10", server.restart_immediately
        how = {"every_s": options.every, "runners": 2, "restart": restart}
        done = Replaying(folder, url, source, options.seed, **how).run()
    report = done.report
    print(
        f"  {report.commands} commands, {report.events} events, {report.verified_rows} rows, "
        f"verified {report.verified}, {dict(done.deeds)}, {done.seconds:.0f} s"
    )
    for difference in done.differences:
        print(f"  {difference}")
    shutil.rmtree(folder)
    return bool(done.differences) or not report.verified


def tell(checked: Checked) -> int:
    print("  " + ", ".join(f"{count} {what}" for what, count in sorted(checked.counts.items())))
    for complaint in checked.complaints[:50]:
        print(f"  {complaint}")
    return bool(checked.complaints)


if __name__ == "__main__":
    sys.exit(main())
