"""Walk the path: the same real orders at every stage, and the same answers.

`python -m diptych_examples.evolution` (`--help` says what can be chosen)
"""

from __future__ import annotations

import asyncio

import click
import msgspec
from rich.console import Console
from rich.table import Table

from diptych_examples.shop.demo import default_source
from diptych_examples.shop.replay.source import read_source

from .ground import given_server
from .stages import STAGES
from .walking import Walked, walk


@click.command()
@click.option("--stage", "chosen", multiple=True, type=click.Choice([one.name for one in STAGES]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--full", is_flag=True, help="Play all 240,007 lines, not the sample.")
@click.option("--in-flight", default=64, show_default=True, help="Commands under way at once.")
@click.option("--postgres", default="", envvar="DIPTYCH_POSTGRES", help="URL of a PostgreSQL.")
@click.option("--replica", default="", envvar="DIPTYCH_POSTGRES_REPLICA", help="Its replica.")
def main(
    chosen: tuple[str, ...],
    *,
    as_json: bool,
    full: bool,
    in_flight: int,
    postgres: str,
    replica: str,
) -> None:
    """Play the same real orders at every stage, ask the same questions, compare the answers.

    PostgreSQL is the one named here, or the one that `make services` has started. What is made
    there is removed again. The exit code is 1 when a stage answers differently.
    """
    source = read_source(default_source(sample=not full))
    stages = [one for one in STAGES if not chosen or one.name in chosen]
    console = Console(stderr=True)
    with console.status("") as status:
        walking = walk(stages, source, given_server(postgres, replica), in_flight, status.update)
        walked = asyncio.run(walking)
    if as_json:
        click.echo(msgspec.json.encode(walked))
    else:
        _print(walked, f"{source.lines:,} lines of {source.name}")
    if any(one.equal is False for one in walked):
        raise SystemExit(1)


def _print(walked: list[Walked], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for name in ("stage", "writes go to", "reads come from"):
        table.add_column(name)
    for name in ("commands/s", "read your write, p50", "all answers equal"):
        table.add_column(name, justify="right")
    for one in walked:
        table.add_row(one.stage, one.writes_to, one.reads_from, *_numbers(one))
    console = Console()
    console.print(table)
    for one in walked:
        if one.why:
            console.print(f"stage {one.stage} {one.why}", style="yellow", highlight=False)


def _numbers(walked: Walked) -> tuple[str, str, str]:
    if walked.equal is None:
        return "", "", "not played"
    equal = f"yes ({walked.questions:,})" if walked.equal else "NO"
    return f"{walked.commands_per_s:,.0f}", f"{walked.read_your_write_p50_ms:.1f} ms", equal


if __name__ == "__main__":
    main()
