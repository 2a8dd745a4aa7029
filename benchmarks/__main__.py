"""Run the benchmarks: `python -m benchmarks` from the repository's root."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import append, commands, dispatch, growth, importing, projection
from benchmarks.measuring import Benchmark, Outcome, Scale, commit, machine, measure

HERE = Path(__file__).resolve().parent
BENCHMARKS: dict[str, Callable[[Scale, Path], Benchmark]] = {
    "append": append.benchmark,
    "dispatch": dispatch.benchmark,
    "projection": projection.benchmark,
    "commands": commands.benchmark,
    "growth": growth.benchmark,
    "import": importing.benchmark,
}


def main() -> None:
    """Measure what was asked for, show it, and keep it if it is the whole."""
    options = arguments()
    # A log has no width of its own; 80 columns would break every name.
    console = Console(width=None if sys.stdout.isatty() else 140)
    names = options.only or list(BENCHMARKS)
    scale = Scale(options.quick, options.repetitions or (1 if options.quick else 5))
    began = datetime.now(UTC)
    outcomes = []
    # On the disk of the repository: a temporary folder may be memory, where nothing is durable.
    data = HERE / ".data"
    data.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=data))
    try:
        about = machine(folder)
        with console.status("") as status:
            for name in names:
                status.update(f"{name}: preparing")
                own = folder / name
                own.mkdir()
                benchmark = BENCHMARKS[name](scale, own)
                outcomes.append(measure(benchmark, scale.repetitions, status.update))
                shutil.rmtree(own)
    finally:
        shutil.rmtree(folder)

    revision, dirty = commit()
    console.print(table(outcomes))
    for outcome in outcomes:
        for variant, why in outcome.absent.items():
            console.print(f"{outcome.benchmark.name}: {variant} did not run: {why}")
    report = {
        "began": began.isoformat(timespec="seconds"),
        "commit": revision,
        "dirty": dirty,
        "quick": scale.quick,
        "repetitions": scale.repetitions,
        "machine": about,
        "benchmarks": [outcome.as_json() for outcome in outcomes],
    }
    out = options.out
    if out is None and not scale.quick and not options.only:
        out = HERE / "results" / f"{began:%Y-%m-%d}-{revision}.json"
    if out is not None:
        keep(report, out)
        console.print(f"written to {out}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test, once and small")
    parser.add_argument(
        "--only", action="append", choices=BENCHMARKS, metavar="NAME", help="may be repeated"
    )
    parser.add_argument("--repetitions", type=int, help="5 unless told")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the samples here")
    return parser.parse_args()


def table(outcomes: list[Outcome]) -> Table:
    """Show what was reached beside what was aimed at."""
    shown = Table(title="medians; ratios are taken inside each repetition")
    shown.add_column("name")
    for column in ("value", "floor or peer", "ratio", "target"):
        shown.add_column(column, justify="right")
    shown.add_column("met?")
    for outcome in outcomes:
        unit = outcome.benchmark.unit
        shown.add_section()
        for row in outcome.rows():
            name, against = row["name"], row["against"]
            shown.add_row(
                f"{name}\n  [dim]against {against}[/dim]" if against else name,
                number(row["value"], unit),
                number(row["against_value"], unit),
                related(row, unit),
                row["target"],
                verdict(row),
            )
    return shown


def number(value: float | None, unit: str = "") -> str:
    """Write a value with as many digits as it deserves."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 1_000 else 1 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def related(row: dict[str, Any], unit: str) -> str:
    """Write the ratio, or the difference where that is what counts."""
    if row["outcome"] is None or row["relation"] == "value":
        return ""
    if row["relation"] == "difference":
        return f"{row['outcome']:+.2f} {unit}"
    return f"{row['outcome']:.3g}x"


def verdict(row: dict[str, Any]) -> str:
    """Say whether a target was met, without ever failing the run."""
    if not row["target"]:
        return ""
    if row["met"] is None:
        return "not measured"
    return "[green]yes[/green]" if row["met"] else "[red]no[/red]"


def keep(report: dict[str, Any], out: Path) -> None:
    """Write the report."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
