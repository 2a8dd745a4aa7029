"""Disks that are full or read-only, as the application and the command line meet them."""

from __future__ import annotations

import os
import stat

import pytest
from banking import BANK, Account, Balance, Balances, Deposit, GetBalance

from diptych import App, Command, Event
from diptych.commands.decider import Decider
from diptych.errors import StoreUnavailable


class Note(Command):
    page: str
    text: str


class Noted(Event):
    page: str
    text: str


def note(command: Note, state: int) -> Noted:
    return Noted(command.page, command.text)


def noted(state: int, event: Noted) -> int:
    return state + 1


async def fill(app: App) -> None:
    for number in range(1000):
        await app.dispatch(Note(f"p{number % 7}", "x" * 20_000), id=f"n{number}")


PAGES = Decider("Page", key="page", initial=int, decide=note, evolve=noted)


@pytest.mark.parametrize("options", [{}, {"inline": [Balances]}, {"state_stored": [Account]}])
async def test_f10_a_full_disk_refuses_commands_until_there_is_space_and_needs_no_restart(
    small_disk, options
):
    url = f"sqlite:///{small_disk}/bank.db"
    ballast = small_disk / "ballast"
    async with App("bank", [*BANK, PAGES], write=url, **options) as app:
        await app.dispatch(Deposit("a", 1), id="first")
        await app.settle()
        ballast.write_bytes(b"x" * (400 << 10))
        with pytest.raises(StoreUnavailable, match=r"full|space"):
            await fill(app)
        written = await app.log.head() - 1
        assert written > 3
        with pytest.raises(StoreUnavailable, match=r"full|space"):
            await app.dispatch(Note("p0", "x" * 500_000), id="large")
        assert (await app.ask(GetBalance("a"))) == Balance("a", 1), "reading goes on"
        ballast.unlink()
        done = await app.dispatch(Note(f"p{written % 7}", "x" * 20_000), id=f"n{written}")
        assert not done.repeated
        assert (await app.dispatch(Deposit("a", 1), id="first")).repeated
        done = await app.dispatch(Deposit("a", 2))
        assert await app.ask(GetBalance("a"), after=done.token, within_s=10) == Balance("a", 3)
        assert (await app.verify()).ok
    async with App("bank", [*BANK, PAGES], write=url, **options) as app:
        assert await app.log.head() == written + 3
        await app.settle()
        assert (await app.verify()).ok


async def test_f10_a_disk_that_fills_while_only_projections_write_catches_up_when_there_is_space(
    small_disk, tmp_path
):
    read = f"sqlite:///{small_disk}/read.db"
    url = f"sqlite:///{tmp_path}/bank.db"
    async with App("bank", BANK, write=url, read=read) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(b"x" * (2 << 20))
        for number in range(3_000):
            done = await app.dispatch(Deposit(f"account {number}", 1))
        (status,) = await app.status()
        assert status.state == "retrying", status
        assert "full" in str(status.why), status
        ballast.unlink()
        assert await app.ask(GetBalance("account 2999"), after=done.token, within_s=20)
        assert (await app.verify()).ok


async def test_a_read_only_disk_is_said_by_app_and_command_line(
    small_disk, make_read_only, diptych, tmp_path
):
    async with App("bank", BANK, write=f"sqlite:///{small_disk}/bank.db") as app:
        await app.dispatch(Deposit("a", 1))
    make_read_only(small_disk)
    for name in ("bank.db", "new.db"):
        app = App("bank", BANK, write=f"sqlite:///{small_disk}/{name}")
        with pytest.raises(StoreUnavailable, match="read and write the file"):
            await app.dispatch(Deposit("a", 1))
        with pytest.raises(StoreUnavailable, match="read and write the file"):
            await app.open()
        await app.close()
    (tmp_path / "bankapp.py").write_text(
        "from banking import BANK\nfrom diptych import App\n"
        f'app = App("bank", BANK, write="sqlite:///{small_disk}/bank.db")\n'
    )
    code, (said,), stderr = diptych("dispatch", "Deposit", '{"account_id": "a", "amount": 1}')
    assert (code, said["error"]["code"]) == (6, "store_unavailable")
    assert "Traceback" not in stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write every file and folder")
@pytest.mark.parametrize("what", ["file", "folder"])
async def test_a_read_only_file_or_folder_is_said(what, tmp_path, url):
    async with App("bank", BANK, write=url) as app:
        await app.dispatch(Deposit("a", 1))
    place = tmp_path / "bank.db" if what == "file" else tmp_path
    mode = stat.S_IMODE(place.stat().st_mode)
    place.chmod(mode & ~0o222)
    try:
        app = App("bank", BANK, write=url)
        with pytest.raises(StoreUnavailable, match="read and write the file"):
            await app.dispatch(Deposit("a", 1))
        await app.close()
    finally:
        place.chmod(mode)
