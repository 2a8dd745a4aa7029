"""What happens to a command whose write model is kept in tables: load, decide, save, append."""

from __future__ import annotations

from typing import Any

from diptych.commands.envelope import CommandEnvelope, Done
from diptych.commands.handler import MAX_ATTEMPTS, Tools, unexpected
from diptych.commands.repository import Held
from diptych.commands.rivals import check_worth_another_attempt
from diptych.commands.table_repository import TableHeld, TableRepository
from diptych.commands.tables import Tables, TableTransaction
from diptych.errors import ConflictError, Rejection
from diptych.events.log import Append, CommandRecord, StreamAppend
from diptych.events.token import Token

__all__ = ["Repeated", "TableDeciding"]


class Repeated(Exception):
    """The command was answered before: roll back, and give the first answer again."""

    def __init__(self, first: CommandRecord) -> None:
        super().__init__(first.command_id)
        self.first = first


class TableDeciding:
    """Handles the commands of one decider whose state is kept in tables.

    Rows and events are written in one transaction. Nothing is kept in memory between commands:
    others may write to the tables too, and loading is one statement.
    """

    def __init__(self, repository: TableRepository, tables: Tables, tools: Tools) -> None:
        self._repository = repository
        self._decider = repository.decider
        self._tables = tables
        self._tools = tools

    async def __call__(self, envelope: CommandEnvelope) -> Done:
        """Load the state, decide, save it, append what was decided.

        Decides again when somebody else was first. Raises what Deciding raises.
        """
        key = getattr(envelope.command, self._decider.key)
        stream = self._decider.stream(key)
        gate = self._tools.gate
        await gate.enter(stream)
        try:
            for attempt in range(MAX_ATTEMPTS):
                try:
                    return await self._attempt(key, envelope, attempt)
                except ConflictError as error:
                    check_worth_another_attempt(error, attempt)
                    await self._tools.back_off(attempt)
        finally:
            gate.leave(stream)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self, key: object, envelope: CommandEnvelope, attempt: int) -> Done:
        try:
            async with self._tables.begin() as transaction:
                return await self._decide_in(transaction, key, envelope, attempt)
        except Repeated as repeated:
            return await self._tools.answers.again(envelope, repeated.first)
        except Rejection as rejection:
            return await self._reject(envelope, rejection)

    async def _decide_in(
        self, transaction: TableTransaction, key: object, envelope: CommandEnvelope, attempt: int
    ) -> Done:
        if attempt and (first := await self._tools.answers.known(envelope)) is not None:
            raise Repeated(first)  # the rival was this very command, come twice
        # 1. Load. The append notices a row that is not what the log says; the next attempt looks.
        load, decide = self._repository.load_in, self._decider.events_of
        trust_row = (
            attempt == 0 and self._repository.keep_events and envelope.expected_version is None
        )
        held = await load(transaction, key, trust_row=trust_row)
        if envelope.expected_version not in (None, held.version):
            await self._raise_unexpected(key, held, envelope)
        # 2. Decide. "No" and "nothing to do" append nothing, so they are not believed of a row that
        # was only trusted.
        try:
            events = decide(envelope.command, held.state)
        except Rejection:
            if not trust_row:
                raise
            events = ()
        if trust_row and not events:
            held = await load(transaction, key)
            events = decide(envelope.command, held.state)
        # 3. Save and append.
        return await self._write(transaction, key, held, events, envelope)

    async def _write(
        self,
        transaction: TableTransaction,
        key: object,
        held: TableHeld,
        events: tuple[Any, ...],
        envelope: CommandEnvelope,
    ) -> Done:
        tools, stream = self._tools, self._decider.stream(key)
        state = held.state
        for event in events:
            state = self._decider.evolved(state, event)
        after = Held(state, held.version + len(events))
        record = tools.answers.record(envelope, stream, after.version)
        appends: list[Append] = []
        now_us = tools.environment.time_us()
        streams: tuple[StreamAppend, ...] = ()
        if events:
            await self._repository.save_in(transaction, key, held, events, after)
            prelude = self._repository.prelude(stream, held, tools.recorder, now_us)
            appends = [prelude] if prelude else []
            if held.expected is not None:
                stored = tools.recorder.record(events, envelope)
                streams = (StreamAppend(stream, held.expected + len(held.prelude), stored),)
        if streams or record is not None:
            appends.append(Append(streams, None, (), record, now_us))
        position = 0
        for append in appends:
            done = await transaction.append(append)
            if done.repeated is not None:
                raise Repeated(done.repeated)
            position = done.last
        token = Token(tools.log.identity, position, stream, after.version)
        return Done(token, events, stream, after.version)

    async def _raise_unexpected(
        self, key: object, held: TableHeld, envelope: CommandEnvelope
    ) -> None:
        # The stream may have left the expected version because of this very command.
        first = await self._tools.answers.known(envelope)
        if first is not None:
            raise Repeated(first)
        stream = self._decider.stream(key)
        raise unexpected(stream, envelope, Held(held.state, held.version))

    async def _reject(self, envelope: CommandEnvelope, rejection: Rejection) -> Done:
        record = self._tools.answers.record(envelope, rejection=rejection)
        if record is not None:
            done = await self._tools.log.append(Append(command=record))
            if done.repeated is not None:
                return await self._tools.answers.again(envelope, done.repeated)
        raise rejection
