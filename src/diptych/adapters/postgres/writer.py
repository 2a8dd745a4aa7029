"""The one writer of a log in this process: what is submitted while a batch is on its way forms the
next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from diptych.adapters.postgres.append_batch import AppendBatch, conflict, repeated
from diptych.adapters.postgres.dependence import part_batch
from diptych.adapters.postgres.errors import (
    DRIVER_ERRORS,
    hits_everyone,
    is_lost,
    translate,
    unknown,
)
from diptych.adapters.postgres.hot_streams import refuse_stale
from diptych.adapters.postgres.jobs import AppendJob
from diptych.adapters.postgres.log_transaction import PostgresLogTransaction
from diptych.adapters.postgres.lone_append import lone_arguments
from diptych.adapters.postgres.silence import Silence
from diptych.adapters.postgres.url import Location
from diptych.adapters.postgres.writing_connection import WritingConnection
from diptych.errors import StoreUnavailable
from diptych.events.log import Appended, CommandRecord
from diptych.failpoints import armed, failpoint

__all__ = ["Writer"]

_LARGEST_BATCH = 512
_LARGEST_BATCH_BYTES = 8 << 20


class Writer:
    """Commits appends in batches, on one connection, one batch after the other.

    There is no waiting for more: a lone append goes at once, on a shorter road. An append that
    conflicts is refused without harm to the others; when a batch fails as a whole it is tried again
    in halves until the bad member is alone. A connection that was lost is made anew for those who
    come later, after a pause that grows.

    `on_head` is called with the new head after a batch with events has committed; `time_us` is the
    clock for events whose time nobody has given.
    """

    def __init__(
        self,
        location: Location,
        on_head: Callable[[int], None],
        time_us: Callable[[], int],
        silence: Silence,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._location = location
        self._on_head = on_head
        self._time_us = time_us
        self._submitted: list[AppendJob] = []
        self._idle: asyncio.Future[None] | None = None
        self._closing = False
        self._connection = WritingConnection(location, silence)
        self._running = self._loop.create_task(self._run())

    def tell_when_in_doubt(self, forgetters: Sequence[Callable[[], None]]) -> None:
        """Call these each time the connection is made anew: the server may be another one."""
        self._connection.doubts.append(forgetters)

    async def commit(self, job: AppendJob) -> Appended:
        """Commit an append with its neighbours. Raises what it failed with."""
        idle = self._idle
        if idle is not None and self._connection.is_open:
            arguments = lone_arguments(job, self._time_us())
            if arguments is not None:
                self._idle = None
                try:
                    return await self._commit_here(job, arguments)
                finally:
                    if self._submitted or self._closing:
                        idle.set_result(None)
                    else:
                        self._idle = idle
        return await self.submit(job)

    def submit(self, job: AppendJob) -> asyncio.Future[Appended]:
        """Let an append be committed; its outcome will be in the future.

        When nobody waits for that any more, the append is committed all the same. Raises
        StoreUnavailable once the writer is closing: nobody would come for it.
        """
        if self._closing:
            raise StoreUnavailable(
                f"the log in {self._location.place} is being closed; nothing was written. Try "
                "again once it was opened anew."
            )
        future: asyncio.Future[Appended] = self._loop.create_future()
        job.future = future
        self._submitted.append(job)
        if self._idle is not None:
            self._idle.set_result(None)
            self._idle = None
        return future

    async def close(self) -> None:
        """Finish everything that was submitted, then let go of the connection."""
        self._closing = True
        if self._idle is not None:
            self._idle.set_result(None)
            self._idle = None
        await self._running
        await self._connection.close()

    def forget(self) -> None:
        """Make the connection anew for the next append, unless one is under way."""
        if self._idle is not None:
            self._connection.drop()

    def abandon(self) -> None:
        """Let go of a connection whose event loop is gone."""
        self._connection.drop()

    async def _run(self) -> None:
        while True:
            if self._submitted:
                jobs = self._take()
                try:
                    await self._commit(jobs)
                    if len(jobs) > 1:
                        # Those who were woken come again within this turn of the loop: the first
                        # of them must not go alone, with a sync of the disk for itself.
                        await asyncio.sleep(0)
                except BaseException as error:
                    self._connection.drop()
                    _fail(jobs, lambda error=error: error)  # type: ignore[misc]
                    if not isinstance(error, Exception):
                        raise
            elif self._closing:
                return
            else:
                self._idle = self._loop.create_future()
                await self._idle

    def _take(self) -> list[AppendJob]:
        count = size = 0
        for job in self._submitted:
            size += job.size
            count += 1
            if count == _LARGEST_BATCH or size > _LARGEST_BATCH_BYTES:
                break
        taken, self._submitted = self._submitted[:count], self._submitted[count:]
        return taken

    async def _commit(self, jobs: list[AppendJob]) -> None:
        try:
            await self._connection.open()
        except DRIVER_ERRORS as error:
            cause = error
            if self._closing:  # nobody comes later, and those who wait would wait once more
                jobs, self._submitted = [*jobs, *self._submitted], []
            _fail(jobs, lambda: translate(cause, self._location.place))
            return
        if len(jobs) == 1:
            await self._commit_batch(jobs)
            return
        now, later = part_batch(jobs)
        try:
            settled = await self._commit_batch(now)
            if later:
                later, refused = refuse_stale(settled, later)
                for job, refusal in refused:
                    _fail([job], lambda refusal=refusal: refusal)  # type: ignore[misc]
        finally:
            self._submitted[:0] = later

    async def _commit_here(self, job: AppendJob, arguments: tuple[Any, ...]) -> Appended:
        """The road of a lone caller: no future, and no turn of the loop but the server's.

        Whoever comes meanwhile begins a batch. When this caller is cancelled, the server is told to
        stop; whether it did is as unknown as with any other cancellation.
        """
        place = self._location.place
        if armed:
            await failpoint("append.before_commit")
        try:
            asked = self._connection.append_event.fetch(*arguments)
            answer: int = (await self._connection.promptly(asked, job.size))[0][0]
        except DRIVER_ERRORS as error:
            if is_lost(error):
                self._connection.drop()
                raise unknown(error, place, None) from error
            raise translate(error, place) from error
        if answer < 0:
            raise conflict(job.append, [-1 - answer]) or AssertionError(answer)
        if armed:
            await failpoint("append.after_commit")
        self._on_head(answer)
        return Appended(answer, 1)

    async def _commit_batch(self, jobs: Sequence[AppendJob]) -> list[tuple[AppendJob, Any]]:
        """Commit appends that do not depend on each other; what is known of their outcomes."""
        batch = AppendBatch(jobs, self._time_us())
        try:
            answer = await self._append_all(batch, jobs)
        except _NotCommitted as failure:
            return await self._after_failure(jobs, failure.why)
        except DRIVER_ERRORS as error:
            if is_lost(error):
                self._connection.drop()
                for job in jobs:
                    lost = unknown(error, self._location.place, job.command_id)
                    _fail([job], lambda lost=lost: lost)  # type: ignore[misc]
                return []
            return await self._after_failure(jobs, error)
        outcomes, head = batch.settle(answer)
        if None in outcomes:
            outcomes = await self._with_first_answers(jobs, outcomes)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Appended):
                _succeed(job, outcome)
            else:
                _fail([job], lambda outcome=outcome: outcome)  # type: ignore[misc]
        if head:
            self._on_head(head)
        return list(zip(jobs, outcomes, strict=True))

    async def _append_all(self, batch: AppendBatch, jobs: Sequence[AppendJob]) -> Any:
        if any(job.participants for job in jobs):
            answer = await self._append_and_join(batch, jobs)
        else:
            if armed:
                await failpoint("append.before_commit")
            asked = self._connection.append_batch.fetchrow(*batch.arguments)
            answer = await self._connection.promptly(asked, sum(job.size for job in jobs))
        if armed:
            await failpoint("append.after_commit")
        return answer

    async def _append_and_join(self, batch: AppendBatch, jobs: Sequence[AppendJob]) -> Any:
        """Everything up to the commit raises _NotCommitted; the commit itself driver errors."""
        try:
            connection = self._connection.handle
            await connection.execute("BEGIN")
            asked = self._connection.append_batch.fetchrow(*batch.arguments)
            answer = await self._connection.promptly(asked, sum(job.size for job in jobs))
            _, head = batch.settle(answer)
            if head:
                before = answer[0]
                transaction = PostgresLogTransaction(
                    connection, self._location.schema, before, batch.events(before, answer)
                )
                for participants in {id(j.participants): j.participants for j in jobs}.values():
                    for participant in participants:
                        await participant.join(transaction, head)
        except BaseException as error:
            if self._running.cancelling():
                raise
            raise _NotCommitted(error) from error
        if armed:
            await failpoint("append.before_commit")
        await connection.promptly(connection.execute("COMMIT"))
        return answer

    async def _after_failure(
        self, jobs: Sequence[AppendJob], error: BaseException
    ) -> list[tuple[AppendJob, Any]]:
        """Nothing of these was committed: roll back, and find out whose fault it is."""
        if not await self._connection.roll_back() or len(jobs) == 1 or hits_everyone(error):
            _fail(jobs, lambda: translate(error, self._location.place))
            return []
        half = len(jobs) // 2
        settled: list[tuple[AppendJob, Any]] = []
        for part in (jobs[:half], jobs[half:]):
            if not self._connection.is_open:
                _fail(part, lambda: translate(error, self._location.place))
            else:
                settled += await self._commit_batch(part)
        return settled

    async def _with_first_answers(
        self, jobs: Sequence[AppendJob], outcomes: Sequence[Any]
    ) -> list[Any]:
        """The outcomes, with the first record where a command id was known."""
        ids = [job.command_id for job, outcome in zip(jobs, outcomes, strict=True) if not outcome]
        try:
            asked = self._connection.select_commands.fetch(ids)
            rows = await self._connection.promptly(asked, 0)
        except DRIVER_ERRORS as error:
            missing = translate(error, self._location.place)
            return [missing if outcome is None else outcome for outcome in outcomes]
        records = {row[0]: repeated(CommandRecord._make(row)) for row in rows}
        return [
            records[job.append.command.command_id]
            if outcome is None and job.append.command
            else outcome
            for job, outcome in zip(jobs, outcomes, strict=True)
        ]


class _NotCommitted(Exception):
    """A transaction failed before its commit was sent."""

    def __init__(self, why: BaseException) -> None:
        self.why = why


def _succeed(job: AppendJob, appended: Appended) -> None:
    if not job.future.done():  # else its caller was cancelled; the append happened all the same
        job.future.set_result(appended)


def _fail(jobs: Sequence[AppendJob], make_error: Callable[[], BaseException]) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(make_error())
