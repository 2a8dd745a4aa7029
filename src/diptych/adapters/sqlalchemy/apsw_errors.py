"""The errors of PEP 249, and which of them an error of apsw is."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import NoReturn

import apsw

__all__ = [
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "translating",
]


class Error(Exception):
    """Root of what this driver raises; the error of apsw is its cause."""


class DatabaseError(Error):
    """The database could not do what was asked."""


class InterfaceError(Error):
    """The driver was used wrongly."""


class DataError(DatabaseError):
    """A value does not fit."""


class IntegrityError(DatabaseError):
    """A constraint forbids it."""


class InternalError(DatabaseError):
    """SQLite is in a state that it should not be in."""


class NotSupportedError(DatabaseError):
    """SQLite cannot do this."""


class OperationalError(DatabaseError):
    """Locked, full, unreadable, or wrong SQL."""


class ProgrammingError(DatabaseError):
    """The statement and its parameters do not belong together, or the connection is closed."""


_MEANINGS: tuple[tuple[tuple[type[Exception], ...], type[Error]], ...] = (
    ((apsw.ConstraintError,), IntegrityError),
    ((apsw.MismatchError, apsw.TooBigError, apsw.RangeError), DataError),
    (
        (
            apsw.BindingsError,
            apsw.ConnectionClosedError,
            apsw.CursorClosedError,
            apsw.MisuseError,
            apsw.ThreadingViolationError,
        ),
        ProgrammingError,
    ),
    ((apsw.InternalError,), InternalError),
    ((apsw.Error,), OperationalError),
    ((TypeError,), ProgrammingError),  # a parameter of a type that SQLite does not know
)


class translating(contextlib.AbstractContextManager[None]):  # noqa: N801  reads like a word
    """Raise what PEP 249 calls an error of apsw."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, apsw.Error | TypeError):
            _raise_as_dbapi(error)


def _raise_as_dbapi(error: apsw.Error | TypeError) -> NoReturn:
    meaning = next(made for kinds, made in _MEANINGS if isinstance(error, kinds))
    raise meaning(str(error)) from error
