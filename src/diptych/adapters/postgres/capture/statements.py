"""SQL of the capture from the files in its `sql/`, with the schema that they leave open."""

from __future__ import annotations

from functools import cache

from diptych.adapters.postgres.statements import statement_in, with_names

__all__ = ["sql"]


@cache
def sql(name: str, schema: str = "") -> str:
    """The statement in `sql/<name>.sql`, without its header comment; `:"schema"` is filled in."""
    return with_names(statement_in("diptych.adapters.postgres.capture", name), {"schema": schema})
