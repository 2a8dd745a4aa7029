"""What was reached beside what was aimed at: as a table for people, as a file for later."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.measuring import Outcome


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
