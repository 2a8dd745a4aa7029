"""From URLs to stores: the adapter is chosen by the scheme and imported only then."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from diptych.commands.tables import Tables
from diptych.environment import Environment
from diptych.errors import ConfigurationError
from diptych.events.log import EventLog
from diptych.parts import Parts
from diptych.queries.projection import Plan
from diptych.queries.read_store import Capability, ReadStore
from diptych.queries.replicas import CopiedStore, Replica
from diptych.urls import shown

__all__ = ["Stores"]

_POSTGRES = ("postgresql", "postgres")
_REPLICATED = _POSTGRES
"""Schemes of databases that copy themselves."""


class Stores:
    """The event log at `write` and the read stores at `read`, each a URL or an adapter of your own.

    One URL (or adapter) is one store: projections of the same URL share it, and a read store in the
    log's database shares its connections. Raises ConfigurationError for a URL that leads nowhere,
    and for a projection that its store cannot keep.
    """

    def __init__(
        self,
        write: str | EventLog,
        read: str | ReadStore | Mapping[type, str | ReadStore] | None,
        parts: Parts,
        environment: Environment,
    ) -> None:
        self._environment = environment
        self._write = write
        self.log: EventLog = self._open_log(write) if isinstance(write, str) else write
        self._stores: dict[Any, ReadStore] = {}
        self._urls: dict[str, Any] = {}
        chosen = read if isinstance(read, Mapping) else {}
        default = write if read is None or isinstance(read, Mapping) else read
        self._default = default
        by_name = {parts.plan_for(thing).name: url for thing, url in chosen.items()}
        for plan in parts.plans.values():
            url = by_name.get(plan.name, write if plan.table.view is not None else default)
            if url not in self._stores:
                self._stores[url] = self._read_store(url)
            self._urls[plan.name] = url
            if plan.table.view is not None:
                self._check_view(plan, url)
            if plan.shape is None and Capability.SQL not in self._stores[url].capabilities:
                raise ConfigurationError(
                    f"{plan.projection.__name__} writes its own SQL, which {_told(url)} does not "
                    f'have. Keep it in an SQL database: read={{{plan.projection.__name__}: "sqlite:///..."}}.'
                )

    def _check_view(self, plan: Plan, url: Any) -> None:
        if url != self._write:
            raise ConfigurationError(
                f"{plan.name} is a view, so it is in the database whose tables it shows, not in "
                f"{_told(url)}. Leave it out of read=, or fill its read model by a projection."
            )
        if Capability.VIEW not in self._stores[url].capabilities:
            raise ConfigurationError(
                f"{plan.name} is a view, and {_told(url)} has no tables to look at. Keep the write "
                'model in an SQL database: write="sqlite:///..." or "postgresql://...".'
            )

    def check_inline(self, plan: Plan) -> None:
        """Raise ConfigurationError when a projection cannot take part in the log's transactions."""
        if plan.table.view is not None:
            raise ConfigurationError(
                f"{plan.name} is a view: it shows every commit by itself. Leave it out of inline=."
            )
        own = not isinstance(self._write, str)  # whether it can, an adapter of your own says itself
        if self._urls[plan.name] != self._write and not own:
            raise ConfigurationError(
                f"{plan.name} cannot be inline: it is kept in {_told(self._urls[plan.name])}, "
                f"not in the log's database ({_told(self._write)}), so they cannot commit together."
            )

    def is_written_to(self, plan: Plan) -> bool:
        """Whether a projection is kept in the write database."""
        return bool(self._urls[plan.name] == self._write)

    def of(self, plan: Plan) -> ReadStore:
        """The store that keeps a projection."""
        return self._stores[self._urls[plan.name]]

    def beside_log(self) -> ReadStore:
        """The store of the write database, for what is kept beside the log.

        Of an event log of your own, the one that projections are kept in by default.
        """
        url: Any = self._write if isinstance(self._write, str) else self._default
        if url not in self._stores:
            self._stores[url] = self._read_store(url)
        return self._stores[url]

    def replicas(self, urls: Sequence[str]) -> list[Replica]:
        """The replicas of the write database at `urls`. Raises ConfigurationError where none can
        be: its own URL, or a database that has no replicas.
        """
        found: list[Replica] = []
        for url in urls:
            if _scheme(url) not in _REPLICATED:
                raise ConfigurationError(
                    f"{shown(url)} cannot be a replica: only {', '.join(_REPLICATED)} has them."
                )
            if url == self._write:
                raise ConfigurationError(
                    f"{shown(url)} is the write database itself, and no replica of it."
                )
            primary = self._stores.get(self._write)
            if primary is None:
                raise ConfigurationError(
                    f"nothing is read from the write database {_told(self._write)}, so a replica "
                    "of it would answer nothing. Leave out replicas=, or read= for some projection."
                )
            log, store = self._open_log(url), self._open_read_store(url)
            found.append(Replica(shown(url), log, cast("CopiedStore", store), primary))
        return found

    def tables(self, given: Sequence[Any], parts: Parts, *, keep_events: bool) -> Tables | None:
        """The tables of write models; None where there are none and no handler asks for any.

        Raises ConfigurationError for projections of events that are not kept.
        """
        folding = [plan.name for plan in parts.plans.values() if plan.table.view is None]
        if folding and not keep_events:
            raise ConfigurationError(
                f"{', '.join(folding)} would stay empty for ever: no event is kept "
                "(keep_events=False). Keep events, or leave it out and let queries ask the tables."
            )
        if not given and not _wants_tables(parts):
            return None
        with _needs("sqlalchemy", "sqlalchemy"):
            from diptych.adapters.sqlalchemy.tables import SqlTables

        if not isinstance(self._write, str):
            raise ConfigurationError(
                "tables are kept in a database that diptych opens by its URL (sqlite:///..., "
                "postgresql://...), not in an event log of your own."
            )
        return SqlTables(self._write, given, self.log)

    def _read_store(self, url: Any) -> ReadStore:
        if isinstance(url, str):
            return self._open_read_store(url)
        if url is self._write:
            raise ConfigurationError(
                "an event log of your own keeps no read models: say where, read=..."
            )
        return cast("ReadStore", url)

    def _open_log(self, url: str) -> EventLog:
        scheme = _scheme(url)
        if scheme == "memory":
            from diptych.adapters.memory.event_log import MemoryEventLog

            return MemoryEventLog(environment=self._environment)
        if scheme == "sqlite":
            from diptych.adapters.sqlite.event_log import SqliteEventLog

            return SqliteEventLog(url, environment=self._environment)
        if scheme in _POSTGRES:
            with _needs("asyncpg", "postgres"):
                from diptych.adapters.postgres.event_log import PostgresEventLog

            return PostgresEventLog(url, environment=self._environment)
        raise _unknown(url)

    def _open_read_store(self, url: str) -> ReadStore:
        scheme = _scheme(url)
        if scheme == "memory":
            from diptych.adapters.memory.read_store import MemoryReadStore

            return MemoryReadStore()
        if scheme == "sqlite":
            from diptych.adapters.sqlite.read_store import SqliteReadStore

            return SqliteReadStore(url)
        if scheme in _POSTGRES:
            with _needs("asyncpg", "postgres"):
                from diptych.adapters.postgres.read_store import PostgresReadStore

            return PostgresReadStore(url)
        raise _unknown(url)


@contextmanager
def _needs(driver: str, extra: str) -> Iterator[None]:
    """Importing an adapter: an absent driver is said with the line that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != driver:
            raise
        raise ConfigurationError(
            f"the driver {driver} is not installed: pip install 'diptych[{extra}]'"
        ) from error


def _wants_tables(parts: Parts) -> bool:
    # Who has written AsyncSession into an annotation has imported it.
    orm = sys.modules.get("sqlalchemy.ext.asyncio")
    wanted = [kind for spec in parts.command_functions for _, kind in spec.wants]
    return orm is not None and orm.AsyncSession in wanted


def _told(url: Any) -> str:
    return shown(url) if isinstance(url, str) else str(url.describe()["adapter"])


def _scheme(url: str) -> str:
    return url.partition(":")[0]


def _unknown(url: str) -> ConfigurationError:
    # Whatever it was meant for, it may hold a password.
    named = shown(url) if "://" in url or "@" in url else url
    return ConfigurationError(
        f"no adapter opens {named!r}: use memory://, sqlite:///file.db (four slashes for an "
        "absolute path) or postgresql://user:password@host/database?schema=shop."
    )
