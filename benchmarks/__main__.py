"""Run the benchmarks: `python -m benchmarks [NAME ...]` from the repository's root."""

import argparse
import random
import shutil
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.choosing import ALL, ON_POSTGRES, matching, open_server
from benchmarks.machine import commit, machine
from benchmarks.measuring import Outcome, Scale, measure
from benchmarks.profiling import Profiles
from benchmarks.report import keep, table

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Measure what was asked for, show it, and keep it if it is the whole."""
    options = arguments()
    # A log has no width of its own; 80 columns would break every name.
    console = Console(width=None if sys.stdout.isatty() else 140)
    names = matching(options.names)
    scale = Scale(options.quick, options.repetitions or (1 if options.quick else 5))
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    began = datetime.now(UTC)
    console.print(f"seed {seed}")
    profiles = Profiles(options.profile) if options.profile else None
    about, outcomes = measured(names, scale, seed, console, profiles)

    revision, dirty = commit()
    console.print(table(outcomes))
    for outcome in outcomes:
        for variant, why in outcome.absent.items():
            console.print(f"{outcome.benchmark.name}: {variant} did not run: {why}")
        for variant, error in outcome.failed.items():
            console.print(f"{outcome.benchmark.name}: {variant} FAILED\n{error}", markup=False)
    for name in set(names) - {outcome.benchmark.name for outcome in outcomes}:
        console.print(f"{name} did not run: {about['postgres']}")
    if profiles is not None:
        profiles.print()
    report = {
        "began": began.isoformat(timespec="seconds"),
        "took_s": round((datetime.now(UTC) - began).total_seconds()),
        "commit": revision,
        "dirty": dirty,
        "quick": scale.quick,
        "repetitions": scale.repetitions,
        "seed": seed,
        "machine": about,
        "benchmarks": [outcome.as_json() for outcome in outcomes],
    }
    out = options.out
    if out is None and not scale.quick and not profiles and names == list(ALL):
        out = HERE / "results" / f"{began:%Y-%m-%d}-{revision}.json"
    if out is not None:
        keep(report, out)
        console.print(f"written to {out}")
    sys.exit(any(outcome.failed for outcome in outcomes))


def measured(
    names: list[str], scale: Scale, seed: int, console: Console, profiles: Profiles | None
) -> tuple[dict[str, Any], list[Outcome]]:
    """Measure each benchmark; returns what is known of the machine, and the outcomes."""
    # On the disk of the repository: a temporary folder may be memory, where nothing is durable.
    data = HERE / ".data"
    data.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=data))
    outcomes = []
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        about = machine(folder)
        status = stack.enter_context(console.status(""))
        server = None
        if set(names) & set(ON_POSTGRES):
            status.update("starting PostgreSQL")
            server, about["postgres"] = open_server(stack)
        for name in names:
            if name in ON_POSTGRES and server is None:
                continue
            status.update(f"{name}: preparing")
            own = folder / name
            own.mkdir()
            place = server if name in ON_POSTGRES else own
            benchmark = ALL[name](scale, place)
            wrap = partial(profiles.of, name) if profiles else None
            outcomes.append(measure(benchmark, scale.repetitions, seed, status.update, wrap))
            shutil.rmtree(own)
    return about, outcomes


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"all unless told: {', '.join(ALL)}; sqlite or postgres for all of one store",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test, once and small")
    parser.add_argument("--repetitions", type=int, help="5 unless told")
    parser.add_argument("--seed", type=int, help="the order of variants; random unless told")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the samples here")
    parser.add_argument(
        "--profile",
        metavar="WORDS",
        help='where the time of this process goes in variants so named ("diptych, 64"); slower',
    )
    options = parser.parse_args()
    try:
        matching(options.names)
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    main()
