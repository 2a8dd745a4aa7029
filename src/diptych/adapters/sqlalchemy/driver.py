"""The driver's connection under a session, in a transaction that has really begun."""

from __future__ import annotations

from typing import Any

import apsw
from sqlalchemy.orm import Session

from diptych.errors import ConfigurationError

__all__ = ["handle_of"]


def handle_of(session: Session) -> Any:
    """The connection of asyncpg or apsw that `session` works on, in its transaction.

    For an AsyncSession: `await session.run_sync(handle_of)`. Raises ConfigurationError for a
    session that commits every statement by itself.
    """
    connection = session.connection()
    handle = connection.connection.driver_connection
    if not _in_transaction(handle):
        # With asyncpg, SQLAlchemy begins with the first statement; there was none yet.
        connection.exec_driver_sql("SELECT 1")
    if not _in_transaction(handle):
        raise ConfigurationError(
            f"this session has no transaction on {handle!r} that an append could share. Use "
            'postgresql+asyncpg or sqlite+apsw, and not the isolation level "AUTOCOMMIT".'
        )
    return handle


def _in_transaction(handle: Any) -> bool:
    if isinstance(handle, apsw.Connection):
        return handle.in_transaction
    look = getattr(handle, "is_in_transaction", None)
    return bool(look and look())
