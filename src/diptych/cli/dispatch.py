"""`diptych dispatch`: one command, or a file of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from diptych.cli.options import app_option, common_options
from diptych.cli.output import as_json, plain, print_json, print_line, printable

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.commands.envelope import Done
    from diptych.errors import DiptychError

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
    dispatched one after the other; "id", "actor", "tenant", "correlation_id", "expected_version" may stand
    beside them. A rejected line is reported and the next one follows; any other error stops there.
    Exit code 2 when a command was rejected.
    """  # noqa: D301  \b is click's mark for lines that must not be wrapped
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    app = find_app(where)
    if name == "-" and data is None:
        if command_id is not None or said["expected_version"] is not None:
            raise click.UsageError("with -, id and expected_version stand in each line")
        return run(_dispatch_lines(app, said, json=as_json))
    from diptych.cli.reading import json_bytes

    command = app.decode_command(name, json_bytes(data or "{}"))
    done = run(_dispatch_one(app, command, said | {"id": command_id}))
    if as_json:
        print_json(_facts(done))
    else:
        _print(done)
    return 0


async def _dispatch_one(app: App, command: Any, said: dict[str, Any]) -> Done:
    await app.open(projections=False)
    try:
        return await app.dispatch(command, **said)
    finally:
        await app.close()


class Line(NamedTuple):
    """One line of JSON Lines, or why it is none."""

    number: int
    command: Any
    said: dict[str, Any]


async def _dispatch_lines(app: App, said: dict[str, Any], *, json: bool) -> int:
    from diptych.cli.progress import Progress
    from diptych.cli.reading import lines_of_stdin
    from diptych.errors import DiptychError, Rejection

    accepted = rejected = 0
    await app.open(projections=False)
    try:
        with Progress("Dispatching", "commands") as progress:
            for number, text in lines_of_stdin():
                try:
                    line = _line(app, number, text, said)
                    done = await app.dispatch(line.command, **line.said)
                except Rejection as no:
                    rejected += 1
                    _report_rejection(number, no, json=json, progress=progress)
                except DiptychError as error:
                    raise _in_line(number, error, accepted, rejected) from error
                else:
                    accepted += 1
                    if json:
                        print_json({"line": number, **_facts(done)})
                progress(accepted + rejected)
    finally:
        await app.close()
    if not json:
        print_line(f"{accepted:,} accepted, {rejected:,} rejected")
    return 2 if rejected else 0


def _line(app: App, number: int, text: bytes, said: dict[str, Any]) -> Line:
    import msgspec

    from diptych.errors import InvalidMessage

    class Written(msgspec.Struct, forbid_unknown_fields=True):
        type: str
        data: msgspec.Raw = msgspec.Raw(b"{}")
        id: str | None = None
        actor: str | None = None
        tenant: str | None = None
        correlation_id: str | None = None
        expected_version: int | None = None

    try:
        written = msgspec.json.decode(text, type=Written)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMessage(
            f'the line is no command: {error}. Write {{"type": "...", "data": {{...}}}}.',
            type="line",
        ) from error
    own = {
        one: getattr(written, one)
        for one in ("id", "actor", "tenant", "correlation_id", "expected_version")
        if getattr(written, one) is not None
    }
    return Line(number, app.decode_command(written.type, bytes(written.data)), said | own)


def _in_line(number: int, error: DiptychError, accepted: int, rejected: int) -> DiptychError:
    from diptych.errors import rebuild

    message = (
        f"line {number}: {error.message} ({accepted:,} accepted and {rejected:,} rejected before "
        "it; nothing after it was dispatched)"
    )
    facts = error.facts | {"line": number, "accepted": accepted, "rejected": rejected}
    return rebuild(type(error), message, facts)


def _report_rejection(number: int, no: Any, *, json: bool, progress: Any) -> None:
    if json:
        error = {**no.facts, "code": no.code, "message": no.message}
        print_json({"line": number, "error": error})
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

    pairs: list[tuple[str, Any]] = [
        ("stream", f"{done.stream}, version {done.version}" if done.stream else "-"),
        *[
            ("events" if number == 0 else "", f"{_type_of(one)} {as_json(one)}")
            for number, one in enumerate(done.events)
        ],
        *([] if done.events else [("events", "none: nothing changed")]),
        *([("repeated", "this is the first answer to this id again")] if done.repeated else []),
        ("token", str(done.token)),
    ]
    print_rich(fields(pairs))


def _type_of(event: Any) -> str:
    from diptych.messages.kinds import identity_of

    return identity_of(type(event)).name
