"""What every suite shares: its fixtures, its patience, and words for expectations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from diptych.testing.contract.elsewhere import elsewhere

__all__ = ["Contract", "in_time", "losers", "outcomes", "refusal", "winners"]

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


class Contract:
    """A suite of tests for one port; derive from it to enrol an adapter.

    Every test takes the one thing it judges, new and empty. `folder` is an empty folder of each
    test's own, for adapters that keep files. `patience_s` is how long something that must happen
    may take. `in_another_thread` opens a second object on an event loop of its own, as a stand-in
    for another process; False only for stores that cannot leave their thread.
    """

    pytestmark: ClassVar[Any] = pytest.mark.anyio
    patience_s: ClassVar[float] = 20.0
    in_another_thread: ClassVar[bool] = True
    folder: Path

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run on asyncio."""
        return "asyncio"

    @pytest.fixture(autouse=True)
    def folder_of_its_own(self, tmp_path: Path) -> None:
        """Give each test an empty folder."""
        self.folder = tmp_path

    def subject(self) -> AbstractAsyncContextManager[Any]:
        """What the tests judge: made and opened on entering, closed on leaving."""
        raise NotImplementedError

    def apart(self, other: T) -> AbstractAsyncContextManager[T]:
        """A second object on the same data, as another process would use it."""
        return elsewhere(other) if self.in_another_thread else nullcontext(other)

    async def soon(self, awaited: Awaitable[T], what: str) -> T:
        """The result of what must happen within `patience_s`."""
        return await in_time(awaited, self.patience_s, what)


async def in_time(awaited: Awaitable[T], seconds: float, what: str) -> T:
    """The result of `awaited`; an AssertionError that says `what` when it takes too long."""
    try:
        return await asyncio.wait_for(awaited, seconds)
    except TimeoutError:
        message = f"{what}: it did not happen within {seconds} s"
        raise AssertionError(message) from None


async def refusal(error: type[E], awaited: Awaitable[Any], because: str) -> E:
    """The error that `awaited` must raise; an AssertionError that says why when it answers."""
    try:
        answer = await awaited
    except error as raised:
        return raised
    message = f"{because}: expected {error.__name__}, but it answered {answer!r}"
    raise AssertionError(message)


async def outcomes(all_at_once: Iterable[Awaitable[T]]) -> list[T | BaseException]:
    """Answers and errors of things done at the same time, in their order."""
    return list(await asyncio.gather(*all_at_once, return_exceptions=True))


def winners(results: list[T | BaseException]) -> list[T]:
    """The answers among outcomes."""
    return [result for result in results if not isinstance(result, BaseException)]


def losers(results: list[Any], error: type[E]) -> list[E]:
    """The errors among outcomes; every one of them has to be of the kind `error`."""
    lost: list[E] = []
    for result in results:
        if isinstance(result, BaseException):
            assert isinstance(result, error), f"expected {error.__name__}, but: {result!r}"
            lost.append(result)
    return lost
