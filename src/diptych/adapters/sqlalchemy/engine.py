"""The engine for the database that a `write` URL names, set up as diptych's own connections are."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from diptych.errors import ConfigurationError, StoreUnavailable
from diptych.urls import split

__all__ = ["check_url", "engine_for"]

_CONNECTIONS = 8
_TIMEOUT_S = 30.0


def engine_for(url: str, **options: Any) -> AsyncEngine:
    """An engine for the database of an event log: `sqlite:///shop.db` or `postgresql://...`.

    Sessions of this engine may share transactions with the log. `options` are passed on to
    `create_async_engine`. On PostgreSQL your tables are found as always, by your own search path;
    `?schema=` says where diptych keeps its own. Raises ConfigurationError for another URL.
    """
    check_url(url)
    return _sqlite(url, options) if url.startswith("sqlite:") else _postgres(url, options)


def check_url(url: str) -> None:
    """Raise ConfigurationError for the URL of something that has no tables."""
    if not url.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ConfigurationError(
            f"{split(url).scheme or 'what write= names'} has no tables to work on: an "
            'AsyncSession, and tables=, need write="sqlite:///file.db" or "postgresql://...".'
        )


def _sqlite(url: str, options: dict[str, Any]) -> AsyncEngine:
    parts = split(url)
    path = os.path.realpath(unquote(parts.path).removeprefix("/"))
    query = dict(parse_qsl(parts.query))
    wait_s = float(query.get("busy_timeout_s", _TIMEOUT_S))
    made = URL.create("sqlite+apsw", database=path, query=query)
    return create_async_engine(made, **{"pool_size": 8, "pool_timeout": wait_s, **options})


def _postgres(url: str, options: dict[str, Any]) -> AsyncEngine:
    import asyncpg  # noqa: PLC0415  who stays on SQLite needs no driver of PostgreSQL

    parts = split(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.pop("schema", None)
    connections = int(query.pop("connections", _CONNECTIONS))
    timeout_s = float(query.pop("timeout_s", _TIMEOUT_S))
    dsn = parts._replace(scheme="postgresql", query=urlencode(query)).geturl()
    settings = {
        "application_name": query.pop("application_name", "diptych tables"),
        "lock_timeout": str(int(timeout_s * 1000)),
    }

    async def connect() -> Any:
        try:
            return await asyncpg.connect(dsn, timeout=timeout_s, server_settings=settings)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StoreUnavailable(
                f"PostgreSQL at {parts.netloc.rpartition('@')[2]}{parts.path} cannot be reached "
                f"({error}); nothing was written. Check that it runs and lets this user in."
            ) from error

    chosen = {"pool_size": connections, "max_overflow": 0, "pool_timeout": timeout_s, **options}
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, **chosen)
