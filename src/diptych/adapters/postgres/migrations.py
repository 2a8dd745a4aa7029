"""The tables of a log: made where there are none, brought up to date, refused where they are not
ours.

Version 1 is the creation. A later version is a step in two halves, files in `sql/migrations/`:
`0002_before_<what>.sql` runs on opening and leaves everything usable for the version before;
`0002_after_<what>.sql` takes away what only the version before needed, and runs when somebody calls
`finish_migrations`, once no old process is left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from diptych.adapters.postgres.schema_turn import schema_turn
from diptych.adapters.postgres.statements import quoted, sql, with_names
from diptych.errors import ConfigurationError, SchemaTooNew

__all__ = [
    "STEPS",
    "Step",
    "channel_of",
    "comment_of",
    "finish_migrations",
    "make_log_tables",
    "shipped_steps",
]

TABLES = ("log", "events", "event_tags", "commands", "snapshots", "events_readable")
_OTHERS = (
    "log_comment",
    "refuse_change",
    "events_never_change",
    "violations_v1",
    "append_event_v1",
    "append_batch_v1",
)


class Step(NamedTuple):
    """What makes `version` of the version before: `before` the new code runs, and `after` the last
    old process has ended.
    """

    version: int
    before: str
    after: str = ""


def shipped_steps() -> tuple[Step, ...]:
    """The steps in `sql/migrations/`, ascending."""
    texts: dict[int, dict[str, str]] = {}
    folder = files("diptych.adapters.postgres") / "sql" / "migrations"
    for file in folder.iterdir() if folder.is_dir() else ():
        if named := re.fullmatch(r"(\d{4})_(before|after)_\w+\.sql", file.name):
            texts.setdefault(int(named[1]), {})[named[2]] = file.read_text("utf-8")
    return tuple(Step(version, **halves) for version, halves in sorted(texts.items()))


STEPS = shipped_steps()


def channel_of(identity: str) -> str:
    """The channel on which other processes are told of new events."""
    return f"diptych_{identity}"


def comment_of(identity: str) -> str:
    """What is written on the table `log`."""
    return f"diptych log {identity}"


async def make_log_tables(
    connection: asyncpg.Connection,
    schema: str,
    identity: str,
    now_us: int,
    steps: Sequence[Step] = STEPS,
) -> str:
    """The log's identity; `identity` when it is new.

    Any number of processes may do this at once. A role that may not make tables can use those that
    are there and up to date.

    Raises SchemaTooNew, ConfigurationError when somebody else's tables are in the way, and driver
    errors.
    """
    wanted = 1 + len(steps)
    standing = await _standing(connection, schema)
    if standing is None or standing[1] < wanted:
        async with schema_turn(connection, schema):
            standing = await _standing(connection, schema)
            if standing is None:
                await _create(connection, schema, identity, now_us)
                standing = (identity, 1, 1)
            await _run_before(connection, schema, standing, steps)
    return _checked(schema, standing, wanted)


async def finish_migrations(
    connection: asyncpg.Connection, schema: str, steps: Sequence[Step] = STEPS
) -> int:
    """Run the second halves of the steps that have been begun; the version that is whole now.

    Call it when no process of an older version is left: from then on they are refused.
    """
    async with schema_turn(connection, schema):
        standing = await _standing(connection, schema)
        if standing is None:
            raise ConfigurationError(f"there is no log in the schema {schema!r}: open it first.")
        identity, version, oldest = standing
        for step in steps:
            if oldest < step.version <= version:
                await _run(connection, schema, identity, step.after)
                oldest = step.version
        await connection.execute(sql("update_log", schema), version, oldest)
        return oldest


async def _standing(connection: asyncpg.Connection, schema: str) -> tuple[str, int, int] | None:
    names = list(TABLES)
    rows = await connection.fetch(sql("select_tables", schema), names)
    taken = {row[0] for row in rows}
    if not taken:
        return None
    if "log" not in taken:
        raise ConfigurationError(
            f"the schema {schema!r} has a table {min(taken)!r} that is not diptych's. Give the log "
            "a schema of its own: ?schema=..."
        )
    try:
        found = await connection.fetch(sql("select_log", schema))
        ((identity, version, oldest),) = found
    except (asyncpg.UndefinedColumnError, ValueError) as error:
        raise ConfigurationError(
            f"the schema {schema!r} has a table 'log' that is not diptych's. Give the log a schema "
            "of its own: ?schema=..."
        ) from error
    return identity, version, oldest


async def _create(connection: asyncpg.Connection, schema: str, identity: str, now_us: int) -> None:
    for name in (*TABLES, *_OTHERS):
        await _run(connection, schema, identity, sql(f"create_{name}", schema))
    await connection.execute(sql("insert_log", schema), identity, 1, 1, now_us)


async def _run_before(
    connection: asyncpg.Connection,
    schema: str,
    standing: tuple[str, int, int],
    steps: Sequence[Step],
) -> None:
    identity, version, oldest = standing
    for step in steps:
        if step.version > version:
            await _run(connection, schema, identity, step.before)
            version = step.version
    if version != standing[1]:
        await connection.execute(sql("update_log", schema), version, oldest)


async def _run(connection: asyncpg.Connection, schema: str, identity: str, text: str) -> None:
    names = {
        "schema": schema,
        "log": f"{quoted(schema)}.log",
        "channel": channel_of(identity),
        "comment": comment_of(identity),
    }
    if text:
        await connection.execute(with_names(text, names))


def _checked(schema: str, standing: tuple[str, int, int], known: int) -> str:
    identity, version, oldest = standing
    if oldest > known:
        raise SchemaTooNew(
            f"the schema {schema!r} has a log of version {version}, which needs a diptych that "
            f"knows {oldest} at least; this one knows {known}. Upgrade diptych: "
            "pip install --upgrade diptych",
            found=version,
            known=known,
        )
    return identity
