"""What did not run is said; what must not be missing fails; schemas do not outlive their test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from services.addresses import CHECKOUT
from services.pytest_plugin import PostgresAddresses

IN_WANT = """
import pytest
from services.pytest_plugin import missing

@pytest.mark.parametrize("number", range(3))
def test_in_want(number):
    missing("sundial", "the sun is down")

def test_in_need_of_nothing():
    pass
"""

WITH_SCHEMA = """
import asyncio, asyncpg

def test_with_a_schema(postgres_url, postgres_schema):
    async def fill():
        connection = await asyncpg.connect(postgres_url.partition("?")[0])
        await connection.execute(f"CREATE SCHEMA {postgres_schema}")
        await connection.execute(f"CREATE TABLE {postgres_schema}.filled ()")
        await connection.close()
    assert postgres_url.endswith(f"?schema={postgres_schema}")
    asyncio.run(fill())
    print(f"schema={postgres_schema}")
"""


def run_pytest(tests: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (tests.parent / "pytest.ini").write_text("[pytest]\n")
    known = {name: value for name, value in os.environ.items() if name != "DIPTYCH_REQUIRE"}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "services.pytest_plugin"),
            *("-p", "no:cacheprovider", *options, str(tests)),
        ],
        cwd=tests.parent,
        env={**known, "PYTHONPATH": str(CHECKOUT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_summary_counts_what_did_not_run_and_says_why(tmp_path: Path, processes: str):
    tests = tmp_path / "test_in_want.py"
    tests.write_text(IN_WANT)
    done = run_pytest(tests, "-n", processes)
    assert done.returncode == 0, done.stdout
    assert "sundial: 3 tests did not run (the sun is down)" in done.stdout
    assert "1 passed, 3 skipped" in done.stdout


def test_a_service_that_is_required_is_a_failure_when_missing(tmp_path: Path):
    tests = tmp_path / "test_in_want.py"
    tests.write_text(IN_WANT)
    done = run_pytest(tests, DIPTYCH_REQUIRE="postgres, sundial")
    assert "3 failed, 1 passed" in done.stdout
    assert "needs sundial, and DIPTYCH_REQUIRE demands it: the sun is down" in done.stdout


async def test_the_schema_of_a_test_is_dropped_after_it(
    tmp_path: Path, postgres: PostgresAddresses
):
    tests = tmp_path / "test_with_schema.py"
    tests.write_text(WITH_SCHEMA)
    done = run_pytest(tests, "-s", DIPTYCH_POSTGRES=postgres.primary)
    assert done.returncode == 0, done.stdout + done.stderr
    schema = done.stdout.partition("schema=")[2].split()[0].rstrip(".")
    connection = await asyncpg.connect(postgres.primary)
    assert schema.startswith("t_")
    assert await connection.fetchval("SELECT to_regnamespace($1)", schema) is None
    await connection.close()
