"""Leaving a session: a connection that died fails to roll back, too, and must not hide why.

PostgreSQL and SQLite roll back by themselves what a lost connection had begun, so nothing is lost
when nobody says it to them.
"""

from __future__ import annotations

import asyncio

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

__all__ = ["leave", "roll_back", "roll_back_blocking"]


async def leave(session: AsyncSession) -> None:
    """Close a session for good, also while its task is being cancelled. Raises nothing for a
    connection that died.
    """
    await asyncio.shield(asyncio.ensure_future(session.run_sync(_close)))


async def roll_back(session: AsyncSession) -> None:
    """Roll back, or throw away the connection that cannot."""
    await session.run_sync(roll_back_blocking)


def roll_back_blocking(session: Session) -> None:
    """Roll back, or throw away the connection that cannot."""
    try:
        session.rollback()
    except SQLAlchemyError:
        session.invalidate()


def _close(session: Session) -> None:
    try:
        session.close()
    except SQLAlchemyError:
        session.invalidate()
