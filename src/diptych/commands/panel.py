"""The left panel of one application: every command's handler, and where state comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from diptych.commands.cache import StateCache
from diptych.commands.decider import Decider
from diptych.commands.dispatch import Dispatcher
from diptych.commands.envelope import CommandHandler, Middleware
from diptych.commands.function_handler import FunctionHandler
from diptych.commands.handler import Deciding, Tools
from diptych.commands.idempotency import FirstAnswers
from diptych.commands.recording import Recorder
from diptych.commands.repository import (
    EventSourcedRepository,
    StateStoredRepository,
)
from diptych.environment import Environment
from diptych.errors import ConfigurationError
from diptych.events.log import EventLog
from diptych.messages.catalog import Catalog
from diptych.messages.injection import FunctionSpec
from diptych.messages.registry import Registry, place_of

__all__ = ["LeftPanel", "LeftPanelOptions", "Owners"]

Owners = Mapping[type, Decider[Any] | FunctionSpec]
"""Who handles which command class."""


class LeftPanelOptions(NamedTuple):
    """How commands are handled; see App."""

    state_stored: Sequence[Any] = ()
    middleware: Sequence[Middleware] = ()
    resources: Mapping[type, Any] = {}
    cached_states: int = 10_000


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
        self._repositories: dict[Any, EventSourcedRepository] = {}

    def bind(self, deciders: Mapping[Any, Decider[Any]], owners: Owners) -> Dispatcher:
        """A dispatcher for these commands, whose deciders are listed under what the user gave."""
        for kind in self._options.state_stored:
            if kind not in deciders:
                raise ConfigurationError(
                    f"state_stored names {place_of(kind)}, which is not listed in App(...)."
                )
        self._repositories = {kind: self._repository(kind, one) for kind, one in deciders.items()}
        deciding = {id(one.decider): Deciding(one, self._tools) for one in self.repositories}
        handlers: dict[type, CommandHandler] = {}
        for command, owner in owners.items():
            if isinstance(owner, Decider):
                handlers[command] = deciding[id(owner)]
            else:
                handlers[command] = self._function_handler(owner)
        return Dispatcher(handlers, self._options.middleware)

    def forget(self) -> None:
        """Keep no state: the log is closed, and may be another one when it is opened again."""
        self._tools.cache.clear()

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
        if version is None:
            return (await repository.load(stream)).state
        return (await repository.load_at(stream, version)).state

    def _repository(self, kind: Any, decider: Decider[Any]) -> EventSourcedRepository:
        if kind in self._options.state_stored:
            return StateStoredRepository(decider, self._log, self._registry)
        return EventSourcedRepository(decider, self._log, self._registry)

    def _function_handler(self, spec: FunctionSpec) -> FunctionHandler:
        return FunctionHandler(
            spec, self._repositories, self._registry, self._tools, self._options.resources
        )
