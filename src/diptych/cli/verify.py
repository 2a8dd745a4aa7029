"""`diptych verify`: are the read models what the log says?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from diptych.cli.existing import open_existing
from diptych.cli.options import app_option, common_options
from diptych.cli.output import counted, plain, print_json, print_line

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.operations.verify import Verification

__all__ = ["verify"]


@click.command(short_help="Compare every read model with the log.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many differences to print; --json prints all.",
)
@app_option
@common_options
def verify(*, where: str | None, limit: int, as_json: bool) -> int:
    """Fold the log again from nothing, and compare every row of every read model.

    Exit code 1 when a row differs.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    found = run(_verify(find_app(where)))
    if as_json:
        print_json(plain(found))
    else:
        _print(found, limit)
    return 0 if found.ok else 1


async def _verify(app: App) -> Verification:
    from diptych.cli.progress import Progress

    await open_existing(app)
    try:
        with Progress("Verifying") as progress:
            return await app.verify(progress)
    finally:
        await app.close()


def _print(found: Verification, limit: int) -> None:
    compared = f"{counted(found.rows, 'row')} compared with {counted(found.events, 'event')}"
    if found.ok:
        print_line(f"ok: {compared}, no difference")
        return
    from diptych.cli.tables import Column, cell, most_characters, print_rich, table

    columns = [
        Column("projection"),
        Column("key", fold=True),
        Column("kept", fold=True),
        Column("expected", fold=True),
    ]
    shown = found.differences[:limit]
    most = most_characters()
    rows = [
        (one.projection, one.key, cell(plain(one.kept), most), cell(plain(one.expected), most))
        for one in shown
    ]
    print_rich(table(columns, rows))
    left = len(found.differences) - len(shown)
    print_line()
    print_line(
        f"{counted(len(found.differences), 'difference')}, {compared}"
        + (f" ({left:,} not shown: --limit)" if left else "")
    )
