"""The write-ahead log: when to move it into the database file, and when to worry about its size."""

from __future__ import annotations

import logging

import apsw

__all__ = ["WriteAheadLog"]

_logger = logging.getLogger("diptych.sqlite")

_PAGE = 4096
_CHECKPOINT_PAGES = (4 << 20) // _PAGE
_RESTART_PAGES = (16 << 20) // _PAGE
_RESTART_WITHIN_MS = 200
_WORRY_PAGES = (64 << 20) // _PAGE


class WriteAheadLog:
    """Watches how much one connection wrote, and checkpoints.

    Only the writing connection checkpoints, between groups, so that no commit has to carry the cost
    and no two connections of this process do it at once. A checkpoint never waits: what a reader
    still needs stays until the next one. Only where the file grows to 16 MB, because with several
    processes there is always somebody reading it, the readers of that moment are waited for; where
    that fails, at twice that size again. A reader that stays for long makes the file grow; that is
    said in a warning at 64 MB and each time it has doubled.
    """

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._checkpointed_at = self._pages_written()
        self._pages = 0
        self._worry_at = _WORRY_PAGES
        self._restart_at = _RESTART_PAGES

    @property
    def due(self) -> bool:
        """Whether enough was written since the last checkpoint. Costs 0.1 us."""
        return self._pages_written() - self._checkpointed_at >= _CHECKPOINT_PAGES

    def checkpoint(self) -> None:
        """Move what nobody reads any more into the database file. Does not raise."""
        self._checkpointed_at = self._pages_written()
        try:
            pages, moved = self._connection.wal_checkpoint()
            if pages >= self._restart_at:
                pages, moved = self._restart(pages, moved)
        except apsw.BusyError:
            _logger.debug("another process checkpoints %s at this moment", self._path)
            return
        except apsw.Error as error:
            # The next one will do; appends are safe in the WAL file meanwhile.
            _logger.warning(
                "checkpoint of %s failed and will be tried again: %s", self._path, error
            )
            return
        self._worry(pages, moved)

    def _restart(self, pages: int, moved: int) -> tuple[int, int]:
        """Wait until nobody reads the file, then begin it anew; how large it is afterwards."""
        connection = self._connection
        connection.set_busy_timeout(_RESTART_WITHIN_MS)
        try:
            after = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            self._restart_at = 2 * pages
            return pages, moved
        else:
            self._restart_at = _RESTART_PAGES
            return after
        finally:
            connection.set_busy_timeout(0)  # as it is opened: the writer waits in its own way

    def _worry(self, pages: int, moved: int) -> None:
        before, self._pages = self._pages, pages
        if min(before, pages) < _WORRY_PAGES:  # once may be one large append
            self._worry_at = _WORRY_PAGES
        elif pages >= self._worry_at:
            self._worry_at = 2 * pages
            _logger.warning(
                "%s-wal has grown to %d MB, of which %d MB cannot be moved into the database, "
                "because somebody reads an old state. Find the long reader (a backup, a report, a "
                "shell with an open transaction) and end it.",
                self._path,
                (pages * _PAGE) >> 20,
                ((pages - moved) * _PAGE) >> 20,
            )

    def _pages_written(self) -> int:
        return self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0]
