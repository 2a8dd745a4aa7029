"""The parts of an application, sorted by what they are and checked against each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_origin

from diptych.commands.aggregate import Aggregate, decider_of
from diptych.commands.decider import Decider
from diptych.errors import ConfigurationError
from diptych.events.handler import EventHandler, HandlerSpec, handler_spec_of
from diptych.messages.injection import FunctionSpec, function_spec
from diptych.messages.kinds import Command, Event, Query
from diptych.messages.registry import Registry, place_of
from diptych.messages.upcaster import Upcaster
from diptych.queries.projection import Plan, Projection, SqlProjection, plan_of
from diptych.queries.read_model import snake_case
from diptych.queries.reader import Reader, SqlReader
from diptych.queries.view import View, view_plan_of

__all__ = ["Parts"]


class Parts:
    """Everything listed in App(...), sorted. Raises ConfigurationError naming both places when two
    parts claim the same command, query, read model, stream name or event name.
    """

    def __init__(self, parts: Iterable[Any], max_message_bytes: int) -> None:
        self.deciders: dict[Any, Decider[Any]] = {}
        self.plans: dict[type, Plan] = {}
        self.event_handlers: dict[type, HandlerSpec] = {}
        self.command_functions: list[FunctionSpec] = []
        self.query_functions: list[FunctionSpec] = []
        upcasters: list[Upcaster] = []
        for part in parts:
            if isinstance(part, Upcaster):
                upcasters.append(part)
            else:
                self._sort(part)
        self.registry = Registry(upcasters, max_message_bytes)
        self._register_events()
        self.registry.check()
        self.commands = self._command_owners()
        self.queries = self._query_owners()
        self._check_names()

    def plan_for(self, thing: Any) -> Plan:
        """The plan of a projection class, or of the projection that fills a read model class."""
        plan = self.plans.get(thing)
        if plan is not None:
            return plan
        for one in self.plans.values():
            if one.shape is not None and one.shape.model is thing:
                return one
        raise ConfigurationError(f"{place_of(thing)} is no projection of this application.")

    def _sort(self, part: Any) -> None:
        if isinstance(part, Decider):
            self.deciders[part] = part
        elif isinstance(part, type) and issubclass(part, Aggregate):
            self.deciders[part] = decider_of(part)
        elif isinstance(part, type) and issubclass(part, Projection | SqlProjection):
            self.plans[part] = plan_of(part)
        elif isinstance(part, type) and issubclass(part, View):
            self.plans[part] = view_plan_of(part)
        elif isinstance(part, type) and issubclass(part, EventHandler):
            self.event_handlers[part] = handler_spec_of(part)
        elif callable(part) and not isinstance(part, type):
            self._sort_function(function_spec(part))
        else:
            raise ConfigurationError(
                f"{part!r} is nothing an application is made of. List aggregates, deciders, "
                "projections, views, event handlers, upcasters, and functions that take a command "
                "or a query."
            )

    def _sort_function(self, spec: FunctionSpec) -> None:
        reads = any(get_origin(wanted) in (Reader, SqlReader) for _, wanted in spec.wants)
        if all(issubclass(one, Query) for one in spec.messages) or (
            reads and not any(issubclass(one, Command) for one in spec.messages)
        ):
            self.query_functions.append(spec)
        elif any(issubclass(one, Query | Event) for one in spec.messages):
            raise ConfigurationError(
                f"{place_of(spec.function)} takes {spec.messages[0].__name__}: a function handler "
                "takes commands or queries, not both; events are folded by a projection, and "
                "handled by an EventHandler."
            )
        elif reads:
            raise ConfigurationError(
                f"{place_of(spec.function)} handles a command but wants a Reader. A command "
                "decides on the write model: work.load(...), because read models may be behind."
            )
        else:
            self.command_functions.append(spec)

    def _register_events(self) -> None:
        for decider in self.deciders.values():
            for cls in decider.event_types:
                self.registry.add(cls)
        for plan in self.plans.values():
            for cls in (*plan.steps, *plan.refreshed_after):
                self.registry.add(cls)
        for spec in self.event_handlers.values():
            for cls in spec.calls:
                self.registry.add(cls)

    def _command_owners(self) -> dict[type, Decider[Any] | FunctionSpec]:
        owners: dict[type, Decider[Any] | FunctionSpec] = {}
        places: dict[type, Any] = {}
        for decider in self.deciders.values():
            for command, decide in decider.decide.items():
                _claim(places, command, decide, "is handled twice")
                owners[command] = decider
        for spec in self.command_functions:
            for command in spec.messages:
                _claim(places, command, spec.function, "is handled twice")
                owners[command] = spec
        return owners

    def _query_owners(self) -> dict[type, FunctionSpec]:
        owners: dict[type, FunctionSpec] = {}
        places: dict[type, Any] = {}
        for spec in self.query_functions:
            for query in spec.messages:
                _claim(places, query, spec.function, "is answered twice")
                owners[query] = spec
        return owners

    def _check_names(self) -> None:
        streams: dict[str, Any] = {}
        for owner, decider in self.deciders.items():
            other = streams.setdefault(decider.name, owner)
            if other is not owner:
                raise ConfigurationError(
                    f"two write models call their streams {decider.name!r}: {place_of(other)} and "
                    f"{place_of(owner)}. Give one another name."
                )
        filled: dict[Any, Any] = {snake_case(one.__name__): one for one in self.event_handlers}
        if len(filled) < len(self.event_handlers):
            raise ConfigurationError("two event handlers have the same name: each has one mark.")
        for projection, plan in self.plans.items():
            names = [plan.name, *([plan.shape.model] if plan.shape else plan.table.tables)]
            for name in names:
                other = filled.setdefault(name, projection)
                if other is not projection:
                    raise ConfigurationError(
                        f"two projections fill {getattr(name, '__name__', name)!r}: "
                        f"{place_of(other)} and {place_of(projection)}. A read model has one."
                    )


def _claim(places: dict[type, Any], message: type, place: Any, what: str) -> None:
    other = places.setdefault(message, place)
    if other is not place:
        raise ConfigurationError(
            f"{message.__name__} {what}: by {place_of(other)} and by {place_of(place)}. Keep one."
        )
