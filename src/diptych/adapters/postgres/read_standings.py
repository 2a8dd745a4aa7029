"""What a read store keeps beside rows: checkpoints, leases, what is parked, and generations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diptych.adapters.postgres.database import PostgresDatabase
from diptych.adapters.postgres.errors import is_lost, unknown
from diptych.adapters.postgres.obstacles import what_holds_up_writes
from diptych.adapters.postgres.parked_entries import decoded, lanes_of
from diptych.adapters.postgres.projections import Projections
from diptych.adapters.postgres.statements import sql
from diptych.adapters.postgres.views import ViewTable
from diptych.errors import StoreUnavailable
from diptych.queries.parked import Parked
from diptych.queries.standings import (
    CheckpointInfo,
    Generation,
    Lease,
    LeaseSwap,
    Role,
    generation_of,
    role_at_birth,
)

__all__ = ["PostgresStandings", "never_opened", "standing"]


class PostgresStandings:
    """The Standings of a schema."""

    _projections: Projections
    _schema: str

    def _opened(self) -> PostgresDatabase:
        raise NotImplementedError

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """Where a projection stands."""
        return (await self.checkpoints([projection]))[projection]

    async def checkpoints(self, projections: Sequence[str]) -> dict[str, CheckpointInfo]:
        """Where several projections stand, at one moment; a view that is computed when it is read
        stands at the head of the log.
        """
        database = self._opened()
        computed = [name for name in projections if self._is_computed(name)]
        found = await database.fetch(sql("select_checkpoints", self._schema), list(projections))
        stands = {name: standing(*rest) for name, *rest in found}
        answer = {name: stands.get(name) or never_opened(name) for name in projections}
        if computed:
            head = (await database.fetch(sql("select_head", self._schema)))[0][0]
            for name in computed:
                made_for = self._projections.known(name).spec.fingerprint
                answer[name] = answer[name]._replace(position=head, fingerprint=made_for)
        return answer

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Replace leases that are as expected: all in one statement, unless one is swapped twice.

        Raises OutcomeUnknown when the connection was lost meanwhile.
        """
        database = self._opened()
        for swap in swaps:
            self._projections.known(swap.projection)
        done: list[bool] = []
        while len(done) < len(swaps):
            done += await self._swap(database, _each_once(swaps[len(done) :]))
        return done

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """What is parked or skipped, by position and then key."""
        database = self._opened()
        self._projections.known(projection)
        most = None if limit is None else max(limit, 0)
        if keys is None:
            statement = sql("select_parked", self._schema)
            return decoded(await database.fetch(statement, projection, most))
        statement = sql("select_parked_lanes", self._schema)
        return decoded(await database.fetch(statement, projection, lanes_of(keys), most))

    async def generations(self, projection: str) -> list[Generation]:
        """The generations there are, by number."""
        statement = sql("select_generations", self._schema)
        found = [Generation(*row) for row in await self._opened().select(statement, projection)]
        numbers = {one.name: generation_of(projection, one.name) for one in found}
        meant = [one for one in found if numbers[one.name] is not None]
        return sorted(meant, key=lambda one: numbers[one.name] or 0)

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Give generations new roles, if they have the roles (and epochs) expected."""
        epochs = epochs or {}
        names = sorted({*before, *after, *epochs})
        async with self._opened().transaction() as connection:
            found = await connection.fetch(sql("lock_roles", self._schema), names)
            roles = {name: (role, epoch) for name, role, epoch in found}
            if (
                not all(name in roles for name in names)
                or any(roles[name][0] != role for name, role in before.items())
                or any(roles[name][1] != epoch for name, epoch in epochs.items())
            ):
                return False
            await connection.execute(
                sql("update_roles", self._schema), list(after), list(after.values())
            )
        return True

    async def held_up_by(self) -> str:
        """The session of the server that a write to these read models waits for."""
        obstacle = await what_holds_up_writes(self._opened())
        return "" if obstacle is None else str(obstacle)

    def _is_computed(self, projection: str) -> bool:
        table = self._projections.known(projection).table
        return isinstance(table, ViewTable) and table.view.kept != "materialized"

    async def _swap(self, database: PostgresDatabase, swaps: Sequence[LeaseSwap]) -> list[bool]:
        arguments = (
            [swap.projection for swap in swaps],
            [swap.before.epoch for swap in swaps],
            [swap.before.terms for swap in swaps],
            [swap.after.epoch for swap in swaps],
            [swap.after.terms for swap in swaps],
        )
        try:
            async with database.writing() as connection:
                asked = connection.fetch(sql("swap_leases", self._schema), *arguments)
                found = await connection.promptly(asked)
        except StoreUnavailable as error:
            if error.__cause__ is not None and is_lost(error.__cause__):
                raise unknown(error.__cause__, database.location.place, None) from error
            raise
        fits = dict(found)
        return [fits.get(swap.projection, False) for swap in swaps]


def standing(*row: Any) -> CheckpointInfo:
    """A row of select_checkpoints.sql and lock_checkpoint.sql."""
    position, fingerprint, epoch, terms, parks, role = row
    return CheckpointInfo(position, fingerprint, Lease(epoch, terms), parks, role)


def never_opened(name: str) -> CheckpointInfo:
    """Where a generation stands that is not there."""
    return CheckpointInfo(0, "", role=role_at_birth(name))


def _each_once(swaps: Sequence[LeaseSwap]) -> Sequence[LeaseSwap]:
    """Those at the beginning that concern different projections."""
    seen: set[str] = set()
    for at, swap in enumerate(swaps):
        if swap.projection in seen:
            return swaps[:at]
        seen.add(swap.projection)
    return swaps
