"""A command handled by a plain function, `def` or `async def`, with what it wants by annotation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from diptych.commands.envelope import CommandEnvelope, Done
from diptych.commands.handler import MAX_ATTEMPTS, Tools, UnexpectedVersion
from diptych.commands.repository import Repository
from diptych.commands.unit_of_work import UnitOfWork
from diptych.environment import Environment
from diptych.errors import AppendConditionFailed, ConfigurationError, Rejection, VersionConflict
from diptych.messages.injection import FunctionSpec
from diptych.messages.registry import Registry, place_of

__all__ = ["FunctionHandler"]

_TURNSTILE = ""
"""No stream has this name: the gate that function handlers pass when they have met rivals."""


class FunctionHandler:
    """Handles commands by a function that works through a UnitOfWork (or only through resources).

    The function may want, by annotation: `UnitOfWork`, `CommandEnvelope`, `Environment`, and any
    class of which App(resources=[...]) holds an instance.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        repositories: Mapping[Any, Repository],
        registry: Registry,
        tools: Tools,
        resources: Mapping[type, Any],
    ) -> None:
        self._spec = spec
        self._repositories = repositories
        self._registry = registry
        self._tools = tools
        self._fixed: dict[str, Any] = {}
        self._per_call: list[tuple[str, type]] = []
        for name, wanted in spec.wants:
            if wanted is UnitOfWork or wanted is CommandEnvelope:
                self._per_call.append((name, wanted))
            elif wanted is Environment:
                self._fixed[name] = tools.environment
            elif wanted in resources:
                self._fixed[name] = resources[wanted]
            else:
                raise ConfigurationError(
                    f"the parameter {name!r} of {place_of(spec.function)} wants {wanted!r}, and "
                    "nothing of that class was given: App(resources=[...])."
                )

    async def __call__(self, envelope: CommandEnvelope) -> Done:
        """Call the function and commit its unit of work; again when somebody else was first.

        Raises what the function raises; then nothing was written (but for the record of a rejection
        whose caller gave an id).
        """
        # Asked before the call, not after: a function may do more than decide.
        first = await self._tools.answers.known(envelope)
        if first is not None:
            return await self._tools.answers.again(envelope, first)
        gate = self._tools.gate
        if not gate.occupied(_TURNSTILE):
            try:
                return await self._attempt(envelope)
            except UnexpectedVersion:
                raise
            except (VersionConflict, AppendConditionFailed):
                pass  # somebody else was first
        # From now on one after the other: rivals of this process would beat each other for ever.
        await gate.enter(_TURNSTILE)
        try:
            return await self._persist(envelope)
        finally:
            gate.leave(_TURNSTILE)

    async def _persist(self, envelope: CommandEnvelope) -> Done:
        for attempt in range(MAX_ATTEMPTS):
            try:
                return await self._attempt(envelope)
            except UnexpectedVersion:
                raise
            except (VersionConflict, AppendConditionFailed):
                if attempt == MAX_ATTEMPTS - 1:
                    raise
                await self._tools.back_off(attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self, envelope: CommandEnvelope) -> Done:
        work = UnitOfWork(envelope, self._repositories, self._registry, self._tools)
        wanted = dict(self._fixed)
        for name, kind in self._per_call:
            wanted[name] = work if kind is UnitOfWork else envelope
        try:
            result = self._spec.call(envelope.command, wanted)
            if self._spec.waits or inspect.isawaitable(result):
                result = await result
        except Rejection as rejection:
            return await work.reject(rejection)
        if result is not None:
            raise ConfigurationError(
                f"{place_of(self._spec.function)} returned {result!r}. A command handler returns "
                "nothing; it records events: await work.record(Order, key, OrderPlaced(...))."
            )
        return await work.commit()
