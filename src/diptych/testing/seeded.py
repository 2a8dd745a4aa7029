"""An event loop that chooses by a seed who runs next, and replays every choice.

Concurrent code goes wrong in interleavings that a test meets once in a thousand runs. This loop
meets another one with every seed, on a clock of its own, and the same one with the same seed.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from diptych.environment import SeededEnvironment

__all__ = ["SeededEventLoop", "VirtualTime", "for_each_seed", "run_seeded"]

T = TypeVar("T")
Main = Callable[[SeededEnvironment], Coroutine[Any, Any, T]]

_LONGEST_STEP_S = 0.0005
MAX_STEPS = 2_000_000


class SeededEventLoop(asyncio.BaseEventLoop):
    """Runs one ready task at a time, chosen by a seed; time passes only here.

    Every step takes a little virtual time, chosen too; while nobody is ready, the clock jumps to
    the next timer. Callbacks that are no task's step keep their order, as asyncio promises. There
    are no sockets, processes or threads: whoever wants one is told so, because nothing would
    repeat.
    """

    def __init__(self, seed: int, max_steps: int = MAX_STEPS) -> None:
        super().__init__()
        self.seed = seed
        self.steps = 0
        self._chance = random.Random(seed)  # noqa: S311  repeatable by design
        self._virtual_s = 0.0
        self._max_steps = max_steps
        self._thread = threading.get_ident()
        # BaseEventLoop asks its selector how long it may sleep; here sleeping moves the clock.
        self._selector = self

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_s

    def select(self, timeout: float | None) -> list[Any]:
        """Let time pass until the next timer. Raises RuntimeError when nothing will ever happen."""
        if timeout is None:
            raise RuntimeError(f"everybody waits for ever: {', '.join(self._waiting())}")
        self._virtual_s += timeout
        return []

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """As call_soon, from this loop's own thread. Raises RuntimeError in any other."""
        if threading.get_ident() != self._thread:
            self._refuse("another thread")
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> NoReturn:
        """Raises RuntimeError: threads do not repeat themselves."""
        self._refuse("a thread")

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        chosen = self._choose(ready)
        if chosen is None:
            super()._run_once()  # type: ignore[misc]
            return
        self.steps += 1
        if self.steps > self._max_steps:
            raise RuntimeError(f"still running after {self._max_steps:,} steps")
        self._virtual_s += self._chance.random() * _LONGEST_STEP_S
        # The base class runs everything that is ready; let it see only the chosen one.
        del ready[chosen[0]]
        rest = list(ready)
        ready.clear()
        ready.append(chosen[1])
        try:
            super()._run_once()  # type: ignore[misc]
        finally:
            ready.extendleft(reversed(rest))

    def _choose(self, ready: Any) -> tuple[int, asyncio.Handle] | None:
        candidates: list[tuple[int, asyncio.Handle]] = []
        plain = False
        for at, handle in enumerate(ready):
            if _is_step(handle):
                candidates.append((at, handle))
            elif not plain:
                plain = True  # only the oldest: plain callbacks run in order
                candidates.append((at, handle))
        return self._chance.choice(candidates) if candidates else None

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _waiting(self) -> list[str]:
        return sorted(
            getattr(task.get_coro(), "__qualname__", task.get_name())
            for task in asyncio.all_tasks(self)
        )

    def _refuse(self, what: str) -> NoReturn:
        raise RuntimeError(
            f"a seeded run has no place for {what}: it would not repeat itself. Use memory:// and "
            "plain coroutines."
        )


class VirtualTime(SeededEnvironment):
    """A seeded environment whose clock is the event loop's."""

    def __init__(
        self,
        seed: int,
        loop: asyncio.AbstractEventLoop,
        start: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    ) -> None:
        super().__init__(seed, start)
        self._loop = loop

    def time_us(self) -> int:
        """The start, plus the loop's virtual time, plus what was advanced."""
        return super().time_us() + int(self._loop.time() * 1_000_000)

    def monotonic_s(self) -> float:
        """Virtual seconds."""
        return self.time_us() / 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait for virtual seconds; others run meanwhile."""
        await asyncio.sleep(seconds)


def run_seeded(main: Main[T], seed: int, *, max_steps: int = MAX_STEPS) -> T:
    """Run `main(environment)` on an event loop that the seed decides, and return what it returns.

    The same seed gives the same order of steps, the same ids and the same times, as long as what
    runs keeps to itself (memory://, no threads, no iteration over sets of objects). When it raises,
    the error carries a note with the seed.

    >>> async def main(environment):
    ...     seen = []
    ...
    ...     async def say(word):
    ...         await environment.sleep(environment.random.random())
    ...         seen.append(word)
    ...
    ...     await asyncio.gather(*map(say, "abcd"))
    ...     return "".join(seen)
    >>> run_seeded(main, 7) == run_seeded(main, 7)
    True
    >>> len({run_seeded(main, seed) for seed in range(20)}) > 5
    True
    """
    loop = SeededEventLoop(seed, max_steps)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            return runner.run(main(VirtualTime(seed, loop)))
        except BaseException as error:
            error.add_note(f"seed {seed}: run_seeded(main, {seed}) does it again")
            raise


def for_each_seed(main: Main[T], seeds: Iterable[int] = range(50)) -> list[T]:
    """Run `main` with each of the seeds; the first failure carries its seed.

    >>> async def main(environment):
    ...     return environment.seed
    >>> for_each_seed(main, range(3))
    [0, 1, 2]
    """
    return [run_seeded(main, seed) for seed in seeds]


def _is_step(handle: asyncio.Handle) -> bool:
    callback = getattr(handle, "_callback", None)
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)
