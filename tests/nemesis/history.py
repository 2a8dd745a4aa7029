"""What a process saw, written down as it happens: one line of JSON per entry, one file per process.

A line is in the kernel when `note` returns, so kill -9 loses none; the last one may be cut off.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class History:
    """Appends entries; `at` is the clock that all processes of a machine share."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._file, b"\n")  # the line before it may have been cut off

    def note(self, what: str, /, **facts: Any) -> None:
        entry = {"what": what, "at": time.monotonic_ns(), **facts}
        os.write(self._file, json.dumps(entry).encode() + b"\n")


def entries(path: Path) -> Iterator[Entry]:
    """All entries of one process, whichever of its lives they are from."""
    for line in path.read_bytes().splitlines():
        if line.endswith(b"}"):
            yield json.loads(line)


def latest(path: Path, what: str, within_bytes: int = 4096) -> Entry | None:
    """The newest entry of a kind, looked for at the end of the file."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - within_bytes))
        for line in reversed(file.read().splitlines()[1:]):
            if line.startswith(b'{"what": "%s"' % what.encode()) and line.endswith(b"}"):
                return json.loads(line)
    return None
