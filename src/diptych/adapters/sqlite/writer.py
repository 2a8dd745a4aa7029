"""The one writer of a database in this process: a queue, a thread, and a short cut."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from diptych.adapters.sqlite.jobs import Job
from diptych.adapters.sqlite.lone_append import LoneAppend
from diptych.adapters.sqlite.nudge import Nudge
from diptych.adapters.sqlite.transaction import Committed, GroupCommit, NotAtOnce
from diptych.adapters.sqlite.url import Location
from diptych.adapters.sqlite.wal import WriteAheadLog

__all__ = ["Writer"]

_LARGEST_GROUP = 512
_INLINE_ROWS = 256
_INLINE_S = 0.0006
"""A disk that syncs faster than this is written to from the event loop: handing a group to a thread
and back takes as long, and much longer while the loop is busy."""
_KEEP_TURN_S = 0.0005
"""How long one caller that appends in a row may keep others from their turn."""
_ROW_S = 0.000_008


class Writer:
    """Gathers jobs on the event loop and commits them in groups.

    Everything submitted in one turn of the loop is one group. On a fast disk a small group is
    committed at once, on the loop; everything else goes to a thread, which commits whatever has
    come meanwhile, without waiting for more. Jobs commit in the order of submission.

    `on_head` is called on the loop with the new head after a group with events has committed.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        location: Location,
        on_head: Callable[[int], None],
        nudge: Nudge,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._location = location
        self._on_head = on_head
        self._nudge = nudge
        self._group_commit = GroupCommit(connection, location.path)
        self._lone_append = LoneAppend(connection, location.path)
        self._wal = WriteAheadLog(connection, location.path)
        self._submitted: list[Job] = []
        self._alone = False
        self._turn_given = 0.0
        self._handed_over = 0
        self._commit_s = 0.0
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._stopped = self._loop.create_future()
        # A daemon: a program that never closes its log can still end. What was not acknowledged by
        # then is lost, as with any other end of the process.
        self._thread = threading.Thread(target=self._run, name="diptych-sqlite", daemon=True)
        self._thread.start()

    @property
    def waits_s(self) -> float:
        """For how long the next group has been waiting for another process's lock."""
        return self._group_commit.waits_s

    async def commit(self, job: Job) -> Any:
        """Commit a job with its neighbours; its result, or raise what it failed with.

        When the caller is cancelled, the job is committed all the same.
        """
        if self._alone and not (self._submitted or self._handed_over) and self._quick(job.size):
            return await self._commit_alone(job)
        if not self._submitted:
            self._loop.call_soon(self._flush)
        self._submitted.append(job)
        job.future = self._loop.create_future()
        return await job.future

    async def close(self) -> None:
        """Finish everything that was submitted, then end the thread."""
        self._flush()
        self._nudge.begin()
        self._queue.put(None)
        await self._stopped
        self._nudge.end()
        self._thread.join()

    def abandon(self) -> None:
        """End the thread of a writer whose event loop is gone."""
        self._queue.put(None)

    # --- on the event loop ---

    async def _commit_alone(self, job: Job) -> Any:
        """The road of a lone caller: no future, and hardly a turn of the loop.

        Whoever comes within this turn begins a group, and then nobody is alone any more.
        """
        self._alone = False
        began = time.perf_counter()
        outcome: Any = self._lone_append.commit(job)
        if outcome is not None:
            self._learn(time.perf_counter() - began)
            self._after_commit_here(outcome.first)
        else:
            try:
                committed = self._commit([job], patience_s=0)
            except NotAtOnce:
                job.future = self._loop.create_future()
                self._hand_over([job])
                return await job.future
            self._after_commit_here(committed.head)
            outcome = committed.outcomes[0]
        if began - self._turn_given > _KEEP_TURN_S:
            self._turn_given = began
            await asyncio.sleep(0)
        self._alone = not self._submitted
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _flush(self) -> None:
        jobs, self._submitted = self._submitted, []
        self._alone = len(jobs) == 1
        if not jobs:
            return
        if self._handed_over or not self._quick(sum(job.size for job in jobs)):
            self._hand_over(jobs)
            return
        # The thread has nothing to do, so nobody else uses the connection.
        try:
            committed = self._commit(jobs, patience_s=0)
        except NotAtOnce:
            self._hand_over(jobs)
        else:
            self._settle(jobs, committed)
            self._after_commit_here(None)

    def _quick(self, rows: int) -> bool:
        return rows <= _INLINE_ROWS and self._commit_s < _INLINE_S

    def _after_commit_here(self, head: int | None) -> None:
        if head is not None:
            self._on_head(head)
        if self._wal.due:
            self._hand_over([])

    def _hand_over(self, jobs: list[Job]) -> None:
        for at in range(0, len(jobs) or 1, _LARGEST_GROUP):
            self._handed_over += 1
            self._nudge.begin()
            self._queue.put(jobs[at : at + _LARGEST_GROUP])

    def _done(self, handed_over: int, jobs: Sequence[Job], committed: Committed) -> None:
        self._handed_over -= handed_over
        self._nudge.end(handed_over)
        self._settle(jobs, committed)

    def _settle(self, jobs: Sequence[Job], committed: Committed) -> None:
        for job, outcome in zip(jobs, committed.outcomes, strict=True):
            future = job.future
            if future.done():  # its caller was cancelled; the append happened all the same
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        if committed.head is not None:
            self._on_head(committed.head)

    # --- wherever the connection is in use ---

    def _commit(self, jobs: Sequence[Job], patience_s: float) -> Committed:
        began = time.perf_counter()
        committed = self._group_commit.commit(jobs, patience_s)
        rows = sum(job.size for job in jobs)
        if rows <= _INLINE_ROWS:
            self._learn(time.perf_counter() - began - rows * _ROW_S)
        return committed

    def _learn(self, took_s: float) -> None:
        # Capped, so that one hiccup of the disk is forgotten after a few commits.
        self._commit_s += (min(max(took_s, 0.0), 4 * _INLINE_S) - self._commit_s) * 0.2

    # --- in the thread ---

    def _run(self) -> None:
        stopping = False
        while not stopping:
            jobs, taken, stopping = self._next_group()
            committed = Committed([], None)
            if jobs:
                committed = self._commit(jobs, self._location.busy_timeout_s)
            if self._wal.due:
                self._tell_loop(self._settle, jobs, committed)
                self._wal.checkpoint()
                jobs, committed = [], Committed([], None)
            # From here on the connection may be the loop's.
            self._tell_loop(self._done, taken, jobs, committed)
        self._tell_loop(_resolve, self._stopped)

    def _next_group(self) -> tuple[list[Job], int, bool]:
        """Wait for something to do, and take what else is there."""
        jobs: list[Job] = []
        taken = 0
        while len(jobs) < _LARGEST_GROUP:
            try:
                submitted = self._queue.get(block=not taken)
            except queue.Empty:
                break
            if submitted is None:
                return jobs, taken, True
            jobs += submitted
            taken += 1
        return jobs, taken, False

    def _tell_loop(self, what: Callable[..., None], *about: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(what, *about)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
