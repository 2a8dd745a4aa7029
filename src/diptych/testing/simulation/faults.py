"""What goes wrong in a run, and how often: drawn from its seed, another mixture with each."""

from __future__ import annotations

import random

import msgspec

__all__ = ["CALM", "Faults"]


class Faults(msgspec.Struct, frozen=True):
    """Chances are per call of a log or a store; times in virtual seconds; 0 is never.

    `errors_before` fail and have no effect, `errors_after` have their effect and say otherwise,
    `hangs` answer nothing for up to `hang_s`. A call takes up to `usual_s`, one in a hundred up to
    `slow_s`. A call whose process has died or given up has its effect all the same, by the chance
    `late`. About every `crash_every_s` a process is killed, every `restart_every_s` closed and
    opened again, every `pause_every_s` stopped for up to `pause_s` (its calls are held, then go
    on), every `clock_every_s` its wall clock is set. `tells_gone`: the end of a process can be
    seen by the others.
    """

    usual_s: float = 0.0
    slow_s: float = 0.0
    errors_before: float = 0.0
    errors_after: float = 0.0
    hangs: float = 0.0
    hang_s: float = 8.0
    late: float = 0.0
    crash_every_s: float = 0.0
    restart_every_s: float = 0.0
    pause_every_s: float = 0.0
    pause_s: float = 3.0
    clock_every_s: float = 0.0
    tells_gone: bool = True

    @staticmethod
    def drawn(chance: random.Random) -> Faults:
        """Some faults often, some never: what hides behind one fault shows without it."""

        def some(*of: float) -> float:
            return chance.choice((0.0, *of))

        return Faults(
            usual_s=chance.choice((0.0, 0.002, 0.01, 0.05)),
            slow_s=some(0.3, 1.5, 4.0),
            errors_before=some(0.005, 0.02, 0.08),
            errors_after=some(0.005, 0.02, 0.08),
            hangs=some(0.0, 0.003, 0.01),
            late=some(0.3, 0.9),
            crash_every_s=some(0.8, 1.5, 3.0),
            restart_every_s=some(1.0, 3.0),
            pause_every_s=some(0.8, 1.5, 3.0),
            clock_every_s=some(1.0),
            tells_gone=chance.random() < 0.5,
        )


CALM = Faults()
"""Nothing goes wrong."""
