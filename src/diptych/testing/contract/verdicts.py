"""Running a suite without a test runner, one verdict for each of its tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from diptych.testing.contract.suite import Contract, in_time

__all__ = ["tests_of", "verdicts"]


def tests_of(suite: type[Contract]) -> Iterator[str]:
    """Names of the tests of a suite."""
    return (name for name in dir(suite) if name.startswith("test_"))


async def verdicts(
    suite: type[Contract], within_s: float = 60.0
) -> dict[str, BaseException | None]:
    """What came of each test: None when it passed, otherwise what it raised.

    Nothing counts as passed but passing: a test that skips itself has raised, too.
    """
    found: dict[str, BaseException | None] = {}
    for name in tests_of(suite):
        found[name] = await _verdict(suite, name, within_s)
    return found


async def _verdict(suite: type[Contract], name: str, within_s: float) -> BaseException | None:
    with tempfile.TemporaryDirectory(prefix="diptych-contract-") as folder:
        test = suite()
        test.folder = Path(folder)
        try:
            await in_time(_run(test, name), within_s, name)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as failure:  # noqa: BLE001  pytest's outcomes are no Exceptions
            return failure
    return None


async def _run(test: Contract, name: str) -> None:
    async with test.subject() as subject:
        await getattr(test, name)(subject)
