"""An append is the last statement of its transaction: from then on every other append waits."""

from __future__ import annotations

from typing import Any, NoReturn

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from diptych.errors import ConfigurationError

__all__ = ["LastStatement", "flush_all"]

_MOST_FLUSHES = 100


def flush_all(session: Session) -> None:
    """Write everything that is pending, also what a flush made pending."""
    for _ in range(_MOST_FLUSHES):
        session.flush()
        if not (session.new or session.dirty or session.deleted):
            return


class LastStatement:
    """Refuses what a session wants to write after the append of its transaction."""

    def __init__(self) -> None:
        self._closed: Connection | None = None

    def close(self, session: Session) -> None:
        """From now on nothing but the commit or rollback. Call `reopen` in the end."""
        self._closed = session.connection()
        event.listen(self._closed, "before_cursor_execute", _refuse)

    def reopen(self) -> None:
        """The transaction is over."""
        closed, self._closed = self._closed, None
        if closed is not None:
            event.remove(closed, "before_cursor_execute", _refuse)


def _refuse(_connection: Any, _cursor: Any, statement: str, *_: Any) -> NoReturn:
    raise ConfigurationError(
        "a statement came after the events were appended, which is the last thing a transaction "
        f"does: {statement[:200]!r}. Nothing was written. Do it before the end of the unit of work "
        "(a before_commit hook comes too late)."
    )
