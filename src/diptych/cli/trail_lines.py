"""Records, trees and past rows for people and for programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from diptych.cli.output import as_json as json_of
from diptych.cli.output import counted, plain, print_line, printable
from diptych.cli.tables import cell, console, most_characters
from diptych.operations.trail import Trail
from diptych.operations.trail.record import Record
from diptych.operations.trail.tree import CauseNode, CauseTree
from diptych.queries.projection import Plan

__all__ = ["RecordLines", "past_rows", "print_tree", "record_as_facts", "tree_as_facts"]

_DEEPEST = 30
"""Levels of a tree that are indented; what lies deeper says so with a number."""
_KINDS = {
    "command": "command, not stored itself",
    "gap": "not in the log: a command without an id, or a message from elsewhere",
    "circle": "not a possible cause: one of its own effects",
}


def record_as_facts(record: Record) -> dict[str, Any]:
    """A record as one object; `data` is what was stored, or text if that is no JSON."""
    facts = {
        name: getattr(record, name)
        for name in record.__struct_fields__
        if name not in ("event", "data")
    }
    return {**facts, "data": _stored(record.data)}


def _stored(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return data.decode("utf-8", "backslashreplace")


class RecordLines:
    """Prints records one by one: JSON, lines with tabs in a pipe, or blocks on a terminal."""

    def __init__(self, *, as_json: bool) -> None:
        self._console = console()
        self._as_json = as_json
        self.on_terminal = self._console.is_terminal

    def print(self, record: Record) -> None:
        """Print one record."""
        if self._as_json:
            print_line(json_of(record_as_facts(record)), flush=False)
        elif self.on_terminal:
            self._console.print(_block(record))
        else:
            print_line(_tabbed(record), flush=False)


def _tabbed(record: Record) -> str:
    facts = record_as_facts(record)
    named = ("stream", "version", "type", "actor", "tenant", "correlation_id", "causation_id")
    return "\t".join(
        (
            str(record.position),
            _time(record),
            *(cell(facts[name]) for name in named),
            printable(record.data.decode("utf-8", "backslashreplace")),
        )
    )


def _block(record: Record) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=9, justify="right", style="bold")
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"{record.position:,}"), _head(record))
    grid.add_row("", Text(cell(_stored(record.data), most_characters())))
    grid.add_row("", Text(f"because of {_because(record)}", style="dim"))
    if record.unreadable:
        grid.add_row("", Text(printable(f"unreadable: {record.unreadable}"), style="red"))
    return grid


def _head(record: Record) -> Text:
    at = record.recorded_at
    head = Text().append(f"{at:%Y-%m-%d %H:%M:%S}  " if at else "-  ", style="dim")
    head.append(printable(record.type), style="green")
    head.append(f"  {printable(record.stream)} v{record.version}", style="cyan")
    if record.actor:
        head.append(f"  by {printable(record.actor)}")
    if record.tenant:
        head.append(f"  for {printable(record.tenant)}")
    return head


def _because(record: Record) -> str:
    cause, conversation = cell(record.causation_id), cell(record.correlation_id)
    return cause if cause == conversation else f"{cause} in {conversation}"


def _time(record: Record) -> str:
    if record.recorded_at is None:
        return "-"
    return record.recorded_at.isoformat().replace("+00:00", "Z")


def tree_as_facts(tree: CauseTree) -> dict[str, Any]:
    """A tree as one object: its nodes in order, each with its depth, however deep it is."""
    nodes = []
    for depth, node in tree.walk():
        record = record_as_facts(node.record) if node.record else None
        nodes.append({"depth": depth, "kind": node.kind, "id": node.id, "record": record})
    return {"events": tree.events, "complete": tree.complete, "nodes": nodes}


def print_tree(tree: CauseTree) -> None:
    """A line per node, indented by its depth."""
    here = console()
    for depth, node in tree.walk():
        deeper = f"[{depth}] " if depth > _DEEPEST else ""
        indent = "   " * min(depth, _DEEPEST) + ("└─ " if depth else "")
        line = Text().append(indent + deeper, style="dim")
        line.append_text(_node(node))
        if here.is_terminal:
            here.print(line)
        else:
            print_line(line.plain, flush=False)
    print_line()
    more = "" if tree.complete else ", and there are more: --limit"
    print_line(f"{counted(tree.events, 'event')}{more}")


def _node(node: CauseNode) -> Text:
    if node.record is None:
        return Text().append(f"{printable(node.id)}  ({_KINDS[node.kind]})", style="yellow")
    position = Text().append(f"{node.record.position:,}  ", style="bold")
    return position.append_text(_head(node.record))


async def past_rows(
    trail: Trail,
    plan: Plan,
    keys: Sequence[str],
    position: int | None,
    progress: Callable[[int, int], None],
) -> AsyncIterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each row as facts for programs, and as what people see of it."""
    if plan.shape is None and plan.table.view is None and not keys:
        tables = trail.table_rows(plan.projection, position=position, progress=progress)
        async for table, values in tables:
            row = plain(values)
            yield {"table": table, "row": row}, {"table": table, **row}
        return
    rows = trail.rows(plan.projection, keys or None, position=position, progress=progress)
    async for one in rows:
        row = plain(one.value)
        yield {"key": one.key, "position": one.position, "row": row}, row
