"""The path, stage by stage, and where each of them finds its databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from diptych import App

from . import stage1, stage1b, stage2, stage3, stage4, stage5

__all__ = ["STAGES", "Places", "Stage"]


class Places(NamedTuple):
    """URLs. `file` is SQLite, the others are PostgreSQL; '' where there is none."""

    file: str
    write: str = ""
    read: str = ""
    replica: str = ""


class Stage(NamedTuple):
    """One stage. `needs` names the places without which it cannot be played."""

    name: str
    writes_to: str
    reads_from: str
    needs: tuple[str, ...]
    shop_at: Callable[..., App]
    has_tables: bool = True


def _stage1(places: Places, **options: Any) -> App:
    return stage1.shop_at(places.file, **options)


def _stage1b(places: Places, **options: Any) -> App:
    return stage1b.shop_at(places.write, **options)


def _stage2(places: Places, **options: Any) -> App:
    return stage2.shop_at(places.write, [places.replica], **options)


def _stage3(places: Places, **options: Any) -> App:
    return stage3.shop_at(places.write, **options)


def _stage4(places: Places, **options: Any) -> App:
    return stage4.shop_at(places.write, places.read, **options)


def _stage5(places: Places, **options: Any) -> App:
    return stage5.shop_at(places.write, **options)


STAGES = (
    Stage("1", "tables in SQLite", "the same tables", ("file",), _stage1),
    Stage("1b", "tables in PostgreSQL", "views of the same database", ("write",), _stage1b),
    Stage("2", "tables on the primary", "views on the replica", ("write", "replica"), _stage2),
    Stage("3", "tables and outbox", "read models beside them", ("write",), _stage3),
    Stage("4", "tables and outbox", "read models in another database", ("write", "read"), _stage4),
    Stage(
        "5", "an append-only log", "read models beside it", ("write",), _stage5, has_tables=False
    ),
)
"""In the order of the path."""
