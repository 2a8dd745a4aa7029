"""F10 on PostgreSQL: the server's disk is full. Commands are refused cleanly, reads go on, and
nothing has to be restarted once there is space.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from banking import BANK, Balance, Balances, Deposit, GetBalance
from test_troubled_disks import PAGES, Note

from diptych import App
from diptych.errors import OutcomeUnknown, StoreUnavailable


@pytest.fixture
def small_tablespace(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    """A server whose tables are on a disk of a few megabytes of its own, and that disk."""
    server = request.getfixturevalue("private_postgres")()
    # Where the server's account may go; it is removed with the server's folder.
    folder = server.primary.folder / "small"
    folder.mkdir()
    owner = server.primary.data.stat()
    options = f"size=24m,mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
            check=False,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a small disk with")
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        space = folder / "space"
        space.mkdir()
        os.chown(space, owner.st_uid, owner.st_gid)
        yield server.url, space
    finally:
        server.stop()  # else files on the small disk are in use
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [{}, {"inline": [Balances]}], ids=["async", "inline"])
async def test_f10_a_server_whose_disk_is_full_refuses_commands_and_recovers_by_itself(
    small_tablespace, options
):
    url, space = small_tablespace
    own = await asyncpg.connect(url.rpartition("/")[0] + "/postgres")
    await own.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
    await own.execute("CREATE DATABASE bank TABLESPACE small")
    bank = url.rpartition("/")[0] + "/bank"
    ballast = space.parent / "ballast"
    async with App("bank", [*BANK, PAGES], write=bank, **options) as app:
        await app.dispatch(Deposit("a", 1), id="first")
        await app.settle(20)
        free = os.statvfs(space).f_bavail * os.statvfs(space).f_frsize
        ballast.write_bytes(b"x" * max(0, free - (1 << 20)))
        written = await fill(app)
        assert written > 3
        assert await app.ask(GetBalance("a")) == Balance("a", 1), "reading goes on"
        assert await app.log.head() == written + 1
        ballast.unlink()
        done = await app.dispatch(Note("p0", "x" * 20_000), id=f"n{written}")
        assert not done.repeated, "what was refused had happened"
        assert (await app.dispatch(Deposit("a", 1), id="first")).repeated
        done = await app.dispatch(Deposit("a", 2))
        found = await app.ask(GetBalance("a"), after=done.token, within_s=20)
        assert found == Balance("a", 3)
        await app.settle(20)
        assert (await app.verify()).ok
        stored = await app.log.read(0, 10_000)
        assert [one.position for one in stored] == list(range(1, written + 4))
    await own.close()


async def fill(app: App) -> int:
    """Write until the disk is full; how many commands were accepted."""
    for number in range(2_000):
        try:
            await app.dispatch(Note("p0", os.urandom(10_000).hex()), id=f"n{number}")
        except OutcomeUnknown:
            pytest.fail("that the disk is full is known before anything is committed")
        except StoreUnavailable as error:
            if not any(word in str(error) for word in ("space", "full")):
                raise
            return number
    pytest.fail("the disk never was full")
