"""Tables that grow fast are looked at again by the planner.

PostgreSQL keeps the plan of a statement it has run a few times, and one made for a tiny table scans
it; autovacuum would notice within minutes, a rebuild has written a million rows by then. An ANALYZE
throws such plans away, on every connection.
"""

from __future__ import annotations

from collections import defaultdict

__all__ = ["Growth"]

_FIRST, _FACTOR = 500, 10


class Growth:
    """Counts what this process writes to each table since it was opened or made anew."""

    def __init__(self) -> None:
        self._written: defaultdict[str, int] = defaultdict(int)
        self._due: defaultdict[str, int] = defaultdict(lambda: _FIRST)

    def is_due(self, table: str, rows: int) -> bool:
        """Count rows that were written; True when the table should be analysed now."""
        written = self._written[table] = self._written[table] + rows
        if written < self._due[table]:
            return False
        while self._due[table] <= written:
            self._due[table] *= _FACTOR
        return True

    def forget(self, table: str) -> None:
        """The table is empty again."""
        self._written.pop(table, None)
        self._due.pop(table, None)
