"""A query handled by a plain function, `def` or `async def`, with its readers by annotation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, get_args, get_origin

from diptych.errors import ConfigurationError
from diptych.messages.injection import FunctionSpec
from diptych.messages.registry import place_of
from diptych.queries.lacking import Lacking
from diptych.queries.projection import Plan
from diptych.queries.reader import Reader, SqlReader
from diptych.queries.source import Source

__all__ = ["Elsewhere", "QueryHandler", "Unseen"]

Unseen = Callable[[Plan], Callable[[], Coroutine[Any, Any, Any]]]


class Elsewhere(Protocol):
    """Another place to read from: a replica, or rows that are not served yet."""

    def source(self, source: Source) -> Source:
        """Where a projection is read there."""


class QueryHandler:
    """Answers the queries of one function; `sources` are the projections it reads.

    The function may want, by annotation: `Reader[SomeReadModel]`, `SqlReader[SomeProjection]`, and
    any class of which App(resources=[...]) holds an instance.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        sources: Mapping[type, Source],
        resources: Mapping[type, Any],
    ) -> None:
        self.spec = spec
        self.sources: list[Source] = []
        self._readers: dict[str, tuple[Any, Source]] = {}
        self._fixed: dict[str, Any] = {}
        for name, wanted in spec.wants:
            self._want(name, wanted, sources, resources)

    async def answer(
        self,
        query: Any,
        unseen: Unseen | None = None,
        replica: Elsewhere | None = None,
        lacking: Mapping[str, Lacking] | None = None,
    ) -> Any:
        """Call the function. With `unseen`, readers also show what projections have not seen yet;
        with `replica`, they read there; with `lacking`, by projection, they tell what they lack.

        Raises what the function raises; ConfigurationError when own SQL is asked for unseen events.
        """
        wanted = self._fixed
        if unseen is not None or replica is not None or lacking:
            wanted = self._readers_for(unseen, replica, lacking or {})
        result = self.spec.call(query, wanted)
        return await result if self.spec.waits or inspect.isawaitable(result) else result

    def _readers_for(
        self, unseen: Unseen | None, replica: Elsewhere | None, lacking: Mapping[str, Lacking]
    ) -> dict[str, Any]:
        wanted = dict(self._fixed)
        for name, (kind, source) in self._readers.items():
            at = source if replica is None else replica.source(source)
            lacks = lacking.get(source.plan.name)
            if kind is Reader:
                wanted[name] = Reader(at, unseen and unseen(at.plan), lacks)
            elif unseen is None:
                wanted[name] = SqlReader(at, lacks)
            else:
                raise ConfigurationError(
                    f"{place_of(self.spec.function)} reads own SQL, which cannot show events "
                    "that its projection has not seen. Ask with after=token and within_s."
                )
        return wanted

    def _want(
        self,
        name: str,
        wanted: Any,
        sources: Mapping[type, Source],
        resources: Mapping[type, Any],
    ) -> None:
        kind = get_origin(wanted)
        if kind is Reader or kind is SqlReader:
            source = sources.get(get_args(wanted)[0])
            if source is None:
                raise ConfigurationError(
                    f"{place_of(self.spec.function)} reads {wanted}, and no projection of this "
                    "application fills it: list the projection in App(...)."
                )
            reader: Any = Reader(source) if kind is Reader else SqlReader(source)
            self._readers[name] = (kind, source)
            self._fixed[name] = reader
            self.sources.append(source)
        elif wanted in resources:
            self._fixed[name] = resources[wanted]
        else:
            raise ConfigurationError(
                f"the parameter {name!r} of {place_of(self.spec.function)} wants {wanted!r}: a "
                "query handler can have Reader[...], SqlReader[...], and what "
                "App(resources=[...]) holds."
            )
