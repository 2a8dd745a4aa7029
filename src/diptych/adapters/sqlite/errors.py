"""What SQLite's errors mean for the caller: the one place where they are translated."""

from __future__ import annotations

import apsw

from diptych.errors import (
    ConfigurationError,
    DiptychError,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)

__all__ = ["hits_everyone", "translate"]

_BUSY = (apsw.BusyError, apsw.LockedError)
_REFUSED = (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError)
_BROKEN = (apsw.CorruptError, apsw.NotADBError)


def hits_everyone(error: BaseException) -> bool:
    """Whether every transaction would fail like this, whatever it writes."""
    return isinstance(error, (*_BUSY, *_REFUSED, *_BROKEN, apsw.IOError, apsw.NoMemError))


def translate(error: BaseException, path: str, *, committing: bool = False) -> BaseException:
    """The error to raise instead of `error`, which becomes its cause.

    `committing` says that COMMIT was under way. What is not SQLite's comes back as it is.
    """
    if isinstance(error, StopIteration):  # a future cannot carry one
        return RuntimeError(f"StopIteration while writing to {path}: {error}")
    if not isinstance(error, apsw.Error):
        return error
    meant = _meaning(error, path, committing=committing)
    meant.__cause__ = error
    return meant


def _meaning(error: apsw.Error, path: str, *, committing: bool) -> DiptychError:
    if isinstance(error, apsw.AuthError):  # what our own authorizer says, nobody else
        return ConfigurationError(
            f"only reading statements are allowed here, and nothing was written to {path}. Write by "
            "commands, and to read models by projections."
        )
    if isinstance(error, _BUSY):
        return StoreUnavailable(
            f"{path} is locked by another process, longer than we were told to wait; nothing was "
            "written. Find the process that holds it (a shell with an open transaction, a copy or "
            "backup tool), let it finish, and try again; or wait longer: ?busy_timeout_s=60."
        )
    if isinstance(error, apsw.FullError):
        return StoreUnavailable(
            f"the disk of {path} is full; nothing was written. Free some space and try again: no "
            "restart is needed."
        )
    if isinstance(error, _REFUSED):
        return StoreUnavailable(
            f"{path} cannot be opened or written ({error}); nothing was written. This process needs "
            "to read and write the file, its -wal and -shm neighbours, and its folder, which must "
            "exist."
        )
    if isinstance(error, _BROKEN):
        return StoreError(
            f"{path} is not an SQLite database or is damaged ({error}). Check the path; otherwise "
            "keep a copy and restore a backup, or see `sqlite3 file .recover`."
        )
    if committing and isinstance(error, apsw.IOError):
        return OutcomeUnknown(
            f"committing to {path} failed half-way ({error}): it happened or it did not. Look at the "
            "disk, then try again with the same command id to learn which.",
            command_id=None,
        )
    if isinstance(error, apsw.IOError):
        return StoreUnavailable(
            f"{path} cannot be read or written ({error}); nothing was written. Look at the disk and "
            "the space left on it, then try again."
        )
    return StoreError(f"{path} could not do what was asked: {error}. Nothing was written.")
