"""What SQLite's errors mean for the caller: the one place where they are translated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from diptych.errors import (
    ConfigurationError,
    DiptychError,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)

__all__ = ["garbled", "hits_everyone", "translate", "unknown"]

_BUSY = (apsw.BusyError, apsw.LockedError)
_REFUSED = (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError)
_BROKEN = (apsw.CorruptError, apsw.NotADBError)

_MEANINGS: tuple[tuple[tuple[type[apsw.Error], ...], type[DiptychError], str], ...] = (
    (
        _BUSY,
        StoreUnavailable,
        (
            "{path} is locked by another process, longer than we were told to wait; nothing was "
            "written. Find the process that holds it (a shell with an open transaction, a backup), "
            "let it finish, and try again; or wait longer: ?busy_timeout_s=60."
        ),
    ),
    (
        (apsw.FullError,),
        StoreUnavailable,
        (
            "the disk of {path} is full; nothing was written. Free some space and try again: no "
            "restart is needed."
        ),
    ),
    (
        _REFUSED,
        StoreUnavailable,
        (
            "{path} cannot be opened or written ({error}); nothing was written. This process must "
            "be allowed to read and write the file, its -wal and -shm neighbours, and its folder, "
            "which must exist."
        ),
    ),
    (
        _BROKEN,
        StoreError,
        (
            "{path} is not an SQLite database or is damaged ({error}). Check the path; otherwise "
            "keep a copy and restore a backup, or see `.recover` of the sqlite3 shell."
        ),
    ),
    (
        (apsw.IOError,),
        StoreUnavailable,
        (
            "{path} cannot be read or written ({error}); nothing was written. Look at the disk and "
            "the space left on it, then try again."
        ),
    ),
    (
        # Only our own authorizer says this, on connections that read.
        (apsw.AuthError,),
        ConfigurationError,
        (
            "only reading statements are allowed here, and nothing was written to {path}. Write "
            "with commands, and to read models with projections."
        ),
    ),
    (
        (apsw.Error,),
        StoreError,
        "{path} could not do what was asked: {error}. Nothing was written.",
    ),
)


def hits_everyone(error: BaseException) -> bool:
    """Whether every transaction would fail like this, whatever it writes."""
    return isinstance(error, (*_BUSY, *_REFUSED, *_BROKEN, apsw.IOError, apsw.NoMemError))


def translate(error: BaseException, path: str) -> BaseException:
    """The error to raise instead of `error`, which becomes its cause.

    What is not SQLite's comes back as it is.
    """
    if isinstance(error, StopIteration):  # a future cannot carry one
        return RuntimeError(f"StopIteration while writing to {path}: {error}")
    if isinstance(error, UnicodeDecodeError):
        return _damaged(error, path, "a row")
    if not isinstance(error, apsw.Error):
        return error
    meant = next(
        meaning(text.format(path=path, error=error))
        for kinds, meaning, text in _MEANINGS
        if isinstance(error, kinds)
    )
    meant.__cause__ = error
    return meant


def garbled(
    error: UnicodeDecodeError,
    path: str,
    connection: apsw.Connection,
    statement: str,
    parameters: Sequence[Any],
) -> StoreError:
    """What to raise when a reading statement came to a text that is no UTF-8, with the position of
    the row, if its rows have one.
    """
    good = 0
    try:
        for _ in connection.execute(statement, parameters):
            good += 1
    except UnicodeDecodeError as again:
        error = again
    try:
        positions = f"SELECT position FROM ({statement})"  # noqa: S608  one of ours
        rows = connection.execute(positions, parameters).fetchall()
    except apsw.Error:
        return _damaged(error, path, f"row {good + 1} of the answer to {statement[:80]!r}")
    where = f"the row at position {rows[good][0]}" if good < len(rows) else "a row"
    return _damaged(error, path, where)


def _damaged(error: UnicodeDecodeError, path: str, where: str) -> StoreError:
    meant = StoreError(
        f"{path} is damaged: {where} has a text that is no UTF-8 ({error.reason} in "
        f"{error.object[:40]!r}). Keep a copy and restore a backup, or put that text right with "
        "the sqlite3 shell."
    )
    meant.__cause__ = error
    return meant


def unknown(error: apsw.IOError, path: str, command_id: str | None) -> OutcomeUnknown:
    """What to raise when COMMIT itself failed to reach the disk."""
    meant = OutcomeUnknown(
        f"committing to {path} failed half-way ({error}): it happened or it did not. Look at the "
        "disk, then try again with the same command id to learn which.",
        command_id=command_id,
    )
    meant.__cause__ = error
    return meant
