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
from tests.mutation.bugs import BUGS

from diptych.errors import DiptychError

_stack = ExitStack()
_seen: dict[str, list[dict[str, str]]] = {"failed": [], "skipped": []}


def pytest_configure(config: pytest.Config) -> None:
    """Put the bug in before anything is collected."""
    name = os.environ.get("DIPTYCH_TEST_BUG")
    if name:
        _stack.enter_context(BUGS[name].apply())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take it out, and tell what was seen."""
    _stack.close()
    if path := os.environ.get("DIPTYCH_TEST_BUG_SEEN"):
        Path(path).write_text(json.dumps(_seen), encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """Note every failure, and whether it says that a promise is broken; and what was skipped."""
    report = yield
    error = None if call.excinfo is None else call.excinfo.value
    if report.failed and error is not None:
        says = "broken" if says_broken(error) else ""
        failure = {"test": item.nodeid, "error": repr(error)[:300], "says": says}
        _seen["failed"].append(failure)
    elif report.skipped:
        _seen["skipped"].append({"test": item.nodeid, "why": str(error)})
    return report


def says_broken(error: BaseException) -> bool:
    """Whether it is an expectation that was not met, and not a crash of the patched code."""
    if isinstance(error, BaseExceptionGroup):
        return all(says_broken(one) for one in error.exceptions)
    if isinstance(error, pytest.fail.Exception):
        return not str(error).startswith("Timeout")
    return isinstance(error, AssertionError | DiptychError)
