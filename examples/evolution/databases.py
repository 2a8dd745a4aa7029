"""Where the stages live if nobody says otherwise, and how their tables get there."""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy.schema import CreateSchema

from diptych.adapters.sqlalchemy import engine_for

from .tables import TABLES

__all__ = ["READ", "REPLICA", "WRITE", "make_tables"]

WRITE = os.environ.get("SHOP_WRITE", "postgresql://localhost/shop?schema=public")
"""The database that is written to. In the schema `public`, views and ORM find the same tables."""

REPLICA = os.environ.get("SHOP_REPLICA", "postgresql://replica/shop?schema=public")
"""Its streaming replica."""

READ = os.environ.get("SHOP_READ", "postgresql://localhost/shop_read?schema=public")
"""Another database, for read models only."""


async def make_tables(write: str) -> None:
    """Make the shop's tables in the database of `write`, where they are missing.

    In real life this is what Alembic does. Views need it done before the application opens.
    """
    schema = dict(parse_qsl(urlsplit(write).query)).get("schema")
    engine = engine_for(write)
    try:
        async with engine.begin() as connection:
            if schema:
                await connection.execute(CreateSchema(schema, if_not_exists=True))
            await connection.run_sync(TABLES.create_all)
    finally:
        await engine.dispose()
