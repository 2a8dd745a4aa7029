"""`diptych demo`: the shop example replays real orders."""

from __future__ import annotations

import contextlib
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diptych.cli.options import common_options
from diptych.cli.output import print_json

if TYPE_CHECKING:
    from diptych_examples.shop.demo import Report, Tick

__all__ = ["demo"]


@click.command(short_help="Replay 240,007 real order lines through a web shop.")
@click.option(
    "--data",
    "source",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Order lines in the columns of UCI's Online Retail.  [default: what comes with diptych]",
)
@click.option(
    "--database",
    metavar="FILE",
    help="Where to keep the shop.  [default: shop-demo-....db in this directory]",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    default=64,
    show_default=True,
    help="Commands under way at once.",
)
@click.option("--sample", is_flag=True, help="Replay the small sample, not the full file.")
@click.option("--fresh", is_flag=True, help="Delete the database first.")
@common_options
def demo(
    *,
    source: Path | None,
    database: str | None,
    in_flight: int,
    sample: bool,
    fresh: bool,
    as_json: bool,
) -> int:
    """Replay real orders through a web shop, and prove that every read model is right.

    240,007 order lines of a UK retailer become commands. The shop decides each of them, its events
    are folded into eight read models meanwhile, and at the end the log is folded again from nothing
    and compared row by row. Kill it at any moment and start it again: it continues.

    Exit code 1 when a read model differs from the log.
    """
    from diptych.cli.running import run

    if sample and source is not None:
        raise click.UsageError("--sample and --data say two different things.")
    shop = _shop_demo()
    source = source or shop.default_source(sample=sample)
    if not source.exists():
        raise click.UsageError(f"{source} is not there; name a file with --data.")
    chosen = database or shop.default_database(source)
    with _readable(source), _ticking(shop, source, chosen) as tick:
        # A run that was named is continued; the default one starts again once it has finished.
        report = run(
            shop.run_demo(
                chosen, source, in_flight, tick, fresh=fresh, restart_finished=database is None
            )
        )
    _print(shop, report, as_json=as_json)
    return 0 if report.verified else 1


def _shop_demo() -> Any:
    from diptych.errors import ConfigurationError

    try:
        from diptych_examples.shop import demo as shop
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("diptych_examples"):
            raise
        raise ConfigurationError(
            "the examples are not installed with this diptych: install it from its repository "
            "(make install) or from PyPI."
        ) from error
    return shop


@contextlib.contextmanager
def _readable(source: Path) -> Iterator[None]:
    """A file that holds no order lines is not our bug."""
    from diptych.errors import ConfigurationError

    try:
        yield
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{source} cannot be replayed: {error}") from error


@contextlib.contextmanager
def _ticking(shop: Any, source: Path, database: Any) -> Iterator[Callable[[Tick], None]]:
    """The shop's own bars on a terminal; elsewhere a line every few seconds."""
    print(f"{source} into {database}", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        from rich.console import Console

        with shop.progress_bar(Console(stderr=True)) as tick:
            yield tick
        return
    from diptych.cli.progress import Progress

    stages: dict[str, Progress] = {}

    def tick_line(now: Tick) -> None:
        if now.stage not in stages:
            # A commands' rate is not the lines' rate, so only the lines are counted here.
            stages[now.stage] = Progress(now.stage, "lines" if now.unit == "commands" else now.unit)
        stages[now.stage](now.done, now.total)

    yield tick_line


def _print(shop: Any, report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    from rich.console import Console

    shop.print_report(report, Console(file=sys.stdout))
