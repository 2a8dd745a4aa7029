"""A demo on a terminal: its progress as a bar, its report as tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from .report import OnTick, Report, Tick

__all__ = ["print_report", "progress_bar"]


@contextlib.contextmanager
def progress_bar(console: Console) -> Iterator[OnTick]:
    """A bar with rate and time left; give what it yields to `run_demo`."""
    columns = (
        TextColumn("{task.description:<11}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>20}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        stages: dict[str, Any] = {}

        def tick(now: Tick) -> None:
            if now.stage not in stages:
                stages[now.stage] = bar.add_task(now.stage, total=now.total, rate="")
            rate = f"{now.per_s:,.0f} {now.unit}/s" if now.per_s else ""
            bar.update(stages[now.stage], completed=now.done, total=now.total, rate=rate)

        yield tick


def print_report(report: Report, console: Console) -> None:
    """The report as tables."""
    console.print(_counts(report))
    console.print(_lines(report))
    console.print(_numbers(report))
    for one in report.queries:
        console.print(f"[bold]{one.question}[/]")
        for line in one.answer:
            console.print(f"  {line}", highlight=False)
    said = "[bold green]verified[/]" if report.verified else "[bold red]NOT VERIFIED[/]"
    console.print(
        f"{said}: the log folded again from nothing, {report.verified_rows:,} rows of every read "
        f"model compared in {report.verify_seconds:.1f} s"
    )
    for difference in report.differences:
        console.print(f"  differs: {difference}", style="red")
    if report.finished_before:
        console.print("This database was finished by an earlier run; --fresh starts again.")


def _counts(report: Report) -> Table:
    table = Table(title=f"{report.commands:,} commands", title_justify="left")
    table.add_column("answer")
    table.add_column("commands", justify="right")
    for name, count in report.accepted_by_command.items():
        table.add_row(f"accepted  {name}", f"{count:,}", style="green")
    for name, count in report.rejected.items():
        table.add_row(f"rejected  {name}", f"{count:,}", style="yellow")
    return table


def _lines(report: Report) -> Table:
    table = Table(title=f"{report.lines:,} lines of {report.data}", title_justify="left")
    table.add_column("became")
    table.add_column("lines", justify="right")
    for name, count in report.lines_accepted.items():
        table.add_row(name, f"{count:,}", style="green")
    for name, count in report.lines_rejected.items():
        table.add_row(f"rejected: {name}", f"{count:,}", style="yellow")
    return table


def _numbers(report: Report) -> Table:
    table = Table(title=report.database, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    revenue = sum(report.revenue_by_country.values())
    best = ", ".join(
        f"{name} £{pounds:,.0f}" for name, pounds in list(report.revenue_by_country.items())[:3]
    )
    for name, value in (
        ("events", f"{report.events:,}"),
        ("orders placed", f"{report.orders_placed:,}"),
        ("returns accepted", f"{report.returns_accepted:,}"),
        ("revenue before returns", f"£{revenue:,.2f}"),
        ("best countries", best),
        ("seconds", f"{report.seconds:,.1f}"),
        ("commands/s, each durable", f"{report.commands_per_s:,.0f}"),
        ("events/s into all read models", f"{report.projection_events_per_s:,.0f}"),
        ("peak lag", f"{report.peak_lag_events:,} events, {report.peak_lag_s:.2f} s"),
        ("settled after the last command", f"{report.settled_after_s:.2f} s"),
    ):
        table.add_row(name, value)
    return table
