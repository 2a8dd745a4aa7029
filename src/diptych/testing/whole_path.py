"""Given what happened, when a command, then events and answers: an application from end to end."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self

from diptych.application import App
from diptych.commands.envelope import CommandEnvelope, Done
from diptych.commands.recording import Recorder
from diptych.errors import ConfigurationError, Rejection
from diptych.events.log import ANY_VERSION, Append, StreamAppend
from diptych.testing.deciding import check_rejected
from diptych.testing.difference import differences, indented
from diptych.testing.recording import Recorded, check_stored

__all__ = ["PathAsk", "PathGiven", "PathScenario", "PathWhen"]


class PathScenario:
    """An application with an empty log; `async with` opens and closes it.

    Beyond what a scenario says it checks that a command given again with the same id has no second
    effect and gets the first answer again, that every projection comes to the head and ends with
    the rows that the log folded again gives, and that an answer which waits equals the answer
    folded on the spot.
    """

    def __init__(self, app: App, *, within_s: float = 5.0) -> None:
        self.app = app
        self._within_s = within_s
        self._story: list[str] = []
        self._commands = 0

    async def __aenter__(self) -> Self:
        await self.app.open()
        if await self.app.log.head():
            await self.app.close()
            raise ConfigurationError(
                f"a scenario begins with an empty log, but that of {self.app.name} holds events. "
                'Build the application for tests with write="memory://".'
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await self.app.settle(self._within_s)
                await self._verify()
        finally:
            await self.app.close()

    def given(self, *messages: Any) -> PathGiven:
        """Commands that were accepted and events that were recorded, in this order.

        An event goes to the stream of the one aggregate that knows it, unless
        `recorded(event, stream=...)` says another.
        """
        return PathGiven(self, messages)

    def when(self, command: Any, **about: Any) -> PathWhen:
        """A command; `about` is handed to `App.dispatch` (actor=, tenant=, expected_version=)."""
        return PathWhen(self, (), command, about)

    def ask(self, query: Any) -> PathAsk:
        """A query."""
        return PathAsk(self, (), query)

    async def _verify(self) -> None:
        found = await self.app.verify()
        wrong = [
            f"  {one.projection} {one.key!r}: {line}"
            for one in found.differences
            for line in differences(one.expected, one.kept)
        ]
        if not found.ok:
            self.fail("read models are not what the log folded again gives.", wrong)

    # -- doing -----------------------------------------------------------------------------------

    async def happen(self, messages: Sequence[Any]) -> None:
        """Bring about what was given."""
        for message in messages:
            self._story += indented("given", [message])
            if type(message) in self.app.parts.commands:
                await self.app.dispatch(message)
            else:
                await self._record(message)

    async def dispatched(self, command: Any, about: dict[str, Any]) -> Done | Rejection:
        """The first answer to a command, which must also be the second."""
        self._story += indented("when", [command])
        self._commands += 1
        about = {"id": f"scenario-command-{self._commands}", **about}
        first = await self._answered(command, about)
        again = await self._answered(command, about)
        if _about(first) != _about(again):
            self.fail(
                f"{type(command).__name__} with the same id got another answer the second time.",
                [f"  first {first!r}", f"  then  {again!r}"],
            )
        await self.app.settle(self._within_s)
        return first

    async def answered(self, query: Any) -> Any:
        """The answer to a query by read models that have seen everything."""
        self._story += indented("ask", [query])
        token = await self.app.head_token()
        answer = await self.app.ask(query, after=token, within_s=self._within_s)
        try:
            at_once = await self.app.ask(query, consistency="write_model")
        except ConfigurationError:
            return answer  # own SQL cannot be folded on the spot
        different = differences(answer, at_once)
        if different:
            self.fail(
                f"{type(query).__name__} is answered otherwise when the missing events are folded "
                "on the spot than when the read model has seen them.",
                different,
            )
        return answer

    def fail(self, what: str, lines: Sequence[str]) -> NoReturn:
        """Raise an AssertionError that tells the story so far."""
        raise AssertionError("\n".join([what, "", *self._story, "", *lines]))

    async def _answered(self, command: Any, about: dict[str, Any]) -> Done | Rejection:
        try:
            return await self.app.dispatch(command, **about)
        except Rejection as rejection:
            return rejection

    async def _record(self, given: Any) -> None:
        one = given if isinstance(given, Recorded) else Recorded(given)
        stream = one.stream or self._stream_of(one.event)
        check_stored(one.event)
        envelope = CommandEnvelope(None, None, one.actor, one.tenant)
        recorder = Recorder(self.app.parts.registry, self.app.environment)
        stored = recorder.record([one.event], envelope)
        await self.app.log.append(Append((StreamAppend(stream, ANY_VERSION, stored),)))

    def _stream_of(self, event: Any) -> str:
        knowing = [d for d in self.app.parts.deciders.values() if type(event) in d.event_types]
        if len(knowing) != 1 or not hasattr(event, knowing[0].key):
            names = ", ".join(decider.name for decider in knowing) or "none"
            raise ConfigurationError(
                f"whose event {event!r} is cannot be told (write models that know it: {names}). "
                'Give the command instead, or recorded(event, stream="Account-a").'
            )
        return knowing[0].stream(getattr(event, knowing[0].key))


class PathGiven:
    """What happened before. Next: `when`, `ask`, or `await` it as it is."""

    def __init__(self, scenario: PathScenario, messages: Sequence[Any]) -> None:
        self._scenario = scenario
        self._messages = messages

    def __await__(self) -> Generator[Any, None, None]:
        return self._scenario.happen(self._messages).__await__()

    def when(self, command: Any, **about: Any) -> PathWhen:
        """A command; `about` is handed to `App.dispatch` (actor=, tenant=, expected_version=)."""
        return PathWhen(self._scenario, self._messages, command, about)

    def ask(self, query: Any) -> PathAsk:
        """A query."""
        return PathAsk(self._scenario, self._messages, query)


class PathWhen:
    """A command about to be dispatched. Next: await `then`, `then_nothing` or `then_rejected`."""

    def __init__(
        self, scenario: PathScenario, given: Sequence[Any], command: Any, about: dict[str, Any]
    ) -> None:
        self._scenario = scenario
        self._given = given
        self._command = command
        self._about = about

    async def then(self, *events: Any) -> Done:
        """Exactly these events are recorded, in this order."""
        done = await self._dispatched()
        if isinstance(done, Rejection):
            self._fail(indented("then", events), f"rejected: {done}")
        wrong = differences(list(events), list(done.events), at="event")
        if wrong:
            self._fail(indented("then", events), *done.events, lines=wrong)
        return done

    async def then_nothing(self) -> Done:
        """The command is accepted and nothing is recorded."""
        return await self.then()

    async def then_rejected(self, *reasons: type[Rejection] | str, **facts: Any) -> Rejection:
        """The business says no: with this class, a sentence containing this text, these facts."""
        wanted = [one if isinstance(one, str) else one.__name__ for one in reasons]
        wanted += [f"{name}={value!r}" for name, value in facts.items()]
        story = indented("then", [f"rejected: {', '.join(wanted) or 'for any reason'}"])
        done = await self._dispatched()
        if not isinstance(done, Rejection):
            self._fail(story, *done.events)
        wrong = check_rejected(done, reasons, facts)
        if wrong:
            self._fail(story, repr(done), lines=wrong)
        return done

    async def _dispatched(self) -> Done | Rejection:
        await self._scenario.happen(self._given)
        return await self._scenario.dispatched(self._command, self._about)

    def _fail(self, expected: list[str], *actual: Any, lines: Sequence[str] = ()) -> NoReturn:
        name = type(self._command).__name__
        shown = [*expected, *indented("but", actual), "", *(f"  {line}" for line in lines)]
        self._scenario.fail(f"{name} was not answered as expected.", shown)


class PathAsk:
    """A query about to be asked. Next: await `gives`."""

    def __init__(self, scenario: PathScenario, given: Sequence[Any], query: Any) -> None:
        self._scenario = scenario
        self._given = given
        self._query = query

    async def gives(self, answer: Any) -> Any:
        """The query is answered by this, once its read models have seen everything."""
        await self._scenario.happen(self._given)
        found = await self._scenario.answered(self._query)
        wrong = differences(answer, found)
        if wrong:
            name = type(self._query).__name__
            shown = [*indented("gives", [answer]), *indented("but", [found]), "", *wrong]
            self._scenario.fail(f"{name} was not answered as expected.", shown)
        return found


def _about(answer: Done | Rejection) -> Any:
    if isinstance(answer, Rejection):
        return type(answer), answer.message
    return answer.token, list(answer.events), answer.stream, answer.version
