"""One process of a nemesis run: `python -m tests.nemesis.worker <role> <name> <folder> <seed> <url>
[replica]`. It runs until SIGTERM, or until it is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.nemesis.domain import (
    ACCOUNTS,
    SHELVES,
    GetLine,
    GetShelf,
    GetTally,
    Lines,
    Shelves,
    application,
    command_of,
)
from tests.nemesis.history import History, entries, latest

from diptych import App, Rejection
from diptych.errors import (
    CheckpointMoved,
    ConfigurationError,
    ConflictError,
    LeaseLost,
    OutcomeUnknown,
    ProjectionFailed,
    StaleRead,
    StoreUnavailable,
)

CLIENTS = 4
TRANSIENT = (StoreUnavailable, OutcomeUnknown, CheckpointMoved, LeaseLost, StaleRead)


class Worker:
    """What all roles share: their application, their history, and when to stop."""

    def __init__(self, name: str, folder: Path, seed: int, *urls: str) -> None:
        self.name = name
        self.folder = folder
        self.seed = seed
        self.app: App = application(*urls)
        self.path = folder / f"{name}.jsonl"
        self.before = list(entries(self.path)) if self.path.exists() else []
        self.history = History(self.path)
        self.chance = random.Random()  # what it does next is not what the seed decides
        self.stopping = asyncio.Event()

    async def open(self, *, projections: bool) -> None:
        while True:
            try:
                await self.app.open(projections=projections)
            except StoreUnavailable as error:
                self.history.note("trouble", error=str(error))
                await asyncio.sleep(0.1)
            else:
                self.history.note("open")
                return

    async def pause(self, longest_s: float) -> None:
        await asyncio.sleep(self.chance.random() * longest_s)


async def write(worker: Worker, *, drain: bool) -> None:
    """Dispatch commands, each until it is answered; first those that a former life left open."""
    invoked = [one["id"] for one in worker.before if one["what"] == "invoke"]
    answered = {one["id"] for one in worker.before if one["what"] in ("accept", "reject")}
    open_ = [one for one in dict.fromkeys(invoked) if one not in answered]
    numbers = itertools.count(len(set(invoked)))
    coming = iter(open_)
    if not drain:
        coming = itertools.chain(open_, (f"{worker.name}-{n}" for n in numbers))

    async def client() -> None:
        for command_id in coming:
            await answer(worker, command_id)
            if worker.stopping.is_set() and not drain:
                return
            if not drain:
                await worker.pause(0.02)
                if worker.chance.random() < 0.02:  # somebody clicks twice
                    await answer(worker, command_id)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def answer(worker: Worker, command_id: str) -> None:
    command = command_of(worker.seed, command_id)
    note = worker.history.note
    while True:
        note("invoke", id=command_id)
        try:
            done = await worker.app.dispatch(command, id=command_id)
        except Rejection as no:
            note("reject", id=command_id, code=no.code)
            return
        except OutcomeUnknown as error:
            note("unknown", id=command_id, told=error.command_id)
        except ConflictError:
            note("refused", id=command_id, error="conflict")
        except StoreUnavailable as error:
            note("refused", id=command_id, error=str(error)[:200])
            await worker.pause(0.1)
        else:
            token = done.token
            note(
                "accept",
                id=command_id,
                position=token.position,
                version=token.version,
                stream=token.stream,
                token=str(token),
            )
            return


async def run(worker: Worker) -> None:
    await worker.stopping.wait()


async def read(worker: Worker) -> None:
    """Ask for rows, with the tokens of others or without; every answer is written down."""
    writers: list[Path] = []
    while not worker.stopping.is_set():
        writers = writers or list(worker.folder.glob("writer*.jsonl"))
        found = latest(worker.chance.choice(writers), "accept") if writers else None
        after = found if found and worker.chance.random() < 0.6 else None
        await ask(worker, after)
        await worker.pause(0.02)


async def ask(worker: Worker, after: dict[str, Any] | None) -> None:
    query = worker.chance.choice(
        [
            GetLine(worker.chance.choice(ACCOUNTS)),
            GetShelf(f"s{worker.chance.randrange(SHELVES)}"),
            GetTally(worker.chance.choice(ACCOUNTS)),
        ]
    )
    kind, key = type(query).__name__, getattr(query, "shelf", None) or query.account_id
    how = worker.chance.choice(["error", "error", "stale", "write_model"])
    began = time.monotonic_ns()
    facts: dict[str, Any] = {"kind": kind, "key": key, "began": began}
    if after is not None:
        facts |= {"after": after["position"], "how": how}
    token = after["token"] if after else None
    try:
        row = await worker.app.ask(query, after=token, within_s=1.0, on_stale=how)
    except (StaleRead, StoreUnavailable, ProjectionFailed) as error:
        worker.history.note("no row", **facts, error=f"{type(error).__name__}: {error}"[:300])
    else:
        count, digest = (row.count, row.digest) if row is not None else (0, "")
        worker.history.note("row", **facts, count=count, digest=digest)


async def operate(worker: Worker) -> None:
    """Retry what is parked, rebuild, switch back, verify: again and again, in any order."""
    app = worker.app
    tasks = {
        "retry": app.parked.retry,
        "rebuild lines": lambda: app.rebuild(Lines),
        "rebuild shelves": lambda: app.rebuild(Shelves),
        "build lines": lambda: app.generations(Lines).build(),
        "switch lines": lambda: app.generations(Lines).switch(),
        "switch lines back": lambda: app.generations(Lines).switch_back(),
        "drop lines": lambda: app.generations(Lines).drop(),
        "build shelves": lambda: app.generations(Shelves).build(),
        "switch shelves": lambda: app.generations(Shelves).switch(),
        "switch shelves back": lambda: app.generations(Shelves).switch_back(),
        "verify": lambda: verify(worker),
        "repair": lambda: app.drift.repair("lines", ACCOUNTS[:2]),
    }
    while not worker.stopping.is_set():
        name = worker.chance.choice(list(tasks))
        worker.history.note("begin", task=name)
        try:
            await tasks[name]()
        except (*TRANSIENT, ConfigurationError, ProjectionFailed) as error:
            worker.history.note("failed", task=name, error=f"{type(error).__name__}: {error}"[:300])
        else:
            worker.history.note("done", task=name)
        await worker.pause(0.3)


async def verify(worker: Worker) -> None:
    found = await worker.app.verify()
    told = [
        f"{one.projection} {one.key}: {one.kept} not {one.expected}" for one in found.differences
    ]
    worker.history.note("verified", ok=found.ok, rows=found.rows, differences=told[:5])


ROLES = {
    "writer": (lambda worker: write(worker, drain=False), False),
    "drain": (lambda worker: write(worker, drain=True), False),
    "runner": (run, True),
    "reader": (read, False),
    "operator": (operate, True),
}


async def main(role: str, name: str, folder: str, seed: str, *urls: str) -> None:
    worker = Worker(name, Path(folder), int(seed), *urls)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, worker.stopping.set)
    task, projections = ROLES[role]
    await worker.open(projections=projections)
    try:
        await task(worker)
    finally:
        await worker.app.close()
    worker.history.note("closed")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
