"""What is up, as a file: `.services/addresses.json` in the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["CHECKOUT", "Record", "checkout_mark", "exclusively", "read", "write"]

CHECKOUT = Path(__file__).resolve().parents[1]

Record = dict[str, Any]
"""What is known of one engine: addresses, version, folder, process ids."""


def checkout_mark(checkout: Path = CHECKOUT) -> str:
    """A short name for this checkout, so that two checkouts on one machine do not meet."""
    return hashlib.sha256(str(checkout).encode()).hexdigest()[:8]


def read(checkout: Path = CHECKOUT) -> dict[str, Record]:
    """Engine -> record; empty where nothing was started or the file is unreadable."""
    try:
        found = json.loads(_file(checkout).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(records: dict[str, Record], checkout: Path = CHECKOUT) -> None:
    """Replace the file as a whole; no records, no file. Only the caller may read it."""
    path = _file(checkout)
    if not records:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


@contextmanager
def exclusively(checkout: Path = CHECKOUT) -> Iterator[None]:
    """Nobody else brings servers of this checkout up or down meanwhile; waits for its turn."""
    folder = _file(checkout).parent
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _file(checkout: Path) -> Path:
    return checkout / ".services" / "addresses.json"
