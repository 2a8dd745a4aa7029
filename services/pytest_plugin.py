"""Fixtures for tests on real servers; what could not run is said, never passed over."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from services import addresses
from services import postgres as postgres_engine
from services.postgres import PrivatePostgres
from services.problem import ServiceProblem

__all__ = [
    "PostgresAddresses",
    "missing",
    "postgres",
    "postgres_schema",
    "postgres_url",
    "private_postgres",
    "replica_url",
]

REASON = re.compile(r"needs (\w+): (.+)", re.DOTALL)


@dataclass(frozen=True)
class PostgresAddresses:
    """Where PostgreSQL is: the primary's URL and, where there is one, the replica's."""

    primary: str
    replica: str | None


def missing(service: str, why: str) -> NoReturn:
    """Skip the test for want of `service`; fail it where DIPTYCH_REQUIRE names `service`."""
    required = re.split(r"[\s,]+", os.environ.get("DIPTYCH_REQUIRE", ""))
    if service in required:
        pytest.fail(f"needs {service}, and DIPTYCH_REQUIRE demands it: {why}", pytrace=False)
    pytest.skip(f"needs {service}: {why}")


@pytest.fixture(scope="session")
def postgres() -> PostgresAddresses:
    """The PostgreSQL of DIPTYCH_POSTGRES or, without it, the pair that `make services` started."""
    if own := os.environ.get("DIPTYCH_POSTGRES"):
        return PostgresAddresses(own, os.environ.get("DIPTYCH_POSTGRES_REPLICA"))
    record = addresses.read().get("postgres")
    if record is None:
        missing("postgres", "not started; call `make services` or set DIPTYCH_POSTGRES")
    if not postgres_engine.is_up(record):
        missing("postgres", "started once, but not up now; call `make services`")
    return PostgresAddresses(record["primary"], record["replica"])


@pytest.fixture
def postgres_schema(postgres: PostgresAddresses) -> Iterator[str]:
    """The name of a schema that this test has for itself; it is dropped afterwards."""
    schema = f"t_{secrets.token_hex(6)}"  # no seed repeats it, other processes have others
    yield schema
    _in_own_loop(_drop_schema(postgres.primary, schema))


@pytest.fixture
def postgres_url(postgres: PostgresAddresses, postgres_schema: str) -> str:
    """The primary, with a PostgreSQL schema that this test has for itself."""
    return _with_schema(postgres.primary, postgres_schema)


@pytest.fixture
def replica_url(postgres: PostgresAddresses, postgres_schema: str) -> str:
    """The streaming replica of `postgres_url`, with the same schema."""
    if postgres.replica is None:
        missing("postgres", "DIPTYCH_POSTGRES has no replica; set DIPTYCH_POSTGRES_REPLICA")
    return _with_schema(postgres.replica, postgres_schema)


@pytest.fixture
def private_postgres() -> Iterator[Callable[..., PrivatePostgres]]:
    """Makes and starts servers that this test may kill, restart and promote; all end with it.

    Takes what `PrivatePostgres` takes: `server = private_postgres({"max_connections": 20})`.
    """
    made: list[PrivatePostgres] = []

    def make(settings: Mapping[str, str | int] | None = None) -> PrivatePostgres:
        try:
            made.append(server := PrivatePostgres(settings))
            server.start()
        except ServiceProblem as problem:
            missing("postgres", str(problem))
        return server

    yield make
    for server in made:
        server.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run for want of which server, and why."""
    reasons: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple) and (found := REASON.search(report.longrepr[2])):
            reasons[found[1], found[2]] += 1
    if not reasons:
        return
    terminalreporter.section("not run for want of a server", yellow=True)
    for (service, why), count in sorted(reasons.items()):
        terminalreporter.line(f"{service}: {count} tests did not run ({why})", yellow=True)


def _with_schema(url: str, schema: str) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}schema={schema}"


async def _drop_schema(url: str, schema: str) -> None:
    import asyncpg  # noqa: PLC0415  a run without servers needs no driver

    connection = await asyncpg.connect(url, server_settings={"lock_timeout": "10s"})
    try:
        await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
    finally:
        await connection.close()


def _in_own_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, whether or not this thread has an event loop."""
    problems: list[Exception] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except Exception as error:  # noqa: BLE001  raised below, in the thread that waits
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
