"""A command handled by a plain function, `def` or `async def`, with what it wants by annotation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

from diptych.commands.decider import as_events
from diptych.commands.envelope import CommandEnvelope, Done
from diptych.commands.handler import MAX_ATTEMPTS, Tools, UnexpectedVersion
from diptych.commands.repository import Repository
from diptych.commands.rivals import check_worth_another_attempt
from diptych.commands.table_deciding import Repeated
from diptych.commands.tables import Tables, TableTransaction
from diptych.commands.unit_of_work import UnitOfWork
from diptych.environment import Environment
from diptych.errors import (
    ConfigurationError,
    ConflictError,
    Rejection,
    UnknownMessageType,
    VersionConflict,
)
from diptych.failpoints import armed, failpoint
from diptych.messages.annotations import is_message, members_of
from diptych.messages.injection import FunctionSpec
from diptych.messages.kinds import Event
from diptych.messages.registry import Registry, place_of

__all__ = ["FunctionHandler", "Ground", "returned_events"]

_TURNSTILE = ""
"""No stream has this name: the gate that function handlers pass when they have met rivals."""


class Ground(NamedTuple):
    """What function handlers stand on beside the log: what they may want, by class, and tables."""

    resources: Mapping[type, Any] = {}
    tables: Tables | None = None
    keep_events: bool = True


class FunctionHandler:
    """Handles commands by a function that works through a UnitOfWork, through the unit of work of
    an ORM, or only through resources; and that may return events which name their streams.

    The function may want, by annotation: `UnitOfWork`, `CommandEnvelope`, `Environment`, what the
    tables of the application are worked on by (`AsyncSession`), and any class of which
    App(resources=[...]) holds an instance.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        repositories: Mapping[Any, Repository],
        registry: Registry,
        tools: Tools,
        ground: Ground,
    ) -> None:
        self._spec = spec
        self._ground = ground
        self._repositories = repositories
        self._registry = registry
        self._tools = tools
        self._fixed: dict[str, Any] = {}
        self._per_call: list[tuple[str, type]] = []
        handle_type = ground.tables.handle_type if ground.tables else None
        for name, wanted in spec.wants:
            if wanted in (UnitOfWork, CommandEnvelope, handle_type):
                self._per_call.append((name, wanted))
            elif wanted is Environment:
                self._fixed[name] = tools.environment
            elif wanted in ground.resources:
                self._fixed[name] = ground.resources[wanted]
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
            except ConflictError as error:
                check_worth_another_attempt(error, 0)  # somebody else was first
        # From now on one after the other: rivals of this process would beat each other for ever.
        await gate.enter(_TURNSTILE)
        try:
            return await self._persist(envelope)
        finally:
            gate.leave(_TURNSTILE)

    async def _persist(self, envelope: CommandEnvelope) -> Done:
        for attempt in range(MAX_ATTEMPTS):
            # The rival may have been this very command, come twice.
            first = await self._tools.answers.known(envelope)
            if first is not None:
                return await self._tools.answers.again(envelope, first)
            try:
                return await self._attempt(envelope)
            except ConflictError as error:
                check_worth_another_attempt(error, attempt)
                await self._tools.back_off(attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self, envelope: CommandEnvelope) -> Done:
        _, tables, keep_events = self._ground
        work: UnitOfWork | None = None
        if armed:
            await failpoint("command.before_load", command=envelope.command)
        try:
            async with tables.begin() if tables else nullcontext() as transaction:
                work = UnitOfWork(
                    envelope,
                    self._repositories,
                    self._registry,
                    self._tools,
                    transaction,
                    keep_events=keep_events,
                )
                if armed:
                    await failpoint("command.before_decide", command=envelope.command)
                work.add(await self._call(envelope, work, transaction))
                if armed:
                    await failpoint("command.before_append", command=envelope.command)
                done = await self._commit(envelope, work)
        except Repeated as repeated:
            return await self._tools.answers.again(envelope, repeated.first)
        except Rejection as rejection:
            if work is None:
                raise
            return await work.reject(rejection)
        if armed:
            await failpoint("command.before_answer", command=envelope.command)
        work.remember()
        return done

    async def _call(
        self, envelope: CommandEnvelope, work: UnitOfWork, transaction: TableTransaction | None
    ) -> tuple[Any, ...]:
        """What the function returned, as events."""
        wanted = dict(self._fixed)
        for name, kind in self._per_call:
            if kind is UnitOfWork:
                wanted[name] = work
            elif kind is CommandEnvelope:
                wanted[name] = envelope
            elif transaction is not None:
                wanted[name] = transaction.handle
        result = self._spec.call(envelope.command, wanted)
        if self._spec.waits or inspect.isawaitable(result):
            result = await result
        if result is None:
            return ()
        try:
            events = as_events(result, self._spec.function)
            for event in events:
                self._registry.of(type(event))
        except UnknownMessageType as error:
            raise ConfigurationError(
                f"{place_of(self._spec.function)} returned {result!r}. A command handler returns "
                "nothing, or events that name their stream and stand in its annotation: "
                "-> OrderPlaced. Or it records them: await work.record(Order, key, "
                "OrderPlaced(...))."
            ) from error
        return events

    async def _commit(self, envelope: CommandEnvelope, work: UnitOfWork) -> Done:
        try:
            return await work.commit()
        except VersionConflict as error:
            if envelope.expected_version is not None and work.expects_of_unseen:
                # The caller's word, not something this handler saw: looking again would not help.
                raise UnexpectedVersion(error.message, **error.facts) from error
            raise


def returned_events(spec: FunctionSpec) -> tuple[type, ...]:
    """The event classes that the annotation of a command handler says it returns."""
    if spec.returns is inspect.Signature.empty:
        return ()
    return tuple(
        one for one in members_of(spec.returns) if is_message(one) and one not in (Event, object)
    )
