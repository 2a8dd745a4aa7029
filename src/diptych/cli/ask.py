"""`diptych ask`: a query, answered as fresh as asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from diptych.cli.existing import open_existing
from diptych.cli.options import Seconds, app_option, common_options
from diptych.cli.output import counted, plain, print_json, printable

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.events.token import Token
    from diptych.queries.answer import Answer
    from diptych.queries.ask import Consistency, OnStale

__all__ = ["ask"]

_MOST_KEYS = 3


class Freshness(NamedTuple):
    """What `App.ask` is told beside the query."""

    after: str | None
    within_s: float
    on_stale: OnStale
    consistency: Consistency


@click.command(short_help="Ask a query, and print the answer.")
@click.argument("name", metavar="TYPE")
@click.argument("data", metavar="[JSON|-|@FILE]", default="{}")
@click.option("--after", metavar="TOKEN", help="Show at least this.  [default: this moment]")
@click.option(
    "--within",
    "within_s",
    type=Seconds(0, 86_400),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for read models to come that far.",
)
@click.option(
    "--on-stale",
    type=click.Choice(["error", "stale", "write_model"]),
    default="error",
    show_default=True,
    help="What to do when they do not.",
)
@click.option(
    "--consistency",
    type=click.Choice(["eventual", "write_model"]),
    default="eventual",
    show_default=True,
    help="write_model: fold what read models have not seen on the spot.",
)
@app_option
@common_options
def ask(*, where: str | None, name: str, data: str, as_json: bool, **freshness: Any) -> None:
    """Ask a query, and print the answer.

    TYPE is the query's class or stable name. Its fields are a JSON object: as an argument, from
    stdin (-), or from a file (@file). Unless told otherwise, the answer shows everything recorded
    until now; projections run here for as long as that takes. When a row that was read lacks
    events because they are parked, a note on stderr says so ("parked" with --json).

    \b
    diptych ask --app bank:app GetBalance '{"account_id": "a"}'
    """  # noqa: D301  \b is click's mark for lines that must not be wrapped
    from diptych.cli.find_app import find_app
    from diptych.cli.reading import json_bytes
    from diptych.cli.running import run

    app = find_app(where)
    query = app.decode_query(name, json_bytes(data))
    answer, token = run(_ask(app, query, Freshness(**freshness)))
    if as_json:
        parked = {"parked": plain(list(answer.parked))} if answer.parked else {}
        print_json({"answer": plain(answer.value), "token": str(token)} | parked)
    else:
        _print(answer.value)
        _note(answer)


async def _ask(app: App, query: Any, wanted: Freshness) -> tuple[Answer, Token]:
    from diptych.events.token import Token

    after = None if wanted.after is None else Token.parse(wanted.after)
    await open_existing(app, projections=wanted.consistency == "eventual")
    try:
        token = after or await app.head_token()
        answer = await app.answer(
            query,
            after=token,
            within_s=wanted.within_s,
            on_stale=wanted.on_stale,
            consistency=wanted.consistency,
        )
        return answer, token
    finally:
        await app.close()


def _print(answer: Any) -> None:
    from diptych.cli.tables import answer_as_text, console, print_rich

    here = console()
    print_rich(*answer_as_text(answer, here.width if here.is_terminal else None))


def _note(answer: Answer) -> None:
    """Say what the answer does not show."""
    if not answer.parked:
        return
    keys = sorted({one.key for one in answer.parked})
    named = ", ".join(map(printable, keys[:_MOST_KEYS]))
    more = f" and {len(keys) - _MOST_KEYS} more" if len(keys) > _MOST_KEYS else ""
    sys.stderr.write(
        f"note: {counted(len(answer.parked), 'event')} of {named}{more} "
        f"{'is' if len(answer.parked) == 1 else 'are'} parked, so what was read may lack "
        f"{'it' if len(answer.parked) == 1 else 'them'}. See: diptych parked\n"
    )
