"""Bugs of the left panel: states kept, answers remembered, commits repeated."""

from __future__ import annotations

from diptych.commands.handler import Deciding
from tests.mutation.bug import Patch, bug
from tests.mutation.patching import rewritten

__all__: list[str] = []

DECIDING = "tests/unit/commands/test_deciding.py::"
INTERLEAVED = "tests/integration/app/test_interleavings.py::"
FAILING = "tests/integration/faults/"


@bug(
    "Marten #4730",
    "The cache is filled before the commit: when that fails, decisions are made on what never was",
    [DECIDING + "test_two_apps_that_race_for_one_stream_lose_nothing"],
)
def cache_filled_before_the_commit() -> Patch:
    put = "    tools.cache.put(stream, after)\n"
    after = "    after = Held(state, held.version + len(events))\n"
    return rewritten(Deciding._append, (put, ""), (after, after + put))


@bug(
    "no issue known: an inbox table in a transaction of its own",
    "The command id is recorded in a transaction of its own: a crash between the two, and the retry "
    "has a second effect",
    [INTERLEAVED + "test_one_id_has_one_effect_whatever_fails"],
)
def command_id_recorded_beside_the_append() -> Patch:
    append = "    done = await tools.log.append(\n"
    known = """\
    if record is not None:
        first = await tools.answers.known(envelope)
        if first is not None:
            return await tools.answers.again(envelope, first)
"""
    after = "    if done.repeated is not None:\n"
    return rewritten(
        Deciding._append,
        (append, known + append),
        ("            record,\n", "            None,\n"),
        (
            after,
            "    if record is not None:\n"
            "        await tools.log.append(Append(command=record))\n" + after,
        ),
    )


@bug(
    "Marten #5262",
    "A commit whose outcome is unknown is just tried again, without the id that would tell",
    [INTERLEAVED + "test_one_id_has_one_effect_whatever_fails"],
)
def unknown_outcome_tried_again() -> Patch:
    return rewritten(
        Deciding._append,
        ("    done = await tools.log.append(\n        Append(", "    async def appended(it):\n"
         "        from diptych.errors import OutcomeUnknown\n"
         "        try:\n"
         "            return await tools.log.append(it)\n"
         "        except OutcomeUnknown:\n"
         "            again = held.version + len(events)\n"
         "            streams = (StreamAppend(stream, again, stored),)\n"
         "            return await tools.log.append(Append(streams))\n"
         "    done = await appended(\n        Append("),
    )


@bug(
    "no issue known: any cache of aggregates",
    "A rejection that was decided on a cached state is believed without a look at the log",
    [DECIDING + "test_a_rejection_decided_on_a_stale_cache_is_decided_again"],
)
def rejection_of_a_stale_cache_believed() -> Patch:
    return rewritten(Deciding._attempt, ("if cached is not None and (isinst", "if False and (isinst"))
