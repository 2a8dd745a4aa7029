"""Wrong rows on a terminal: which key, which field, what is kept and what the log says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from diptych.cli.output import counted, plain, print_line
from diptych.cli.tables import Column, cell, most_characters, print_rich, table
from diptych.operations.drift.fields import field_differences
from diptych.operations.drift.results import Difference

if TYPE_CHECKING:
    from diptych.cli.verify_work import Verified

__all__ = ["print_differences", "print_verified"]

_MOST_FIELDS = 10
"""Of one row; --json shows them all."""


def print_verified(done: Verified, limit: int) -> None:
    """What was compared, what differs, what was repaired."""
    found = done.found
    compared = f"{counted(found.rows, 'row')} compared with {counted(found.events, 'event')}"
    if found.seed is not None:
        compared += f" (a sample, --seed {found.seed})"
    for name in found.left_out:
        print_line(f"{name} writes its own SQL, which has no keys: it was left out")
    if found.ok:
        print_line(f"ok: {compared}, no difference")
        return
    print_differences(found.differences, limit)
    left = len(found.differences) - limit
    print_line()
    print_line(
        f"{counted(len(found.differences), 'difference')}, {compared}"
        + (f" ({left:,} not shown: --limit)" if left > 0 else "")
    )
    for one in done.repaired:
        verb = "would write" if one.dry_run else "wrote"
        print_line(
            f"{one.projection}: {verb} {counted(len(one.written), 'row')}, "
            f"{'delete' if one.dry_run else 'deleted'} {len(one.deleted):,}, at position "
            f"{one.position:,}" + ("" if one.ok else "; some differ again: verify once more")
        )
    for name in done.changed:
        print_line(
            f"the rows of {name} were made by another version of it. Rebuild it: "
            f"diptych projections rebuild {name}"
        )
    for name in done.only_rebuilt:
        if name in done.changed:
            continue
        print_line(f"{name} writes its own SQL. Rebuild it: diptych projections rebuild {name}")


def print_differences(differences: Sequence[Difference], limit: int) -> None:
    """A table with a line for each field of each of the first `limit` rows."""
    columns = [
        Column("projection"),
        Column("key", fold=True),
        Column("field", fold=True),
        Column("kept", fold=True),
        Column("expected", fold=True),
    ]
    most = most_characters()
    rows = []
    for one in differences[:limit]:
        for field, kept, expected in _lines(one):
            shown = (cell(plain(kept), most), cell(plain(expected), most))
            rows.append((one.projection, one.key, field, *shown))
    print_rich(table(columns, rows))


def _lines(one: Difference) -> Iterator[tuple[str, Any, Any]]:
    if one.kept is None or one.expected is None:
        yield "(row)", one.kept, one.expected
        return
    fields = field_differences(one.kept, one.expected)
    for field in fields[:_MOST_FIELDS]:
        kept = "(none)" if field.missing else field.kept
        expected = "(none)" if field.extra else field.expected
        yield field.field or "(row)", kept, expected
    if len(fields) > _MOST_FIELDS:
        yield f"{len(fields) - _MOST_FIELDS:,} more", "", ""
    if not fields:
        yield "(position)", one.kept_at, one.expected_at
