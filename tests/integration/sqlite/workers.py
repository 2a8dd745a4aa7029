"""What other processes do in these tests: `python workers.py <task> <path> ...`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import apsw

from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.errors import VersionConflict
from diptych.events.log import Append, EventToStore, StreamAppend


def one(stream: str, expected: int, data: bytes = b"{}") -> Append:
    return Append((StreamAppend(stream, expected, (EventToStore("Counted", 1, data, b"{}"),)),))


async def storm(path: str, name: str, count: str) -> None:
    """Add to the same few streams as everybody else, each time on top of what was read."""
    log = SqliteEventLog(path)
    await log.open()
    conflicts = 0

    async def add(number: int) -> None:
        nonlocal conflicts
        stream = f"s-{number % 3}"
        while True:
            seen = await log.read_stream(stream)
            try:
                # Each event says which one its writer had seen: a lost update would show.
                data = b'{"seen":%d,"by":"%s-%d"}' % (len(seen), name.encode(), number)
                await log.append(one(stream, len(seen), data))
            except VersionConflict:
                conflicts += 1
            else:
                return

    await asyncio.gather(*(add(number) for number in range(int(count))))
    await log.close()
    os.write(1, b"%d" % conflicts)


async def acknowledge(path: str) -> None:
    """Append for ever, and say so after each acknowledgement."""
    log = SqliteEventLog(path)
    await log.open()

    async def client(number: int) -> None:
        version = 0
        while True:
            appended = await log.append(one(f"c-{number}", version))
            version += 1
            os.write(1, b"c-%d %d %d\n" % (number, version, appended.first))

    await asyncio.gather(*(client(number) for number in range(8)))


def size_of(path: str) -> int:
    return Path(path).stat().st_size


async def bustle(path: str, name: str, count: str) -> None:
    """Write, read and checkpoint at once; any error ends it. Says how large the WAL has become."""
    log = SqliteEventLog(path)
    await log.open()
    own = apsw.Connection(path)
    own.set_busy_timeout(30_000)
    done = asyncio.Event()
    largest = 0

    async def write(number: int) -> None:
        for version in range(int(count)):
            await log.append(one(f"{name}-{number}", version, b'"%s"' % (b"x" * 12_000)))

    async def read() -> None:
        seen = 0
        while not done.is_set():
            seen += len(await log.read(seen, 100))
            await asyncio.sleep(0.001)

    async def checkpoint() -> None:
        nonlocal largest
        while not done.is_set():
            largest = max(largest, size_of(f"{path}-wal"))
            await asyncio.to_thread(own.execute, "PRAGMA wal_checkpoint(PASSIVE)")
            await asyncio.sleep(0.05)

    others = asyncio.gather(read(), checkpoint())
    await asyncio.gather(*(write(number) for number in range(4)))
    done.set()
    await others
    own.close()
    await log.close()
    os.write(1, b"%d" % largest)


async def append(path: str, stream: str) -> None:
    """Append one event."""
    log = SqliteEventLog(path)
    await log.open()
    await log.append(one(stream, -1))
    await log.close()


TASKS = {"storm": storm, "acknowledge": acknowledge, "append": append, "bustle": bustle}

if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    asyncio.run(TASKS[task](*arguments))
