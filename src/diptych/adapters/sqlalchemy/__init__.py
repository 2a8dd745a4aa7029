"""SQLAlchemy: write models in your own tables, and events that commit with them.

Reading order: `outbox` (a session's rows and events in one transaction), `table_of` and `mapped`
(aggregates in tables: by hand, by names; `columns`, `child_rows`), `tables` (the port that commands
work through), `driver` and `last_statement` (the append is the last thing a transaction does),
`engine`, `errors`. On SQLite, SQLAlchemy runs on apsw: `apsw_dialect`, `apsw_dbapi`,
`apsw_errors`.
"""

from diptych.adapters.sqlalchemy.apsw_dialect import register
from diptych.adapters.sqlalchemy.engine import engine_for
from diptych.adapters.sqlalchemy.mapped import mapped
from diptych.adapters.sqlalchemy.outbox import Outbox, OutboxWork
from diptych.adapters.sqlalchemy.table_of import TableOf

__all__ = ["Outbox", "OutboxWork", "TableOf", "engine_for", "mapped"]

register()
