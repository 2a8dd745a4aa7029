"""For pytest: put the bug that DIPTYCH_TEST_BUG names into this run, and write down what failed.

`python -m pytest -p tests.mutation.plugin ...`; nothing in the product or in the suite knows of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from diptych.errors import DiptychError
from tests.mutation.bugs import BUGS

_stack = ExitStack()
_failures: list[dict[str, str]] = []


def pytest_configure(config: pytest.Config) -> None:
    """Put the bug in before anything is collected."""
    name = os.environ.get("DIPTYCH_TEST_BUG")
    if name:
        _stack.enter_context(BUGS[name].apply())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take it out, and tell what failed."""
    _stack.close()
    if path := os.environ.get("DIPTYCH_TEST_BUG_FAILURES"):
        Path(path).write_text(json.dumps(_failures), encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """Note every failure, and whether a promise was said to be broken by it."""
    report = yield
    if report.failed:
        error = None if call.excinfo is None else call.excinfo.value
        _failures.append(
            {
                "test": item.nodeid,
                "error": repr(error)[:300],
                "says": "broken" if error is not None and _says_broken(error) else "",
            }
        )
    return report


def _says_broken(error: BaseException) -> bool:
    """Whether it is an expectation that was not met, and not a crash of the patched code."""
    if isinstance(error, BaseExceptionGroup):
        return all(_says_broken(one) for one in error.exceptions)
    if isinstance(error, pytest.fail.Exception):
        return not str(error).startswith("Timeout")
    return isinstance(error, AssertionError | DiptychError)
