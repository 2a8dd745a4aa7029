"""The same queries asked of both sides, their answers compared while commands keep arriving."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from diptych.errors import DiptychError
from diptych.events.token import Token

__all__ = ["Compared", "Comparison", "Side", "compare", "compare_one"]

_ATTEMPTS = 20
Progress = Callable[[int, int], None]
"""Called with the number of queries compared so far and in all."""


class Side(Protocol):
    """An application, as far as it answers."""

    async def ask(self, query: Any, *, after: Token | None = None, within_s: float = 2.0) -> Any:
        """See App.ask."""

    async def head_token(self) -> Token:
        """See App.head_token."""


class Compared(msgspec.Struct, frozen=True):
    """One query and what both sides said; an error is told as text.

    `settled` is False when the old side's answer changed each time it was asked, so that nothing
    can be said.
    """

    query: Any
    old: Any
    new: Any
    same: bool
    settled: bool = True


class Comparison(msgspec.Struct, frozen=True):
    """What became of all queries: how many were compared, and those whose answers differ."""

    compared: int
    different: tuple[Compared, ...]
    unsettled: int


async def compare(
    old: Side, new: Side, queries: Iterable[Any], progress: Progress | None = None
) -> Comparison:
    """Ask both sides all queries, one after the other."""
    asked = list(queries)
    different: list[Compared] = []
    unsettled = 0
    for number, query in enumerate(asked, 1):
        one = await compare_one(old, new, query)
        if not one.settled:
            unsettled += 1
        elif not one.same:
            different.append(one)
        if progress is not None:
            progress(number, len(asked))
    return Comparison(len(asked) - unsettled, tuple(different), unsettled)


async def compare_one(old: Side, new: Side, query: Any) -> Compared:
    """Ask both sides one query, at one moment of the log.

    Commands go on meanwhile. So the old side is asked before and after the new one: only an answer
    that was the same both times is one that the new side has to give.
    """
    before = await _answer(old, query)
    for _ in range(_ATTEMPTS):
        there = await _answer(new, query)
        after = await _answer(old, query)
        if before == after:
            return Compared(query, after, there, after == there)
        before = after
    return Compared(query, before, None, same=False, settled=False)


async def _answer(side: Side, query: Any) -> Any:
    try:
        return await side.ask(query, after=await side.head_token(), within_s=10.0)
    except DiptychError as error:
        return f"{type(error).__name__}: {error}"
