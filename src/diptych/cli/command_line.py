"""The root of the command line, and the one place where errors become text and exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from diptych import __version__
from diptych.cli.ask import ask
from diptych.cli.check import check
from diptych.cli.demo import demo
from diptych.cli.dispatch import dispatch
from diptych.cli.events import events
from diptych.cli.evolve import evolve
from diptych.cli.exit_codes import (
    INTERRUPTED,
    OK,
    PIPE_CLOSED,
    UNEXPECTED,
    USAGE,
    exit_code_of,
)
from diptych.cli.health import health
from diptych.cli.metrics import metrics
from diptych.cli.output import error_object, print_json, printable
from diptych.cli.parked import parked
from diptych.cli.projections import projections
from diptych.cli.trail import trail
from diptych.cli.verify import verify
from diptych.errors import DiptychError, Rejection

__all__ = ["command_line"]

_EPILOG = """\b
Exit codes:
  0  ok                            4  conflict: somebody else was first
  1  error                         5  stale read
  2  rejected by the business      6  store unavailable, or outcome unknown
  3  usage or configuration      130  interrupted

Errors go to stderr; with --json, to stdout as {"error": {"code", "message", ...}}.
"""


class PipeClosed(Exception):
    """Whoever read our stdout has seen enough."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM, before the command was done."""


class CommandLine(click.Group):
    """A group of commands that turns every error into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with our own idea of a closed pipe and of Ctrl-C."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except OSError as error:
            if isinstance(error, BrokenPipeError) or error.errno == errno.EPIPE:
                raise PipeClosed from error
            raise
        except KeyboardInterrupt as error:
            raise Interrupted from error
        return result

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run and leave with an exit code."""
        given = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        report = ErrorReport(as_json="--json" in given, debug="--debug" in given)
        _never_fail_to_print()
        sys.exit(
            report.exit_code_after(lambda: super(CommandLine, self).main(given, prog_name, **extra))
        )


class ErrorReport:
    """Says what went wrong: a line for people on stderr, or an object for programs on stdout."""

    def __init__(self, *, as_json: bool, debug: bool) -> None:
        self._as_json = as_json
        self._debug = debug

    def exit_code_after(self, run: Callable[[], Any]) -> int:
        """Run, report what is raised, and say which exit code that is."""
        try:
            result = run()
        except PipeClosed:
            _forget_stdout()
            return PIPE_CLOSED
        except (Interrupted, click.Abort, KeyboardInterrupt):
            self._say({"code": "interrupted", "message": "interrupted before it was done."})
            return INTERRUPTED
        except click.ClickException as error:
            usage = {"code": "usage", "message": error.format_message()}
            self._say(usage, hint=_usage_hint(error))
            return USAGE
        except Exception as error:  # noqa: BLE001  nobody is left to handle it
            return self._report(_first_of(error))
        return result if isinstance(result, int) else OK

    def _report(self, error: Exception) -> int:
        if self._debug:
            traceback.print_exception(error)
        if isinstance(error, DiptychError):
            prefix = "rejected" if isinstance(error, Rejection) else "error"
            self._say(error_object(error), prefix)
            return exit_code_of(type(error))
        hint = "" if self._debug else "Add --debug to see where that comes from."
        self._say({"code": "unexpected", "message": f"{type(error).__name__}: {error}"}, hint=hint)
        return UNEXPECTED

    def _say(self, error: dict[str, Any], prefix: str = "error", hint: str = "") -> None:
        try:
            if self._as_json:
                print_json({"error": error})
                return
            text = "\n".join(printable(line) for line in error["message"].splitlines())
            sys.stderr.write(f"{prefix}: {text}\n" + (f"{hint}\n" if hint else ""))
        except BrokenPipeError:
            _forget_stdout()


def _first_of(error: Exception) -> Exception:
    """The error that a task group wrapped; several at once mostly have one reason."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _usage_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"See: {context.command_path} --help" if context is not None else ""


def _never_fail_to_print() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _forget_stdout() -> None:
    """What is still in the buffer has nowhere to go; the interpreter must not try again."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass


@click.group(
    cls=CommandLine,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def command_line(context: click.Context) -> None:
    """CQRS for Python: commands in, events in a log, read models kept by them, queries out.

    Start with: diptych demo
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (
    demo,
    dispatch,
    ask,
    events,
    projections,
    parked,
    check,
    verify,
    trail,
    health,
    metrics,
    evolve,
):
    command_line.add_command(_command)
