"""`diptych health`: does it answer, and how far behind is it?"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from diptych.cli.existing import check_file
from diptych.cli.exit_codes import OK, UNEXPECTED, exit_code_of
from diptych.cli.options import Seconds, app_option, common_options
from diptych.cli.output import counted, plain, print_json, print_line, printable
from diptych.errors import DiptychError, StaleRead, StoreUnavailable

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.telemetry.health import Health

__all__ = ["health"]

_CLOSE_WITHIN_S = 2.0


@click.command(short_help="Say whether everything answers, and what lags.")
@click.option(
    "--within",
    "within_s",
    type=Seconds(0.05, 600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long each store has to answer.",
)
@click.option(
    "--max-delay",
    "max_delay_s",
    type=Seconds(0, 1e9),
    metavar="SECONDS",
    help="Exit code 5 when a projection is further behind. Default: lag is only shown.",
)
@app_option
@common_options
def health(*, where: str | None, within_s: float, max_delay_s: float | None, as_json: bool) -> int:
    """Ask the log, every read store and every replica, each with a deadline of its own.

    Exit code 6 when the log or a read store does not answer; replicas and lag are only shown.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    found = run(_look(find_app(where), within_s))
    if as_json:
        print_json(plain(found))
    else:
        _print(found)
    if not found.alive:
        return UNEXPECTED
    if not found.ready:
        return exit_code_of(StoreUnavailable)
    late = max_delay_s is not None and found.delay_s > max_delay_s
    return exit_code_of(StaleRead) if late else OK


async def _look(app: App, within_s: float) -> Health:
    from diptych.telemetry.health import health as health_of

    check_file(app)
    try:
        return await health_of(app, within_s=within_s, opening=True)
    finally:
        await _close(app)


async def _close(app: App) -> None:
    """Let go of everything that answers; what hangs is left to the end of the process."""
    from diptych.telemetry.deadline import within

    stores = {id(source.store): source.store for source in app.sources.values()}
    for close in (app.close, *(store.close for store in stores.values()), app.log.close):
        with contextlib.suppress(DiptychError, TimeoutError):
            await within(_CLOSE_WITHIN_S, close())


def _print(found: Health) -> None:
    ready = "ready" if found.ready else "not ready"
    print_line(f"{'alive' if found.alive else 'not alive'}, {ready}")
    for one in found.dependencies:
        print_line(printable(f"{one.kind} {one.name}: {'ok' if one.ok else one.why}"))
    for projection in found.projections:
        line = f"projection {projection.name}: {counted(projection.lag_events, 'event')} behind"
        if projection.lag_events:
            line += f" ({projection.delay_s:.1f} s)"
        if projection.parked_keys:
            line += f", {counted(projection.parked_keys, 'key')} parked"
        print_line(printable(line + (f": {projection.why}" if projection.why else "")))
    if found.held_up:
        print_line(printable(f"appends wait: {found.held_up}"))
