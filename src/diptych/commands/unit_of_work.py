"""A unit of work: several streams, or events by type and tag, decided on and written at once."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple

from diptych.commands.decider import Decider
from diptych.commands.envelope import CommandEnvelope, Done
from diptych.commands.handler import Tools, unexpected
from diptych.commands.promise import Promises
from diptych.commands.repository import Held, Repository
from diptych.commands.table_deciding import Repeated
from diptych.commands.table_repository import TableHeld, TableRepository
from diptych.commands.tables import TableTransaction
from diptych.commands.tags import check_tags
from diptych.errors import ConfigurationError, Rejection
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import ANY_VERSION, Append, Appended, Snapshot, StreamAppend
from diptych.events.recording import events_by_stream
from diptych.events.token import Token
from diptych.messages.envelope import Envelope
from diptych.messages.registry import Registry, place_of

__all__ = ["UnitOfWork"]

_PAGE = 1_000


class _Kept(NamedTuple):
    """What a unit of work loaded from tables."""

    key: object
    held: TableHeld
    repository: TableRepository


class UnitOfWork:
    """What a function handler loads, looks at and records; committed when the handler returns.

    Everything it loaded must still stand where it stood, or the append fails and the handler is
    called again. So a handler may be called more than once: let it do nothing to the outside. An
    expected version is that of the first stream it loads.
    """

    def __init__(
        self,
        envelope: CommandEnvelope,
        repositories: Mapping[Any, Repository],
        registry: Registry,
        tools: Tools,
        transaction: TableTransaction | None = None,
        *,
        keep_events: bool = True,
    ) -> None:
        self.envelope = envelope
        self._transaction = transaction
        self._keep_events = keep_events
        self._kept: dict[str, _Kept] = {}
        self._named: dict[str, list[Any]] = {}
        self._repositories = repositories
        self._registry = registry
        self._tools = tools
        self._loaded: dict[str, Held] = {}
        self._owner: dict[str, Repository] = {}
        self._recorded: dict[str, list[Any]] = {}
        self._filters: list[EventFilter] = []
        self._seen = -1
        self._pictures: dict[str, bytes | None] = {}
        self._promises = Promises()

    async def load(self, kind: Any, key: object) -> Any:
        """The state of an aggregate (by class) or decider, with what was recorded so far.

        To look at, not to change: a change that no event tells of is refused when it is noticed.
        """
        stream, held = await self._hold(kind, key)
        picture = self._tools.purity.picture(type(self.envelope.command), held.state)
        self._pictures.setdefault(stream, picture)
        return held.state

    def decide(self, kind: Any, key: object, command: Any) -> Awaitable[tuple[Any, ...]]:
        """Let an aggregate decide, record what follows, and return it. Raises Rejection."""
        return self._promises.give(self._decide(kind, key, command))

    def record(self, kind: Any, key: object, *events: Any) -> Awaitable[None]:
        """Record events in the stream of an aggregate or decider."""
        return self._promises.give(self._record(kind, key, events))

    async def _decide(self, kind: Any, key: object, command: Any) -> tuple[Any, ...]:
        stream, held = await self._hold(kind, key)
        events = self._owner[stream].decider.events_of(command, held.state)
        self._evolve(stream, events)
        return events

    async def _record(self, kind: Any, key: object, events: Sequence[Any]) -> None:
        stream, _ = await self._hold(kind, key)
        self._evolve(stream, events)

    async def events(self, types: Sequence[type] = (), tags: Sequence[str] = ()) -> list[Envelope]:
        """All events of these types that carry all these tags (`"course_id:42"`), oldest first.

        The append then fails, and the handler is called again, if one more appears meanwhile.
        """
        if not self._keep_events:
            raise ConfigurationError(
                "no event is kept (keep_events=False), so none can be decided on: ask the tables."
            )
        check_tags(self._registry, types, tags)
        names = tuple(self._registry.of(cls).identity.name for cls in types)
        wanted = EventFilter(names, tuple(tags))
        if self._seen < 0:
            # What may have been added after this moment is what the append condition looks at.
            self._seen = await self._tools.log.head()
        self._filters.append(wanted)
        found: list[Envelope] = []
        after = 0
        while page := await self._tools.log.read(after, _PAGE, (wanted,)):
            for one in page:
                event = self._registry.decode(one.type, one.schema, one.data)
                found.append(Envelope(event, one))
            after = page[-1].position
        return found

    def add(self, events: Sequence[Any]) -> None:
        """Record events in the streams that they name themselves, as a handler returned them.

        Raises ConfigurationError for an event without a stream. For whoever called the handler.
        """
        for stream, named in events_by_stream(self._registry, events).items():
            if stream in self._loaded:
                owner = self._owner[stream].decider.name
                raise ConfigurationError(
                    f"{stream} is a stream of {owner}, which this unit of work has loaded: record "
                    f"there by await work.record({owner}, key, event)."
                )
            self._named[stream] = named

    async def commit(self) -> Done:
        """Append everything recorded, all or nothing, streams in the order of their first event.

        Called by whoever called the handler, who calls `remember` once it is all durable. Raises
        Repeated when the command was answered before; then nothing must be committed.
        """
        self._promises.check()
        for stream in list(self._pictures):
            self._check_picture(stream)
        tools, envelope = self._tools, self.envelope
        events = [event for several in self._recorded.values() for event in several]
        events += [event for several in self._named.values() for event in several]
        stream = next(iter((*self._recorded, *self._named)), "")
        version = self._after(stream).version if stream in self._loaded else 0
        if not version and stream and envelope.expected_version is not None:
            version = envelope.expected_version + len(self._named[stream])
        now_us = tools.environment.time_us()
        preludes = await self._save(now_us)
        streams = await self._streams()
        record = tools.answers.record(envelope, stream, version)
        position = 0
        if streams or record is not None or (self._of_many_moments and self._filters):
            for prelude in preludes:
                await self._append(prelude)
            append = Append(streams, self._condition(), self._snapshots(), record, now_us)
            done = await self._append(append)
            if done.repeated is not None:
                raise Repeated(done.repeated)
            position = done.last
        # A token of several streams names none of them: it speaks for all.
        alone = len({*self._recorded, *self._named}) <= 1
        token = Token(tools.log.identity, position, *((stream, version) if alone else ()))
        return Done(token, tuple(events), stream, version)

    @property
    def expects_of_unseen(self) -> bool:
        """Whether an expected version is about a stream that was written without being loaded."""
        return bool(self._named) and not self._loaded

    def remember(self) -> None:
        """Keep in memory what is durable now, for the next command."""
        for name in self._loaded.keys() - self._kept.keys():
            self._tools.cache.put(name, self._after(name))

    async def reject(self, rejection: Rejection) -> Done:
        """Confirm that what was loaded still stands, then raise `rejection` (or its first answer).

        Raises VersionConflict or AppendConditionFailed when it does not: then the handler was
        refused by a world that never was, and must look again.
        """
        record = self._tools.answers.record(self.envelope, rejection=rejection)
        if record is not None or self._of_many_moments:
            seen = tuple(
                StreamAppend(name, expected, ())
                for name in self._loaded
                if (expected := self._expected(name)) is not None
            )
            done = await self._tools.log.append(Append(seen, self._condition(), command=record))
            if done.repeated is not None:
                return await self._tools.answers.again(self.envelope, done.repeated)
        raise rejection

    async def _save(self, now_us: int) -> list[Append]:
        """Write what follows to the tables; what is to be appended before anything else."""
        preludes: list[Append] = []
        for stream, events in self._recorded.items():
            if stream not in self._kept:
                continue
            key, held, repository = self._kept[stream]
            assert self._transaction is not None  # noqa: S101  for the type checker
            after = self._after(stream)
            await repository.save_in(self._transaction, key, held, events, after)
            if prelude := repository.prelude(stream, held, self._tools.recorder, now_us):
                preludes.append(prelude)
        return preludes

    async def _streams(self) -> tuple[StreamAppend, ...]:
        """What was recorded, and the version of what was only looked at."""
        record = self._tools.recorder.record
        made: list[StreamAppend] = []
        for name in [*self._recorded, *(n for n in self._loaded if n not in self._recorded)]:
            recorded = self._recorded.get(name, [])
            # What was looked at in one moment needs no check when nothing depends on it.
            if (expected := self._expected(name)) is None or not (recorded or self._checks):
                continue
            if recorded and name in self._kept:
                expected += len(self._kept[name].held.prelude)
            made.append(StreamAppend(name, expected, record(recorded, self.envelope)))
        for number, (name, events) in enumerate(self._named.items()):
            if not self._keep_events and not await self._tools.log.read_stream(name, 0, 1):
                continue
            first = number == 0 and not self._loaded
            wanted = self.envelope.expected_version if first else None
            expected = ANY_VERSION if wanted is None else wanted
            made.append(StreamAppend(name, expected, record(events, self.envelope)))
        return tuple(made)

    @property
    def _checks(self) -> bool:
        return (
            bool(self._recorded or self._named)
            or self._of_many_moments
            or (self.envelope.command_id is not None)
        )

    def _expected(self, stream: str) -> int | None:
        """Where a loaded stream must stand; None for one that has not begun and shall not."""
        kept = self._kept.get(stream)
        return self._loaded[stream].version if kept is None else kept.held.expected

    def _snapshots(self) -> tuple[Snapshot, ...]:
        made: list[Snapshot] = []
        for name in self._recorded:
            if name not in self._kept:
                before = self._loaded[name].version
                made += self._owner[name].snapshots(name, before, self._after(name))
        return tuple(made)

    async def _append(self, append: Append) -> Appended:
        if self._transaction is not None and self._transaction.used:
            return await self._transaction.append(append)
        return await self._tools.log.append(append)

    @property
    def _of_many_moments(self) -> bool:
        # One stream is read in one moment; several may never have stood so together.
        return len(self._loaded) + len(self._filters) > 1

    def _condition(self) -> AppendCondition | None:
        return AppendCondition(tuple(self._filters), self._seen) if self._filters else None

    async def _hold(self, kind: Any, key: object) -> tuple[str, Held]:
        repository = self._repository(kind)
        stream = repository.decider.stream(key)
        if stream not in self._loaded:
            held = await self._load(repository, stream, key)
            self._check_expected(stream, held)
            self._owner[stream] = repository
            self._loaded[stream] = held
        return stream, self._after(stream)

    async def _load(self, repository: Repository, stream: str, key: object) -> Held:
        if isinstance(repository, TableRepository):
            assert self._transaction is not None  # noqa: S101  for the type checker
            found = await repository.load_in(self._transaction, key)
            self._kept[stream] = _Kept(key, found, repository)
            return Held(found.state, found.version)
        cached = self._tools.cache.take(stream)
        if cached is None:
            return await repository.load(stream)
        return await repository.catch_up(stream, cached)

    def _check_expected(self, stream: str, held: Held) -> None:
        expected = self.envelope.expected_version
        if self._loaded or expected in (None, held.version):
            return  # the expected version is that of the first stream
        raise unexpected(stream, self.envelope, held)

    def _repository(self, kind: Any) -> Repository:
        try:
            return self._repositories[kind]
        except KeyError:
            raise ConfigurationError(
                f"{place_of(kind)} is no aggregate or decider of this application: "
                "list it in App(...)."
            ) from None

    def _check_picture(self, stream: str) -> None:
        before = self._pictures.pop(stream, None)
        place = f"the handler of {type(self.envelope.command).__name__}"
        self._tools.purity.compare(before, self._loaded[stream].state, place)

    def _evolve(self, stream: str, events: Sequence[Any]) -> None:
        self._check_picture(stream)
        decider: Decider[Any] = self._owner[stream].decider
        held = self._loaded[stream]
        state = held.state
        for event in events:
            state = decider.evolved(state, event)
        # The version stays the loaded one: it is what the append expects.
        self._loaded[stream] = Held(state, held.version)
        if events:
            self._recorded.setdefault(stream, []).extend(events)

    def _after(self, stream: str) -> Held:
        held = self._loaded[stream]
        return Held(held.state, held.version + len(self._recorded.get(stream, ())))
