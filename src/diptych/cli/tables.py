"""What people read: tables, and one thing as a list of its fields.

On a terminal, tables fit its width: a table too wide for it is shown as one block per row. In a
pipe nothing is cut or wrapped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from diptych.cli.output import as_json, counted, plain, printable

__all__ = [
    "Column",
    "answer_as_text",
    "cell",
    "console",
    "fields",
    "most_characters",
    "print_rich",
    "table",
]

_NARROWEST = 14
"""Columns may be squeezed to this width before a table is given up."""
_UNLIMITED = 1_000_000
_MOST_CHARACTERS = 160
"""Of one value on a terminal; `--json` shows it whole."""
_MOST_ROWS = 20
"""Of a list within a row."""


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
    """One thing: a name and a value per line; a list of things as a table of its own."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(Text(printable(name)), _field(value))
    return made


def cell(value: Any, most: int | None = None) -> str:
    """A value in one line: text as it is, nested things as JSON, None as `-`.

    What is longer than `most` characters is cut, and says how much there is.
    """
    if value is None:
        return "-"
    text = printable(value if isinstance(value, str) else as_json(value))
    if most is None or len(text) <= most:
        return text
    return f"{text[:most]}… ({_size(value)})"


def most_characters() -> int | None:
    """How much of a value is shown: all of it in a pipe, the beginning on a terminal."""
    return _MOST_CHARACTERS if sys.stdout.isatty() else None


def answer_as_text(answer: Any, width: int | None) -> list[RenderableType]:
    """An answer to a query: rows as a table, one row as its fields, anything else as it is.

    `width` None: unlimited.
    """
    answer = plain(answer)
    if isinstance(answer, dict) and answer:
        if _are_things(list(answer.values())):
            return _rows([{"": key, **value} for key, value in answer.items()], width)
        return [fields(answer.items())]
    if isinstance(answer, list):
        if _are_things(answer):
            return _rows(answer, width)
        return [Text(cell(one)) for one in answer] or [Text("no rows")]
    return [Text("nothing found" if answer is None else cell(answer))]


def _field(value: Any) -> RenderableType:
    if isinstance(value, Text):
        return value
    if isinstance(value, list) and _are_things(value) and not any(map(_is_nested, value)):
        shown = _table_of(value[:_MOST_ROWS])
        if len(value) <= _MOST_ROWS:
            return shown
        left = f"{len(value) - _MOST_ROWS:,} more; --json shows them all"
        return Group(shown, Text(left, style="dim"))
    return Text(cell(value, most_characters()))


def _are_things(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(one, dict) and one for one in values)


def _is_nested(thing: dict[str, Any]) -> bool:
    return any(isinstance(value, dict | list) for value in thing.values())


def _rows(rows: list[dict[str, Any]], width: int | None) -> list[RenderableType]:
    if width is not None and _narrowest_width(rows) > width:
        return _blocks(rows)
    return [_table_of(rows)]


def _table_of(rows: list[dict[str, Any]]) -> Table:
    names = _names(rows)
    numbers = {name for name in names if _is_number(name, rows)}
    columns = [
        Column(printable(one), "right" if one in numbers else "left", fold=one not in numbers)
        for one in names
    ]
    most = most_characters()
    return table(columns, [[cell(row.get(name), most) for name in names] for row in rows])


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _narrowest_width(rows: list[dict[str, Any]]) -> int:
    needed = 0
    for name in _names(rows):
        widest = max(len(cell(row.get(name))) for row in rows)
        if not _is_number(name, rows):
            widest = min(widest, _NARROWEST)
        needed += max(len(name), widest) + 2
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


def _size(value: Any) -> str:
    if isinstance(value, list):
        return counted(len(value), "item")
    if isinstance(value, dict):
        return counted(len(value), "field")
    return counted(len(str(value)), "character")
