"""What people read: tables, and one thing as a list of its fields.

On a terminal, tables fit its width: a table too wide for it is shown as one block per row. In a
pipe nothing is cut or wrapped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from diptych.cli.output import as_json, plain, printable

__all__ = ["Column", "answer_as_text", "cell", "console", "fields", "print_rich", "table"]

_NARROWEST = 14
"""Columns may be squeezed to this width before a table is given up."""
_UNLIMITED = 1_000_000


class Column(NamedTuple):
    """How one column of a table looks. `fold`: long values go on in the next line."""

    title: str
    justify: Literal["left", "right"] = "left"
    style: str = ""
    fold: bool = False


def console() -> Console:
    """A console on the present stdout that takes text literally."""
    made = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _UNLIMITED
    return made


def print_rich(*things: RenderableType) -> None:
    """Print, without blanks at the ends of lines when it is for a pipe."""
    made = console()
    if made.is_terminal:
        made.print(*things, sep="\n")
        return
    with made.capture() as captured:
        made.print(*things, sep="\n")
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().split("\n")))
    sys.stdout.flush()


def table(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> Table:
    """A table; values are shown as `cell` shows them, Text as it is."""
    made = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for one in columns:
        made.add_column(
            one.title,
            justify=one.justify,
            style=one.style,
            overflow="fold",
            no_wrap=not one.fold,
        )
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else Text(cell(value)) for value in row))
    return made


def fields(pairs: Iterable[tuple[str, Any]]) -> Table:
    """One thing: a name and a value per line."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(Text(printable(name)), value if isinstance(value, Text) else Text(cell(value)))
    return made


def cell(value: Any) -> str:
    """A value in one line: text as it is, nested things as JSON, None as `-`."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return printable(value)
    return printable(as_json(value))


def answer_as_text(answer: Any, width: int | None) -> Table | Text | list[RenderableType]:
    """An answer to a query: rows as a table, one row as its fields, anything else as it is.

    `width` None: unlimited.
    """
    answer = plain(answer)
    if isinstance(answer, dict) and answer:
        return fields(answer.items())
    if isinstance(answer, list) and answer and all(isinstance(one, dict) and one for one in answer):
        return _rows(answer, width)
    if isinstance(answer, list):
        return Text("\n".join(cell(one) for one in answer) if answer else "no rows", style="")
    return Text("nothing found" if answer is None else cell(answer))


def _rows(rows: list[dict[str, Any]], width: int | None) -> Table | list[RenderableType]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if width is not None and _narrowest_width(names, rows) > width:
        return _blocks(rows)
    columns = [
        Column(
            printable(name),
            justify="right" if _is_number(name, rows) else "left",
            fold=not _is_number(name, rows),
        )
        for name in names
    ]
    return table(columns, [[row.get(name) for name in names] for row in rows])


def _narrowest_width(names: list[str], rows: list[dict[str, Any]]) -> int:
    needed = 0
    for name in names:
        widest = max(len(cell(row.get(name))) for row in rows)
        needed += max(len(name), widest if _is_number(name, rows) else min(widest, _NARROWEST)) + 2
    return needed


def _is_number(name: str, rows: list[dict[str, Any]]) -> bool:
    values = [row[name] for row in rows if row.get(name) is not None]
    return bool(values) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in values
    )


def _blocks(rows: list[dict[str, Any]]) -> list[RenderableType]:
    shown: list[RenderableType] = []
    for number, row in enumerate(rows, start=1):
        shown += [Text(f"{number} of {len(rows)}", style="dim"), fields(row.items()), Text()]
    return shown[:-1]
