"""Bugs of the left panel: states kept, answers remembered, commits repeated."""

from __future__ import annotations

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import rewritten

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.commands.handler import Deciding

__all__: list[str] = []

DECIDING = "tests/unit/commands/test_deciding.py::"
INTERLEAVED = "tests/integration/app/test_interleavings.py::"


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
    "The command id is recorded in a transaction after that of the events: who comes between with "
    "the same id, or after a crash there, is not given the first answer",
    [
        "tests/contract/test_memory_event_log.py::TestMemoryEventLog::test_g7_one_of_many_with_the_same_id_writes"
    ],
)
def command_id_recorded_after_the_commit() -> Patch:
    write = "        appended = self._write(append, undo)\n"
    woken = "    self._wake_those_who_wait()\n"
    return rewritten(
        MemoryEventLog.append,
        (write, write.replace("(append,", "(append._replace(command=None),")),
        (
            woken,
            woken + "    if append.command is not None:\n"
            "        await asyncio.sleep(0)\n"
            "        first, events = appended[:2]\n"
            "        record = append.command._replace(first=first, events=events)\n"
            "        self._commands[record.command_id] = record\n",
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
        (
            "    done = await tools.log.append(\n        Append(",
            (
                "    async def appended(it):\n"
                "        from diptych.errors import OutcomeUnknown\n"
                "        try:\n"
                "            return await tools.log.append(it)\n"
                "        except OutcomeUnknown:\n"
                "            again = held.version + len(events)\n"
                "            streams = (StreamAppend(stream, again, stored),)\n"
                "            return await tools.log.append(Append(streams))\n"
                "    done = await appended(\n        Append("
            ),
        ),
    )


@bug(
    "no issue known: any cache of aggregates",
    "A rejection that was decided on a cached state is believed without a look at the log",
    [DECIDING + "test_a_rejection_decided_on_a_stale_cache_is_decided_again"],
)
def rejection_of_a_stale_cache_believed() -> Patch:
    return rewritten(
        Deciding._attempt, ("if cached is not None and (isinst", "if False and (isinst")
    )
