"""Rows from events, rows into tables, lines out of them: what the mappings have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from diptych_examples.shop.messages.events import OrderLine

__all__ = ["lines_of", "put", "row_of"]


def row_of(struct: Any, *without: str, **more: Any) -> dict[str, Any]:
    """The fields of an event as columns."""
    row = {**msgspec.structs.asdict(struct), **more}
    return {name: value for name, value in row.items() if name not in without}


async def lines_of(session: AsyncSession, table: Table, key: str) -> list[OrderLine]:
    """The lines of a cart or an order, in their order."""
    line = table.c
    wanted = select(line.stock_code, line.name, line.quantity, line.unit_price_pence)
    (owner,) = (column for column in table.primary_key if column.name != "line")
    found = await session.execute(wanted.where(owner == key).order_by(line.line))
    return [OrderLine(*row) for row in found]


async def put(session: AsyncSession, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or write over those with the same primary key."""
    if not rows:
        return
    dialect = (await session.connection()).dialect.name
    adding: Any = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    key = [column.name for column in table.primary_key]
    news = {name: adding.excluded[name] for name in rows[0] if name not in key}
    await session.execute(adding.on_conflict_do_update(index_elements=key, set_=news), rows)
