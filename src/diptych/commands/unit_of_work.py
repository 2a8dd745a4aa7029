"""A unit of work: several streams, or events by type and tag, decided on and written at once."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from diptych.commands.decider import Decider
from diptych.commands.envelope import CommandEnvelope, Done
from diptych.commands.handler import Tools, unexpected
from diptych.commands.repository import Held, Repository
from diptych.errors import ConfigurationError, Rejection
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append, Snapshot, StreamAppend
from diptych.events.token import Token
from diptych.messages.envelope import Envelope
from diptych.messages.registry import Registry, place_of

__all__ = ["UnitOfWork"]

_PAGE = 1_000
A = TypeVar("A")


class _Promise(Generic[A]):
    """A coroutine that remembers whether it was awaited."""

    __slots__ = ("awaited", "coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, A]) -> None:
        self.coroutine = coroutine
        self.awaited = False

    def __await__(self) -> Generator[Any, Any, A]:
        self.awaited = True
        return self.coroutine.__await__()


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
    ) -> None:
        self.envelope = envelope
        self._repositories = repositories
        self._registry = registry
        self._tools = tools
        self._loaded: dict[str, Held] = {}
        self._owner: dict[str, Repository] = {}
        self._recorded: dict[str, list[Any]] = {}
        self._filters: list[EventFilter] = []
        self._seen = -1
        self._pictures: dict[str, bytes | None] = {}
        self._promises: list[_Promise[Any]] = []

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
        return self._promise(self._decide(kind, key, command))

    def record(self, kind: Any, key: object, *events: Any) -> Awaitable[None]:
        """Record events in the stream of an aggregate or decider."""
        return self._promise(self._record(kind, key, events))

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
        self._check_tags(types, tags)
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

    async def commit(self) -> Done:
        """Append everything recorded, all or nothing, streams in the order of their first event.

        Called by whoever called the handler.
        """
        self._check_promises()
        for stream in list(self._pictures):
            self._check_picture(stream)
        tools, envelope = self._tools, self.envelope
        streams: list[StreamAppend] = []
        snapshots: list[Snapshot] = []
        events: list[Any] = []
        stream, version = "", 0
        for name in [*self._recorded, *(n for n in self._loaded if n not in self._recorded)]:
            before, recorded = self._loaded[name], self._recorded.get(name, [])
            stored = tools.recorder.record(recorded, envelope)
            streams.append(StreamAppend(name, before.version, stored))
            if recorded:
                after = self._after(name)
                snapshots += self._owner[name].snapshots(name, before.version, after)
                events += recorded
                if not stream:
                    stream, version = name, after.version
        record = tools.answers.record(envelope, stream, version)
        if not events and record is None and not self._of_many_moments:
            return Done(Token(tools.log.identity, 0, stream, version))
        done = await tools.log.append(
            Append(
                tuple(streams),
                self._condition(),
                tuple(snapshots),
                record,
                tools.environment.time_us(),
            )
        )
        if done.repeated is not None:
            return await tools.answers.again(envelope, done.repeated)
        for name in self._loaded:
            tools.cache.put(name, self._after(name))
        token = Token(tools.log.identity, done.last, stream, version)
        return Done(token, tuple(events), stream, version)

    async def reject(self, rejection: Rejection) -> Done:
        """Confirm that what was loaded still stands, then raise `rejection` (or its first answer).

        Raises VersionConflict or AppendConditionFailed when it does not: then the handler was
        refused by a world that never was, and must look again.
        """
        record = self._tools.answers.record(self.envelope, rejection=rejection)
        if record is not None or self._of_many_moments:
            seen = tuple(StreamAppend(n, h.version, ()) for n, h in self._loaded.items())
            done = await self._tools.log.append(Append(seen, self._condition(), command=record))
            if done.repeated is not None:
                return await self._tools.answers.again(self.envelope, done.repeated)
        raise rejection

    def _promise(self, coroutine: Coroutine[Any, Any, A]) -> Awaitable[A]:
        promise = _Promise(coroutine)
        self._promises.append(promise)
        return promise

    def _check_promises(self) -> None:
        forgotten = [one for one in self._promises if not one.awaited]
        for one in forgotten:
            one.coroutine.close()
        if forgotten:
            raise ConfigurationError(
                "work.record(...) or work.decide(...) was called and not awaited, so nothing would "
                "have been recorded: await it."
            )

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
            cached = self._tools.cache.take(stream)
            if cached is None:
                held = await repository.load(stream)
            else:
                held = await repository.catch_up(stream, cached)
            self._check_expected(stream, held)
            self._owner[stream] = repository
            self._loaded[stream] = held
        return stream, self._after(stream)

    def _check_tags(self, types: Sequence[type], tags: Sequence[str]) -> None:
        # A tag that no event carries would find nothing, and the condition would forbid nothing.
        if isinstance(tags, str):
            raise ConfigurationError(f"tags is a list: work.events(tags=[{tags!r}]).")
        known = [self._registry.of(cls).identity for cls in types] or [
            one.identity for one in self._registry
        ]
        fields = sorted({field for one in known for field in one.tags})
        for tag in tags:
            if tag.partition(":")[0] not in fields or ":" not in tag:
                among = ", ".join(one.name for one in known)
                raise ConfigurationError(
                    f"no event is tagged {tag!r}: a tag is field:value, and {among} have the tag "
                    f"fields {', '.join(fields) or 'none'}. Name the field in tags=(...) of the "
                    "event's class."
                )

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
