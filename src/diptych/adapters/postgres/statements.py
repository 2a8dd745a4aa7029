"""SQL from the files in `sql/`, with the names that they leave open."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

__all__ = ["literal", "quoted", "sql", "statement_in", "with_names"]


@cache
def sql(name: str, schema: str) -> str:
    """The statement in `sql/<name>.sql` for a schema, without its header comment.

    The files leave names open as psql does, so they can be tried there: `:"schema"` is a name,
    `:'schema'` is a text. Everything is named with its schema: a statement means the same on every
    connection, whatever its search path.
    """
    return with_names(statement_in("diptych.adapters.postgres", name), {"schema": schema})


def statement_in(package: str, name: str) -> str:
    """The statement in `sql/<name>.sql` of a package, without its header comment."""
    text = (files(package) / "sql" / f"{name}.sql").read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()


def with_names(text: str, names: Mapping[str, str]) -> str:
    """A statement with the names that it leaves open."""
    for key, value in names.items():
        text = text.replace(f':"{key}"', quoted(value)).replace(f":'{key}'", literal(value))
    return text


def quoted(identifier: str) -> str:
    """A name as SQL wants it, whatever is in it."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL wants it, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f" E'{escaped}'" if "\\" in text else f"'{escaped}'"
