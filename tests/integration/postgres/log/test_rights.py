"""Who may do what: nobody changes what happened."""

from __future__ import annotations

import secrets

import asyncpg
import pytest

from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.postgres.grant_application import grant_application
from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.errors import StoreUnavailable, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, Row, TableSpec
from diptych.testing.contract.event_log.words import add, command, fact, snapshot, to
from diptych.testing.contract.suite import refusal


class Tally(ReadModel, key="stream"):
    stream: str
    events: int = 0


TALLIES = TableSpec("tallies", "1", shape_of(Tally))


@pytest.fixture
async def role(postgres, postgres_schema):
    """A new role that may log in, as (name, password); gone after the test."""
    name, password = f"app_{secrets.token_hex(5)}", "pw"
    owner = await asyncpg.connect(postgres.primary)
    await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    yield name, password
    await owner.execute(f'DROP SCHEMA IF EXISTS "{postgres_schema}" CASCADE')
    await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    await owner.close()


def as_role(url, role):
    return "postgresql://{}:{}@{}".format(*role, url.rpartition("@")[2])


@pytest.mark.parametrize(
    "statement",
    ["UPDATE {}.events SET type = 'x'", "DELETE FROM {}.events", "TRUNCATE {}.events"],
)
async def test_not_even_the_owner_changes_events(log, other, postgres_schema, statement):
    await log.append(add("a"))
    with pytest.raises(asyncpg.PostgresError, match="append another one that corrects it"):
        await other.execute(statement.format(f'"{postgres_schema}"'))
    assert len(await log.read(0, 10)) == 1


async def test_an_application_uses_everything_and_changes_nothing(
    log, postgres_url, postgres_schema, role
):
    await log.append(add("a", fact(0, tags=["t"])))
    await grant_application(postgres_url, role[0])
    mine = PostgresEventLog(as_role(postgres_url, role))
    await mine.open()
    assert (await mine.append(add("a", fact(1), expected=1))).first == 2
    everything = Append(
        (to("b", fact(2, tags=["u"]), expected=0), to("c", fact(3))),
        condition=AppendCondition((EventFilter((), ("nobody",)),)),
        snapshots=(snapshot("b", 1),),
        command=command("c-1"),
    )
    assert (await mine.append(everything)).first == 3
    assert (await mine.append(everything)).repeated is not None
    await refusal(VersionConflict, mine.append(add("a", expected=0)), "a is at 2")
    assert len(await mine.read(0, 10, (EventFilter((), ("u",)),))) == 1
    assert await mine.snapshot("b") is not None

    store = PostgresReadStore(as_role(postgres_url, role))
    await store.open([TALLIES])
    await store.apply([Change("tallies", 0, 4, [Row("a", 4, Tally("a", 2))])])
    assert (await store.load("tallies", ["a"])).rows["a"].value == Tally("a", 2)

    connection = await asyncpg.connect(as_role(postgres_url, role).partition("?")[0])
    async with connection.transaction():
        assert (await mine.append_within(connection, add("d"))).first == 5
    for table in ("events", "event_tags", "commands", "snapshots", "log"):
        for statement in (
            'DELETE FROM "{}".{}',
            'TRUNCATE "{}".{}',
            'INSERT INTO "{}".{} DEFAULT VALUES',
            'DROP TABLE "{}".{}',
            'ALTER TABLE "{}".{} DISABLE TRIGGER ALL',
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(postgres_schema, table))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(f"UPDATE \"{postgres_schema}\".events SET type = 'x'")
    await connection.close()
    await store.close()
    await mine.close()


async def test_a_role_without_rights_is_told_what_to_do(log, postgres_url, role):
    stranger = PostgresEventLog(as_role(postgres_url, role))
    with pytest.raises(StoreUnavailable, match="grant_application"):
        await stranger.open()
