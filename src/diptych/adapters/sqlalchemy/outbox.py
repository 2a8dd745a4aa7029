"""The outbox: events that commit with the rows of a session, or not at all."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, overload

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from diptych.adapters.sqlalchemy.driver import handle_of
from diptych.adapters.sqlalchemy.errors import notice_failure, translating
from diptych.adapters.sqlalchemy.last_statement import LastStatement, flush_all
from diptych.adapters.sqlalchemy.leaving import roll_back, roll_back_blocking
from diptych.environment import Environment
from diptych.errors import ConfigurationError
from diptych.events.log import ANY_VERSION, Append, EventLog, StreamAppend
from diptych.events.recording import Cause, to_store
from diptych.events.run_through import run_through
from diptych.events.token import Token
from diptych.messages.codec import MAX_MESSAGE_BYTES
from diptych.messages.registry import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

__all__ = ["Outbox", "OutboxWork"]


class OutboxWork:
    """What one transaction records; `token` is known once it has committed."""

    def __init__(self, registry: Registry) -> None:
        self.token: Token | None = None
        self._registry = registry
        self._events: dict[str, list[Any]] = {}
        self._expected: dict[str, int] = {}

    def record(
        self, *events: Any, stream: str | None = None, expected_version: int | None = None
    ) -> None:
        """Record events in `stream`, or in the stream that each of them names itself.

        With `expected_version`, the transaction fails with VersionConflict unless the stream stands
        there. Raises ConfigurationError for an event without a stream.
        """
        for one in events:
            known = self._registry.add(type(one))
            name = stream or known.stream_of(one)
            self._events.setdefault(name, []).append(one)
            if expected_version is not None:
                self._expected[name] = expected_version

    def append(self, environment: Environment, cause: Cause) -> Append | None:
        """Everything recorded, as one append; None when there is nothing. For the outbox."""
        if not self._events:
            return None
        streams = tuple(
            StreamAppend(
                name,
                self._expected.get(name, ANY_VERSION),
                to_store(self._registry, environment, events, cause),
            )
            for name, events in self._events.items()
        )
        return Append(streams, recorded_us=environment.time_us())


class Outbox:
    """Records events in the transactions of sessions of the log's database.

    ```python
    outbox = Outbox(app.log)
    async with outbox.unit_of_work(session) as work:
        session.add(OrderRow(order_id="o-1"))
        work.record(OrderPlaced("o-1"))
    ```

    Rows and events commit together or not at all. The events are appended by the last statement
    before the commit, so events stand in the log in the order of the commits, whoever else writes.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        environment: Environment | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._log = log
        self._environment = environment or Environment()
        self._registry = Registry(max_bytes=max_message_bytes)

    @overload
    def unit_of_work(
        self, session: AsyncSession, cause: Cause | None = ...
    ) -> AbstractAsyncContextManager[OutboxWork]: ...

    @overload
    def unit_of_work(
        self, session: Session, cause: Cause | None = ...
    ) -> AbstractContextManager[OutboxWork]: ...

    def unit_of_work(self, session: AsyncSession | Session, cause: Cause | None = None) -> Any:
        """A block in which `session` works; committed when it is left, rolled back by an error.

        `cause` says what led to the events, and who. A Session that blocks (`with`) works on SQLite
        only: PostgreSQL's log speaks asyncpg, and another driver's connection is another
        transaction.

        Raises VersionConflict, ConflictError (the database ended the transaction: run the block
        again, in a new session), MessageError, StoreError, and SQLAlchemy's own errors.
        """
        cause = cause or Cause(self._environment.new_id())
        if isinstance(session, Session):
            return self._blocking(session, cause)
        return self._async(session, cause)

    @asynccontextmanager
    async def _async(self, session: AsyncSession, cause: Cause) -> AsyncGenerator[OutboxWork, None]:
        work, last = OutboxWork(self._registry), LastStatement()
        try:
            yield work
            append = work.append(self._environment, cause)
            await session.run_sync(flush_all)
            position = 0
            if append is not None:
                handle = await session.run_sync(handle_of)
                position = (await self._log.append_within(handle, append)).last
                await session.run_sync(last.close)
            else:
                with translating():
                    await notice_failure(session)
            with translating(committing=True):
                await session.commit()
            work.token = Token(self._log.identity, position)
        except BaseException:
            await roll_back(session)
            raise
        finally:
            last.reopen()

    @contextmanager
    def _blocking(self, session: Session, cause: Cause) -> Generator[OutboxWork, None, None]:
        work, last = OutboxWork(self._registry), LastStatement()
        if session.get_bind().dialect.name != "sqlite":
            raise ConfigurationError(
                "a session that blocks can record events on SQLite only (sqlite+apsw). On "
                "PostgreSQL take an AsyncSession on postgresql+asyncpg."
            )
        try:
            yield work
            append = work.append(self._environment, cause)
            flush_all(session)
            position = 0
            if append is not None:
                done = run_through(self._log.append_within(handle_of(session), append))
                position = done.last
                last.close(session)
            with translating(committing=True):
                session.commit()
            work.token = Token(self._log.identity, position)
        except BaseException:
            roll_back_blocking(session)
            raise
        finally:
            last.reopen()
