"""The left panel of one application: every command's handler, and where state comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from diptych.commands.cache import StateCache
from diptych.commands.decider import Decider
from diptych.commands.dispatch import Dispatcher
from diptych.commands.envelope import CommandHandler, Middleware
from diptych.commands.function_handler import FunctionHandler, Ground, returned_events
from diptych.commands.genesis import Begun, GenesisProgress, begin_streams
from diptych.commands.handler import Deciding, Tools
from diptych.commands.idempotency import FirstAnswers
from diptych.commands.recording import Recorder
from diptych.commands.repository import (
    EventSourcedRepository,
    StateStoredRepository,
)
from diptych.commands.table_deciding import TableDeciding
from diptych.commands.table_repository import TableRepository
from diptych.commands.tables import Tables
from diptych.environment import Environment
from diptych.errors import ConfigurationError
from diptych.events.guarded import GuardedLog
from diptych.events.log import EventLog
from diptych.messages.catalog import Catalog
from diptych.messages.injection import FunctionSpec
from diptych.messages.kinds import identity_of
from diptych.messages.registry import Registry, no_stream, place_of

__all__ = ["LeftPanel", "LeftPanelOptions", "Owners"]

Owners = Mapping[type, Decider[Any] | FunctionSpec]
"""Who handles which command class."""


class LeftPanelOptions(NamedTuple):
    """How commands are handled; see App."""

    state_stored: Sequence[Any] = ()
    middleware: Sequence[Middleware] = ()
    resources: Mapping[type, Any] = {}
    cached_states: int = 10_000
    tables: Tables | None = None
    keep_events: bool = True


class LeftPanel:
    """Binds deciders and functions to the log. Raises ConfigurationError for what cannot work."""

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        environment: Environment,
        catalog: Catalog,
        options: LeftPanelOptions,
    ) -> None:
        self._log = log
        self._registry = registry
        self._options = options
        self._tools = Tools(
            log,
            Recorder(registry, environment),
            FirstAnswers(log, registry, catalog),
            environment,
            StateCache(options.cached_states),
        )
        log.when_in_doubt(self._tools.cache.clear)
        self._repositories: dict[Any, EventSourcedRepository] = {}

    def bind(self, deciders: Mapping[Any, Decider[Any]], owners: Owners) -> Dispatcher:
        """A dispatcher for these commands, whose deciders are listed under what the user gave."""
        for kind in self._options.state_stored:
            if kind not in deciders:
                raise ConfigurationError(
                    f"state_stored names {place_of(kind)}, which is not listed in App(...)."
                )
        self._check_tables(deciders)
        self._repositories = {kind: self._repository(kind, one) for kind, one in deciders.items()}
        deciding = {id(one.decider): self._deciding(one) for one in self.repositories}
        handlers: dict[type, CommandHandler] = {}
        for command, owner in owners.items():
            if isinstance(owner, Decider):
                handlers[command] = deciding[id(owner)]
            else:
                handlers[command] = self._function_handler(owner)
        return Dispatcher(handlers, self._options.middleware)

    async def open(self) -> None:
        """Make ready to connect to tables, if there are any."""
        if self._options.tables is not None:
            await self._options.tables.open()

    async def close(self) -> None:
        """Keep no state: the log is closed, and may be another one when it is opened again."""
        self._tools.cache.clear()
        if self._options.tables is not None:
            await self._options.tables.close()

    def guard(self, stream: str, believed: Callable[[], int]) -> None:
        """Write only while `stream` stands at the version that `believed` gives.

        From now on a command raises GuardMoved, and has written nothing, when it does not.
        """
        guarded = GuardedLog(self._log, stream, believed)
        self._tools.log = guarded
        if self._options.tables is not None:
            self._options.tables.guard(guarded)

    @property
    def table_kinds(self) -> Collection[Any]:
        """The aggregates and deciders that are kept in tables."""
        return self._options.tables.kinds if self._options.tables else ()

    @property
    def keeps_events(self) -> bool:
        """Whether what is decided is recorded in the log."""
        return self._options.keep_events

    @property
    def repositories(self) -> Sequence[EventSourcedRepository]:
        """One per decider."""
        return list(self._repositories.values())

    async def load(self, kind: Any, key: object, version: int | None) -> Any:
        """See App.load."""
        repository = self._repositories.get(kind)
        if repository is None:
            raise ConfigurationError(
                f"{place_of(kind)} is no aggregate or decider of this application: list it in "
                "App(...)."
            )
        stream = repository.decider.stream(key)
        if version is None and isinstance(repository, TableRepository):
            return (await repository.look_up(key)).state
        if version is None:
            return (await repository.load(stream)).state
        return (await repository.load_at(stream, version)).state

    async def begin_streams(
        self,
        kind: Any,
        *,
        after: object | None = None,
        progress: GenesisProgress | None = None,
    ) -> Begun:
        """Append the genesis of every row in the table of `kind` that has no events yet.

        For rows written before events were kept, while commands keep arriving. Stopped and called
        again (perhaps `after` the last key reported), it goes on. Raises ConfigurationError.
        """
        repository = self._repositories.get(kind)
        tables = self._options.tables
        if tables is None or not isinstance(repository, TableRepository):
            raise ConfigurationError(
                f"{place_of(kind)} is not kept in tables, so its streams have begun with its first "
                "events. Name it in tables=[...] to begin streams for rows."
            )
        return await begin_streams(repository, tables, self._tools, after=after, progress=progress)

    def _check_tables(self, deciders: Mapping[Any, Decider[Any]]) -> None:
        options = self._options
        kinds = self.table_kinds
        for kind in kinds:
            if kind not in deciders:
                raise ConfigurationError(
                    f"tables= keeps {place_of(kind)}, which is not listed in App(...)."
                )
            if kind in options.state_stored:
                raise ConfigurationError(
                    f"{place_of(kind)} is kept in tables and named in state_stored: its state "
                    "would stand in two places. Keep one."
                )
        for kind in deciders:
            if not options.keep_events and kind not in kinds:
                raise ConfigurationError(
                    f"{place_of(kind)} would be forgotten: no event is kept (keep_events=False), "
                    "and it has no table. Give it one in tables=[...]."
                )

    def _repository(self, kind: Any, decider: Decider[Any]) -> EventSourcedRepository:
        options = self._options
        if options.tables is not None and kind in options.tables.kinds:
            return TableRepository(
                kind,
                decider,
                self._log,
                self._registry,
                options.tables,
                keep_events=options.keep_events,
            )
        if kind in options.state_stored:
            return StateStoredRepository(decider, self._log, self._registry)
        return EventSourcedRepository(decider, self._log, self._registry)

    def _deciding(self, repository: EventSourcedRepository) -> CommandHandler:
        if isinstance(repository, TableRepository) and self._options.tables is not None:
            return TableDeciding(repository, self._options.tables, self._tools)
        return Deciding(repository, self._tools)

    def _function_handler(self, spec: FunctionSpec) -> FunctionHandler:
        for cls in returned_events(spec):
            if not identity_of(cls).stream:
                raise no_stream(cls)
            self._registry.add(cls)
        options = self._options
        return FunctionHandler(
            spec,
            self._repositories,
            self._registry,
            self._tools,
            Ground(options.resources, options.tables, options.keep_events),
        )
