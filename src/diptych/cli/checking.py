"""What `diptych check` looks at: the code on one side, what is stored on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from diptych.application import App
from diptych.cli.output import counted
from diptych.cli.status_table import why_of
from diptych.errors import DiptychError
from diptych.operations.evolution.transition import EVENTS as MOVES

__all__ = ["CheckLine", "Checked", "StoredType", "check_app"]

_PAGE = 5_000


class CheckLine(NamedTuple):
    """One finding in words."""

    mark: Literal["ok", "note", "problem"]
    about: str
    text: str


class Problem(msgspec.Struct, frozen=True):
    """Something that does not fit, as a sentence."""

    about: str
    message: str


class StoredType(msgspec.Struct):
    """One event type at one shape, as the log holds it. `error` '': this code can read it."""

    type: str
    schema: int
    events: int = 0
    unreadable: int = 0
    error: str = ""
    first_position: int = 0


class Checked(msgspec.Struct, frozen=True):
    """What was found."""

    application: str
    commands: int
    queries: int
    log: str
    head: int
    stores: list[dict[str, str]]
    stored_types: list[StoredType]
    known_types: list[str]
    never_stored: list[str]
    projections: list[dict[str, Any]]
    problems: list[Problem]

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.problems

    def lines(self) -> list[CheckLine]:
        """The findings in words, problems last."""
        parts = (
            f"{self.application}: {counted(self.commands, 'command')}, "
            f"{counted(self.queries, 'query', 'queries')}, "
            f"{counted(len(self.known_types), 'event type')}, "
            f"{counted(len(self.projections), 'projection')}"
        )
        lines = [
            CheckLine("ok", "application", parts),
            CheckLine("ok", "log", f"{self.log}, head {self.head:,}"),
            *[CheckLine("ok", "store", _described(one)) for one in self.stores],
        ]
        readable = sum(one.events - one.unreadable for one in self.stored_types)
        shapes = sum(not one.error for one in self.stored_types)
        lines.append(
            CheckLine("ok", "events", f"{readable:,} in {counted(shapes, 'shape')}, all decoded")
        )
        if self.never_stored:
            names = ", ".join(self.never_stored)
            lines.append(CheckLine("note", "events", f"known, but not in the log yet: {names}"))
        for one in self.projections:
            if one["state"] != "changed":
                text = f"{one['name']} stands at {one['position']:,}"
                lag = one["lag_events"]
                mark: Literal["ok", "note"] = "note" if lag else "ok"
                lines.append(
                    CheckLine(mark, "projection", text + (f", {lag:,} behind" if lag else ""))
                )
        return lines + [CheckLine("problem", one.about, one.message) for one in self.problems]


async def check_app(app: App, progress: Callable[[int, int], None]) -> Checked:
    """Look at everything. The application must be open."""
    stored, head = await _stored_types(app, progress)
    statuses = await app.status()
    known = sorted(one.identity.name for one in app.parts.registry if one.cls not in MOVES)
    present = {one.type for one in stored}
    return Checked(
        application=app.name,
        commands=len(app.parts.commands),
        queries=len(app.parts.queries),
        log=app.log.identity,
        head=head,
        stores=_stores(app),
        stored_types=stored,
        known_types=known,
        never_stored=[name for name in known if name not in present],
        projections=[msgspec.to_builtins(one) for one in statuses],
        problems=[*_type_problems(stored), *_projection_problems(statuses)],
    )


async def _stored_types(
    app: App, progress: Callable[[int, int], None]
) -> tuple[list[StoredType], int]:
    decode = app.parts.registry.decode
    found: dict[tuple[str, int], StoredType] = {}
    head = await app.log.head()
    at = 0
    while at < head:
        page = await app.log.read(at, _PAGE)
        for event in page:
            one = found.get((event.type, event.schema))
            if one is None:
                one = found[event.type, event.schema] = StoredType(event.type, event.schema)
            one.events += 1
            try:
                decode(event.type, event.schema, event.data)
            except DiptychError as error:
                one.unreadable += 1
                if not one.error:
                    one.error, one.first_position = error.message, event.position
        at = page[-1].position
        progress(at, head)
    return sorted(found.values(), key=lambda one: (one.type, one.schema)), head


def _type_problems(stored: list[StoredType]) -> list[Problem]:
    return [
        Problem(
            "events",
            f"{one.unreadable:,} of {one.events:,} {one.type} (version {one.schema}) cannot be "
            f"read, first at position {one.first_position}: {one.error}",
        )
        for one in stored
        if one.error
    ]


def _projection_problems(statuses: Any) -> list[Problem]:
    problems = []
    for one in statuses:
        if one.state == "changed":
            problems.append(Problem("projection", why_of(one)))
        elif one.position > one.head:
            problems.append(
                Problem(
                    "projection",
                    f"{one.name} has seen position {one.position:,}, but the log ends at "
                    f"{one.head:,}: it was restored to an older state, or is another one.",
                )
            )
    return problems


def _stores(app: App) -> list[dict[str, str]]:
    """What each store says of itself."""
    found: list[dict[str, str]] = []
    for facts in (app.log.describe(), *(one.store.describe() for one in app.sources.values())):
        if facts not in found:
            found.append(facts)
    return found


def _described(facts: dict[str, str]) -> str:
    return ", ".join(
        str(value) if name == "adapter" else f"{name}={value}" for name, value in facts.items()
    )
