"""What other processes do in these tests: `python parked_workers.py <task> <url> ...`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

from poison import BAD, DEADLY, PARTS, Histories, Lines

from diptych import App

PROJECTIONS: dict[str, Any] = {"histories": (Histories, PARTS), "lines": (Lines, [Lines])}
ABORTS, EXITS, HANGS = 701, 702, 703


def app_of(url: str, projection: str = "histories") -> App:
    """The application with one of the projections."""
    return App("poisoned", PROJECTIONS[projection][1], write=url)


async def run(url: str, projection: str) -> None:
    """Run the projection, say when it has come to the head, and go on until told to end.

    Three numbers are deadly.
    """
    DEADLY[ABORTS] = os.abort
    DEADLY[EXITS] = lambda: os._exit(9)
    DEADLY[HANGS] = lambda: time.sleep(1_000)
    async with app_of(url, projection) as app:
        source = app.sources[PROJECTIONS[projection][0]]
        assert await app._freshness.wait(source, await app.log.head(), 600)
        os.write(1, b"there\n")
        await asyncio.to_thread(sys.stdin.read)


async def retry(url: str, projection: str, bad: str, kill: str, nth: str) -> None:
    """Retry everything, and die around the nth write ("before" or "after" it; "never")."""
    BAD.update(map(int, filter(None, bad.split(","))))
    app = await app_of(url, projection).open(projections=False)
    store = app.sources[PROJECTIONS[projection][0]].store
    own, writes = store.apply, 0

    async def apply(changes: Any) -> None:
        nonlocal writes
        writes += 1
        if kill == "before" and writes == int(nth):
            os.kill(os.getpid(), signal.SIGKILL)
        await own(changes)
        if kill == "after" and writes == int(nth):
            os.kill(os.getpid(), signal.SIGKILL)

    store.apply = apply  # type: ignore[method-assign]
    os.write(1, b"ready\n")
    sys.stdin.readline()
    done = await app.parked.retry()
    os.write(1, json.dumps([[one.key, one.folded, one.left] for one in done]).encode() + b"\n")
    await app.close()


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    asyncio.run({"run": run, "retry": retry}[task](*arguments))
