"""`diptych evolve`: move a running application to its next stage, one step at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from diptych.cli.options import app_option, common_options
from diptych.cli.output import as_json as json_of
from diptych.cli.output import counted, plain, print_json, print_line, printable

if TYPE_CHECKING:
    from diptych.evolution import Evolution, EvolutionStatus
    from diptych.operations.evolution.comparison import Comparison

__all__ = ["evolve"]

T = TypeVar("T")

_MOST_SHOWN = 10
_NEXT = {
    "old": "next: diptych evolve shadow",
    "shadow": "next: diptych evolve compare, then diptych evolve cut-over",
    "new": "the new side decides and answers; back: diptych evolve roll-back --because ...",
}


@click.group(short_help="Move a running application to its next stage.")
def evolve() -> None:
    """Move a running application to its next stage: shadow, compare, cut-over, and roll back.

    --app names an Evolution, which every process of the application runs meanwhile. Steps may be
    taken from any machine; all processes change over at the same position of the log.
    """


@evolve.command()
@app_option
@common_options
def status(*, where: str | None, as_json: bool) -> int:
    """Say how far the move has come, and what comes next."""
    return _say(_run(where, lambda evolution: evolution.status(), projections=False), as_json)


@evolve.command()
@app_option
@common_options
def shadow(*, where: str | None, as_json: bool) -> int:
    """Keep the new side in step beside the old one, from now on.

    Events are kept; rows from before get their genesis; new read models are filled. Commands go on
    meanwhile. Stopped and called again, it goes on.
    """

    async def begin(evolution: Evolution) -> EvolutionStatus:
        with _Progress() as progress:
            await evolution.begin_shadow(progress)
        return await evolution.status()

    return _say(_run(where, begin), as_json)


def _queries_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--queries",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        required=True,
        help='What both sides are asked: a line of JSON each, as {"GetOrder": {"order_id": "1"}}.',
    )(function)


@evolve.command()
@_queries_option
@app_option
@common_options
def compare(*, where: str | None, queries: Path, as_json: bool) -> int:
    """Ask both sides the same queries, and compare the answers. Exit code 1 when they differ."""

    async def ask_both(evolution: Evolution) -> Comparison:
        with _Progress() as progress:
            return await evolution.compare(_read(evolution, queries), progress)

    return _tell(_run(where, ask_both), as_json)


@evolve.command("cut-over")
@_queries_option
@click.option("--because", default="", help="Why it is right although answers differ.")
@app_option
@common_options
def cut_over(*, where: str | None, queries: Path, because: str, as_json: bool) -> int:
    """Compare once more, then let the new side decide and answer. Refused while answers differ."""

    async def go(evolution: Evolution) -> Comparison:
        with _Progress() as progress:
            return await evolution.cut_over(_read(evolution, queries), because, progress)

    return _tell(_run(where, go), as_json, "cut over: the new side decides and answers")


@evolve.command("roll-back")
@click.option("--because", required=True, help="Why.")
@app_option
@common_options
def roll_back(*, where: str | None, because: str, as_json: bool) -> int:
    """Let the old side take over again. Nothing is lost; the new side stays in step."""

    async def go(evolution: Evolution) -> EvolutionStatus:
        await evolution.roll_back(because)
        return await evolution.status()

    return _say(_run(where, go), as_json)


class _Progress:
    """A bar for each thing that is done, one after the other."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, what: str, done: int, of: int | None) -> None:
        from diptych.cli.progress import Progress

        if what != self._what:
            self.__exit__()
            unit = "rows" if what.startswith("genesis") else "queries"
            unit = "events" if what.startswith("new") else unit
            self._what, self._bar = what, Progress(what, unit)
            self._bar.__enter__()
        self._bar(done, of)

    def __exit__(self, *ended: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


def _run(
    where: str | None, work: Callable[[Evolution], Awaitable[T]], *, projections: bool = True
) -> T:
    from diptych.cli.find_app import find_evolution
    from diptych.cli.running import run

    async def open_and_work() -> T:
        evolution = find_evolution(where)
        await evolution.open(projections=projections)
        try:
            return await work(evolution)
        finally:
            await evolution.close()

    return run(open_and_work())


def _read(evolution: Evolution, path: Path) -> Sequence[Any]:
    import msgspec

    from diptych.errors import InvalidMessage

    queries = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            ((name, fields),) = msgspec.json.decode(line, type=dict[str, dict[str, Any]]).items()
        except (msgspec.DecodeError, ValueError) as error:
            raise InvalidMessage(
                f"{path}, line {number} is no query: {error}. Write one object a line, the name of "
                'the query and its fields: {"GetOrder": {"order_id": "1"}}.',
                type="Query",
            ) from error
        queries.append(evolution.new.decode_query(name, msgspec.json.encode(fields)))
    return queries


def _say(found: EvolutionStatus, as_json: bool) -> int:  # noqa: FBT001  click gives it so
    if as_json:
        print_json(plain(found))
        return 0
    print_line(f"{found.name}: phase {found.phase}")
    print_line(f"decides: the {found.decides} side")
    print_line(f"answers: the {found.answers} side")
    if found.phase != "old":
        print_line(f"lag of the new side: {counted(found.lag_events, 'event')}")
    print_line(_NEXT[found.phase])
    return 0


def _tell(found: Comparison, as_json: bool, done: str = "") -> int:  # noqa: FBT001  click gives it so
    if as_json:
        print_json(plain(found))
        return 1 if found.different and not done else 0
    for one in found.different[:_MOST_SHOWN]:
        print_line(f"{type(one.query).__name__} {printable(json_of(one.query))}")
        print_line(f"  old: {printable(json_of(one.old))}")
        print_line(f"  new: {printable(json_of(one.new))}")
    left = len(found.different) - _MOST_SHOWN
    if left > 0:
        print_line(f"... and {left:,} more (--json prints all)")
    said = f"{counted(found.compared, 'query', 'queries')} compared"
    print_line(f"{said}, {counted(len(found.different), 'difference')}")
    if found.unsettled:
        print_line(f"{found.unsettled:,} changed too fast to be compared")
    if done:
        print_line(done)
    return 1 if found.different and not done else 0
