"""A write model mapped to tables by hand: code of the configuration, not of the domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin
from uuid import UUID

from sqlalchemy import Column, Table, inspect, select, update
from sqlalchemy.exc import IntegrityError, NoInspectionAvailable
from sqlalchemy.ext.asyncio import AsyncSession

from diptych.adapters.sqlalchemy.errors import breaks_key
from diptych.adapters.sqlalchemy.last_statement import flush_all
from diptych.errors import ConfigurationError, InvalidMessage, VersionConflict

__all__ = ["TableOf"]

S = TypeVar("S")


class TableOf(Generic[S]):
    """How states of one aggregate (or decider) are loaded from tables and saved.

    ```python
    class OrderTable(TableOf[Order]):
        table = OrderRow

        async def load(self, session: AsyncSession, key: str) -> Order | None:
            row = await session.get(OrderRow, key)
            return row and Order(placed=row.placed)

        async def save(self, session, key, order, events) -> None:
            await session.merge(OrderRow(order_id=key, placed=order.placed))
    ```

    `table` is the root table (or its ORM class): one row per thing, found by its primary key, with
    an integer column `version` that diptych keeps: the version of the thing's stream. Leave it
    alone, and give it the default 0. `of` names the decider where there is no aggregate class.
    """

    table: ClassVar[Any]
    version: ClassVar[str] = "version"
    of: Any = None

    def __init__(self) -> None:
        self.of = self.of or _argument_of(type(self))
        self.root = _table(self)
        if self.version not in self.root.c:
            raise ConfigurationError(
                f"the table {self.root.name} has no column {self.version!r}, by which a lost "
                f'update is noticed: Column("{self.version}", Integer, nullable=False, '
                'server_default="0").'
            )
        self.version_column: Column[Any] = self.root.c[self.version]
        keys = list(self.root.primary_key.columns)
        if len(keys) != 1:
            raise ConfigurationError(
                f"the table {self.root.name} is found by {len(keys)} columns; a root table has one "
                "row per thing, and a primary key of one column."
            )
        self.key_column: Column[Any] = keys[0]

    async def load(self, session: AsyncSession, key: Any) -> S | None:
        """The state in the tables; None when there is none."""
        raise NotImplementedError

    async def save(self, session: AsyncSession, key: Any, state: S, events: Sequence[Any]) -> None:
        """Write a state, or what `events` changed: all those that the row has not seen.

        They are what was decided, after what somebody appended who knew nothing of the table. It is
        flushed afterwards, never committed.
        """
        raise NotImplementedError

    async def genesis(self, session: AsyncSession, key: Any) -> Iterable[Any]:
        """Events that tell how a row came to be what it is; asked once, when its stream begins."""
        return ()

    # -- what diptych calls ------------------------------------------------------------------------

    async def load_locked(self, session: AsyncSession, key: object) -> tuple[S, int] | None:
        """The state and its version, locked until the end of the transaction."""
        key = self.as_column(key)
        lock = select(self.version_column).where(self.key_column == key).with_for_update()
        found = (await session.execute(lock)).one_or_none()
        if found is None:
            return None
        state = await self.load(session, key)
        if state is None:
            raise ConfigurationError(
                f"{type(self).__qualname__}.load found nothing for {key!r}, and "
                f"{self.root.name} has such a row. Load what is there, or name another table."
            )
        return state, found[0] or 0

    async def save_stamped(
        self,
        session: AsyncSession,
        key: object,
        state: S,
        events: Sequence[Any],
        versions: tuple[int | None, int],
    ) -> None:
        """Save, and bring the version of the row from one to the other. Raises VersionConflict."""
        key = self.as_column(key)
        before, after = versions
        if before is not None and not await self._stamp(session, key, before, after):
            raise self.conflict(key, before)
        with self.noticing_rivals(key, before):
            await self.save(session, key, state, events)
            await session.run_sync(flush_all)
        # A row that `save` has made has version 0; one that somebody else made has another.
        if before is None and not await self._stamp(session, key, 0, after):
            if await self.load_locked(session, key) is not None:
                raise self.conflict(key, 0)
            raise ConfigurationError(
                f"{type(self).__qualname__}.save wrote no row for {key!r} into {self.root.name}."
            )

    def as_column(self, key: object) -> Any:
        """A key as the primary key column wants it: a command may carry it as text."""
        try:
            wanted = self.key_column.type.python_type
        except NotImplementedError:
            return key
        if isinstance(key, wanted) or wanted not in (str, int, UUID):
            return key
        try:
            return wanted(key if wanted is str else str(key))
        except ValueError as error:
            raise InvalidMessage(
                f"{key!r} is no key of {self.root.name}: {error}.", type=self.root.name
            ) from error

    @contextmanager
    def noticing_rivals(self, key: object, before: int | None) -> Iterator[None]:
        """Raise VersionConflict when the new row is there already: somebody else made it."""
        try:
            yield
        except IntegrityError as error:
            if before is not None or not breaks_key(error, self.root):
                raise
            raise self.conflict(key, 0) from error

    def conflict(self, key: object, before: int) -> VersionConflict:
        """What to raise when a row is no longer what was loaded."""
        return VersionConflict(
            f"the row {key!r} of {self.root.name} is no longer at version {before}: somebody else "
            "was first. Load it again and decide again.",
            stream=f"{self.root.name} {key}",
            expected=before,
            actual=None,
        )

    def at_version(self, key: Any, before: int) -> Any:
        """The condition for the row of `key` at this version; NULL is 0, as after a migration."""
        version = self.version_column
        at = (version == 0) | version.is_(None) if before == 0 else version == before
        return (self.key_column == key) & at

    async def _stamp(self, session: AsyncSession, key: Any, before: int, after: int) -> bool:
        mine = self.at_version(key, before)
        stamp = update(self.root).where(mine).values({self.version_column: after})
        connection = await session.connection()
        return (await connection.execute(stamp)).rowcount == 1


def _argument_of(cls: type) -> Any:
    for one in cls.__mro__:
        for base in getattr(one, "__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, TableOf):
                (argument,) = get_args(base)
                if not isinstance(argument, TypeVar):
                    return argument
    raise ConfigurationError(
        f"{cls.__qualname__} does not say whose table it is: class {cls.__name__}(TableOf[Order]), "
        "or of = order_decider."
    )


def _table(mapping: TableOf[Any]) -> Table:
    given = getattr(mapping, "table", None)
    if isinstance(given, Table):
        return given
    try:
        found = inspect(given).local_table if given is not None else None
    except NoInspectionAvailable:
        found = None
    if not isinstance(found, Table):
        raise ConfigurationError(
            f"{type(mapping).__qualname__} names no root table: table = orders (a Table, or the "
            "class that the ORM maps to it)."
        )
    return found
