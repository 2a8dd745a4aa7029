"""`diptych dispatch`: one command, or a file of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from diptych.cli.exit_codes import OK, REJECTED
from diptych.cli.options import app_option, common_options
from diptych.cli.output import as_json as json_of
from diptych.cli.output import error_object, plain, print_json, print_line, printable

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.cli.progress import Progress
    from diptych.commands.envelope import Done
    from diptych.errors import Rejection

__all__ = ["dispatch"]


@click.command(short_help="Dispatch a command, or a file of them.")
@click.argument("name", metavar="TYPE")
@click.argument("data", metavar="[JSON|-|@FILE]", default=None, required=False)
@click.option("--id", "command_id", help="The command's id: however often it comes, one effect.")
@click.option("--actor", help="Who gives the command; recorded with its events.")
@click.option("--tenant", help="Whose events they are; recorded with them.")
@click.option("--correlation-id", help="Id of the conversation; recorded with the events.")
@click.option(
    "--expected-version", type=click.IntRange(0), help="Refuse unless the stream stands there."
)
@app_option
@common_options
def dispatch(
    *,
    where: str | None,
    name: str,
    data: str | None,
    command_id: str | None,
    as_json: bool,
    **said: Any,
) -> int:
    """Dispatch a command: decide it, and record what follows.

    TYPE is the command's class or stable name. Its fields are a JSON object: as an argument, from
    stdin (-), or from a file (@file).

    \b
    diptych dispatch --app bank:app Deposit '{"account_id": "a", "amount": 5}'

    With - alone, commands are read from stdin, one {"type": ..., "data": {...}} per line, and
    dispatched one after the other; "id", "actor", "tenant", "correlation_id", "causation_id" and
    "expected_version" may stand beside them. A rejected line is reported and the next one follows;
    any other error stops there. Exit code 2 when a command was rejected.
    """  # noqa: D301  \b is click's mark for lines that must not be wrapped
    from diptych.cli.find_app import find_app
    from diptych.cli.reading import json_bytes
    from diptych.cli.running import run

    if name == "-":
        if data is not None or command_id is not None or said["expected_version"] is not None:
            raise click.UsageError("with -, data, id and expected_version stand in each line.")
        del said["expected_version"]
        return run(_Lines(find_app(where), said, as_json=as_json).dispatch())
    app = find_app(where)
    command = app.decode_command(name, json_bytes("{}" if data is None else data))
    done = run(_dispatch_one(app, command, said | {"id": command_id}))
    _note_if_forgotten(app)
    if as_json:
        print_json(_facts(done))
    else:
        _print(done)
    return OK


def _note_if_forgotten(app: App) -> None:
    if getattr(app.log, "volatile", False):
        click.echo(f"note: {app.name} keeps its log in memory, so it is forgotten now.", err=True)


async def _dispatch_one(app: App, command: Any, said: dict[str, Any]) -> Done:
    await app.open(projections=False)
    try:
        return await app.dispatch(command, **said)
    finally:
        await app.close()


class _Lines:
    """Commands from stdin, one after the other, because each may depend on the one before."""

    def __init__(self, app: App, said: dict[str, Any], *, as_json: bool) -> None:
        self._app = app
        self._said = said
        self._as_json = as_json
        self._accepted = self._rejected = 0

    async def dispatch(self) -> int:
        from diptych.cli.command_lines import commands_of_stdin, in_line
        from diptych.cli.progress import Progress
        from diptych.errors import DiptychError, Rejection

        await self._app.open(projections=False)
        try:
            with Progress("Dispatching", "commands") as progress:
                for number, line in commands_of_stdin():
                    try:
                        said = self._said | line.said()
                        self._report(
                            number, await self._app.dispatch(line.command(self._app), **said)
                        )
                    except Rejection as no:
                        self._report_rejection(number, no, progress)
                    except DiptychError as error:
                        raise in_line(number, error) from error
                    progress(self._accepted + self._rejected)
        finally:
            await self._app.close()
            if not self._as_json:
                print_line(f"{self._accepted:,} accepted, {self._rejected:,} rejected")
        return REJECTED if self._rejected else OK

    def _report(self, number: int, done: Done) -> None:
        self._accepted += 1
        if self._as_json:
            print_json({"line": number, **_facts(done)})

    def _report_rejection(self, number: int, no: Rejection, progress: Progress) -> None:
        self._rejected += 1
        if self._as_json:
            print_json({"line": number, "error": error_object(no)})
        else:
            progress.note(f"line {number}: rejected: {printable(no.message)}")


def _facts(done: Done) -> dict[str, Any]:
    return {
        "token": str(done.token),
        "stream": done.stream,
        "version": done.version,
        "repeated": done.repeated,
        "events": [{"type": _type_of(one), "data": plain(one)} for one in done.events],
    }


def _print(done: Done) -> None:
    from diptych.cli.tables import fields, print_rich

    pairs = [("stream", f"{done.stream}, version {done.version}" if done.stream else None)]
    for number, event in enumerate(done.events):
        pairs.append(("" if number else "events", f"{_type_of(event)} {json_of(event)}"))
    if not done.events:
        pairs.append(("events", "none: nothing changed"))
    if done.repeated:
        pairs.append(("repeated", "this is the first answer to this id again"))
    print_rich(fields(pairs))
    # Not wrapped, so that it can be copied.
    print_line(f"{'token':{max(len(name) for name, _ in pairs)}}  {done.token}")


def _type_of(event: Any) -> str:
    from diptych.messages.kinds import identity_of

    return identity_of(type(event)).name
