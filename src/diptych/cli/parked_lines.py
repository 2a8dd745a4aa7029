"""What is parked, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from diptych.cli.output import counted, plain, print_line, printable
from diptych.cli.tables import Column, cell, fields, most_characters, print_rich, table
from diptych.environment import moment
from diptych.operations.parked.entries import ParkedKey
from diptych.operations.parked.groups import Group
from diptych.operations.parked.parked_events import Skipped
from diptych.queries.parked import Parked
from diptych.sync.retry import Retried

__all__ = ["print_groups", "print_keys", "print_retried", "print_skipped"]

_MOST_FOLLOWERS = 20
_TIME = "%Y-%m-%d %H:%M:%S"


def print_groups(found: Sequence[Group]) -> None:
    """One row per projection and error."""
    if not found:
        print_line("nothing is parked")
        return
    columns = [
        Column("projection", style="bold"),
        Column("error", fold=True),
        Column("keys", "right"),
        Column("events", "right"),
        Column("first", "right"),
        Column("last", "right"),
        Column("since (UTC)"),
    ]
    rows = [
        (
            one.projection,
            one.error,
            f"{one.keys:,}",
            f"{one.events:,}",
            str(one.first),
            str(one.last),
            f"{one.since:{_TIME}}",
        )
        for one in found
    ]
    print_rich(table(columns, rows))


def print_keys(waiting: Sequence[ParkedKey], skipped: Sequence[Parked], *, traces: bool) -> None:
    """One block per key; the stack only with `traces`."""
    if not waiting and not skipped:
        print_line("nothing is parked")
        return
    shown: list[RenderableType] = []
    for one in waiting:
        shown += [fields(_facts(one, traces=traces)), Text()]
        if traces and one.trace:
            lines = "\n".join(printable(line) for line in one.trace.splitlines())
            shown += [Text(lines, style="dim"), Text()]
    if skipped:
        shown += [_skipped(skipped), Text()]
    print_rich(*shown[:-1])


def print_retried(found: Sequence[Retried], *, dry_run: bool) -> None:
    """One line per key, and a sum."""
    for one in found:
        print_line(f"{printable(one.projection)} {printable(one.key)}: {_outcome(one)}")
    folded, left = sum(one.folded for one in found), sum(one.left for one in found)
    would = "would be " if dry_run else ""
    print_line(
        f"{counted(len(found), 'key')}: {counted(folded, 'event')} {would}folded, {left:,} left"
        if found
        else "nothing is parked there"
    )


def print_skipped(found: Skipped, *, dry_run: bool) -> None:
    """What was skipped, and what became of those behind it."""
    one = found.entry
    skipped = "would be skipped" if dry_run else "skipped"
    print_line(
        f"{skipped}: {printable(one.type)} of {printable(one.stream)} at position {one.position} "
        f"for {printable(one.key)}"
    )
    print_line(f"behind it: {_outcome(found.followers)}")


def _facts(one: ParkedKey, *, traces: bool) -> list[tuple[str, object]]:
    most = most_characters()
    facts: list[tuple[str, object]] = [
        ("stream" if one.by_stream else "key", one.key),
        ("event", f"{one.type} of {one.stream} at position {one.position}"),
        ("says", one.raw if one.event is None else cell(plain(one.event), most)),
        ("failed with", one.error or "nothing: it waits to be retried"),
        ("attempts", one.attempts),
        ("since (UTC)", f"{one.since:{_TIME}}"),
    ]
    if one.followers:
        facts.append(("followed by", _followers(one.followers, all_of_them=traces)))
    return facts


def _followers(followers: Sequence[Parked], *, all_of_them: bool) -> str:
    if not all_of_them:
        return counted(len(followers), "event")
    named = [f"{one.position} {one.type}" for one in followers[:_MOST_FOLLOWERS]]
    left = len(followers) - len(named)
    return ", ".join(named) + (f" and {left:,} more" if left else "")


def _skipped(skipped: Sequence[Parked]) -> RenderableType:
    columns = [
        Column("skipped", "right"),
        Column("key", fold=True),
        Column("event", fold=True),
        Column("by"),
        Column("when (UTC)"),
        Column("reason", fold=True),
    ]
    rows = [
        (
            str(one.position),
            one.key,
            f"{one.type} of {one.stream}",
            one.actor or "-",
            f"{moment(one.at_us):{_TIME}}",
            one.reason,
        )
        for one in skipped
    ]
    return table(columns, rows)


def _outcome(one: Retried) -> str:
    said = [f"{one.folded:,} folded"]
    if one.gone:
        said.append(f"{one.gone:,} no longer wanted")
    if one.moved:
        said.append(f"{one.moved:,} wait for a key that is parked")
    said.append(f"{one.left:,} left")
    again = f"; failed at {one.failed_at}: {printable(one.error)}" if one.failed_at else ""
    return ", ".join(said) + again
