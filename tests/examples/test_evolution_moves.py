"""The running shop moves from one model to read models of its own, and on to event sourcing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from diptych.evolution import Evolution
from diptych_examples.evolution import stage1, stage3, stage5
from diptych_examples.evolution.comparing import first_difference
from diptych_examples.evolution.epilogue import IDS, epilogue, left_carts
from diptych_examples.evolution.ground import Server, ground_for
from diptych_examples.evolution.playing import Decisions, Played
from diptych_examples.evolution.questions import questions_about
from diptych_examples.evolution.stages import STAGES
from diptych_examples.evolution.walking import expected_of
from diptych_examples.shop.demo import default_source
from diptych_examples.shop.rejections import Rejection
from diptych_examples.shop.replay.rules import script_of
from diptych_examples.shop.replay.running import Replay
from diptych_examples.shop.replay.source import read_source

pytestmark = pytest.mark.timeout(600)


@asynccontextmanager
async def orders_arriving(shop: Evolution, source) -> AsyncIterator[Replay]:
    """The replay goes on where it was, in the background, and is broken off in the end."""
    replay = Replay(shop, script_of(source), 16)
    await replay.start()
    task = asyncio.create_task(replay.run())
    try:
        yield replay
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def some_more(replay: Replay, commands: int = 300) -> None:
    wanted = replay.commands + commands
    async with asyncio.timeout(300):
        while replay.commands < wanted and not replay.finished:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)


async def test_the_shop_moves_while_orders_arrive_and_nothing_is_lost(postgres):
    source = read_source(default_source(sample=True))
    expected = await expected_of(source)
    probes = [one for one in expected.questions if not hasattr(one, "limit")][::40]
    decisions = Decisions()
    noted = {"middleware": [decisions]}
    (stage,) = (one for one in STAGES if one.name == "3")
    async with ground_for(stage, Server(postgres.primary, "")) as places:
        url = places.write
        one, three = stage1.shop_at(url, **noted), stage3.shop_at(url, **noted)
        async with Evolution("shop", old=one, new=three) as shop:
            async with orders_arriving(shop, source) as replay:
                await some_more(replay)
            # In this shop a list has the newest order on top, and genesis tells the orders by
            # their numbers: while it does, no order may arrive.
            await shop.begin_shadow()
            async with orders_arriving(shop, source) as replay:
                await some_more(replay)
                assert not (await shop.compare(probes)).different
                await shop.cut_over(probes)
                await some_more(replay)
                await shop.roll_back("to see whether it can")
                await some_more(replay)
                await shop.cut_over(probes)
                await some_more(replay)
        three, five = stage3.shop_at(url, **noted), stage5.shop_at(url, **noted)
        async with Evolution("shop to events", old=three, new=five) as shop:
            async with orders_arriving(shop, source) as replay:
                await some_more(replay)
                await shop.begin_shadow()
                await shop.cut_over(probes)
                await some_more(replay)
                await shop.roll_back("to see whether it can")
                await some_more(replay)
                await shop.cut_over(probes)
            replay = Replay(shop, script_of(source), 16)
            await replay.start()
            await replay.run()
            for command_id, command in [*left_carts(source), *epilogue(source)]:
                with contextlib.suppress(Rejection):
                    await shop.dispatch(command, id=command_id)
            token = await shop.head_token()
            questions = questions_about(source, IDS)
            answers = [await shop.ask(each, after=token, within_s=60) for each in questions]
    moved = Played(decisions.reasons, questions, answers, 0, 0)
    assert not first_difference("1 to 3 to 5", moved, "5", expected)
