"""`diptych projections build`, `compare`, `switch` and what belongs to them."""

from __future__ import annotations

from typing import Any

import click

from diptych.cli.options import app_option, common_options
from diptych.cli.output import counted, print_json, print_line, printable

__all__ = ["GENERATION_COMMANDS", "throttle_option"]

_ASK = 'A query to ask of both, as \'GetCart {"cart_id": "c1"}\'; repeatable.'

throttle_option = click.option(
    "--throttle",
    type=click.FloatRange(0, min_open=True),
    metavar="EVENTS_PER_S",
    help="Fold at most so many events a second.",
)


@click.command()
@click.argument("name")
@throttle_option
@app_option
@common_options
def build(*, where: str | None, name: str, throttle: float | None, as_json: bool) -> None:
    """Build new rows of a projection beside those that are read.

    Queries notice nothing. A build that was killed is gone on with.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.generation_work import build_one
    from diptych.cli.running import run

    made = run(build_one(find_app(where), name, throttle))
    if as_json:
        print_json(made.facts())
    else:
        print_line(f"built {made.generation} from {made.told()}")
        print_line(
            f"next: diptych projections compare {name}, then diptych projections switch {name}"
        )


@click.command()
@click.argument("name")
@click.option("--ask", "asked", multiple=True, metavar="'TYPE {JSON}'", help=_ASK)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="How many keys to print; --json prints all.",
)
@app_option
@common_options
def compare(
    *, where: str | None, name: str, asked: tuple[str, ...], limit: int, as_json: bool
) -> int:
    """Compare the rows that were built with those that are read.

    Exit code 1 when they differ.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.generation_work import compare_one, facts_of, queries_of
    from diptych.cli.running import run

    app = find_app(where)
    found = run(compare_one(app, name, queries_of(app, asked)))
    if as_json:
        print_json(facts_of(found))
    else:
        print_line(f"{found.old} -> {found.new}: {found.summary()}")
        for key in found.differing[:limit]:
            print_line(f"  {printable(key)}")
        if len(found.differing) > limit:
            print_line(f"  and {counted(len(found.differing) - limit, 'more key', 'more keys')}")
        for query, now, then in found.answers:
            print_line(printable(f"  {query!r}: {now!r} -> {then!r}"))
        wanted = "next" if found.same else "if that is what was meant, next"
        print_line(f"{wanted}: diptych projections switch {name}")
    return 0 if found.same else 1


@click.command()
@click.argument("name")
@click.option("--if-same", is_flag=True, help="Only when `compare` finds no difference.")
@click.option("--ask", "asked", multiple=True, metavar="'TYPE {JSON}'", help=_ASK)
@app_option
@common_options
def switch(
    *, where: str | None, name: str, if_same: bool, asked: tuple[str, ...], as_json: bool
) -> None:
    """Have the rows read that were built, in every process.

    The rows read until now are kept and moved on: see switch-back, and drop.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.generation_work import queries_of, switch_one
    from diptych.cli.running import run

    if asked and not if_same:
        raise click.UsageError("--ask is for --if-same: without it nothing is compared.")
    app = find_app(where)
    _say(
        name,
        "is read now",
        run(switch_one(app, name, queries_of(app, asked), if_same=if_same)),
        as_json,
        f"next: diptych projections drop {name}, or diptych projections switch-back {name}",
    )


@click.command("switch-back")
@click.argument("name")
@app_option
@common_options
def switch_back(*, where: str | None, name: str, as_json: bool) -> None:
    """Have the rows read again that were read before the last switch."""
    from diptych.cli.find_app import find_app
    from diptych.cli.generation_work import switch_one_back
    from diptych.cli.running import run

    _say(name, "is read again", run(switch_one_back(find_app(where), name)), as_json)


@click.command()
@click.argument("name")
@app_option
@common_options
def drop(*, where: str | None, name: str, as_json: bool) -> None:
    """Remove all rows of a projection but those that are read."""
    from diptych.cli.find_app import find_app
    from diptych.cli.generation_work import drop_others
    from diptych.cli.running import run

    dropped = run(drop_others(find_app(where), name))
    if as_json:
        print_json({"projection": name, "dropped": list(dropped)})
    else:
        print_line(f"dropped {', '.join(dropped) or 'nothing'}")


@click.command()
@click.argument("name")
@app_option
@common_options
def generations(*, where: str | None, name: str, as_json: bool) -> None:
    """The sets of rows that a projection has: which are read, built, or kept to go back to."""
    from diptych.cli.find_app import find_app
    from diptych.cli.generation_work import list_them
    from diptych.cli.output import plain
    from diptych.cli.running import run

    found = run(list_them(find_app(where), name))
    if as_json:
        facts: list[Any] = [plain(one._asdict()) for one in found]
        print_json({"projection": name, "generations": facts})
        return
    from diptych.cli.tables import Column, print_rich, table

    columns = [Column("generation"), Column("role"), Column("position", "right")]
    print_rich(table(columns, [[one.name, one.role, f"{one.position:,}"] for one in found]))


def _say(name: str, what: str, generation: str, as_json: bool, after: str = "") -> None:  # noqa: FBT001
    if as_json:
        print_json({"projection": name, "generation": generation})
        return
    print_line(f"{generation} {what}")
    if after:
        print_line(after)


GENERATION_COMMANDS = (build, compare, switch, switch_back, drop, generations)
