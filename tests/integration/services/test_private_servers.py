"""A private server can be killed, restarted, copied, promoted, and leaves nothing."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from services import processes
from services.postgres import PrivatePostgres
from services.problem import ServiceProblem

pytestmark = pytest.mark.usefixtures("found")


def fetch(url: str, statement: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_what_was_committed_survives_kill_9(private_postgres):
    server = private_postgres()
    url = server.url
    fetch(url, "CREATE TABLE kept AS SELECT 7 AS number")
    children = processes.children(server.primary.pid)
    server.kill9()
    assert children
    assert all(processes.has_ended(pid) for pid in children)
    with pytest.raises(OSError, match=r"refused|failed"):
        fetch(url, "SELECT 1")
    server.start()
    assert server.url == url
    assert fetch(url, "SELECT number FROM kept") == 7
    assert "database system was not properly shut down" in server.log.read_text()


def test_an_immediate_restart_goes_through_recovery_on_the_same_port(private_postgres):
    server = private_postgres()
    url, before = server.url, server.primary.pid
    fetch(url, "CREATE TABLE kept AS SELECT 7 AS number")
    server.restart_immediately()
    assert (server.url, fetch(url, "SELECT number FROM kept")) == (url, 7)
    assert server.primary.pid != before


def test_a_stopped_server_starts_again_without_recovery(private_postgres):
    server = private_postgres()
    server.stop()
    server.configure(max_connections=37)
    server.start()
    assert fetch(server.url, "SHOW max_connections") == "37"
    assert "not properly shut down" not in server.log.read_text()


def test_a_promoted_replica_takes_writes_after_its_primary_was_killed(private_postgres):
    server = private_postgres()
    server.make_replica()
    assert fetch(server.replica_url, "SELECT pg_is_in_recovery()") is True
    server.kill9()
    server.promote()
    fetch(server.replica_url, "CREATE TABLE after_promotion ()")
    assert fetch(server.replica_url, "SELECT pg_is_in_recovery()") is False


def test_two_private_servers_do_not_meet(private_postgres):
    one, other = private_postgres(), private_postgres()
    fetch(one.url, "CREATE TABLE mine ()")
    assert fetch(other.url, "SELECT to_regclass('mine')::text") is None


def test_extra_settings_win_over_ours(private_postgres):
    server = private_postgres({"max_connections": 11, "application_name": "it's"})
    assert fetch(server.url, "SHOW max_connections") == "11"


def test_leaving_removes_everything_even_after_an_error():
    pids = []

    def fail_with_servers(server: PrivatePostgres) -> None:
        server.make_replica()
        pids.extend([server.primary.pid, server.replica.pid])
        raise ZeroDivisionError

    server = PrivatePostgres()
    with pytest.raises(ZeroDivisionError), server:
        fail_with_servers(server)
    assert len(pids) == 2
    assert all(processes.has_ended(pid) for pid in pids)
    assert not server.primary.folder.parent.exists()


def test_a_server_that_does_not_come_up_shows_the_end_of_its_log(private_postgres):
    server = private_postgres()
    server.stop()
    server.configure(max_connections="many")
    with pytest.raises(ServiceProblem, match="max_connections") as problem:
        server.start()
    assert str(server.log) in str(problem.value)
    assert not server.primary.is_running


def test_a_private_server_says_what_it_has_not():
    server = PrivatePostgres()
    with pytest.raises(ServiceProblem, match="never started"):
        server.kill9()
    with server, pytest.raises(ServiceProblem, match=r"make_replica\(\) first"):
        server.promote()
