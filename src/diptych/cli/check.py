"""`diptych check`: does this code fit what is stored?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from diptych.cli.existing import open_existing
from diptych.cli.options import app_option, common_options
from diptych.cli.output import plain, print_json

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.cli.checking import Checked

__all__ = ["check"]


@click.command(short_help="See whether the code fits what is stored.")
@app_option
@common_options
def check(*, where: str | None, as_json: bool) -> int:
    """Build the application, open its stores, and see whether the two fit.

    Every stored event is decoded, so this reads the whole log. Run it before a release, against a
    copy of what it will meet. Exit code 1 when something does not fit.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    found = run(_check(find_app(where)))
    if as_json:
        print_json({"ok": found.ok, **plain(found)})
    else:
        _print(found)
    return 0 if found.ok else 1


async def _check(app: App) -> Checked:
    from diptych.cli.checking import check_app
    from diptych.cli.progress import Progress

    await open_existing(app)
    try:
        with Progress("Reading the log") as progress:
            return await check_app(app, progress)
    finally:
        await app.close()


def _print(found: Checked) -> None:
    from rich.table import Table
    from rich.text import Text

    from diptych.cli.output import counted, printable
    from diptych.cli.tables import print_rich

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for line in found.lines():
        mark, style = {"ok": ("✓", "green"), "note": ("·", "yellow")}.get(line.mark, ("✗", "red"))
        grid.add_row(Text(mark, style=style), line.about, Text(printable(line.text)))
    shown: list[Any] = [grid, Text()]
    count = len(found.problems)
    shown.append(
        Text("ok", style="bold green")
        if not count
        else Text(counted(count, "problem"), style="bold red")
    )
    print_rich(*shown)
