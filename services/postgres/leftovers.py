"""Servers that nobody remembers: their test run was killed, or the file of addresses is gone."""

from __future__ import annotations

import os
from pathlib import Path

from services import processes
from services.account import Account
from services.addresses import checkout_mark
from services.postgres.server import is_server
from services.progress import say

__all__ = ["pair_prefix", "private_prefix", "sweep"]


def pair_prefix(checkout: Path) -> str:
    """How the name of the shared pair's folder begins."""
    return f"diptych-{checkout_mark(checkout)}-postgres-"


def private_prefix(checkout: Path) -> str:
    """How the names of the private servers' folders of this process begin."""
    return f"diptych-{checkout_mark(checkout)}-private-{os.getpid()}-"


def sweep(account: Account, checkout: Path) -> None:
    """Kill forgotten servers of this checkout and remove their folders.

    The caller has no pair up, so every pair that is found is forgotten; a private server is, when
    the process that made it has ended. Nothing of another checkout is touched.
    """
    mark = checkout_mark(checkout)
    pairs = account.folders(pair_prefix(checkout))
    private = account.folders(f"diptych-{mark}-private-")
    for folder in pairs + [path for path in private if _is_orphan(path)]:
        say(f"Removing forgotten servers in {folder}")
        for data in folder.glob("*/data"):
            pid = _recorded_pid(data)
            if pid is not None and is_server(pid, data):
                processes.kill_tree(pid)
        account.remove(folder)


def _is_orphan(folder: Path) -> bool:
    maker = folder.name.split("-")[3]
    return maker.isdigit() and processes.has_ended(int(maker))


def _recorded_pid(data: Path) -> int | None:
    """The process that PostgreSQL itself noted in its data folder."""
    try:
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
