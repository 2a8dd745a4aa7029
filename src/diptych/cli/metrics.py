"""`diptych metrics`: what Prometheus reads, printed once or served."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from diptych.cli.existing import open_existing
from diptych.cli.options import app_option, common_options
from diptych.cli.output import print_json, print_line
from diptych.errors import ConfigurationError

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.telemetry.instrument import Telemetry

__all__ = ["metrics"]


@click.command(short_help="Print metrics for Prometheus, or serve them.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Serve them there; 0: a free port.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="With --port: the address. Others than loopback are open to whoever reaches them.",
)
@app_option
@common_options
def metrics(*, where: str | None, port: int | None, host: str, as_json: bool) -> None:
    """Print where the log, the projections and the replicas stand, as Prometheus reads it.

    With --port, serve it at /metrics until Ctrl-C or SIGTERM. Commands and queries are measured
    in the processes that take them: call instrument(app) there.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run, run_until_stopped

    app = find_app(where)
    telemetry = _instrumented(app)
    if port is not None:
        run_until_stopped(_serve(app, telemetry, host, port, as_json=as_json))
        return
    text = run(_once(app, telemetry)).decode()
    if as_json:
        print_json({"application": app.name, "text": text})
    else:
        sys.stdout.write(text)


def _instrumented(app: App) -> Telemetry:
    try:
        from diptych.telemetry.instrument import instrument
    except ImportError as error:
        raise ConfigurationError(str(error)) from error
    return instrument(app)


async def _once(app: App, telemetry: Telemetry) -> bytes:
    await open_existing(app)
    try:
        return await telemetry.metrics_text()
    finally:
        await app.close()


async def _serve(app: App, telemetry: Telemetry, host: str, port: int, *, as_json: bool) -> None:
    from diptych.telemetry.instrument import CONTENT_TYPE
    from diptych.telemetry.serving import serve_metrics

    await open_existing(app)
    try:
        try:
            server = await serve_metrics(telemetry.metrics_text, CONTENT_TYPE, host, port)
        except OSError as error:
            raise ConfigurationError(
                f"cannot serve metrics at {host}:{port}: {error.strerror or error}. Choose another "
                "--port or --host."
            ) from error
        async with server:
            at = f"http://{_shown(host)}:{server.sockets[0].getsockname()[1]}/metrics"
            if as_json:
                print_json({"application": app.name, "url": at})
            else:
                print_line(f"metrics of {app.name}: {at}")
            await server.serve_forever()
    finally:
        await app.close()


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
