"""`diptych trail seal` and `check`: hashes of the log in a file kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from diptych.cli.options import app_option, common_options
from diptych.cli.output import counted, plain, print_json, print_line

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.operations.trail.checking import SealCheck
    from diptych.operations.trail.sealing import Sealed

__all__ = ["check", "seal"]

_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.command()
@_file
@click.option(
    "--every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="How many events to a line: a change is found to within so many.",
)
@click.option("--to-head", is_flag=True, help="Seal the last events, too, if fewer than --every.")
@app_option
@common_options
def seal(*, where: str | None, file: Path, every: int, to_head: bool, as_json: bool) -> None:
    """Add hashes of what is new in the log to FILE. Keep it where the log's owner cannot write.

    Call it again and again; stopped at any moment, it goes on the next time.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    done = run(_seal(find_app(where), file, every, to_head=to_head))
    if as_json:
        print_json(plain(done))
        return
    if done.mended:
        print_line("a torn last line was taken away: the last sealing was stopped")
    open_end = f"; {counted(done.unsealed, 'event')} not sealed yet" if done.unsealed else ""
    print_line(
        f"sealed {counted(done.events, 'event')} in {counted(done.blocks, 'block')}, "
        f"up to position {done.upto:,}{open_end}"
    )


async def _seal(app: App, file: Path, every: int, *, to_head: bool) -> Sealed:
    from diptych.cli.progress import Progress
    from diptych.cli.trail_opening import opened_trail

    with Progress("Sealing") as progress:
        async with opened_trail(app) as trail:
            return await trail.seal(file, every=every, to_head=to_head, progress=progress)


@click.command()
@_file
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many findings to print; --json prints up to 1,000.",
)
@app_option
@common_options
def check(*, where: str | None, file: Path, limit: int, as_json: bool) -> int:
    """Hash the log again and compare it with FILE. Exit code 1 when they do not agree."""
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    found = run(_check(find_app(where), file))
    if as_json:
        print_json({"ok": found.ok, **plain(found)})
    else:
        _print(found, limit)
    return 0 if found.ok else 1


async def _check(app: App, file: Path) -> SealCheck:
    from diptych.cli.progress import Progress
    from diptych.cli.trail_opening import opened_trail

    with Progress("Checking") as progress:
        async with opened_trail(app) as trail:
            return await trail.check(file, progress)


def _print(found: SealCheck, limit: int) -> None:
    if found.torn:
        print_line("the last line is torn: a sealing was stopped; the next one mends it")
    as_sealed = f"{counted(found.events, 'event')} in {counted(found.blocks, 'block')} as sealed"
    behind = max(found.head - found.upto, 0)
    open_end = f"; {counted(behind, 'event')} after position {found.upto:,} not sealed yet"
    if found.ok:
        print_line(f"ok: {as_sealed}{open_end if behind else ''}")
        return
    from diptych.cli.tables import Column, print_rich, table

    columns = [
        Column("from", "right"),
        Column("to", "right"),
        Column("line", "right"),
        Column("changed"),
        Column("why", fold=True),
    ]
    shown = found.findings[:limit]
    rows = [(one.first, one.last, one.line, one.changed, one.why) for one in shown]
    print_rich(table(columns, rows))
    left = found.faults - len(shown)
    print_line()
    print_line(
        f"{counted(found.faults, 'finding')}; {as_sealed}{open_end if behind else ''}"
        + (f" ({left:,} not shown: --limit)" if left else "")
    )
