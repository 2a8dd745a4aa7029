"""Bugs of the right panel: waiting for one's own write."""

from __future__ import annotations

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import all_of, rewritten

from diptych.queries.ask import Asker
from diptych.queries.wait import Arrivals
from diptych.sync.freshness import Waiting

__all__: list[str] = []

ASKING = "tests/unit/queries/test_asking.py::"
WAIT = "tests/unit/queries/test_wait.py::"
INTERLEAVED = "tests/integration/app/test_interleavings.py::"


@bug(
    "eventsourcing 9.5 (no issue: p50 of 103 ms measured)",
    "Who waits for a projection sleeps and looks again, instead of being woken when it arrives",
    [WAIT + "test_no_time_passes_between_an_arrival_and_the_answer"],
)
def waiting_by_sleeping_first() -> Patch:
    return rewritten(
        Arrivals.wait,
        (
            "        await future\n",
            (
                "        until = loop.time() + within_s\n"
                "        while loop.time() < until:\n"
                "            await asyncio.sleep(min(0.05, within_s))\n"
                "            if future.done():\n"
                "                break\n"
            ),
        ),
    )


@bug(
    "Marten #5161",
    "A wait is satisfied by the progress of another projection",
    [WAIT + "test_the_progress_of_another_projection_satisfies_nobody"],
)
def satisfied_by_another_projection() -> Patch:
    return rewritten(
        Arrivals.reached,
        ("self._reached.get(projection, 0)", "max(self._reached.values(), default=0)"),
    )


@bug(
    "Marten #4041, #5161, #3080",
    "A wait looks at the progress of everybody, so one projection that stands still, or is no "
    "longer used, makes every wait time out",
    [
        "tests/unit/queries/test_wait.py::test_a_projection_that_stands_still_holds_up_nobody_elses_wait"
    ],
)
def held_up_by_another_projection() -> Patch:
    return rewritten(
        Arrivals.reached,
        ("self._reached.get(projection, 0)", "min(self._reached.values(), default=0)"),
    )


@bug(
    "Zitadel #12703",
    "A token is compared by time: of two events of one moment the first is taken for both, and a "
    "clock that is set back makes old rows new",
    [INTERLEAVED + "test_a_read_with_a_token_is_never_older_whatever_the_interleaving"],
)
def tokens_compared_by_time() -> Patch:
    early = """\
    if found.position < position:
        stands = await self._log.read(max(found.position - 1, 0), 1)
        wanted = await self._log.read(position - 1, 1)
        if not stands or stands[0].recorded_us < wanted[0].recorded_us:
            return None
        return found
"""
    return all_of(
        rewritten(
            Waiting._reached, ("    if found.position < position:\n        return None\n", early)
        ),
        rewritten(Waiting._wait, ("    if here and not await", "    if False and not await")),
    )


@bug(
    "Commanded, Marten (no issue: both empty the rows that are read)",
    "A read that has waited for its rows is answered from rows that were emptied since",
    [
        "tests/unit/sync/test_rows_under_way.py::test_r10_rows_emptied_and_filled_again_under_a_query_are_read_again"
    ],
)
def read_from_rows_emptied_meanwhile() -> Patch:
    return rewritten(Asker._answer, ("and not await _were_set_back(wait.stood)", ""))
