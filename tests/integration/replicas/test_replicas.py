"""Queries answered by a real streaming replica: fresh as the token says, and alive as it can be."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from diptych import (
    Aggregate,
    App,
    Command,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    SqlProjection,
    SqlReader,
)
from diptych.errors import ConfigurationError, StaleRead
from diptych.queries.projection import Sql


class Deposit(Command):
    account_id: str
    amount: int = 1


class Deposited(Event):
    account_id: str
    amount: int


class Account(Aggregate, key="account_id"):
    def deposit(self, command: Deposit) -> Deposited:
        return Deposited(command.account_id, command.amount)


class Balance(ReadModel, key="account_id"):
    account_id: str
    amount: int = 0


class Balances(Projection[Balance]):
    def deposited(self, balance: Balance, event: Deposited) -> None:
        balance.amount += event.amount


class Deposits(SqlProjection):
    schema = ("CREATE TABLE deposits (account_id TEXT, amount INT)",)
    tables = ("deposits",)

    def deposited(self, sql: Sql, event: Deposited) -> None:
        sql("INSERT INTO deposits VALUES (?, ?)", event.account_id, event.amount)


class GetBalance(Query[int]):
    account_id: str


class CountDeposits(Query[int]):
    pass


class WhereAmI(Query[bool]):
    pass


async def get_balance(query: GetBalance, balances: Reader[Balance]) -> int:
    found = await balances.get(query.account_id)
    return found.amount if found else 0


async def count_deposits(query: CountDeposits, deposits: SqlReader[Deposits]) -> int:
    return (await deposits.select("SELECT count(*) AS n FROM deposits"))[0]["n"]


async def where_am_i(query: WhereAmI, deposits: SqlReader[Deposits]) -> bool:
    """Whether the server that answers is a replica."""
    return (await deposits.select("SELECT pg_is_in_recovery() AS it"))[0]["it"]


PARTS = [Account, Balances, Deposits, get_balance, count_deposits, where_am_i]


@pytest.fixture(params=["async", "inline"])
def kept(request):
    return [Balances] if request.param == "inline" else []


def bank(write, *replicas, **options):
    return App("bank", PARTS, write=write, replicas=replicas, **options)


@asynccontextmanager
async def replay_paused(replica_url):
    """The replica receives, and shows nothing new."""
    connection = await asyncpg.connect(replica_url.partition("?")[0])
    await connection.execute("SELECT pg_wal_replay_pause()")
    try:
        while await connection.fetchval("SELECT pg_get_wal_replay_pause_state()") != "paused":
            pass
        yield
    finally:
        await connection.execute("SELECT pg_wal_replay_resume()")
        await connection.close()


@pytest.fixture
def pair(private_postgres):
    """A primary and a replica that nobody else uses."""
    server = private_postgres()
    server.make_replica()
    return server


async def test_f37_a_read_with_a_token_is_never_older_and_comes_from_the_replica(
    postgres_url, replica_url, kept
):
    async with bank(postgres_url, replica_url, inline=kept) as app:
        for number in range(1, 51):
            done = await app.dispatch(Deposit("a"))
            assert await app.ask(GetBalance("a"), after=done, within_s=20) == number
            assert await app.ask(CountDeposits(), after=done, within_s=20) == number
        assert await app.ask(WhereAmI(), after=done, within_s=20)


async def test_f37_many_readers_with_tokens_see_their_own_writes(postgres_url, replica_url):
    async with bank(postgres_url, replica_url) as app:

        async def customer(name):
            for number in range(1, 11):
                done = await app.dispatch(Deposit(name))
                assert await app.ask(GetBalance(name), after=done, within_s=20) == number

        await asyncio.gather(*(customer(f"a{number}") for number in range(10)))


async def test_f37_the_asker_chooses_what_happens_when_the_replica_is_behind(pair):
    async with bank(pair.url, pair.replica_url, inline=[Balances, Deposits]) as app:
        done = await app.dispatch(Deposit("a"))
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == 1
        async with replay_paused(pair.replica_url):
            done = await app.dispatch(Deposit("a"))
            ask = GetBalance("a")
            assert await app.ask(ask, after=done, within_s=0, on_stale="stale") == 1
            assert await app.ask(ask, after=done, within_s=0.01, on_stale="primary") == 2
            assert await app.ask(ask, after=done, within_s=0, on_stale="write_model") == 2
            assert await app.ask(ask, consistency="write_model") == 2
            assert await app.ask(ask) == 1, "without a token the replica answers"
            with pytest.raises(StaleRead, match=r"replayed position 1.*'primary'") as error:
                await app.ask(ask, after=done, within_s=0.01)
            assert (error.value.wanted, error.value.reached) == (2, 1)
            (replica,) = await app.replicas()
            assert (replica.up, replica.position, replica.lag_events) == (True, 1, 1)
            assert replica.delay_s > 0
        assert await app.ask(ask, after=done, within_s=20) == 2
        (replica,) = await app.replicas()
        assert (replica.lag_events, replica.delay_s) == (0, 0.0)


async def test_f37_two_who_read_and_tell_each_other_never_see_time_go_back(pair):
    """A long fork: two commits, seen by one on the primary, by the other on a replica. What one has
    seen is a token for the other.
    """
    async with (
        bank(pair.url, inline=[Balances, Deposits]) as primary,
        bank(pair.url, pair.replica_url, inline=[Balances, Deposits]) as copied,
    ):
        done = await primary.dispatch(Deposit("a"))
        assert await copied.ask(GetBalance("a"), after=done, within_s=20) == 1
        async with replay_paused(pair.replica_url):
            await asyncio.gather(primary.dispatch(Deposit("a")), primary.dispatch(Deposit("b")))
            seen = await primary.head_token()
            assert await primary.ask(GetBalance("b"), after=seen) == 1
            assert await copied.ask(GetBalance("b")) == 0, "a replica is older, and may be"
            for account, amount in (("a", 2), ("b", 1)):
                with pytest.raises(StaleRead):
                    await copied.ask(GetBalance(account), after=seen, within_s=0.05)
                found = await copied.ask(
                    GetBalance(account), after=seen, within_s=0.05, on_stale="primary"
                )
                assert found == amount
            waiting = asyncio.create_task(copied.ask(GetBalance("b"), after=seen, within_s=20))
            await asyncio.sleep(0)
            assert not waiting.done()
        assert await waiting == 1, "it waited, and the replica came"


async def test_f37_rows_that_were_rebuilt_are_read_on_the_replica_too(pair):
    """Another set of rows by another name; the replica is asked for it as soon as it is known."""
    async with bank(pair.url, pair.replica_url) as app:
        done = await app.dispatch(Deposit("a"))
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == 1
        for _ in range(2):
            await app.rebuild(Balances)
            assert await app.ask(GetBalance("a"), after=done, within_s=20) == 1
        async with asyncio.timeout(20):
            while app.sources[Balances].plan.name not in app._replicas._replicas[0].known:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # a probe will do it
        done = await app.dispatch(Deposit("a"))
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == 2
        assert (await app.replicas())[0].up
        name = app.sources[Balances].plan.name
    async with bank(pair.url, pair.replica_url) as app:
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == 2
        assert app._replicas._replicas[0].known >= {name}, "known from the first moment on"


async def test_a_dead_replica_does_not_stop_reads(pair):
    async with bank(pair.url, pair.replica_url, inline=[Balances]) as app:
        done = await app.dispatch(Deposit("a"))
        await app.settle()
        assert await app.ask(WhereAmI(), after=done, within_s=20)
        reads = [asyncio.create_task(app.ask(GetBalance("a"), after=done)) for _ in range(50)]
        await asyncio.to_thread(pair.replica.kill)
        assert await asyncio.gather(*reads) == [1] * 50
        assert await app.ask(GetBalance("a"), after=done) == 1
        assert not await app.ask(WhereAmI())
        (replica,) = await app.replicas()
        assert not replica.up
        assert replica.why
        await asyncio.to_thread(pair.replica.start)
        async with asyncio.timeout(20):
            while not (await app.replicas())[0].up:  # noqa: ASYNC110  a probe will find it
                await asyncio.sleep(0.01)
        assert await app.ask(WhereAmI())


async def test_a_replica_that_hangs_does_not_hold_its_readers(pair):
    async with bank(pair.url, pair.replica_url, inline=[Balances]) as app:
        done = await app.dispatch(Deposit("a"))
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == 1
        pids = server_processes(pair.replica)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                assert await app.ask(GetBalance("a"), after=done) == 1
                (replica,) = await app.replicas()
            assert not replica.up
            assert "within 2 s" in replica.why
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


async def test_an_application_opens_while_its_replica_is_dead(pair):
    await asyncio.to_thread(pair.replica.kill)
    async with bank(pair.url, pair.replica_url) as app:
        done = await app.dispatch(Deposit("a"))
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == 1
        assert not (await app.replicas())[0].up


async def test_another_applications_database_is_no_replica(postgres_url, private_postgres):
    other = private_postgres()
    async with bank(other.url) as app:
        await app.dispatch(Deposit("a", 1_000_000))
    async with bank(postgres_url, other.url) as app:
        done = await app.dispatch(Deposit("a"))
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == 1
        (replica,) = await app.replicas()
        assert not replica.up
        assert "another log" in replica.why


def test_what_cannot_be_a_replica_is_refused(tmp_path):
    url = "postgresql://somebody:secret@localhost/shop"
    with pytest.raises(ConfigurationError, match="the write database itself") as error:
        bank(url, url)
    assert "secret" not in str(error.value)
    with pytest.raises(ConfigurationError, match="cannot be a replica"):
        bank(f"sqlite:///{tmp_path}/bank.db", f"sqlite:///{tmp_path}/copy.db")
    with pytest.raises(ConfigurationError, match="would answer nothing"):
        bank(url, "postgresql://localhost:1/shop", read="sqlite:///elsewhere.db")


def server_processes(server):
    """The server and all its children."""
    children = [
        int(status.parent.name)
        for status in Path("/proc").glob("[0-9]*/stat")
        if parent_by(status) == server.pid
    ]
    return [server.pid, *children]


def parent_by(status):
    try:
        return int(status.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return 0
