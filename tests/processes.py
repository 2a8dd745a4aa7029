"""Other processes of a test: what they find to import, and that none of them outlives it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
SRC = TESTS.parent / "src"
UNIT = TESTS / "unit"
"""Where `banking` and `poison` are."""


def importing_from(*folders: object) -> dict[str, str]:
    """Our environment, for a process that imports from these folders, too."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}


class Processes:
    """Starts Python in processes of its own, and knows what it has started."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """Start Python with these arguments; options are those of Popen.

        What it prints comes through a pipe, as text.
        """
        command = [sys.executable, *map(str, arguments)]
        process = subprocess.Popen(command, **{"stdout": subprocess.PIPE, "text": True} | options)
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill what still runs, and close what is left of its pipes."""
        for process in self._started:
            process.kill()
        for process in self._started:
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                # What was not yet sent to it never arrives.
                with contextlib.suppress(BrokenPipeError):
                    if pipe is not None:
                        pipe.close()


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Starts processes; those that still run at the end of the test are killed."""
    made = Processes()
    yield made
    made.end()
