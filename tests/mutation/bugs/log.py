"""Bugs of logs in PostgreSQL: how positions are given, how they are read."""

from __future__ import annotations

import time

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import all_of, replaced, rewritten, sql_rewritten

from diptych.adapters.postgres.head import HeadWatch
from diptych.adapters.postgres.pool import Pool
from diptych.adapters.postgres.reader import LogReader
from diptych.adapters.postgres.schema_turn import schema_turn

__all__: list[str] = []

CONTRACT = "tests/contract/test_postgres_event_log.py::TestPostgresEventLog::"
STEPS = "tests/integration/postgres/test_permutations.py::"
READER = "test_our_own_reader_misses_nothing_and_turns_nothing_round"
LOG = "tests/integration/postgres/log/"

LOCK = "    PERFORM pg_advisory_xact_lock(-(:'log'::regclass::oid::bigint) - 2);\n"
HEAD = """\
    head := coalesce((
        SELECT e.position FROM :"schema".events AS e ORDER BY e.position DESC LIMIT 1
    ), 0);
"""
NEXT = """\
    v_position := 1 + coalesce((
        SELECT e.position FROM :"schema".events AS e ORDER BY e.position DESC LIMIT 1
    ), 0);
"""
NUMBERED = """\
    PERFORM pg_advisory_lock(42);
    head := nextval(':"schema".positions') - 1;
    IF cardinality(p_event_data) > 1 THEN
        PERFORM setval(':"schema".positions', head + cardinality(p_event_data));
    END IF;
    PERFORM pg_advisory_unlock(42);
"""
SEQUENCE: dict[str, list[tuple[str, str]]] = {
    "create_events": [
        (
            "UNIQUE (stream, version)\n)",
            'UNIQUE (stream, version)\n); CREATE SEQUENCE :"schema".positions',
        )
    ],
    "create_append_batch_v1": [(LOCK, ""), (HEAD, NUMBERED)],
    "create_append_event_v1": [
        (LOCK, ""),
        (NEXT, "    v_position := nextval(':\"schema\".positions');\n"),
    ],
}
"""Positions as most systems on PostgreSQL give them: by a sequence, when a row is inserted."""

IN_ORDER = "WHERE position > $1 ORDER BY position"


@bug(
    "commanded/eventstore #3; Marten #1879; Eventuous #222; RailsEventStore #106",
    "Positions come from a sequence: a transaction that took an earlier one may commit later, and "
    "`position > checkpoint` has passed it by then",
    [
        STEPS + "test_appends_leave_no_gap_for_a_reader_at_any_step",
        CONTRACT + "test_g12_nobody_gets_between_it_and_its_commit",
    ],
)
def positions_from_a_sequence() -> Patch:
    return sql_rewritten("postgres", **SEQUENCE)


@bug(
    "eventsource-py 0.15.1 (no issue: measured)",
    "Events are hidden until no older transaction runs (`pg_snapshot_xmin`), but the checkpoint is "
    "a position: what is shown later may have a lower one",
    [STEPS + f"{READER}[s t]"],
)
def checkpoint_by_position_over_an_xmin_filter() -> Patch:
    seen = "xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    changed = {
        **SEQUENCE,
        "select_events": [(IN_ORDER, f"WHERE position > $1 AND {seen} ORDER BY position")],
    }
    return sql_rewritten("postgres", **changed)


@bug(
    "Emmett #336",
    "Events are read in the order of transaction ids: a transaction that began early and appended "
    "late turns its stream round",
    [STEPS + f"{READER}[s s]"],
)
def order_of_transaction_ids() -> Patch:
    by_id = "WHERE position > $1 ORDER BY xmin::text::bigint, position"
    return sql_rewritten("postgres", select_events=[(IN_ORDER, by_id)])


@bug(
    "Marten #4953; protean #1088",
    "A gap that stays for a while is taken for a rollback and skipped, though its transaction was "
    "only slow",
    [STEPS + f"{READER}[s t]"],
)
def gaps_skipped_by_the_clock() -> Patch:
    real, seen, patience_s = LogReader.events, dict[int, float](), 0.0  # any later look

    async def events(self, after, limit):
        found, dense = await real(self, after, limit), []
        for one in found:
            missing, now = (dense[-1].position if dense else after) + 1, time.time()
            if one.position > missing and now - seen.setdefault(missing, now) <= patience_s:
                break
            dense.append(one)
        return dense

    return all_of(sql_rewritten("postgres", **SEQUENCE), replaced(LogReader, "events", events))


@bug(
    "Marten #5057, #5108, #5125",
    "Readers wait for a lock that an open transaction holds, so one that is idle stops them all",
    [STEPS + f"{READER}[s s]"],
    fast=False,
)
def readers_wait_for_writers() -> Patch:
    lock = "pg_advisory_xact_lock_shared(-(':\"schema\".log'::regclass::oid::bigint) - 2)"
    waiting = f"WHERE position > $1 AND (SELECT {lock}::text) = '' ORDER BY position"
    return sql_rewritten("postgres", select_events=[(IN_ORDER, waiting)])


@bug(
    "Eventuous #553",
    "The append says `ON CONFLICT DO NOTHING`: of two at once both are acknowledged, one is lost",
    [STEPS + "test_of_two_appends_to_one_version_one_is_refused_in_every_order"],
)
def append_gives_way_to_conflicts() -> Patch:
    values = "p_type, p_schema, p_data, p_meta, p_recorded_us\n    )"
    return sql_rewritten(
        "postgres",
        create_append_event_v1=[(LOCK, ""), (values, values + " ON CONFLICT DO NOTHING")],
    )


@bug(
    "Marten #5300, #4591",
    "The expected version is looked at before the lock is taken: by then it may be another",
    [STEPS + "test_of_two_appends_to_one_version_one_is_refused_in_every_order"],
)
def version_looked_at_before_the_lock() -> Patch:
    check = "        RETURN -1 - v_version;\n    END IF;\n"
    return sql_rewritten("postgres", create_append_event_v1=[(LOCK, ""), (check, check + LOCK)])


@bug(
    "Marten #5300, #4591",
    "An append condition is checked before the lock is taken: of many who take a name, several do",
    [CONTRACT + "test_g6_one_of_many_takes_a_name"],
)
def condition_looked_at_before_the_lock() -> Patch:
    check = """\
        SELECT array_agg(found.member), array_agg(found.position)
        INTO violated, violation
        FROM :"schema".violations_v1(p_conditions) AS found;
"""
    early = f"    IF p_conditions IS NOT NULL THEN\n{check}    END IF;\n"
    changes = [(LOCK, early + "    PERFORM pg_sleep(0.02);\n" + LOCK), (check, "")]
    # The first text occurs in what replaces it: the later check is taken out first.
    return sql_rewritten("postgres", create_append_batch_v1=changes[::-1])


@bug(
    "SQLAlchemy #13381; psycopg #543, #509",
    "Who fails or is cancelled gives a connection back with its transaction open, and the next one "
    "writes into that",
    [LOG + "test_cancellation.py::test_a_transaction_that_fails_is_rolled_back"],
    fast=False,
)
def connection_given_back_in_a_transaction() -> Patch:
    careless = rewritten(
        Pool._give_back,
        ("    elif connection.is_in_transaction():\n        self._mend(connection)\n", ""),
    )
    in_use = rewritten(Pool.use, ("self._mend(connection)", "self._give_back(connection)"))
    return all_of(careless, in_use)


@bug(
    "pyeventsourcing/eventsourcing #305",
    "Who waits is told by NOTIFY and never looks himself: a word that was lost never comes",
    [LOG + "test_several_processes.py::test_a_word_that_was_lost_is_made_up_for_by_a_look"],
    fast=False,
)
def lost_words_waited_for() -> Patch:
    return rewritten(
        HeadWatch._look, ("await asyncio.sleep(_LOOK_EVERY_S)", "await asyncio.sleep(3600)")
    )


@bug(
    "eventsourcing 9.5 (no issue: 8 processes at once, `tuple concurrently updated`)",
    "Tables are made by everybody who opens, at once",
    ["tests/integration/postgres/test_read_models.py::test_many_may_open_an_empty_schema_at_once"],
    fast=False,
)
def tables_made_by_everybody_at_once() -> Patch:
    return rewritten(schema_turn, ("            await connection.execute(_LOCK, schema)\n", ""))
