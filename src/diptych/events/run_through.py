"""Running a coroutine to its end where no event loop is: in the writer of an embedded database."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from diptych.errors import ConfigurationError

__all__ = ["run_through"]

T = TypeVar("T")


def run_through(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits.

    Raises what it raises, and ConfigurationError when it does wait: nobody would wake it.
    """
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    coroutine.close()
    raise ConfigurationError(
        f"{coroutine!r} waits for something inside a transaction of an embedded "
        "database, where nobody could wake it. Await nothing there but the transaction and the "
        "store within it."
    )
