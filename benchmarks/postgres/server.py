"""The server of a run, and schemas and databases that are new for each measurement."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import asyncpg

from benchmarks.measuring import Sample, Variant
from services.postgres import PrivatePostgres

__all__ = ["BenchServer", "Schema"]

SETTINGS = {
    "shared_buffers": "2GB",
    # No checkpoint begins by itself inside a measurement; each one begins after a checkpoint.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
}
WORTH_SAYING = """
SELECT name, current_setting(name) FROM pg_settings
WHERE name IN (
    'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'wal_level',
    'shared_buffers', 'max_wal_size', 'checkpoint_timeout', 'autovacuum', 'max_connections'
)
ORDER BY name
"""


class Schema(NamedTuple):
    """A schema of the server: its name, and the URL under which diptych uses it."""

    name: str
    url: str


class BenchServer:
    """A PostgreSQL that lives as long as the run; the client shares the machine with it."""

    def __init__(self) -> None:
        self._private = PrivatePostgres(SETTINGS)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._private.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._private.close()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self._private.url

    def program(self, name: str) -> Path:
        """The path of a program that came with the server; it need not exist."""
        return self._private.primary.binaries.program(name)

    def describe(self) -> dict[str, Any]:
        """Its version and how it is set."""
        settings = self.rows(WORTH_SAYING)
        return {
            "version": self._private.version,
            "settings": dict(settings),
            "connected_by": "TCP on 127.0.0.1, no TLS; client and server share all cores",
        }

    def execute(self, *statements: str) -> None:
        """Run statements one after the other, each in a transaction of its own."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    def rows(self, statement: str, *arguments: Any) -> list[Any]:
        """Give the rows of one statement."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                return [tuple(row) for row in await connection.fetch(statement, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(run())

    @contextmanager
    def new_schema(self) -> Iterator[Schema]:
        """Make a schema; afterwards it is dropped. What came before it is on disk."""
        schema = self.make_schema()
        try:
            yield schema
        finally:
            self.execute(f"DROP SCHEMA {schema.name} CASCADE")

    def make_schema(self) -> Schema:
        """Make a schema that stays."""
        name = f"bench_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}", "CHECKPOINT")
        return Schema(name, f"{self.url}?schema={name}")

    @contextmanager
    def new_database(self) -> Iterator[dict[str, str]]:
        """Make a database for a peer, who wants one for himself; gives what he must know."""
        name = f"peer_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}", "CHECKPOINT")
        parts = urlsplit(self.url)
        try:
            yield {
                "host": parts.hostname or "",
                "port": str(parts.port),
                "user": parts.username or "",
                "password": parts.password or "",
                "dbname": name,
            }
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def on_new_schema(self, run: Callable[..., Sample], *arguments: Any, **options: Any) -> Variant:
        """Bind a measurement that begins with an empty schema."""

        def sample() -> Sample:
            with self.new_schema() as schema:
                return run(schema, *arguments, **options)

        return sample
