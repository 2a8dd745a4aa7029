"""Letting an application use a log that belongs to another role, and nothing more.

The owner (who opened the log first) may change tables; the application's role reads events and
appends through functions. It cannot write to the log's tables in any other way, so a leaked
password or an injected statement cannot change what happened.
"""

from __future__ import annotations

from diptych.adapters.postgres.connection import connect_writing
from diptych.adapters.postgres.errors import DRIVER_ERRORS, translate
from diptych.adapters.postgres.schema_turn import schema_turn
from diptych.adapters.postgres.statements import quoted, sql, with_names
from diptych.adapters.postgres.url import locate

__all__ = ["grant_application"]


async def grant_application(url: str, role: str) -> None:
    """Let `role` use the log at `url`, and keep read models of its own in the same schema.

    `url` is the owner's. Call it after the log was opened, and again after migrations. Tables of
    read models that the owner has made already stay the owner's: the role may read and write their
    rows, but not change their shape.

    Raises StoreUnavailable and StoreError.
    """
    location = locate(url)
    try:
        connection = await connect_writing(location)
        try:
            async with schema_turn(connection, location.schema):
                names = {"schema": location.schema, "role": role}
                await connection.execute(
                    with_names(sql("grant_application", location.schema), names)
                )
                for (table,) in await connection.fetch(
                    sql("select_read_model_tables", location.schema)
                ):
                    await connection.execute(
                        "GRANT INSERT, UPDATE, DELETE ON "
                        f"{quoted(location.schema)}.{quoted(table)} TO {quoted(role)}"
                    )
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise translate(error, location.place) from error
