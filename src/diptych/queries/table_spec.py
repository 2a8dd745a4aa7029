"""What a projection keeps in a store: rows by key, own tables, or a view."""

from __future__ import annotations

from typing import Literal

import msgspec

from diptych.queries.code_mark import same_code
from diptych.queries.read_model import RowShape

__all__ = ["TableSpec", "ViewKept", "ViewSpec"]

ViewKept = Literal["query", "view", "materialized"]
"""How a view is kept: as nothing but a query, as a view, or as rows that are refreshed."""


class ViewSpec(msgspec.Struct, frozen=True):
    """Rows computed by a SELECT with a column for every field of the read model.

    `sql` is one SELECT, or one for each dialect by its name ("sqlite", "postgresql").
    """

    sql: str | dict[str, str]
    kept: ViewKept = "view"


class TableSpec(msgspec.Struct, frozen=True):
    """What one projection (or view) keeps in the store.

    `name` is the projection's (snake case), or that of one generation of its rows (see
    `generation_name`); `fingerprint` is two parts with a dot between them: the first changes when
    its rows would look different, the second with the projection's code. Exactly one of
    `shape` (rows by key) and `schema` (own CREATE statements, `tables` being the names they create)
    is given. With `view`, the rows of `shape` are not written but computed.
    """

    name: str
    fingerprint: str
    shape: RowShape | None = None
    schema: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    view: ViewSpec | None = None

    def made_otherwise(self, fingerprint: str) -> bool:
        """Whether rows with that fingerprint ('': no rows yet) are of no use to this projection."""
        look, _, _ = fingerprint.partition(".")
        return look not in ("", self.fingerprint.partition(".")[0])

    def coded_otherwise(self, fingerprint: str) -> bool:
        """Whether other code has made those rows; False where either cannot be told."""
        _, _, code = fingerprint.partition(".")
        _, _, ours = self.fingerprint.partition(".")
        return not same_code(code, ours)
