"""Bugs of who may move a projection."""

from __future__ import annotations

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import all_of, rewritten

from diptych.adapters.memory.standing import Standing
from diptych.adapters.postgres.changes import _move_checkpoints
from diptych.adapters.postgres.row_table import RowTable
from diptych.adapters.sqlite.changes import check_changes
from diptych.sync.lease import Leases
from diptych.sync.rebuild import Rebuild
from diptych.sync.step import Stepping

__all__: list[str] = []

FENCE = "test_g11_a_change_is_written_only_under_the_present_lease"
LEASES = "tests/unit/sync/test_leases.py::"
LOST = "tests/unit/sync/test_lost_leases.py::"

NO_FENCE = "Axon #422; Wolverine #2602; KurrentDB #2036"
NO_FENCE_WAS = "A process that was stopped, and goes on after another has taken over, still writes"


@bug(
    NO_FENCE,
    f"{NO_FENCE_WAS} (memory)",
    [f"tests/contract/test_memory_read_store.py::TestMemoryReadStore::{FENCE}"],
    fast=False,
)
def no_fence_in_memory() -> Patch:
    fence = "if epoch is not None and epoch != self.lease.epoch:"
    return rewritten(Standing.check_epoch, (fence, "if False:"))


@bug(
    NO_FENCE,
    f"{NO_FENCE_WAS} (SQLite)",
    [f"tests/contract/test_sqlite_read_store.py::TestSqliteReadStore::{FENCE}"],
)
def no_fence_in_sqlite() -> Patch:
    fence = "if change.epoch is not None and change.epoch != epoch:"
    return rewritten(check_changes, (fence, "if False:"))


@bug(
    NO_FENCE,
    f"{NO_FENCE_WAS} (PostgreSQL)",
    [f"tests/contract/test_postgres_read_store.py::TestPostgresReadStore::{FENCE}"],
)
def no_fence_in_postgres() -> Patch:
    return all_of(
        rewritten(_move_checkpoints, ("if change.epoch not in {None, epoch}:", "if False:")),
        rewritten(
            RowTable._fenced_upsert,
            ("coalesce($4::bigint, c.epoch)", "coalesce(c.epoch, $4::bigint)"),
        ),
    )


@bug(
    "Axon #422; Wolverine #2602",
    "Whoever takes over goes on with the epoch of the one before him, so that nobody can tell "
    "their writes apart",
    [LEASES + "test_a_holder_that_stops_answering_is_replaced_within_two_seconds"],
)
def epoch_not_raised_on_take_over() -> Patch:
    return rewritten(Leases._taken, ("write_terms(epoch + 1, mine)", "write_terms(epoch, mine)"))


@bug(
    "Axon #422; Wolverine #2602",
    "A runner that is told its lease is lost writes all the same: it has the batch ready",
    [LOST + "test_f27_a_runner_whose_lease_is_taken_in_mid_batch_changes_nothing"],
)
def lost_lease_swallowed() -> Patch:
    return rewritten(
        Stepping._write,
        (
            "        await self._store.apply([change for _, change in folded])\n",
            (
                "        try:\n"
                "            await self._store.apply([change for _, change in folded])\n"
                "        except LeaseLost:\n"
                "            free = [change._replace(epoch=None) for _, change in folded]\n"
                "            await self._store.apply(free)\n"
            ),
        ),
    )


@bug(
    "Axon #2785, #5050",
    "Leases end by the wall clock: where that is set forward, a holder that lives loses its own",
    [LOST + "test_f13_a_clock_that_is_set_forward_takes_no_lease_from_its_holder"],
)
def leases_by_the_wall_clock() -> Patch:
    clock = "self._environment.monotonic_s()"
    return rewritten(Leases._waited_s, (clock, "self._environment.time_us() / 1e6"))


@bug(
    "diptych, found by the simulation (seed 75327)",
    "Whoever was stopped before it drops rows drops what others have switched to since",
    [
        "tests/simulation/test_found_by_simulation.py::test_whoever_was_stopped_before_it_drops_does_not_drop_what_is_read_since"
    ],
)
def drop_without_the_fence() -> Patch:
    return rewritten(Rebuild.drop, ("drop(table, epoch)", "drop(table)"))
