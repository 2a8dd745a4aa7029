"""The command line of simulations: one seed with all that happened, or many until one fails."""

from __future__ import annotations

import click

from diptych.testing.simulation import TALLIES


@click.command()
@click.argument("seed", type=int)
@click.option("--trace", is_flag=True)
def main(seed: int, trace: bool) -> None:
    def show(at: float, who: str, what: str, more: str) -> None:
        click.echo(f"{at:9.4f} {who:8} {what:10} {more}")

    TALLIES.run(seed, show if trace else None)
