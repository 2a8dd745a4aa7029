"""Bugs of what keeps the panels in step: catching up, rebuilding, switching, verifying."""

from __future__ import annotations

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import all_of, rewritten

from diptych.operations.drift.refold import Refold
from diptych.sync.panels import Panels
from diptych.sync.rebuild import Rebuild
from diptych.sync.subscription import Subscription

__all__: list[str] = []

RUNNER = "tests/unit/sync/test_runner.py::"


@bug(
    "Occurrent #199, #208; akka-persistence-r2dbc #245, #343",
    "Whoever has caught up begins to listen at the head of that moment: what came between the last "
    "read and the first word is never seen",
    [RUNNER + "test_catching_up_hands_over_to_live_without_a_gap_whatever_the_interleaving"],
)
def gap_between_catching_up_and_live() -> Patch:
    return rewritten(
        Subscription.deliver,
        (
            "return self._decoder.decode(await self._log.read(after, limit), after)",
            (
                "found = await self._log.read(after, limit)\n"
                "    given = self._decoder.decode(found, after)\n"
                "    if until is None and len(found) < limit and given.broken is None:\n"
                "        import asyncio\n"
                "        for _ in range(5):\n"
                "            await asyncio.sleep(0)\n"
                "        given = given._replace(upto=max(given.upto, await self._log.head()))\n"
                "    return given"
            ),
        ),
    )


@bug(
    "Marten #4953",
    "A rebuild reads with a reader of its own, which passes over what it does not understand, "
    "while the live one would have stopped there",
    ["tests/unit/sync/test_one_reader.py::test_a_rebuild_parks_what_the_live_rows_have_parked"],
)
def rebuild_with_another_reader() -> Patch:
    return rewritten(
        Rebuild._catch_up,
        (
            "    member = runner.members[0]\n",
            "    member = runner.members[0]\n    runner._stepping._wants = lambda *_: False\n",
        ),
    )


@bug(
    "no issue known: rebuilds beside are switched by hand (Axon #2740)",
    "New rows are read before they have come as far as the old ones: time goes back for who reads",
    [
        "tests/unit/sync/test_one_reader.py::test_f33_rows_that_are_read_next_have_come_as_far_as_those_read_before"
    ],
)
def switch_before_the_new_rows_caught_up() -> Patch:
    return all_of(
        rewritten(
            Rebuild.level,
            ("            await self._catch_up(plan, epoch, theirs)\n", ""),
            ("        await self._come_close(plan, epoch, old.name)\n", ""),
        ),
        rewritten(Panels._is_level, ("    if name == source.plan.name:\n", "    if True:\n")),
    )


@bug(
    "no issue known: what a nightly comparison in a script does",
    "Rows are compared with the log folded up to its head, not up to where the rows stand: whoever "
    "is behind is called wrong",
    [
        (
            "tests/unit/operations/drift/test_verifying.py::"
            "test_a_projection_that_is_behind_is_compared_where_it_stands"
        )
    ],
)
def rows_compared_at_the_head() -> Patch:
    return rewritten(
        Refold.advance,
        ("    if upto < self.at:\n", "    upto = await self._log.head()\n    if upto < self.at:\n"),
    )
