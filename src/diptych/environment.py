"""What the outside world is asked for: time, ids, chance. Everything else in diptych is a function
of its input, so a test (or a simulation) that replaces the environment replays any run.

The real world is `Environment()`; a world that repeats itself is `Environment.seeded(7)`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import socket
import time
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

__all__ = ["Environment"]

_STARTED = 22 - 4
"""The time a process was started is the 22nd field of /proc/<pid>/stat (proc(5)); we count from the
fourth, the first behind its name and its state."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Environment:
    """Clock, ids and chance of the real world.

    Subclass it, or use `seeded`, to control them. Time is never used to decide about order or
    safety: it is recorded, shown and slept on, nothing more.
    """

    def __init__(self) -> None:
        self.random = random.Random()  # noqa: S311  ids need to be unique, not secret

    def time_us(self) -> int:
        """Wall-clock time in whole microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1000

    def now(self) -> datetime:
        """Wall-clock time as an aware datetime in UTC."""
        return moment(self.time_us())

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others run for at least `seconds`."""
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        """A new unique id: 32 hexadecimal digits in the layout of UUID version 7 (RFC 9562).

        Ids made in different milliseconds sort by time. They can be guessed: never use one as a
        secret.
        """
        milliseconds = self.time_us() // 1000
        chance = self.random.getrandbits(74)
        value = (milliseconds << 80) | 0x7000_8000_0000_0000_0000
        value |= ((chance >> 62) << 64) | (chance & 0x3FFF_FFFF_FFFF_FFFF)
        return f"{value:032x}"

    @cached_property
    def process(self) -> str:
        """A name of this process for people and for `is_gone`: `1234@host:7f3a21:88123`."""
        return f"{os.getpid()}@{socket.gethostname()}:{_machine()}:{_started(os.getpid())}"

    def is_gone(self, process: str) -> bool:
        """Whether the process of that name has certainly ended; False when nobody here can tell."""
        try:
            name, machine, started = process.rsplit(":", 2)
            pid = int(name.partition("@")[0])
        except ValueError:
            return False
        if not machine or machine != _machine() or not started:
            return False
        since = _started(pid)
        # Where /proc hides the processes of other users, seeing nothing says nothing.
        return since != started and (since != "" or _is_nobody(pid))

    @staticmethod
    def seeded(seed: int, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> SeededEnvironment:
        """A world that repeats itself: the same seed gives the same ids, times and chances."""
        return SeededEnvironment(seed, start)


class SeededEnvironment(Environment):
    """An environment whose clock moves only when told (or slept on), with ids from a seed."""

    def __init__(self, seed: int, start: datetime) -> None:
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311  repeatable by design
        self.process = f"seed-{seed}"
        self._time_us = (start - _EPOCH) // timedelta(microseconds=1)

    def time_us(self) -> int:
        """The seeded time; see `advance`."""
        return self._time_us

    def monotonic_s(self) -> float:
        """Seeded seconds."""
        return self._time_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Move the clock by `seconds` and let every other task run once."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        self._time_us += int(seconds * 1_000_000)


def _machine() -> str:
    """What is the same for two processes only if they see the same process ids; '': unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        seen = f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115  it leads to no file
    except OSError:
        return ""
    return hashlib.blake2b(seen.encode(), digest_size=3).hexdigest()


def _started(pid: int) -> str:
    """When a process was started, in clock ticks since the machine was; 'ended' for one that nobody
    has collected yet; '': it cannot be seen.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "ended" if state in "ZX" else rest[_STARTED]


def _is_nobody(pid: int) -> bool:
    """Whether no process has this id, whoever may see which."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def moment(time_us: int) -> datetime:
    """Microseconds since 1970 as an aware datetime in UTC (exact: no float on the way)."""
    return _EPOCH + timedelta(microseconds=time_us)
