"""Wrong variants of the product that the simulation must find: each a patch and a number of seeds.

To add one: a function without parameters that gives a context manager, under `@found_within(...)`
with who had it (or would have), what it was, and the seeds within which it must be found.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from tests.mutation.patching import all_of, replaced, rewritten

from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.adapters.memory.standing import Standing
from diptych.commands.idempotency import FirstAnswers
from diptych.events.log import CommandRecord
from diptych.operations.parked.parked_events import ParkedEvents
from diptych.queries import ask
from diptych.queries.lacking import Lacking
from diptych.queries.wait import Arrivals
from diptych.sync import runner
from diptych.sync.apart import Apart
from diptych.sync.freshness import Waiting
from diptych.sync.inline import InlineProjections
from diptych.sync.lease import Leases
from diptych.sync.parking import Parking
from diptych.sync.rebuild import Rebuild
from diptych.sync.step import Stepping
from diptych.sync.subscription import Subscription
from diptych.sync.waiting_fold import WaitingFold
from diptych.testing.simulation.ports import SimulatedLog

__all__ = ["BUGS", "Bug", "found_within"]

Patch = AbstractContextManager[object]


class Bug(NamedTuple):
    """One wrong variant: who had it, what it was, and within how many seeds it must be found."""

    name: str
    peers: str
    was: str
    seeds: int
    apply: Callable[[], Patch]


BUGS: dict[str, Bug] = {}


def found_within(
    seeds: int, peers: str, was: str
) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    """Register a patch."""

    def register(apply: Callable[[], Patch]) -> Callable[[], Patch]:
        name = apply.__name__
        assert name not in BUGS, f"two bugs are called {name}"
        BUGS[name] = Bug(name, peers, was, seeds, apply)
        return apply

    return register


# ------------------------------------------------------------------------------------- two writers


@found_within(20, "any projection without a lease", "Changes carry no epoch: a stopped one goes on")
def no_fence():
    return rewritten(
        Stepping._write,
        (
            "[change for _, change in folded])\n    for",
            "[change._replace(epoch=None) for _, change in folded])\n    for",
        ),
    )


@found_within(500, "Axon #1403-like token stores", "The epoch stays as it is for a new owner")
def epoch_not_raised():
    return rewritten(Leases._taken, ("epoch + 1", "epoch"))


@found_within(
    40, "any INSERT OR REPLACE of a lock", "A lease is taken without comparing whose it was"
)
def lease_without_compare():
    return rewritten(MemoryReadStore._swap, ("if standing.lease != swap.before:", "if False:"))


@found_within(60, "any retry by hand", "What is parked is retried beside the runner, unfenced")
def retry_without_the_epoch():
    return rewritten(
        ParkedEvents._retry, ("self._retrying(source, epoch)", "self._retrying(source, None)")
    )


# ------------------------------------------------------------------------- rows and checkpoints


@found_within(
    20, "any pair of two stores", "The checkpoint is written first, the rows in a second call"
)
def checkpoint_before_the_rows():
    return rewritten(
        Stepping._write,
        (
            "        await self._store.apply([change for _, change in folded])\n    for",
            (
                "        await self._store.apply([c._replace(rows=(), deleted=())"
                " for _, c in folded])\n"
                "        await self._store.apply([c._replace(after=c.upto, parked=())"
                " for _, c in folded])\n"
                "    for"
            ),
        ),
    )


@found_within(
    20,
    "any at-least-once projection",
    "The rows are written first, the checkpoint in a second call",
)
def rows_before_the_checkpoint():
    return rewritten(
        Stepping._write,
        (
            "        await self._store.apply([change for _, change in folded])\n    for",
            (
                "        await self._store.apply([c._replace(upto=c.after, parked=())"
                " for _, c in folded])\n"
                "        await self._store.apply([c._replace(rows=(), deleted=())"
                " for _, c in folded])\n"
                "    for"
            ),
        ),
    )


@found_within(
    20, "Marten #4953; RailsEventStore", "The checkpoint goes to the head, not to what was read"
)
def reader_that_skips():
    return rewritten(
        Subscription.deliver,
        (
            "return self._decoder.decode(await self._log.read(after, limit), after)",
            (
                "found = self._decoder.decode(await self._log.read(after, limit), after)\n"
                "    head = await self._log.head()\n"
                "    upto = max(head, found.upto)\n"
                "    return found if found.broken else found._replace(upto=upto)"
            ),
        ),
    )


# ------------------------------------------------------------------------------------------ parked


@found_within(20, "Marten's default", "An event that fails is skipped, and nobody is told")
def failing_events_skipped():
    return rewritten(Apart._park, ("self.parked.append(", "("))


@found_within(20, "commanded/eventstore", "Events that follow a parked one are folded")
def followers_not_parked():
    return all_of(
        rewritten(Parking.followers, ("if not self.lanes:", "if True:")),
        rewritten(Apart._park, ("self._lanes.add(lane)", "pass")),
    )


@found_within(40, "any rolling upgrade", "A type that this release does not know is passed over")
def unknown_types_skipped():
    return rewritten(Stepping._wants, (" or isinstance(error, UnknownMessageType)", ""))


@found_within(40, "Wolverine", "A retry takes out the whole lane, and folds its first event")
def retry_forgets_followers():
    return rewritten(
        WaitingFold.retry,
        (
            "        self._unparked.append(one.entry)\n",
            (
                "        self._unparked += [each.entry for each in waiting]\n"
                "        return Folded(1)\n"
            ),
        ),
    )


@found_within(
    250, "diptych before its contract suite", "A rebuild forgets what was skipped by hand"
)
def rebuild_forgets_what_was_skipped():
    return rewritten(Standing.reset, ("if not one.waits", "if False"))


# ------------------------------------------------------------------------------------- generations


@found_within(200, "any rename of tables", "Rows are switched while they are behind")
def switch_without_levelling():
    return rewritten(Rebuild.level, ("            await self._catch_up(plan, epoch, theirs)\n", ""))


@found_within(40, "any two UPDATEs", "The roles are changed one after the other")
def switch_in_two_steps():
    return rewritten(
        Rebuild._give_roles,
        (
            "if await self._store.switch(before, after, epochs):",
            (
                "steps = [await self._store.switch({one: before[one]}, {one: after[one]})"
                " for one in after]\n"
                "    if all(steps):"
            ),
        ),
    )


@found_within(
    160,
    "diptych, found by this simulation (seed 233)",
    "Dropping what another has dropped makes it anew, and it is served",
)
def drop_makes_it_anew():
    return all_of(
        rewritten(Rebuild.drop, ("if name not in [", "if False and name not in [")),
        replaced(
            MemoryReadStore,
            "_role_at_birth",
            lambda _, name: "building" if "__" in name else "served",
        ),
    )


# ------------------------------------------------------------------------------------------- reads


@found_within(
    60, "Marten #4041, #5161", "After the lease was lost, the position of before is believed"
)
def position_believed_after_the_lease():
    async def never(_: object) -> bool:
        return False

    return all_of(
        rewritten(Arrivals.leave, ("if projection in self._here:", "if False:")),
        rewritten(
            Waiting._wait,
            (
                "    if name in self._refreshing and",
                (
                    "    if here and self._arrivals.is_here(name):\n"
                    "        return CheckpointInfo(position, '')\n"
                    "    if name in self._refreshing and"
                ),
            ),
        ),
        replaced(ask, "_were_set_back", never),  # or the read would be found out at its end
    )


@found_within(40, "any skip-and-continue", "A read with a token does not look at what is parked")
def parked_not_looked_at():
    return rewritten(Lacking._meet, ("if found and self._refuse:", "if False:"))


@found_within(
    400,
    "Marten #4041; commanded",
    "Waiting begins by sleeping: who comes after the last event waits for the next",
)
def wake_up_missed():
    async def wait(self, after: int) -> int:
        await self.inner._grown.wait()
        return await self.inner.wait(after)

    return all_of(replaced(runner, "LOOK_AGAIN_S", 1e9), replaced(SimulatedLog, "wait", wait))


# ---------------------------------------------------------------------------------------- commands


@found_within(20, "any retry without a key", "A command id is not recorded with its append")
def command_id_not_recorded():
    def record(*_, **__) -> CommandRecord | None:
        return None

    return replaced(FirstAnswers, "record", record)


@found_within(20, "Eventuous", "An inline projection that is behind stays behind")
def inline_only_of_some():
    return rewritten(
        InlineProjections.join,
        (
            "await _bring(plan, decoder, rows, transaction, head)",
            "await _bring(plan, decoder, rows, transaction, head - 1)",
        ),
    )
