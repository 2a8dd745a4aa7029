"""What SQLAlchemy's errors mean for a command: the one place where they are translated.

Wrong SQL and broken constraints (but for unique keys) are the handler's own business and stay what
they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw
from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from diptych.errors import (
    ConflictError,
    DiptychError,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)

__all__ = ["RIVAL_STATES", "breaks_key", "notice_failure", "translate", "translating"]

_UNIQUE = "23505"
_FAILED_BEFORE = "25P02"
RIVAL_STATES = {
    "40001": "another transaction changed what this one had read",
    "40P01": "it and another transaction waited for each other",
}
"""Codes with which PostgreSQL ends a transaction that may be tried again, and what they mean."""
_SQLITE_UNIQUE = (apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY)
_SQLITE_UNAVAILABLE = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
)


@contextmanager
def translating(*, committing: bool = False) -> Iterator[None]:
    """Raise diptych's errors for those of the database that it has a word for."""
    try:
        yield
    except (DBAPIError, StaleDataError, PoolTimeout) as error:
        meant = translate(error, committing=committing)
        if meant is None:
            raise
        raise meant from error


async def notice_failure(session: AsyncSession) -> None:
    """Raise if a statement before has failed, and the handler passed over its error.

    PostgreSQL answers the commit of such a transaction with a rollback, and no error.
    """
    await session.execute(text("SELECT 1"))


def translate(error: Exception, *, committing: bool = False) -> DiptychError | None:
    """What `error` means; None when it is for the handler's author to read."""
    if isinstance(error, StaleDataError):
        return ConflictError(f"a row that this transaction wrote had changed: {error}.")
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(
            f"no connection to the database became free: {error}. Nothing was written. Find who "
            "holds transactions open for long, or allow more connections."
        )
    if not isinstance(error, DBAPIError):
        return None
    driver = error.orig.__cause__ if error.orig is not None else None
    if isinstance(driver, apsw.Error):
        return _of_sqlite(driver, committing=committing)
    return _of_postgres(error, committing=committing)


def breaks_key(error: IntegrityError, table: Table) -> bool:
    """Whether a row could not be inserted because `table` has one with its primary key."""
    driver = error.orig.__cause__ if error.orig is not None else None
    if isinstance(driver, apsw.Error):
        return getattr(driver, "extendedresult", 0) == apsw.SQLITE_CONSTRAINT_PRIMARYKEY
    name = table.primary_key.name or f"{table.name}_pkey"
    return getattr(driver, "constraint_name", None) == name


def _of_sqlite(error: apsw.Error, *, committing: bool) -> DiptychError | None:
    extended = getattr(error, "extendedresult", 0)
    if extended == apsw.SQLITE_BUSY_SNAPSHOT:
        return _rival("another transaction wrote after this one had begun to read")
    if extended in _SQLITE_UNIQUE:
        return _taken(error)
    if committing and isinstance(error, apsw.IOError):
        return _unknown(error)
    if isinstance(error, _SQLITE_UNAVAILABLE):
        return StoreUnavailable(
            f"the database file cannot be written ({error}); nothing was written. Find who holds "
            "it, look at the disk, and try again."
        )
    return None


def _of_postgres(  # noqa: PLR0911  one line for each state
    error: DBAPIError, *, committing: bool
) -> DiptychError | None:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    driver = getattr(error.orig, "__cause__", None) or error.orig
    if state in RIVAL_STATES:
        return _rival(RIVAL_STATES[state])
    if state == _UNIQUE:
        return _taken(driver)
    if state == _FAILED_BEFORE:
        return StoreError(
            "a statement failed before, and its error was passed over: PostgreSQL takes nothing "
            "more in this transaction, and nothing was written. Where a statement may fail, give "
            "it a savepoint: async with session.begin_nested()."
        )
    if error.connection_invalidated or state.startswith(("08", "57P")):
        if committing:
            return _unknown(driver)
        return StoreUnavailable(
            f"the database closed the connection ({driver}); nothing was written. Try again."
        )
    if state.startswith("53") or state == "55P03":
        return StoreUnavailable(f"the database has no room or a lock is held: {driver}.")
    return None


def _rival(why: str) -> ConflictError:
    return ConflictError(
        f"the database ended this transaction, because {why}. Nothing was written; decide again."
    )


def _taken(error: object) -> ConflictError:
    # Whoever looks again finds the row there; who fails a second time has a bug to read about.
    return ConflictError(
        f"a unique key is taken ({error}); nothing was written. Look at what is there before you "
        "write, and reject what must not be.",
        unique=True,
    )


def _unknown(error: object) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"the commit was sent and no answer came back ({error}): it happened or it did not. Try "
        "again with the same command id to learn which.",
        command_id=None,
    )
