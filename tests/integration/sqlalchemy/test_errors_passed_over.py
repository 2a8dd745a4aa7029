"""What is acknowledged to a session's handler has been committed."""

from __future__ import annotations

import contextlib

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from diptych import App, Command
from diptych.adapters.sqlalchemy import Outbox, engine_for
from diptych.errors import StoreError

metadata = MetaData()
orders = Table("orders", metadata, Column("order_id", String, primary_key=True))


class Place(Command):
    order_id: str


async def place_twice(command: Place, session: AsyncSession) -> None:
    await session.execute(insert(orders).values(order_id=command.order_id))
    with contextlib.suppress(IntegrityError):  # PostgreSQL has given the whole transaction up
        await session.execute(insert(orders).values(order_id=command.order_id))


@pytest.fixture
def url(postgres_url, postgres_schema):
    return f"{postgres_url}&search_path={postgres_schema}"


async def rows_of(engine):
    async with engine.connect() as connection:
        return list(await connection.scalars(select(orders.c.order_id)))


async def made(engine):
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)


async def test_a_handler_that_goes_on_in_a_transaction_that_has_failed_is_not_acknowledged(url):
    async with App("shop", [place_twice], write=url) as app:
        engine = engine_for(url)
        await made(engine)
        try:
            await app.dispatch(Place("o-1"))
        except StoreError:
            assert await rows_of(engine) == []
        else:
            assert await rows_of(engine) == ["o-1"], "acknowledged, and not written"
        finally:
            await engine.dispose()


async def test_a_unit_of_work_that_goes_on_in_a_transaction_that_has_failed_gives_no_token(url):
    async with App("shop", [], write=url) as app:
        engine = engine_for(url)
        await made(engine)
        with pytest.raises(StoreError):
            async with AsyncSession(engine) as session, Outbox(app.log).unit_of_work(session):
                await place_twice(Place("o-1"), session)
        await engine.dispose()
