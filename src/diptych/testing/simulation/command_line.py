"""Replay one seed and see what happened, or run many until one fails."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click

from diptych.testing.simulation import TALLIES
from diptych.testing.simulation.simulation import Simulation, SimulationFailed
from diptych.testing.simulation.soak import Found, soak

__all__ = ["main"]


@click.command()
@click.argument("seed", type=int, default=0)
@click.option("--trace", is_flag=True, help="Print everything that happens.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the history to this file.")
@click.option("--soak", "seeds", type=int, help="Run so many seeds, from SEED on.")
@click.option("--jobs", type=int, default=2, show_default=True, help="Processes for --soak.")
@click.option("--of", "name", default="", help="A Simulation of your own, as module:name.")
def main(
    seed: int, save: Path | None, seeds: int | None, jobs: int, name: str, *, trace: bool
) -> None:
    """Run the simulation with SEED; or, with --soak, from SEED on, until one fails.

    Exit code 1 when a promise was broken; then it says which, and how to do it again.
    """
    if seeds is not None:
        sys.exit(_soak(name, range(seed, seed + seeds), jobs))
    simulation = found(name)
    failed = False
    try:
        history = simulation.run(seed, _show if trace else None)
        click.echo(f"seed {seed}: {len(history.records)} records, every promise was kept")
    except SimulationFailed as error:
        history, failed = error.history, True
        click.echo(str(error))
    if save is not None:
        history.save(save)
    sys.exit(int(failed))


def found(name: str) -> Simulation:
    """The simulation that `module:name` says; '': diptych's own. Raises click.BadParameter."""
    if not name:
        return TALLIES
    module, _, attribute = name.partition(":")
    try:
        simulation = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.BadParameter(f"{name!r} is no module:name: {error}") from error
    if not isinstance(simulation, Simulation):
        raise click.BadParameter(f"{name!r} is no Simulation, but {simulation!r}")
    return simulation


def _soak(name: str, seeds: range, jobs: int) -> int:
    found(name)
    failed = soak(name, seeds, jobs, _progress)
    if failed is None:
        click.echo(f"{len(seeds):,} seeds, every promise was kept")
        return 0
    click.echo(failed.text)
    of = f" --of {name}" if name else ""
    click.echo(f"do it again: python -m diptych.testing.simulation {failed.seed} --trace{of}")
    return 1


def _progress(done: int, of: int, seconds: float, failed: Found | None) -> None:
    rate = done / seconds if seconds else 0.0
    left = (of - done) / rate if rate else 0.0
    said = f" failed: {failed.seed}" if failed else f"{left:,.0f} s left"
    click.echo(f"{done:,} of {of:,} seeds, {rate:,.1f} a second, {said}", err=True)


def _show(at_s: float, who: str, what: str, more: str) -> None:
    click.echo(f"{at_s:9.4f} {who:10} {what:10} {more}")
