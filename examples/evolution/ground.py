"""Empty places to play a stage at, removed afterwards: a file, schemas, a second database."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from .databases import make_tables
from .stages import Places, Stage

__all__ = ["Server", "given_server", "ground_for", "lacking"]

_STARTED = Path(__file__).resolve().parents[2] / ".services" / "addresses.json"


class Server(NamedTuple):
    """A PostgreSQL and its streaming replica, by URL; '' where there is none."""

    postgres: str = ""
    replica: str = ""


def given_server(postgres: str = "", replica: str = "") -> Server:
    """The one that is named or, without a name, the one that `make services` has started."""
    if postgres:
        return Server(postgres, replica)
    try:
        started = json.loads(_STARTED.read_text("utf-8"))["postgres"]
    except (OSError, ValueError, KeyError):
        return Server()
    return Server(started["primary"], started.get("replica") or "")


def lacking(stage: Stage, server: Server) -> str:
    """Why a stage cannot be played; '' when it can."""
    if "write" in stage.needs and not server.postgres:
        return "needs PostgreSQL: call `make services`, or name one with --postgres"
    if "replica" in stage.needs and not server.replica:
        return "needs a streaming replica: call `make services`, or name one with --replica"
    return ""


@asynccontextmanager
async def ground_for(stage: Stage, server: Server) -> AsyncIterator[Places]:
    """Places that nobody else uses, with the shop's tables if the stage has any.

    On `server` it makes a schema of its own, and a database where the stage needs a second one.
    Raises what the driver raises.
    """
    mark = f"evolution_{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="evolution-") as folder:
        places = Places(f"sqlite:///{folder}/shop.db")
        if "write" not in stage.needs:
            await _furnish(stage, places.file)
            yield places
            return
        places = places._replace(
            write=_in_schema(server.postgres, mark),
            replica=server.replica and _in_schema(server.replica, mark),
            read=_in_schema(urlsplit(server.postgres)._replace(path=f"/{mark}").geturl(), mark),
        )
        try:
            if "read" in stage.needs:
                await _execute(server.postgres, f'CREATE DATABASE "{mark}"')
            await _furnish(stage, places.write)
            yield places
        finally:
            await _execute(server.postgres, f'DROP SCHEMA IF EXISTS "{mark}" CASCADE')
            if "read" in stage.needs:
                await _execute(server.postgres, f'DROP DATABASE IF EXISTS "{mark}" WITH (FORCE)')


async def _furnish(stage: Stage, write: str) -> None:
    if stage.has_tables:
        await make_tables(write)


def _in_schema(url: str, schema: str) -> str:
    # `schema` is where diptych is at home, `search_path` where SQLAlchemy finds its tables.
    joined = "&" if urlsplit(url).query else "?"
    return f"{url}{joined}schema={schema}&search_path={schema}"


async def _execute(url: str, statement: str) -> None:
    import asyncpg  # noqa: PLC0415  who plays stage 1 needs no driver of PostgreSQL

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
