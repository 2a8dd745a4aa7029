"""Points in the product where a test can stop, fail or kill the process: what a crash between two
steps does cannot be shown any other way.

To add one: name it in POINTS, and where it is reached write

    if armed:
        await failpoint("runner.before_apply", projections=[...])

(`failpoint_here` in code that does not await). tests/integration/faults/test_failpoints.py then
kills a process there, and fails until the story in failpoint_workers.py reaches it.

Unarmed, a point costs the look at an empty dict. Points are armed by tests (`arm`), and for other
processes by the environment variable DIPTYCH_FAILPOINTS, which is read once, on import:

    DIPTYCH_FAILPOINTS="runner.after_apply=kill:3; command.before_load=sleep 0.5:*2"
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NoReturn, cast, get_args

from diptych.errors import ConfigurationError, StoreUnavailable

__all__ = ["POINTS", "Armed", "Harm", "arm", "arm_all", "armed", "failpoint", "failpoint_here"]

POINTS = {
    "command.before_load": "a command has reached its handler",
    "command.before_decide": "what it decides about is loaded (deciders: from the log or a cache)",
    "command.before_append": "it is decided, nothing is written",
    "append.before_commit": "a group of appends is about to be committed",
    "append.after_commit": "it is committed, and none of its callers knows",
    "command.before_answer": "the events are in the log, the caller has no answer",
    "runner.after_read": "a batch is read, nothing is folded",
    "runner.before_apply": "a batch is folded, nothing is written",
    "runner.after_apply": "rows and checkpoint are written, nobody who waits is told",
    "runner.before_park": "the same for a batch of which something will be parked",
    "runner.after_park": "the same once it is parked",
    "lease.before_swap": "a lease is about to be taken, asked about, answered, given or let go",
    "lease.after_swap": "that is done, and its process does not know yet",
}
"""Every point there is, and what is so when it is reached."""

Harm = Literal["kill", "stop", "raise", "sleep", "pause"]
"""What happens there: kill -9; SIGSTOP; an error; some seconds more; waiting until released."""

_log = logging.getLogger("diptych")


class Armed:
    """A point that does something, from its `nth` time on: once, or with `again` at every nth.

    `when` looks at the facts given at the point; only the times that it likes are counted.
    """

    def __init__(
        self,
        point: str,
        harm: Harm,
        *,
        nth: int = 1,
        again: bool = False,
        seconds: float = 0.0,
        error: BaseException | None = None,
        when: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        if point not in POINTS:
            raise ConfigurationError(f"there is no failpoint {point!r}, only {', '.join(POINTS)}.")
        if harm not in get_args(Harm) or nth < 1:
            raise ConfigurationError(f"a failpoint cannot do {harm!r} at time {nth}.")
        if harm == "raise" and point == "append.after_commit":
            raise ConfigurationError(f"what is committed cannot fail any more: {point}=raise.")
        self.point = point
        self.harm = harm
        self.reached = 0
        self.done = 0
        self._nth = nth
        self._again = again
        self._seconds = seconds
        self._error = error
        self._when = when
        self._released = threading.Event()

    def release(self) -> None:
        """Let those go on who pause there, now and later."""
        self._released.set()

    def due(self, facts: dict[str, Any]) -> bool:
        """Count one more time; whether something happens."""
        if self._when is not None and not self._when(facts):
            return False
        self.reached += 1
        due = self.reached % self._nth == 0 if self._again else self.reached == self._nth
        self.done += due
        return due

    async def act(self) -> None:
        """Do it; others run meanwhile. Raises the error that was given."""
        if self.harm == "sleep":
            await asyncio.sleep(self._seconds)
        elif self.harm == "pause":
            while not self._released.is_set():  # noqa: ASYNC110  other threads release it, too
                await asyncio.sleep(0.001)
        else:
            self._act_at_once()

    def act_here(self) -> None:
        """Do it in this thread, which stands still meanwhile. Raises the error that was given."""
        if self.harm == "sleep":
            time.sleep(self._seconds)
        elif self.harm == "pause":
            self._released.wait()
        else:
            self._act_at_once()

    def _act_at_once(self) -> None:
        if self.harm == "raise":
            raise self._error or StoreUnavailable(f"the failpoint {self.point} is armed.")
        os.kill(os.getpid(), signal.SIGKILL if self.harm == "kill" else signal.SIGSTOP)


armed: dict[str, list[Armed]] = {}
"""What is armed, by point. Look whether it is empty before anything else."""


async def failpoint(point: str, /, **facts: Any) -> None:
    """Do what the point is armed for."""
    for each in armed.get(point, ()):
        if each.due(facts):
            await each.act()


def failpoint_here(point: str, /, **facts: Any) -> None:
    """The same in code that does not await: whoever shares the thread waits, too."""
    for each in armed.get(point, ()):
        if each.due(facts):
            each.act_here()


@contextmanager
def arm(point: str, harm: Harm, **how: Any) -> Iterator[Armed]:
    """Arm a point within a block; see Armed.

    >>> with arm("command.before_load", "raise", nth=2) as seen:
    ...     failpoint_here("command.before_load")
    >>> seen.reached, seen.done
    (1, 0)
    """
    added = Armed(point, harm, **how)
    armed.setdefault(point, []).append(added)
    try:
        yield added
    finally:
        added.release()
        armed[point].remove(added)
        if not armed[point]:
            del armed[point]


def arm_all(text: str) -> None:
    """Arm what a text says, for as long as the process lives: `point=harm[:nth]; ...`.

    `:3` is the third time, `:*3` every third; `sleep 0.5` says how long. Raises ConfigurationError.
    """
    for part in filter(None, (one.strip() for one in text.split(";"))):
        point, _, what = part.partition("=")
        doing, _, nth = what.partition(":")
        harm, _, seconds = doing.strip().partition(" ")
        try:
            added = Armed(
                point.strip(),
                cast("Harm", harm),  # it is looked at there
                nth=int(nth.removeprefix("*") or 1),
                again=nth.startswith("*"),
                seconds=float(seconds or 0),
            )
        except ValueError:
            _refuse(part)
        armed.setdefault(added.point, []).append(added)
        _log.warning("the failpoint %s is armed: %s", added.point, what.strip())


def _refuse(part: str) -> NoReturn:
    raise ConfigurationError(
        f"the failpoint {part!r} cannot be read: say point=harm, point=harm:3 or "
        'point=harm:*3; for example DIPTYCH_FAILPOINTS="runner.after_apply=kill:3".'
    )


arm_all(os.environ.get("DIPTYCH_FAILPOINTS", ""))
