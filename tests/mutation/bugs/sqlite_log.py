"""Bugs of logs, shown on SQLite and in memory."""

from __future__ import annotations

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import replaced, rewritten, sql_rewritten

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.sqlite.connection import connect_writing
from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.adapters.sqlite.transaction import GroupCommit

__all__: list[str] = []

SQLITE = "tests/contract/test_sqlite_event_log.py::TestSqliteEventLog::"
INLINE = "tests/unit/sync/test_inline.py::"


@bug(
    "Emmett #239",
    "A stream is read without a total order: the database gives rows as they come (here: shuffled)",
    [SQLITE + "test_g4_versions_are_dense_in_each_stream"],
)
def stream_read_without_order() -> Patch:
    return sql_rewritten(
        "sqlite", select_stream=[("ORDER BY version LIMIT", "ORDER BY random() LIMIT")]
    )


@bug(
    "Zitadel #12703",
    "Whoever goes on reading filtered events skips as many as he has seen (OFFSET) instead of "
    "beginning after the last one",
    [SQLITE + "test_g3_filters_leave_out_and_keep_order"],
)
def filtered_events_paged_by_offset() -> Patch:
    real = SqliteEventLog.read

    async def read(self, after, limit, filters=()):
        if not filters:
            return await real(self, after, limit)
        return (await real(self, 0, after + limit, filters))[after:]

    return replaced(SqliteEventLog, "read", read)


@bug(
    "NATS JetStream (Jepsen, 2.12.1)",
    "A write is acknowledged before it is on the disk, which syncs it some time later",
    [
        "tests/unit/adapters/sqlite/test_connection.py::test_commits_are_durable_unless_chosen_otherwise"
    ],
)
def acknowledged_before_the_disk_has_it() -> Patch:
    return rewritten(
        connect_writing, ('f"synchronous = {location.synchronous}"', '"synchronous = OFF"')
    )


@bug(
    "no issue known: a handler that is called once the commit has returned",
    "An inline projection is run after the commit: when it fails, the events are there anyway",
    [INLINE + "test_an_inline_projection_that_fails_refuses_the_command"],
)
def inline_after_the_commit_in_memory() -> Patch:
    return rewritten(
        MemoryEventLog.append,
        ("        self._let_participants_join(undo)\n    except", "    except"),
        ("    self._wake_those", "    self._let_participants_join(Undo())\n    self._wake_those"),
    )


@bug(
    "no issue known: a handler that is called once the commit has returned",
    "The same on SQLite: the rows are written in a transaction after that of the events",
    [
        "tests/contract/test_sqlite_read_store.py::TestSqliteInline::test_g1_what_a_refusing_participant_wrote_is_taken_back"
    ],
)
def inline_after_the_commit_in_sqlite() -> Patch:
    join = "self._let_participants_join(appends, head)"
    return rewritten(
        GroupCommit._work,
        (join, f'self._cursor.execute("COMMIT; BEGIN IMMEDIATE"); {join}'),
    )
