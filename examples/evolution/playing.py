"""Playing the same orders at a stage, and asking it the same questions."""

from __future__ import annotations

import contextlib
import statistics
import time
from typing import Any

import msgspec

from diptych import App, CommandEnvelope, Done, Rejection, Token
from diptych_examples.shop.queries.cart_pages import GetCart
from diptych_examples.shop.replay.rules import script_of
from diptych_examples.shop.replay.running import Replay
from diptych_examples.shop.replay.source import Source

from .epilogue import IDS, epilogue, left_carts
from .questions import questions_about

__all__ = ["Decisions", "Played", "play"]

_WITHIN_S = 60.0


class Played(msgspec.Struct, frozen=True):
    """What a stage made of the orders, and how long it took.

    `decisions` says of every command, by its id, why it was rejected; '' when it was accepted.
    `answers` stand in the order of `questions`.
    """

    decisions: dict[str, str]
    questions: list[Any]
    answers: list[Any]
    commands_per_s: float
    read_your_write_ms: float


class Decisions:
    """Middleware that notes what became of every command that has an id."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    async def __call__(self, envelope: CommandEnvelope, proceed: Any) -> Done:
        """Dispatch, and note."""
        reason = ""
        try:
            done: Done = await proceed(envelope)
        except Rejection as rejection:
            reason = f"{rejection.code}: {rejection}"
            raise
        finally:
            if envelope.command_id is not None:
                self.reasons[envelope.command_id] = reason
        return done


async def play(app: App, source: Source, decisions: Decisions, in_flight: int = 64) -> Played:
    """Replay the whole file, then the epilogue, then ask everything with the token of the end.

    `app` has `decisions` among its middleware, and an empty database. Raises what a dispatch or a
    question raises.
    """
    async with app:
        replay = Replay(app, script_of(source), in_flight)
        await replay.start()
        await replay.run()
        seconds = replay.run_seconds
        reads = [await _read_your_write(app, *one) for one in left_carts(source)]
        for command_id, command in epilogue(source):
            await _decided(app, command_id, command)
        questions = questions_about(source, IDS)
        token = await app.head_token()
        answers = [await _asked(app, question, token) for question in questions]
    return Played(
        decisions.reasons,
        questions,
        answers,
        round(replay.commands / seconds, 1),
        round(statistics.median(reads) * 1_000, 2),
    )


async def _decided(app: App, command_id: str, command: Any) -> None:
    with contextlib.suppress(Rejection):  # the middleware has noted it
        await app.dispatch(command, id=command_id)


async def _read_your_write(app: App, command_id: str, command: Any) -> float:
    """Seconds from the answer of a command to a screen that shows it."""
    done = await app.dispatch(command, id=command_id)
    began = time.perf_counter()
    page = await app.ask(GetCart(command.cart_id), after=done, within_s=_WITHIN_S)
    seconds = time.perf_counter() - began
    if page is None or page.pieces != command.quantity:
        raise AssertionError(f"{command.cart_id} shows {page}, and not what was just put into it")
    return seconds


async def _asked(app: App, question: Any, token: Token) -> Any:
    return await app.ask(question, after=token, within_s=_WITHIN_S)
