"""One transaction for a group of jobs, and what happens when one of them is bad."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import apsw

from diptych.adapters.sqlite.append_batch import AppendBatch
from diptych.adapters.sqlite.errors import hits_everyone, translate, unknown
from diptych.adapters.sqlite.jobs import AppendJob, Job, WorkJob
from diptych.adapters.sqlite.statements import sql
from diptych.errors import ConfigurationError, DiptychError
from diptych.events.log import Appended, Participant, StoredEvent
from diptych.events.run_through import run_through
from diptych.failpoints import armed, failpoint_here

__all__ = [
    "STORED_EVENT",
    "Committed",
    "GroupCommit",
    "NotAtOnce",
    "append_within",
    "check_own_transaction",
]

STORED_EVENT: Callable[[Any], StoredEvent] = partial(tuple.__new__, StoredEvent)
"""Makes an event of a row, without a Python frame."""


class NotAtOnce(Exception):
    """A group that cannot be settled without waiting: the file is locked, or a member is bad."""


class Committed(NamedTuple):
    """What became of a group: a result or an exception per job, and the head if it has moved."""

    outcomes: list[Any]
    head: int | None


class GroupCommit:
    """Commits groups of jobs on the one connection that writes.

    Good members commit; a member that conflicts is refused without harm to the others. When
    anything unexpected happens, the group is rolled back and tried again in halves, until the bad
    member is alone.
    """

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._path = path
        self._waits_since: float | None = None

    @property
    def waits_s(self) -> float:
        """For how long it has been waiting for somebody else's lock, at this moment."""
        since = self._waits_since
        return 0.0 if since is None else time.monotonic() - since

    def commit(self, jobs: Sequence[Job], patience_s: float) -> Committed:
        """Commit what can be. Raises NotAtOnce, having done nothing, if there is no patience."""
        committing = False
        try:
            self._begin(patience_s)
            outcomes, head = self._work(jobs)
            if armed and head is not None:
                failpoint_here("append.before_commit", head=head)
            committing = True
            self._cursor.execute("COMMIT")
            if armed and head is not None:
                failpoint_here("append.after_commit", head=head)
        except BaseException as error:
            # Whatever it is, it must not end the writer thread: whoever waits for the job gets it.
            self._roll_back()
            if committing and isinstance(error, apsw.IOError):
                return Committed(
                    [unknown(error, self._path, _command_id(job)) for job in jobs], None
                )
            locked = isinstance(error, apsw.BusyError)
            if patience_s == 0 and (locked or len(jobs) > 1):
                raise NotAtOnce from error
            if len(jobs) == 1 or hits_everyone(error):
                return Committed([translate(error, self._path) for _ in jobs], None)
            return self._in_halves(jobs, patience_s)
        return Committed(outcomes, head)

    def _begin(self, patience_s: float) -> None:
        self._roll_back()
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            if patience_s == 0:
                raise
            self._wait_to_begin(patience_s)

    def _wait_to_begin(self, patience_s: float) -> None:
        self._waits_since = began = time.monotonic()
        pause = 0.0002
        try:
            while True:
                # SQLite's own busy handler would sleep up to 0.1 s at a time.
                time.sleep(pause)
                pause = min(pause * 1.5, 0.005)
                try:
                    self._cursor.execute("BEGIN IMMEDIATE")
                except apsw.BusyError:
                    if time.monotonic() >= began + patience_s:
                        raise
                else:
                    return
        finally:
            self._waits_since = None

    def _work(self, jobs: Sequence[Job]) -> tuple[list[Any], int | None]:
        appends = [job for job in jobs if isinstance(job, AppendJob)]
        outcomes: list[Any] = []
        head = None
        if appends:
            batch = AppendBatch(self._cursor, appends)
            outcomes = [batch.accept(job) for job in appends]
            batch.write()
            if batch.grown:
                head = batch.head
                self._let_participants_join(appends, head)
        if len(appends) < len(jobs):
            appended = iter(outcomes)
            outcomes = [
                self._do(job) if isinstance(job, WorkJob) else next(appended) for job in jobs
            ]
        return outcomes, head

    def _let_participants_join(self, appends: Sequence[AppendJob], head: int) -> None:
        logs = {id(job.participants): job.participants for job in appends if job.participants}
        for participants in logs.values():
            _let_join(participants, self._connection, head)

    def _do(self, job: WorkJob) -> Any:
        if job.check is not None:
            try:
                job.check(self._connection)
            except DiptychError as refusal:
                return refusal
        return job.write(self._connection)

    def _in_halves(self, jobs: Sequence[Job], patience_s: float) -> Committed:
        half = len(jobs) // 2
        first = self.commit(jobs[:half], patience_s)
        second = self.commit(jobs[half:], patience_s)
        head = first.head if second.head is None else second.head
        return Committed(first.outcomes + second.outcomes, head)

    def _roll_back(self) -> None:
        # Some errors (a full disk) have rolled back already.
        if self._connection.in_transaction:
            with contextlib.suppress(
                apsw.Error
            ):  # the next transaction tries this again, and says so
                self._cursor.execute("ROLLBACK")


def _command_id(job: Job) -> str | None:
    command = job.append.command if isinstance(job, AppendJob) else None
    return command.command_id if command else None


def append_within(connection: Any, path: str, job: AppendJob) -> Appended:
    """Append in a transaction that somebody else has begun on the file `path`, and will commit.

    Raises what refuses the append, and ConfigurationError for any other connection.
    """
    check_own_transaction(connection, path)
    try:
        batch = AppendBatch(connection.cursor(), [job])
        outcome = batch.accept(job)
        if isinstance(outcome, DiptychError):
            raise outcome
        batch.write()
        if batch.grown:
            _let_join(job.participants, connection, batch.head)
    except apsw.Error as error:
        raise translate(error, path) from error
    return outcome


def check_own_transaction(connection: Any, path: str) -> None:
    """Raise ConfigurationError for what is no transaction of apsw on the file `path`."""
    if (
        not isinstance(connection, apsw.Connection)
        or os.path.realpath(connection.filename) != path
        or not connection.in_transaction
    ):
        raise ConfigurationError(
            f"only a transaction of an apsw connection to {path} can be shared; this is "
            f"{connection!r}. Keep everything that commits together in the same file."
        )


def _let_join(participants: Sequence[Participant], connection: apsw.Connection, head: int) -> None:
    for participant in participants:
        run_through(participant.join(_Transaction(connection), head))


class _Transaction:
    """An append's transaction as a participant sees it; its handle is the apsw connection."""

    __slots__ = ("handle",)

    def __init__(self, connection: apsw.Connection) -> None:
        self.handle: Any = connection

    async def read(self, after: int, limit: int) -> list[StoredEvent]:
        """As EventLog.read, including the events of this transaction."""
        rows = self.handle.execute(sql("select_events"), (after, limit))
        return list(map(STORED_EVENT, rows))
