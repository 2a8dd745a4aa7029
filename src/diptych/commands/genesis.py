"""Genesis for all: streams begun for rows that were written before events were kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from diptych.commands.handler import MAX_ATTEMPTS, Tools
from diptych.commands.repository import Held
from diptych.commands.table_repository import TableHeld, TableRepository
from diptych.commands.tables import Tables, TableTransaction
from diptych.errors import ConfigurationError, ConflictError
from diptych.events.log import Append, StreamAppend

__all__ = ["Begun", "GenesisProgress", "begin_streams"]

_BATCH = 50


class Begun(NamedTuple):
    """How far it has come, for one aggregate or decider: rows looked at, and streams begun.

    `last_key` can be given as `after` to go on from there.
    """

    name: str
    rows: int
    streams: int
    events: int
    last_key: Any = None


GenesisProgress = Callable[[Begun], None]
"""Is told after every batch."""


async def begin_streams(
    repository: TableRepository,
    tables: Tables,
    tools: Tools,
    *,
    after: object | None = None,
    progress: GenesisProgress | None = None,
) -> Begun:
    """Append the genesis of every row of a table whose stream has no events.

    Commands may arrive meanwhile: a row is locked while its stream is begun, and whoever comes
    first begins it. Stopped and called again, it goes on: what has begun is passed over. A row
    whose genesis is empty is passed over too.

    Raises ConfigurationError when events are not kept, or a genesis does not tell what its row
    says; everything before that row is done then.
    """
    if not repository.keep_events:
        raise ConfigurationError(
            f"no stream of {repository.decider.name} can begin while events are not kept "
            "(keep_events=False)."
        )
    done = Begun(repository.decider.name, 0, 0, 0, after)
    while keys := await tables.keys(repository.kind, done.last_key, _BATCH):
        streams, events = await _insist(repository, tables, tools, keys)
        done = Begun(
            done.name,
            done.rows + len(keys),
            done.streams + streams,
            done.events + events,
            keys[-1],
        )
        if progress is not None:
            progress(done)
    return done


async def _insist(
    repository: TableRepository, tables: Tables, tools: Tools, keys: Sequence[Any]
) -> tuple[int, int]:
    for attempt in range(MAX_ATTEMPTS):
        try:
            async with tables.begin() as transaction:
                return await _begin(repository, transaction, tools, keys)
        except ConflictError:
            if attempt == MAX_ATTEMPTS - 1:
                raise
            await tools.back_off(attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _begin(
    repository: TableRepository, transaction: TableTransaction, tools: Tools, keys: Sequence[Any]
) -> tuple[int, int]:
    """Begin the streams of these keys, in one append; how many streams and events."""
    appends: list[StreamAppend] = []
    now_us = tools.environment.time_us()
    for key in keys:
        held: TableHeld = await repository.load_in(transaction, key)
        stream = repository.decider.stream(key)
        prelude = repository.prelude(stream, held, tools.recorder, now_us)
        if prelude is not None:
            after = Held(held.state, held.version)
            await repository.save_in(transaction, key, held, (), after)
            appends += prelude.streams
    if appends:
        await transaction.append(Append(tuple(appends), recorded_us=now_us))
    return len(appends), sum(len(one.events) for one in appends)
