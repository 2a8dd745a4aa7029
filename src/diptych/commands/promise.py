"""A coroutine that remembers whether it was awaited, so that a forgotten await is noticed."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from diptych.errors import ConfigurationError

__all__ = ["Promise", "Promises"]

A = TypeVar("A")


class Promise(Generic[A]):
    """What a handler has to await."""

    __slots__ = ("awaited", "coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, A]) -> None:
        self.coroutine = coroutine
        self.awaited = False

    def __await__(self) -> Generator[Any, Any, A]:
        self.awaited = True
        return self.coroutine.__await__()


class Promises:
    """All that one handler was given to await."""

    def __init__(self) -> None:
        self._given: list[Promise[Any]] = []

    def give(self, coroutine: Coroutine[Any, Any, A]) -> Promise[A]:
        """Something to await."""
        promise = Promise(coroutine)
        self._given.append(promise)
        return promise

    def check(self) -> None:
        """Raise ConfigurationError for what was not awaited."""
        forgotten = [one for one in self._given if not one.awaited]
        for one in forgotten:
            one.coroutine.close()
        if forgotten:
            raise ConfigurationError(
                "work.record(...) or work.decide(...) was called and not awaited, so nothing would "
                "have been recorded: await it."
            )
