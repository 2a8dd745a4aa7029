"""Where a run takes place: a new file, or a server with a replica of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.nemesis.faults import PostgresFaults, SqliteFaults
from tests.nemesis.running import Run

from services.postgres import PrivatePostgres

__all__ = ["STAGES", "on_postgres", "on_sqlite"]


@contextmanager
def on_sqlite(folder: Path, seed: int) -> Iterator[Run]:
    """A run on one file."""
    path = folder / "nemesis.db"
    yield Run(folder, seed, [f"sqlite:///{path}"], SqliteFaults(path).all())


@contextmanager
def on_postgres(folder: Path, seed: int) -> Iterator[Run]:
    """A run on a primary that dies now and then, and a replica that falls behind."""
    with PrivatePostgres() as server:
        server.make_replica()
        urls = [f"{url}?schema=nemesis&timeout_s=10" for url in (server.url, server.replica_url)]
        yield Run(folder, seed, urls, PostgresFaults(server).all())


STAGES = {"sqlite": on_sqlite, "postgres": on_postgres}
