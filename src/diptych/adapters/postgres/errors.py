"""What PostgreSQL's and the driver's errors mean for the caller: the one place where they are
translated.
"""

from __future__ import annotations

import asyncpg

from diptych.adapters.postgres.silence import NoAnswer
from diptych.errors import (
    ConfigurationError,
    DiptychError,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)

__all__ = ["DRIVER_ERRORS", "hits_everyone", "is_lost", "translate", "unknown"]

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DatabaseDroppedError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
    OSError,
)
_REFUSED = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)
_READ_ONLY = (asyncpg.ReadOnlySQLTransactionError,)
_FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)

_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], type[DiptychError], str], ...] = (
    (
        _REFUSED,
        StoreUnavailable,
        (
            "PostgreSQL at {place} does not let this user in ({error}). Check user and password "
            "in the URL, and pg_hba.conf on the server."
        ),
    ),
    (
        (asyncpg.InvalidCatalogNameError,),
        StoreUnavailable,
        (
            "there is no such database: {place} ({error}). Make it once: createdb NAME, or correct "
            "the URL."
        ),
    ),
    (
        (asyncpg.TooManyConnectionsError,),
        StoreUnavailable,
        (
            "PostgreSQL at {place} has no connection left ({error}); nothing was written. Lower "
            "?connections= in the URL, or raise max_connections on the server."
        ),
    ),
    (
        _READ_ONLY,
        StoreUnavailable,
        (
            "PostgreSQL at {place} takes no writes ({error}); nothing was written. Is it a "
            "replica, or default_transaction_read_only set? Connect to the primary."
        ),
    ),
    (
        _FULL,
        StoreUnavailable,
        (
            "the disk or the memory of PostgreSQL at {place} is full ({error}); nothing was "
            "written. Free some space and try again: no restart is needed here."
        ),
    ),
    (
        (asyncpg.LockNotAvailableError,),
        StoreUnavailable,
        (
            "somebody else held a lock at {place} longer than we were told to wait; nothing was "
            "written. Find who: SELECT pid, state, query FROM pg_stat_activity WHERE pid IN "
            "(SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity); or wait longer: "
            "?timeout_s=60."
        ),
    ),
    (
        (asyncpg.QueryCanceledError,),
        StoreUnavailable,
        (
            "a statement at {place} was stopped ({error}); nothing was written. If it was "
            "statement_timeout, raise it for this user: ALTER ROLE ... SET statement_timeout."
        ),
    ),
    (
        (asyncpg.DeadlockDetectedError,),
        StoreUnavailable,
        (
            "a transaction at {place} and another one waited for each other ({error}); nothing was "
            "written. Append last in a transaction, and try again."
        ),
    ),
    (
        (asyncpg.SerializationError,),
        StoreUnavailable,
        (
            "{place} ended a statement because of another one ({error}); nothing was written. Try "
            "again. On a replica that is replication: see max_standby_streaming_delay and "
            "hot_standby_feedback."
        ),
    ),
    (
        (asyncpg.InsufficientPrivilegeError,),
        StoreUnavailable,
        (
            "this user may not do that at {place} ({error}); nothing was written. Let the owner of "
            "the schema call diptych.adapters.postgres.grant_application.grant_application(role)."
        ),
    ),
    (
        (NoAnswer,),
        StoreUnavailable,
        (
            "PostgreSQL at {place} answered no more ({error}): that connection was closed, and "
            "what was not committed is not written. Try again, on a new one; look at the network; "
            "or wait longer: ?timeout_s=60."
        ),
    ),
    (
        (TimeoutError,),
        StoreUnavailable,
        (
            "PostgreSQL at {place} did not answer in time; nothing was written. Check host, port "
            "and firewall, or wait longer: ?timeout_s=60."
        ),
    ),
    (
        (*_LOST, asyncpg.InterfaceError),
        StoreUnavailable,
        (
            "PostgreSQL at {place} cannot be reached ({error}); nothing was written. Check that it "
            "runs and takes connections there, then try again."
        ),
    ),
    (
        (asyncpg.InFailedSQLTransactionError,),
        StoreError,
        (
            "the transaction at {place} has failed before, by a statement whose error was "
            "swallowed ({error}); nothing was written, and nothing of it can be committed. Let "
            "that error end the transaction, or put the statement into a savepoint, and begin anew."
        ),
    ),
    (
        (asyncpg.PostgresError,),
        StoreError,
        "{place} could not do what was asked: {error}. Nothing was written.",
    ),
)
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # Raised by the driver on a connection whose server died at an unlucky moment.
    asyncpg.InternalClientError,
    OSError,
)
"""Everything the driver raises."""


def is_lost(error: BaseException) -> bool:
    """Whether the connection went away, before or while the statement was running."""
    if isinstance(error, asyncpg.DataError):  # the driver's own: it could not encode an argument
        return False
    return isinstance(error, (*_LOST, asyncpg.InterfaceError))


def hits_everyone(error: BaseException) -> bool:
    """Whether every transaction would fail like this, whatever it writes."""
    kinds = (*_READ_ONLY, *_FULL, asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError)
    return isinstance(error, kinds) or is_lost(error)


def translate(error: BaseException, place: str) -> BaseException:
    """The error to raise instead of `error`, which becomes its cause.

    What is not the driver's comes back as it is.
    """
    if isinstance(error, StopIteration):  # a future cannot carry one
        return RuntimeError(f"StopIteration while writing to {place}: {error}")
    if not isinstance(error, DRIVER_ERRORS):
        return error
    meant: DiptychError
    if isinstance(error, asyncpg.DataError):
        meant = StoreError(
            f"{place} cannot keep a value that it was given: {error}. Nothing was written."
        )
    elif _is_poolers(error):
        meant = ConfigurationError(
            f"the pooler at {place} does not pass on our settings ({error}). Connect to PostgreSQL "
            "itself, or to a pool in session mode with ignore_startup_parameters set."
        )
    else:
        kind, text = next(
            (meaning, text) for kinds, meaning, text in _MEANINGS if isinstance(error, kinds)
        )
        meant = kind(text.format(place=place, error=_said(error)))
    meant.__cause__ = error
    return meant


def unknown(error: BaseException, place: str, command_id: str | None) -> OutcomeUnknown:
    """What to raise when the connection was lost while a commit was under way."""
    meant = OutcomeUnknown(
        f"the connection to {place} was lost during a commit ({_said(error)}): it happened or it "
        "did not. Try again with the same command id to learn which.",
        command_id=command_id,
    )
    meant.__cause__ = error
    return meant


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _is_poolers(error: BaseException) -> bool:
    return isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in str(error)
