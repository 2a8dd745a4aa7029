"""SQL of the capture from the files in its `sql/`, with the schema that they leave open."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from diptych.adapters.postgres.statements import quoted

__all__ = ["sql"]


@cache
def sql(name: str, schema: str = "") -> str:
    """The statement in `sql/<name>.sql`, without its header comment; `:"schema"` is filled in."""
    text = (files("diptych.adapters.postgres.capture") / "sql" / f"{name}.sql").read_text("utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
    return text.replace(':"schema"', quoted(schema))
