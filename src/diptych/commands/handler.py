"""What happens to a command: load, decide, append. The heart of the left panel."""

from __future__ import annotations

from typing import Any

from diptych.commands.cache import StateCache, StreamGate
from diptych.commands.envelope import CommandEnvelope, Done
from diptych.commands.idempotency import FirstAnswers
from diptych.commands.purity import Purity
from diptych.commands.recording import Recorder
from diptych.commands.repository import Held, Repository
from diptych.environment import Environment
from diptych.errors import Rejection, VersionConflict
from diptych.events.log import Append, EventLog, StreamAppend
from diptych.events.token import Token
from diptych.failpoints import armed, failpoint

__all__ = ["MAX_ATTEMPTS", "Deciding", "Tools", "UnexpectedVersion", "unexpected"]

MAX_ATTEMPTS = 20
"""How often a command is decided again after another process was first."""


class UnexpectedVersion(VersionConflict):
    """The caller expected another version; deciding again would not help."""


def unexpected(stream: str, envelope: CommandEnvelope, held: Held) -> UnexpectedVersion:
    """What to raise when a stream does not stand where the caller expected it."""
    expected = envelope.expected_version
    return UnexpectedVersion(
        f"{stream} stands at version {held.version}, the command expected {expected}. Look at it "
        "again and decide anew.",
        stream=stream,
        expected=expected,
        actual=held.version,
    )


class Tools:
    """What every command handler of one application shares."""

    def __init__(
        self,
        log: EventLog,
        recorder: Recorder,
        answers: FirstAnswers,
        environment: Environment,
        cache: StateCache,
    ) -> None:
        self.log = log
        self.recorder = recorder
        self.answers = answers
        self.environment = environment
        self.cache = cache
        self.gate = StreamGate()
        self.purity = Purity()

    async def back_off(self, attempt: int) -> None:
        """Wait a little before deciding again: at random, so that two rivals do not meet again."""
        longest = min(0.001 * 2**attempt, 0.05)
        await self.environment.sleep(self.environment.random.random() * longest)


class Deciding:
    """Handles the commands of one decider, whichever repository keeps its state."""

    def __init__(self, repository: Repository, tools: Tools) -> None:
        self._repository = repository
        self._decider = repository.decider
        self._tools = tools
        self._key = repository.decider.key

    async def __call__(self, envelope: CommandEnvelope) -> Done:
        """Load the state, decide, append what was decided.

        Decides again when another process was first, unless the caller expected a version. Raises
        Rejection, ConflictError, MessageError, StoreError, and whatever the decision raises; then
        nothing was written (but for the record of a rejection whose caller gave an id).
        """
        stream = self._decider.stream(getattr(envelope.command, self._key))
        gate = self._tools.gate
        await gate.enter(stream)
        try:
            for attempt in range(MAX_ATTEMPTS):
                try:
                    return await self._attempt(stream, envelope)
                except VersionConflict:
                    if envelope.expected_version is not None or attempt == MAX_ATTEMPTS - 1:
                        raise
                    await self._tools.back_off(attempt)
        finally:
            gate.leave(stream)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self, stream: str, envelope: CommandEnvelope) -> Done:
        if armed:
            await failpoint("command.before_load", command=envelope.command)
        # 1. Load. The state is ours alone until it is put back.
        cached = self._tools.cache.take(stream)
        if cached is not None and envelope.expected_version is not None:
            cached = await self._repository.catch_up(stream, cached)
        held = cached or await self._repository.load(stream)
        if envelope.expected_version not in (None, held.version):
            return await self._unexpected(stream, held, envelope)
        if armed:
            await failpoint("command.before_decide", command=envelope.command)
        # 2. Decide.
        decided = self._decide(envelope, held)
        if cached is not None and (isinstance(decided, Rejection) or not decided):
            # Nobody checks the version of a command that writes nothing, so look whether the cached
            # state still is the present one before "no" or "nothing to do" is believed.
            held = await self._repository.catch_up(stream, cached)
            if held.version != cached.version:
                decided = self._decide(envelope, held)
        if isinstance(decided, Rejection):
            return await self._reject(stream, held, envelope, decided)
        # 3. Append.
        return await self._append(stream, held, decided, envelope)

    def _decide(self, envelope: CommandEnvelope, held: Held) -> tuple[Any, ...] | Rejection:
        try:
            return self._decider.events_of(envelope.command, held.state)
        except Rejection as rejection:
            return rejection

    async def _unexpected(self, stream: str, held: Held, envelope: CommandEnvelope) -> Done:
        # The stream may have left the expected version because of this very command.
        first = await self._tools.answers.known(envelope)
        if first is not None:
            return await self._tools.answers.again(envelope, first)
        raise unexpected(stream, envelope, held)

    async def _reject(
        self, stream: str, held: Held, envelope: CommandEnvelope, rejection: Rejection
    ) -> Done:
        self._tools.cache.put(stream, held)
        record = self._tools.answers.record(envelope, rejection=rejection)
        if record is not None:
            if armed:
                await failpoint("command.before_append", command=envelope.command)
            done = await self._tools.log.append(Append(command=record))
            if armed:
                await failpoint("command.before_answer", command=envelope.command)
            if done.repeated is not None:
                return await self._tools.answers.again(envelope, done.repeated)
        raise rejection

    async def _append(
        self, stream: str, held: Held, events: tuple[Any, ...], envelope: CommandEnvelope
    ) -> Done:
        tools = self._tools
        record = tools.answers.record(envelope, stream, held.version + len(events))
        if not events and record is None:
            tools.cache.put(stream, held)
            return Done(
                Token(tools.log.identity, 0, stream, held.version), (), stream, held.version
            )
        stored = tools.recorder.record(events, envelope)
        state = held.state
        for event in events:
            state = self._decider.evolved(state, event)
        after = Held(state, held.version + len(events))
        if armed:
            await failpoint("command.before_append", command=envelope.command)
        done = await tools.log.append(
            Append(
                (StreamAppend(stream, held.version, stored),),
                None,
                self._repository.snapshots(stream, held.version, after),
                record,
                tools.environment.time_us(),
            )
        )
        if armed:
            await failpoint("command.before_answer", command=envelope.command)
        if done.repeated is not None:
            return await tools.answers.again(envelope, done.repeated)
        tools.cache.put(stream, after)
        token = Token(tools.log.identity, done.last, stream, after.version)
        return Done(token, events, stream, after.version)
