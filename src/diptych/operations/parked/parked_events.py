"""What is parked in an application: what there is, retry, skip."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from diptych.errors import CheckpointMoved, ConfigurationError, LeaseLost
from diptych.operations.parked.entries import ParkedKey, shown
from diptych.operations.parked.groups import Group, error_of, grouped
from diptych.queries.parked import Lane, Parked
from diptych.queries.read_store import Change
from diptych.queries.source import Source
from diptych.sync.calling import HandlerSource
from diptych.sync.calling_again import CallAgain
from diptych.sync.hinge import Hinge
from diptych.sync.lease import held
from diptych.sync.retry import Retried, Retry, waiting_of

__all__ = ["ParkedEvents", "Skipped"]

_ATTEMPTS = 20
_LONGEST_PAUSE_S = 0.2


class Skipped(msgspec.Struct, frozen=True):
    """The event that was skipped, and what became of its followers."""

    entry: Parked
    followers: Retried


class ParkedEvents:
    """What is parked of the projections in `sources`, and what can be done about it.

    A projection is named by its name or its class's. Everything that writes takes the lease of the
    projection: its runner, in whichever process, stands aside meanwhile and goes on afterwards. Two
    who retry the same at once do no harm. `opened` opens the stores, where they are not yet.
    """

    def __init__(
        self,
        hinge: Hinge,
        sources: Callable[[], Sequence[Source]],
        opened: Callable[[], Awaitable[None]],
    ) -> None:
        self._hinge = hinge
        self._sources = sources
        self._opened = opened

    async def groups(self, projection: str | None = None) -> list[Group]:
        """What waits, by projection and error; of one projection, if given. Raises StoreError."""
        await self._opened()
        found: list[Group] = []
        for source in self._chosen(projection):
            name = source.plan.name
            found += grouped(name, await source.store.parked(name))
        return found

    async def entries(self, projection: str, key: str | None = None) -> list[ParkedKey]:
        """What waits for each key, or for one: its event, why it failed, what follows it.

        Raises StoreError.
        """
        await self._opened()
        source = self._named(projection)
        keys = None if key is None else [key]
        entries = await source.store.parked(source.plan.name, keys)
        return await shown(self._hinge.log, self._hinge.registry, source.plan.name, entries)

    async def skipped(self, projection: str | None = None) -> list[tuple[str, Parked]]:
        """What was skipped for good, by projection: with who did it, and the reason."""
        await self._opened()
        return [
            (source.plan.name, one)
            for source in self._chosen(projection)
            for one in await source.store.parked(source.plan.name)
            if not one.waits
        ]

    async def retry(
        self,
        projection: str | None = None,
        key: str | None = None,
        error: str | None = None,
        *,
        dry_run: bool = False,
    ) -> list[Retried]:
        """Fold again what waits: all of it, of one projection, one key, or one group.

        `error` is a group's error as `groups` says it. Each key is folded in order, from its row as
        it stands, up to the first event that fails again; that one waits on, with its new error. A
        `dry_run` folds, says what would happen, and writes nothing; what the store would refuse it
        cannot know. The handlers run in this process: so does what they do to it.

        Raises CheckpointMoved and LeaseLost when others were faster each time, StoreError; what was
        written before is as good as done, and retrying again goes on from there.
        """
        await self._opened()
        done: list[Retried] = []
        for source in self._chosen(projection):
            lanes = await self._lanes(source, key, error)
            if lanes:
                done += await self._retry(source, lanes, dry_run=dry_run)
        return done

    async def skip(
        self,
        projection: str,
        key: str,
        position: int,
        *,
        reason: str,
        actor: str,
        dry_run: bool = False,
    ) -> Skipped:
        """Have the first event that waits for `key` never folded into it, then retry its followers.

        It stays recorded as skipped, with the reason and who said so, and a rebuild leaves it out,
        too. `key` may be the name of a stream that is parked as a whole: then the event has no
        effect on any row. A `dry_run` tells what would be skipped, and writes nothing.

        Raises ConfigurationError for an empty reason and for an event that is not the first one of
        its key; otherwise as `retry`.
        """
        if not reason.strip():
            raise ConfigurationError(
                f"skipping {key!r} at position {position} needs a reason: it is all that will be "
                "known of why this event has no effect."
            )
        await self._opened()
        source = self._named(projection)
        entry = await self._first(source, key, position)
        told = msgspec.structs.replace(
            entry,
            because="skipped",
            reason=reason.strip(),
            actor=actor,
            at_us=self._hinge.environment.time_us(),
        )
        if not dry_run:
            await self._write(source, told)
        lanes = [] if dry_run else [entry.lane]
        found = await self._retry(source, lanes) if lanes else []
        left = 0
        if dry_run:
            name = source.plan.name
            left = len(waiting_of(await source.store.parked(name, [key]))[entry.lane]) - 1
        nothing = Retried(source.plan.name, key, entry.by_stream, left=left)
        return Skipped(told, found[0] if found else nothing)

    async def _write(self, source: Source, told: Parked) -> None:
        name = source.plan.name
        moved: CheckpointMoved | LeaseLost | None = None
        for _ in range(_ATTEMPTS):
            try:
                async with held(
                    source.store, name, self._hinge.environment, "an event is skipped"
                ) as epoch:
                    await self._first(source, told.key, told.position)
                    at = (await source.store.checkpoint(name)).position
                    await source.store.apply([Change(name, at, at, epoch=epoch, parked=[told])])
                    return
            except (CheckpointMoved, LeaseLost) as error:
                moved = error
                await self._pause()
        assert moved is not None  # noqa: S101  each attempt has failed
        raise moved

    async def _retry(
        self, source: Source, lanes: Collection[Lane], *, dry_run: bool = False
    ) -> list[Retried]:
        if dry_run:
            trial = self._retrying(source, None, writes=False)
            await trial.run(lanes)
            return list(trial.done.values())
        done: dict[Lane, Retried] = {}
        moved: CheckpointMoved | LeaseLost | None = None
        for _ in range(_ATTEMPTS):
            async with held(
                source.store,
                source.plan.name,
                self._hinge.environment,
                "what is parked is retried",
            ) as epoch:
                retry = self._retrying(source, epoch)
                try:
                    await retry.run([lane for lane in lanes if lane not in done])
                except (CheckpointMoved, LeaseLost) as error:
                    moved = error
                else:
                    return [*done.values(), *retry.done.values()]
                finally:
                    done.update(retry.done)
            await self._pause()
        assert moved is not None  # noqa: S101  each attempt has failed
        raise moved

    def _retrying(
        self, source: Source, epoch: int | None, *, writes: bool = True
    ) -> Retry | CallAgain:
        hinge = self._hinge
        if isinstance(source, HandlerSource):
            return CallAgain(hinge, source, epoch, writes=writes)
        return Retry(
            hinge.log, hinge.registry, source.store, source.plan, epoch=epoch, writes=writes
        )

    async def _lanes(self, source: Source, key: str | None, error: str | None) -> list[Lane]:
        keys = None if key is None else [key]
        waiting = waiting_of(await source.store.parked(source.plan.name, keys))
        return [
            lane for lane, found in waiting.items() if error is None or error_of(found[0]) == error
        ]

    async def _first(self, source: Source, key: str, position: int) -> Parked:
        """The entry at `position`, which must be the first of its lane."""
        name = source.plan.name
        firsts = [one[0] for one in waiting_of(await source.store.parked(name, [key])).values()]
        for first in firsts:
            if first.position == position:
                return first
        where = (
            f"the first event that waits for it is at position {firsts[0].position}"
            if firsts
            else "nothing waits for it"
        )
        raise ConfigurationError(
            f"{name} cannot skip position {position} of {key!r}: {where}. What follows keeps its "
            "order, so only the first event of a key can be skipped."
        )

    async def _pause(self) -> None:
        environment = self._hinge.environment
        await environment.sleep(environment.random.random() * _LONGEST_PAUSE_S)

    def _chosen(self, projection: str | None) -> list[Source]:
        if projection is not None:
            return [self._named(projection)]
        return [one for one in self._sources() if one.plan.table.view is None]

    def _named(self, projection: str) -> Source:
        sources = self._chosen(None)
        for one in sources:
            if projection in (one.first.name, one.plan.name, one.plan.projection.__name__):
                return one
        names = ", ".join(one.first.name for one in sources) or "none"
        raise ConfigurationError(f"there is no projection {projection!r}; there is {names}.")
