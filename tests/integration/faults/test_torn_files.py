"""F11: the end of SQLite's write-ahead log is cut off anywhere, as a crash of the machine may do.
What is recovered is a beginning of what was written; nothing is acknowledged before it is synced.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from banking import BANK, Account, Balances, Deposit, Transfer

from diptych import App

CUTS = 25


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [{}, {"inline": [Balances]}], ids=["async", "inline"])
async def test_f11_a_log_whose_end_was_torn_off_is_a_beginning_of_what_was_written(
    options, tmp_path, chance
):
    """Transfers write to two streams at once: none is ever seen half."""
    path = tmp_path / "bank.db"
    async with App("bank", BANK, write=f"sqlite:///{path}", **options) as app:
        await app.dispatch(Deposit("a", 1_000_000), id="first")
        for number in range(100):
            await app.dispatch(Transfer("a", f"k{number % 7}", 1), id=f"t{number}")
        await app.settle(20)
        written = [(one.stream, one.version, one.data) for one in await app.log.read(0, 10_000)]
        torn = tmp_path / "torn"
        torn.mkdir()
        # No other process writes now, so both files are of one moment.
        for name in ("bank.db", "bank.db-wal"):
            shutil.copy(tmp_path / name, torn / name)
    whole = (torn / "bank.db-wal").read_bytes()
    assert len(whole) > 100_000, "nothing is in the write-ahead log"
    lengths = {len(written)}
    for number in range(CUTS):
        place = tmp_path / f"cut{number}"
        shutil.copytree(torn, place)
        cut = chance.randrange(len(whole))
        tail = chance.randbytes(len(whole) - cut) if chance.random() < 0.5 else b""
        (place / "bank.db-wal").write_bytes(whole[:cut] + tail)
        lengths.add(await check_beginning(place / "bank.db", options, written))
    assert len(lengths) > 5, "the cuts all fell into the same place"


async def check_beginning(path: Path, options, written) -> int:
    async with App("bank", BANK, write=f"sqlite:///{path}", **options) as app:
        stored = [(one.stream, one.version, one.data) for one in await app.log.read(0, 10_000)]
        assert stored == written[: len(stored)]
        assert len(stored) <= 1 or len(stored) % 2 == 1, "half a transfer"
        await app.settle(20)
        assert (await app.verify()).ok
        # It goes on: what is missing is written again under its id, what is there is not.
        done = await app.dispatch(Deposit("a", 1_000_000), id="first")
        assert done.repeated == (len(stored) > 0)
        assert (await app.load(Account, "a")).balance >= 999_900
    return len(stored)


APPEND = """
import asyncio, os
from banking import BANK, Deposit
from diptych import App
async def main():
    app = await App("bank", BANK, write=%r).open(projections=False)
    await app.dispatch(Deposit("a", 1))
    for number in range(20):
        os.write(1, b"asked %%d\\n" %% number)
        await app.dispatch(Deposit(f"k{number}", 1))
        os.write(1, b"acknowledged %%d\\n" %% number)
    await app.close()
asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("synchronous", ["full", "normal"])
async def test_f11_the_log_is_synced_before_anything_is_acknowledged(
    synchronous, tmp_path, environment
):
    """With synchronous=normal it is not: that shows that the test would see it."""
    url = f"sqlite:///{tmp_path}/bank.db?synchronous={synchronous}"
    traced = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-y",
        "-o",
        str(traced),
        "-e",
        "trace=write,pwrite64,fdatasync,fsync",
    ]
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, sys.executable, "-c", APPEND % url],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip(f"strace may not trace here: {done.stderr[:200]}")
    assert done.returncode == 0, done.stderr
    synced = [between_asked_and_acknowledged(traced.read_text(), number) for number in range(20)]
    assert len(synced) == 20
    assert set(synced) == {synchronous == "full"}


def between_asked_and_acknowledged(trace: str, number: int) -> bool:
    """Whether the write-ahead log was written and then synced between these two lines."""
    begin = trace.index(f'"asked {number}\\n"')
    end = trace.index(f'"acknowledged {number}\\n"', begin)
    between = trace[begin:end]
    writes = [one.start() for one in re.finditer(r"write\w*\(\d+<[^>]*-wal>", between)]
    syncs = [
        one.start() for one in re.finditer(r"f(?:data)?sync(?:\(\d+<[^>]*-wal>| resumed)", between)
    ]
    assert writes, "nothing was written to the write-ahead log"
    return bool(syncs) and max(syncs) > max(writes)
