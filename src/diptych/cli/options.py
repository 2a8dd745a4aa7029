"""The options that every command has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["Seconds", "app_option", "common_options"]

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A number of seconds within bounds; click's own range lets NaN through."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Refuse what is no number."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


def app_option(function: F) -> F:
    """`--app`, given to the command as `where`."""
    return click.option(
        "--app",
        "where",
        envvar="DIPTYCH_APP",
        metavar="MODULE:APP",
        help="The application: an App, or a function giving one. Also: DIPTYCH_APP.",
    )(function)


def common_options(function: F) -> F:
    """`--json`, given as `as_json`; and `--debug`, which the root looks at."""
    function = click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."
    )(function)
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON on stdout, for results and errors."
    )(function)
