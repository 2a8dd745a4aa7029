"""`diptych projections`: where they stand, run them, rebuild one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click

from diptych.cli.options import Seconds, app_option, common_options
from diptych.cli.output import counted, plain, print_json, print_line

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.sync.status import ProjectionStatus

__all__ = ["projections"]

_LOOK_EVERY_S = 0.2
_RUN_LOOK_EVERY_S = 1.0


@click.group(no_args_is_help=False)
def projections() -> None:
    """Look at projections, run them, rebuild one."""


# -- status ----------------------------------------------------------------------------------------


@projections.command()
@click.option("--watch", is_flag=True, help="Go on looking, until stopped.")
@click.option(
    "--every",
    "every_s",
    type=Seconds(0.05, 3_600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often, with --watch.",
)
@app_option
@common_options
def status(*, where: str | None, watch: bool, every_s: float, as_json: bool) -> None:
    """Where every projection stands, and what is in its way.

    With --watch and --json, one JSON object per look.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run, run_until_stopped

    app = find_app(where)
    if watch:
        run_until_stopped(_watch(app, every_s, as_json=as_json))
        return
    found = run(_look_once(app))
    if as_json:
        print_json(_facts(app, found))
    else:
        from diptych.cli.status_table import status_table
        from diptych.cli.tables import print_rich

        print_rich(status_table(found))


async def _look_once(app: App) -> list[ProjectionStatus]:
    await app.open(projections=False)
    try:
        return await app.status()
    finally:
        await app.close()


async def _watch(app: App, every_s: float, *, as_json: bool) -> None:
    from diptych.cli.status_table import ChangedLines, Rates, StatusScreen

    await app.open(projections=False)
    try:
        with StatusScreen(ChangedLines(every_s=every_s), live=not as_json) as screen:
            rates = Rates()
            while True:
                found = rates.added_to(await app.status())
                if as_json:
                    print_json(_facts(app, found))
                else:
                    screen.show(found)
                await asyncio.sleep(every_s)
    finally:
        await app.close()


def _facts(app: App, found: list[ProjectionStatus]) -> dict[str, Any]:
    head = max((one.head for one in found), default=0)
    return {"application": app.name, "head": head, "projections": plain(found)}


# -- run -------------------------------------------------------------------------------------------


@projections.command()
@click.option("--until-settled", is_flag=True, help="Stop once all have come to the present head.")
@app_option
@common_options
def run(*, where: str | None, until_settled: bool, as_json: bool) -> None:
    """Run the projections, until Ctrl-C or SIGTERM.

    They stop between two batches; what was written carries its checkpoint, so nothing is lost or
    folded twice. Being stopped is exit code 0. When every projection has failed, nothing
    can go on: exit code 1.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run as run_to_end
    from diptych.cli.running import run_until_stopped

    app = find_app(where)
    if until_settled:
        found = run_to_end(_run_until_settled(app))
        if as_json:
            print_json(_facts(app, found))
        else:
            head = max((one.head for one in found), default=0)
            print_line(f"settled: {counted(len(found), 'projection')} at position {head:,}")
        return
    run_until_stopped(_run_on(app, as_json=as_json))


async def _run_until_settled(app: App) -> list[ProjectionStatus]:
    from diptych.cli.progress import Progress

    await app.open()
    try:
        head = await app.log.head()
        with Progress(f"Running {app.name}") as progress:
            while True:
                found = await app.status()
                progress(sum(min(one.position, head) for one in found), head * len(found))
                moving = [one for one in found if not _is_stuck(one)]
                if all(one.position >= head for one in moving):
                    _raise_if_stuck(found)
                    return found
                await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        await app.close()


async def _run_on(app: App, *, as_json: bool) -> None:
    from diptych.cli.status_table import ChangedLines, StatusScreen

    await app.open()
    try:
        found = await app.status()
        if all(one.mode == "inline" for one in found):
            click.echo(f"{app.name} has no projection that needs to be run.", err=True)
            return
        lines = ChangedLines(every_s=10.0)
        with StatusScreen(lines, live=not as_json) as screen:
            while True:
                if not as_json:
                    screen.show(found)
                elif lines.changed(found):
                    print_json(_facts(app, found))
                if all(_is_stuck(one) for one in found if one.mode == "async"):
                    break
                await asyncio.sleep(_RUN_LOOK_EVERY_S)
                found = await app.status()
        _raise_if_stuck(found)
    finally:
        await app.close()


def _is_stuck(one: ProjectionStatus) -> bool:
    return one.state in ("failed", "changed")


def _raise_if_stuck(found: list[ProjectionStatus]) -> None:
    """Raise for the first that waits for somebody to act."""
    from diptych.errors import ProjectionFailed, SyncError

    for one in found:
        if _is_stuck(one):
            kind = ProjectionFailed if one.state == "failed" else SyncError
            why = one.why or f"{one.name} stands at position {one.position} and cannot go on."
            raise kind(why, projection=one.name, position=one.position, state=one.state)


# -- rebuild ---------------------------------------------------------------------------------------


@projections.command()
@click.argument("name")
@app_option
@common_options
def rebuild(*, where: str | None, name: str, as_json: bool) -> None:
    """Forget the rows of a projection and fold the log again from the first event.

    NAME is as `projections status` says it, or the class. It happens in place: whoever reads
    meanwhile sees the rows come back. Stop other processes that run this projection first.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.progress import duration
    from diptych.cli.running import run as run_to_end

    app = find_app(where)
    found, seconds = run_to_end(_rebuild(app, app.plan_named(name).name))
    rate = found.position / seconds if seconds else 0.0
    if as_json:
        facts = {"projection": found.name, "events": found.position}
        print_json(facts | {"seconds": round(seconds, 3), "events_per_s": round(rate, 1)})
    else:
        print_line(
            f"rebuilt {found.name} from {counted(found.position, 'event')} in {duration(seconds)} "
            f"({rate:,.0f}/s)"
        )


async def _rebuild(app: App, name: str) -> tuple[ProjectionStatus, float]:
    from diptych.cli.progress import Progress

    await app.open(projections=False)
    try:
        started = time.monotonic()
        rebuilding = asyncio.create_task(app.rebuild(name))
        try:
            with Progress(f"Rebuilding {name}") as progress:
                while not (await asyncio.wait({rebuilding}, timeout=_LOOK_EVERY_S))[0]:
                    now = await _status_of(app, name)
                    progress(now.position, now.head)
                await rebuilding
        finally:
            rebuilding.cancel()
        seconds = time.monotonic() - started
        found = await _status_of(app, name)
        _raise_if_stopped_early(found)
        return found, seconds
    finally:
        await app.close()


async def _status_of(app: App, name: str) -> ProjectionStatus:
    return next(one for one in await app.status() if one.name == name)


def _raise_if_stopped_early(found: ProjectionStatus) -> None:
    from diptych.errors import ProjectionFailed

    if found.why:
        raise ProjectionFailed(found.why, projection=found.name, position=found.position)
