"""The pair that all tests of a checkout share: a primary and its streaming replica."""

from __future__ import annotations

import signal
from pathlib import Path
from urllib.parse import urlsplit

from services import processes
from services.account import Account
from services.addresses import Record
from services.postgres import binaries
from services.postgres.leftovers import pair_prefix, sweep
from services.postgres.readiness import accepts_connections
from services.postgres.server import PostgresServer, is_server
from services.problem import ServiceProblem
from services.progress import say

__all__ = ["STREAMING", "down", "is_up", "up"]

ROLES = ("replica", "primary")  # in the order in which they end
STREAMING = "started streaming WAL from primary"


def up(checkout: Path) -> Record:
    """Start a primary and its replica; returns when both let clients in and WAL streams.

    The servers outlive the caller, who holds `addresses.exclusively`. `down` takes what is
    returned.

    Raises:
        ServiceProblem: There is no PostgreSQL, or a server did not come up. Nothing is left then.
    """
    account = Account.ordinary()
    sweep(account, checkout)
    found = binaries.find(account)
    say(f"Starting PostgreSQL {found.version} with a replica ({found.origin}: {found.folder})")
    folder = account.make_folder(pair_prefix(checkout))
    started: list[PostgresServer] = []
    try:
        primary = PostgresServer.create(folder / "primary", found, account)
        started.append(primary)
        primary.start()
        replica = PostgresServer.copy_of(primary, folder / "replica", slot="replica")
        started.append(replica)
        replica.start()
        replica.wait_for_log(STREAMING)
    except BaseException:
        for server in reversed(started):
            server.kill()
        account.remove(folder)
        raise
    for server in started:
        server.release()
    return {
        "primary": primary.url,
        "replica": replica.url,
        "version": found.version,
        "programs": str(found.folder),
        "folder": str(folder),
        "pids": {"primary": primary.pid, "replica": replica.pid},
        "logs": {"primary": str(primary.log), "replica": str(replica.log)},
    }


def is_up(record: Record) -> bool:
    """Whether both servers of `record` live and let clients in."""
    folder = Path(record["folder"])
    return all(
        is_server(record["pids"][role], folder / role / "data")
        and accepts_connections(urlsplit(record[role]).port or 0)
        for role in ROLES
    )


def down(record: Record, checkout: Path) -> None:
    """End the servers of `record` and remove their folder; what has gone already is fine.

    A process that has the recorded id but is not that server is left alone, and so is a folder
    that `up` of this checkout cannot have made.

    Raises:
        ServiceProblem: A server does not end.
    """
    folder = Path(record["folder"])
    for role in ROLES:
        pid = record["pids"][role]
        # At once and without a last checkpoint: the data goes, too.
        if is_server(pid, folder / role / "data") and not processes.end(
            pid, signal.SIGQUIT, within_s=10
        ):
            processes.kill_tree(pid)
        if is_server(pid, folder / role / "data"):
            raise ServiceProblem(f"PostgreSQL's {role}, process {pid}, does not end")
    if folder.name.startswith(pair_prefix(checkout)):
        Account.ordinary().remove(folder)
