"""SQLAlchemy on SQLite through apsw: the dialect `sqlite+apsw`, for both kinds of engine.

```python
engine = create_async_engine("sqlite+apsw:///shop.db")  # or create_engine
```
"""

from __future__ import annotations

import asyncio
import math
import re
from typing import Any

import apsw
from sqlalchemy import URL, pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteDialect, SQLiteExecutionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.util import await_only

from diptych.adapters.sqlalchemy.apsw_dbapi import ApswConnection, ApswModule, Waiting

__all__ = ["ApswDialect", "AsyncApswDialect", "register"]

_NOT_IN_MEMORY = (
    "SQLite in memory cannot be shared by several connections. Name a file: sqlite+apsw:///shop.db"
)


class ApswDialect(SQLiteDialect):
    """The dialect for `create_engine`.

    Transactions begin with BEGIN IMMEDIATE. For those that only read there is the isolation level
    DEFERRED: `engine.execution_options(isolation_level="DEFERRED")`. URL options: `synchronous`
    (full or normal) and `busy_timeout_s`.
    """

    driver = "apsw"
    default_paramstyle = "qmark"
    supports_statement_cache = True
    supports_sane_multi_rowcount = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """The driver."""
        return ApswModule()

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> Any:  # noqa: ARG003  as SQLAlchemy calls it
        """The dialect for `create_async_engine`."""
        return AsyncApswDialect

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:  # noqa: ARG003  as SQLAlchemy calls it
        """A pool for a file."""
        return pool.QueuePool

    def create_connect_args(self, url: URL) -> Any:
        """The file and the options. Raises ArgumentError for memory and unknown options."""
        if not url.database or ":memory:" in url.database:
            raise ArgumentError(_NOT_IN_MEMORY)
        options: dict[str, Any] = dict(url.query)
        if "busy_timeout_s" in options:
            options["busy_timeout_s"] = float(options["busy_timeout_s"])
        if options.get("synchronous", "full") not in ("full", "normal") or not (
            options.keys() <= {"synchronous", "busy_timeout_s"}
        ):
            raise ArgumentError(
                f"{dict(url.query)} is not understood: synchronous=full|normal, busy_timeout_s=30."
            )
        return [url.database], options

    def on_connect(self) -> Any:
        """Give each connection the functions that SQLAlchemy relies on."""

        def add_functions(connection: ApswConnection) -> None:
            add = connection.driver.create_scalar_function
            add("regexp", _regexp, 2, deterministic=True)
            add("floor", _floor, 1, deterministic=True)

        return add_functions

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin for real: SQLAlchemy leaves this to the driver elsewhere."""
        dbapi_connection.begin()

    def get_driver_connection(self, connection: Any) -> apsw.Connection:
        """The connection of apsw."""
        driver: apsw.Connection = connection.driver
        return driver

    def get_isolation_level_values(self, dbapi_conn: Any) -> Any:
        """How transactions may begin; SERIALIZABLE is another word for IMMEDIATE."""
        return ["IMMEDIATE", "DEFERRED", "AUTOCOMMIT", "SERIALIZABLE"]

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """How transactions of this connection begin."""
        return dbapi_connection.begin_word or "AUTOCOMMIT"

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """Say how transactions of this connection begin."""
        words = {"AUTOCOMMIT": "", "SERIALIZABLE": "IMMEDIATE"}
        dbapi_connection.begin_word = words.get(level, level)

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """Whether every statement stands alone."""
        return not dbapi_conn.begin_word

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Whether the connection was closed behind the pool's back."""
        return isinstance(e.__cause__, apsw.ConnectionClosedError)

    def _get_server_version_info(self, connection: Any) -> Any:
        return ApswModule.sqlite_version_info


class _Context(SQLiteExecutionContext):
    def create_server_side_cursor(self) -> Any:
        return self._dbapi_connection.cursor()


class AsyncApswDialect(ApswDialect):
    """The dialect for `create_async_engine`.

    Statements run on the event loop, as diptych's own small ones do: a hop to a thread costs more
    than most of them. Locks are waited for by sleeping on the loop, so everybody else goes on.
    """

    is_async = True
    supports_statement_cache = True
    supports_server_side_cursors = True
    execution_ctx_cls = _Context

    @classmethod
    def import_dbapi(cls) -> Any:
        """The driver, waiting on the event loop."""
        return ApswModule(
            Waiting(
                sleep_s=lambda seconds: await_only(asyncio.sleep(seconds)),
                be_awaited=lambda: await_only(_nothing()),
            )
        )

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:  # noqa: ARG003  as SQLAlchemy calls it
        """A pool for a file."""
        return pool.AsyncAdaptedQueuePool


def register() -> None:
    """Make `sqlite+apsw://` known to SQLAlchemy; importing `diptych.adapters.sqlalchemy` does."""
    registry.register("sqlite.apsw", __name__, "ApswDialect")


def _regexp(*arguments: Any) -> bool | None:
    pattern, text = arguments
    return None if text is None else re.search(pattern, text) is not None


def _floor(*arguments: Any) -> int | None:
    (number,) = arguments
    return None if number is None else math.floor(number)


async def _nothing() -> None:
    """Be awaited, without giving anybody a turn."""
