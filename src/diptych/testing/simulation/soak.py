"""Many seeds in several processes, until one fails."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterable
from typing import NamedTuple

__all__ = ["Found", "soak"]

_AT_ONCE = 50
_SAY_EVERY_S = 5.0


class Found(NamedTuple):
    """A seed that fails, and what it says."""

    seed: int
    text: str


Progress = Callable[[int, int, float, Found | None], None]
"""Is told how many of how many seeds are done, after how many seconds, and the one that failed."""


def soak(name: str, seeds: range, jobs: int, progress: Progress) -> Found | None:
    """Run the simulation of that name (see command_line) with all seeds; the first that fails.

    With several processes it need not be the lowest. `progress` is told every five seconds.
    """
    portions = [(name, seeds[at : at + _AT_ONCE]) for at in range(0, len(seeds), _AT_ONCE)]
    began = said = time.monotonic()
    done = 0
    # Spawned, not forked: a process must owe nothing to what ran before it.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for number, failed in pool.imap_unordered(_run, portions):
            done += number
            now = time.monotonic()
            if failed is not None or now - said > _SAY_EVERY_S or done == len(seeds):
                said = now
                progress(done, len(seeds), now - began, failed)
            if failed is not None:
                pool.terminate()
                return failed
    return None


def _run(portion: tuple[str, Iterable[int]]) -> tuple[int, Found | None]:
    from diptych.testing.simulation.command_line import found  # noqa: PLC0415  it imports this

    name, seeds = portion
    simulation = found(name)
    number = 0
    for seed in seeds:
        try:
            simulation.run(seed)
        except Exception:  # noqa: BLE001  whatever it is, it is what was looked for
            return number + 1, Found(seed, traceback.format_exc())
        number += 1
    return number, None
