"""Leases with fences: of several processes, one moves a projection, and a stopped one does no harm.

Safety never rests on time. Whoever moves a projection writes with the epoch of its lease, and the
store refuses an older epoch (ReadStore G11): a process that was stopped, and goes on after another
has taken over, changes nothing. Time only decides when to take over: who wants the lease writes a
question into it, and its holder answers. A holder that leaves a question unanswered for
`ANSWER_WITHIN_S` (longer where the store is slow), on the clock of the one who waits, is given up.
No clocks are compared, and as long as nobody asks, nothing is written.

A holder whose process has certainly ended on this machine is not asked. One that closes lets go.
A holder that is asked by one with fewer leases gives it one, until they are about even.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from diptych.environment import Environment
from diptych.errors import LeaseLost, StoreError
from diptych.failpoints import armed, failpoint
from diptych.queries.standings import CheckpointInfo, Lease, LeaseSwap, Standings
from diptych.sync.terms import Terms, read_terms, write_terms

__all__ = ["ANSWER_WITHIN_S", "TEND_EVERY_S", "Leases", "held", "holding"]

TEND_EVERY_S = 0.2
"""How often leases are looked at: to take what is free, and to answer."""

ASK_EVERY_S = 0.4
"""How long the answer to a question of one's own is believed; that of somebody else half as long,
so that all who wait have their turn at asking, and at being given a lease."""

ANSWER_WITHIN_S = 0.9
"""How long a holder may leave a question unanswered. A take-over from a process that was stopped,
or killed on another machine, takes at most this, ASK_EVERY_S, and TEND_EVERY_S twice: 1.7 s."""

LOOKS = 4
"""How much longer a holder may take, in looks at a slow store: it has to read the question and to
write its answer, and who waits has to read that."""

HANGS_S = 5.0
"""A look at a store that takes longer is given up and begun anew: on another connection."""

LET_GO_WITHIN_S = 1.0
"""How long closing waits for a store that does not answer; the lease is then taken, not given."""

CAREFUL_FOR = 25_000
"""How many events after a crash are looked at as what may have caused it: the largest batch."""

_log = logging.getLogger("diptych")


class Leases:
    """The leases of some projections of one store, as one of those who want them sees them.

    With `shares` False none is taken but by `seize`: that is for somebody who mends something by
    hand, and `why` is shown to those who wait. One that does not `fits` (name, where it stands) is
    not taken, and let go of. One that is to be given to another is given if it `gives` (name). What
    is taken is noted to be made of `log` (its identity).
    """

    def __init__(
        self,
        store: Standings,
        projections: Sequence[str],
        environment: Environment,
        *,
        shares: bool = True,
        why: str = "",
        fits: Callable[[str, CheckpointInfo], bool] = lambda _, __: True,
        gives: Callable[[str], bool] = lambda _: True,
        log: str = "",
    ) -> None:
        self.owner = f"{environment.process}/{environment.new_id()[-6:]}"
        self.held: dict[str, int] = {}
        self.terms: dict[str, Terms] = {}
        self._seen: dict[str, Lease] = {}
        self._store = store
        self._projections = tuple(projections)
        self._environment = environment
        self._shares = shares
        self._fits = fits
        self._gives = gives
        self._why = why
        self._log = log
        self._stood: dict[str, tuple[tuple[int, str, bool], float]] = {}
        self._given: Counter[str] = Counter()
        self._confirmed_s = environment.monotonic_s()
        self._look_s = 0.0
        self._turn = asyncio.Lock()

    async def keep(self, seen: Callable[[Mapping[str, CheckpointInfo]], None]) -> None:
        """Tend for ever, telling `seen` what was found; a store that fails is asked again.

        Who cannot confirm what it holds, because the store fails or does not answer, holds nothing
        (and says so, finding nothing) before anybody else could rightly take it.
        """
        loop = asyncio.get_running_loop()
        while True:
            left_s = self._confirmed_s + self._patience_s() - self._environment.monotonic_s()
            doubt = loop.call_later(max(left_s, 0.0), self._give_up, seen)
            try:
                async with asyncio.timeout(HANGS_S):
                    found = await self.tend()
            except Exception as error:  # noqa: BLE001  whatever it is, somebody must go on looking
                if not isinstance(error, StoreError | TimeoutError):
                    _log.exception("the leases of %s cannot be looked at", self._projections)
                if self._environment.monotonic_s() - self._confirmed_s > self._patience_s():
                    self._give_up(seen)
            else:
                seen(found)
            finally:
                doubt.cancel()
            await self._environment.sleep(TEND_EVERY_S)

    async def tend(self) -> dict[str, CheckpointInfo]:
        """Look once: take what is free, ask, answer, give; what was found before that.

        Afterwards `held` has the epochs of what is held. Raises StoreError.
        """
        async with self._turn:
            started = self._environment.monotonic_s()
            found = await self._store.checkpoints(self._projections)
            for name, info in found.items():
                self._look(name, info.lease)
            self._given.clear()
            wanted = [(name, self._wanted(name, info)) for name, info in found.items()]
            await self._swap([LeaseSwap(n, found[n].lease, to) for n, to in wanted if to])
            self._confirmed_s = started
            self._look_s = self._environment.monotonic_s() - started
            return found

    async def seize(self) -> None:
        """Take all of them, whoever holds them: a runner stands aside until they are let go.

        Raises LeaseLost when there is no such projection (any more), StoreError.
        """
        async with self._turn:
            for name in self._projections:
                refused: Lease | None = None
                while name not in self.held:
                    found = (await self._store.checkpoint(name)).lease
                    if found == refused == Lease():  # nobody has it, and yet it cannot be taken
                        raise _not_there(name)
                    self._look(name, found)
                    taken = self._taken(found.epoch, self.terms[name])
                    refused = found
                    await self._swap([LeaseSwap(name, found, taken)])

    async def note(self, projection: str, **facts: int) -> None:
        """Write facts into the terms of a lease that is held. Raises LeaseLost, StoreError."""
        await self._rewrite(projection, 0, facts)

    async def renew(self, projection: str, why: str) -> int:
        """Go on under a new epoch, for another reason; the epoch. Raises LeaseLost, StoreError.

        Whoever has seen the old one can tell that what was done under it lies behind.
        """
        self._why = why
        await self._rewrite(projection, 1, {"why": why})
        return self._seen[projection].epoch

    async def _rewrite(self, projection: str, later: int, facts: Mapping[str, Any]) -> None:
        async with self._turn:
            while projection in self.held:
                lease = self._seen[projection]
                terms = msgspec.structs.replace(read_terms(lease), **facts)
                after = write_terms(lease.epoch + later, terms)
                if await self._swap([LeaseSwap(projection, lease, after)]):
                    return
                self._look(projection, (await self._store.checkpoint(projection)).lease)
        raise LeaseLost(
            f"the lease of {projection} was lost to {self.holder(projection) or 'nobody'}.",
            projection=projection,
            epoch=None,
            actual=self._seen[projection].epoch if projection in self._seen else None,
        )

    async def release(self) -> None:
        """Let go of everything that is held, and withdraw the questions that nobody has answered:
        who has left must not be given a lease. Raises StoreError.
        """
        async with self._turn:
            left = True
            while left:
                found = await self._store.checkpoints(self._projections)
                swaps: list[LeaseSwap] = []
                for name, info in found.items():
                    self._look(name, info.lease)
                    after = self._left(info.lease.epoch, self.terms[name])
                    if after is not None:
                        swaps.append(LeaseSwap(name, info.lease, after))
                left = await self._swap(swaps) < len(swaps)

    def holder(self, projection: str) -> str:
        """Who held it when it was last looked at; '' for nobody."""
        return self.terms.get(projection, Terms()).owner

    async def _swap(self, swaps: Sequence[LeaseSwap]) -> int:
        """Swap, and remember what has become so; how many did."""
        if not swaps:
            return 0
        if armed:
            await failpoint("lease.before_swap", swaps=swaps)
        done = await self._store.swap_leases(swaps)
        if armed:
            await failpoint("lease.after_swap", swaps=swaps)
        for swap, swapped in zip(swaps, done, strict=True):
            if swapped:
                self._look(swap.projection, swap.after)
        return sum(done)

    def _look(self, projection: str, lease: Lease) -> None:
        terms = read_terms(lease)
        self._seen[projection], self.terms[projection] = lease, terms
        if terms.owner == self.owner:
            self.held[projection] = lease.epoch
        else:
            self.held.pop(projection, None)

    def _give_up(self, seen: Callable[[Mapping[str, CheckpointInfo]], None]) -> None:
        self.held.clear()
        seen({})

    def _patience_s(self) -> float:
        """How long a question may stand: the answer of a holder that lives has come by then."""
        return ANSWER_WITHIN_S + LOOKS * self._look_s

    def _wanted(self, projection: str, info: CheckpointInfo) -> Lease | None:
        """What the lease should become; None: what it is."""
        epoch, terms = info.lease.epoch, self.terms[projection]
        fits = self._fits(projection, info)
        if terms.owner == self.owner:
            return self._answered(projection, epoch, terms) if fits else _free(epoch, terms)
        if not self._shares or not fits:
            return None
        if not terms.owner:
            return self._taken(epoch, terms)
        waits = terms.asked != terms.answered
        waited_s = self._waited_s(projection, epoch, terms)
        gone = self._environment.is_gone(terms.owner.rpartition("/")[0])
        if gone or (waits and waited_s > self._patience_s()):
            return self._taken(epoch, _after_a_crash(terms, info.position))
        believed_s = ASK_EVERY_S if self._is_mine(terms.asked) else ASK_EVERY_S / 2
        # Who has fewer may ask in the place of another: the one who asks is given something.
        asks = len(self.held) < terms.owns if waits else waited_s > believed_s
        if not asks and terms.asked:
            return None
        question = f"{self.owner}?{self._environment.new_id()[-6:]}"
        asking = msgspec.structs.replace(terms, asked=question, owns=len(self.held))
        self._waited_s(projection, epoch, asking)
        return write_terms(epoch, asking)

    def _taken(self, epoch: int, terms: Terms) -> Lease:
        mine = msgspec.structs.replace(
            terms,
            owner=self.owner,
            why=self._why,
            asked="",
            answered="",
            owns=0,
            log=self._log or terms.log,
        )
        return write_terms(epoch + 1, mine)

    def _answered(self, projection: str, epoch: int, terms: Terms) -> Lease | None:
        if terms.asked == terms.answered:
            return None
        asker = terms.asked.rpartition("?")[0]
        # It may have got some since it asked.
        has = max(terms.owns, sum(each.owner == asker for each in self.terms.values()))
        keeps = len(self.held) - self._given.total()
        uneven = self._shares and keeps - has - self._given[asker] > 1
        if uneven and self._gives(projection):
            self._given[asker] += 1
            given = msgspec.structs.replace(terms, owner=asker, asked="", answered="", owns=0)
            return write_terms(epoch + 1, given)
        return write_terms(epoch, msgspec.structs.replace(terms, answered=terms.asked))

    def _left(self, epoch: int, terms: Terms) -> Lease | None:
        """What the lease should become when this one leaves; None: what it is."""
        if terms.owner == self.owner:
            return _free(epoch, terms)
        if self._is_mine(terms.asked) and terms.asked != terms.answered:
            return write_terms(epoch, msgspec.structs.replace(terms, asked="", answered="", owns=0))
        return None

    def _is_mine(self, question: str) -> bool:
        return question.rpartition("?")[0] == self.owner

    def _waited_s(self, projection: str, epoch: int, terms: Terms) -> float:
        """For how long it has been answered, or unanswered, as it is now: on our own clock."""
        state = epoch, terms.answered, terms.asked != terms.answered
        now = self._environment.monotonic_s()
        known, since = self._stood.get(projection, (state, now))
        if known != state:
            since = now
        self._stood[projection] = (state, since)
        return now - since


def _not_there(projection: str) -> LeaseLost:
    return LeaseLost(
        f"{projection} is not there (any more): its rows were dropped, and others are read in "
        "their place. Nothing was written; try again.",
        projection=projection,
        epoch=None,
        actual=0,
    )


def _free(epoch: int, terms: Terms) -> Lease:
    """The lease once its holder has let go; what a crash had left behind is forgotten."""
    free = Terms(asked=terms.asked, answered=terms.answered, owns=terms.owns, log=terms.log)
    return write_terms(epoch + 1, free)


def _after_a_crash(terms: Terms, position: int) -> Terms:
    """The terms after a holder has ended without letting go."""
    again = position < terms.suspect
    return msgspec.structs.replace(
        terms,
        crashes=terms.crashes + 1 if again else 1,
        suspect=terms.suspect if again else position + CAREFUL_FOR,
        tried=terms.tried + 1 if position < terms.trying else 0,
    )


@asynccontextmanager
async def held(
    store: Standings, projection: str, environment: Environment, why: str
) -> AsyncIterator[int]:
    """Hold the lease of a projection while something is done to it by hand; gives the epoch.

    It is taken from whoever has it, who stands aside meanwhile and goes on afterwards. Write with
    the epoch: where somebody else takes the lease, that raises LeaseLost and changes nothing.
    """
    async with holding(store, projection, environment, why) as leases:
        yield leases.held[projection]


@asynccontextmanager
async def holding(
    store: Standings, projection: str, environment: Environment, why: str, log: str = ""
) -> AsyncIterator[Leases]:
    """The same, giving the lease itself, to note facts in it.

    Give the identity of the `log` where the rows are to be made of that one from now on.
    """
    leases = Leases(store, [projection], environment, shares=False, why=why, log=log)
    await leases.seize()
    keeping = asyncio.create_task(leases.keep(lambda _: None), name=f"lease of {projection}")
    try:
        yield leases
    finally:
        keeping.cancel()
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(LET_GO_WITHIN_S):
                await leases.release()
