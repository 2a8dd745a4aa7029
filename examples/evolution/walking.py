"""Walking up the path: play stages one after the other, each compared with stage 5 in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from diptych_examples.shop.replay.source import Source

from . import stage5
from .comparing import first_difference
from .ground import Server, ground_for, lacking
from .playing import Decisions, Played, play
from .stages import Stage

__all__ = ["Walked", "expected_of", "played_at", "walk"]


class Walked(msgspec.Struct, frozen=True):
    """One stage of the walk.

    `equal`: every command was decided, and every question answered, as stage 5 does; None where
    the stage was not played. `why` says why not, or what was different.
    """

    stage: str
    writes_to: str
    reads_from: str
    commands: int = 0
    commands_per_s: float | None = None
    read_your_write_p50_ms: float | None = None
    questions: int = 0
    equal: bool | None = None
    why: str = ""


async def expected_of(source: Source, in_flight: int = 64) -> Played:
    """What every stage must decide and answer: stage 5, in memory."""
    decisions = Decisions()
    app = stage5.shop_at("memory://", middleware=[decisions])
    return await play(app, source, decisions, in_flight)


async def walk(
    stages: Sequence[Stage],
    source: Source,
    server: Server,
    in_flight: int = 64,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Walked]:
    """Play the stages; `tell` is told what is going on. Raises what a stage raises."""
    tell("playing stage 5 in memory, to know what is right")
    expected = await expected_of(source, in_flight)
    walked = []
    for stage in stages:
        if why := lacking(stage, server):
            walked.append(Walked(stage.name, stage.writes_to, stage.reads_from, why=why))
            continue
        tell(f"playing stage {stage.name}: {stage.writes_to}, {stage.reads_from}")
        played = await played_at(stage, source, server, in_flight)
        walked.append(_compared(stage, played, expected))
    return walked


async def played_at(stage: Stage, source: Source, server: Server, in_flight: int = 64) -> Played:
    """One stage, played on ground of its own."""
    decisions = Decisions()
    async with ground_for(stage, server) as places:
        app = stage.shop_at(places, middleware=[decisions])
        return await play(app, source, decisions, in_flight)


def _compared(stage: Stage, played: Played, expected: Played) -> Walked:
    difference = first_difference(stage.name, played, "5", expected)
    return Walked(
        stage.name,
        stage.writes_to,
        stage.reads_from,
        len(played.decisions),
        played.commands_per_s,
        played.read_your_write_ms,
        len(played.questions),
        equal=not difference,
        why=difference,
    )
