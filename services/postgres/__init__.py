"""PostgreSQL: a primary and its streaming replica for everybody, private servers to break.

Reading order: `pair` (what `up` and `down` do), `private` (servers that a test may kill), `server`
(one server), then what it stands on: `binaries`, `settings`, `readiness`.
"""

from services.postgres.pair import down, is_up, up
from services.postgres.private import PrivatePostgres

__all__ = ["PrivatePostgres", "down", "is_up", "up"]
