"""`up` makes one pair, `down` ends exactly that pair."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services import addresses, processes
from services.__main__ import down, status, up
from services.postgres import PrivatePostgres, is_up
from services.postgres.readiness import accepts_connections


def test_up_twice_is_one_pair(checkout: Path, capsys: pytest.CaptureFixture[str]):
    first = up(checkout)
    capsys.readouterr()
    assert up(checkout) == first == status(checkout)
    assert capsys.readouterr().err == ""


def test_two_that_come_up_at_once_share_one_pair(checkout: Path):
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(up, [checkout, checkout])
    assert one == other


def test_only_the_caller_reads_the_password(checkout: Path):
    up(checkout)
    assert (checkout / ".services" / "addresses.json").stat().st_mode & 0o077 == 0


def test_down_ends_its_pair_and_no_other_server(checkout: Path):
    record = up(checkout)["postgres"]
    with PrivatePostgres() as other:
        down(checkout)
        assert accepts_connections(other.primary.port)
    assert all(processes.has_ended(pid) for pid in record["pids"].values())
    assert not Path(record["folder"]).exists()
    assert status(checkout) == {}
    assert addresses.read(checkout) == {}


def test_down_without_up_is_fine(checkout: Path):
    down(checkout)
    assert status(checkout) == {}


@pytest.mark.parametrize("role", ["primary", "replica"])
def test_a_server_that_died_is_noticed_and_the_pair_made_anew(checkout: Path, role: str):
    before = up(checkout)["postgres"]
    processes.kill_tree(before["pids"][role])
    assert status(checkout) == {}
    after = up(checkout)["postgres"]
    assert is_up(after)
    assert set(before["pids"].values()).isdisjoint(after["pids"].values())
    assert all(processes.has_ended(pid) for pid in before["pids"].values())
    assert not Path(before["folder"]).exists()


def test_a_recorded_id_that_now_belongs_to_another_program_is_left_alone(checkout: Path):
    record = up(checkout)["postgres"]
    for pid in record["pids"].values():
        processes.kill_tree(pid)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        record["pids"] = {"primary": bystander.pid, "replica": bystander.pid}
        addresses.write({"postgres": record}, checkout)
        assert status(checkout) == {}
        down(checkout)
        assert bystander.poll() is None
        bystander.communicate(b"\n")
    # A signal would have made it negative.
    assert bystander.returncode == 0


def test_a_recorded_id_that_now_belongs_to_another_postgres_is_left_alone(checkout: Path):
    record = up(checkout)["postgres"]
    processes.kill_tree(record["pids"]["primary"])
    with PrivatePostgres() as other:
        record["pids"]["primary"] = other.primary.pid
        addresses.write({"postgres": record}, checkout)
        down(checkout)
        assert other.primary.is_running


def test_after_a_reboot_the_old_record_is_replaced(checkout: Path):
    gone = {
        "primary": "postgresql://diptych:x@127.0.0.1:1/diptych",
        "replica": "postgresql://diptych:x@127.0.0.1:2/diptych",
        "version": "15.1",
        "folder": str(checkout / "gone"),
        "pids": {"primary": 2**22 + 1, "replica": 2**22 + 2},
    }
    addresses.write({"postgres": gone}, checkout)
    assert status(checkout) == {}
    assert is_up(up(checkout)["postgres"])


def test_a_folder_that_up_cannot_have_made_is_not_removed(checkout: Path):
    precious = checkout / "precious"
    precious.mkdir()
    record = up(checkout)["postgres"]
    addresses.write({"postgres": {**record, "folder": str(precious)}}, checkout)
    down(checkout)
    assert precious.exists()
    addresses.write({"postgres": record}, checkout)  # for the fixture, which ends the servers


def test_a_record_of_another_version_is_forgotten_not_obeyed(checkout: Path):
    addresses.write({"postgres": {"address": "elsewhere"}}, checkout)
    assert status(checkout) == {}
    assert is_up(up(checkout)["postgres"])


def test_a_pair_whose_record_was_deleted_is_found_and_replaced(checkout: Path):
    lost = up(checkout)["postgres"]
    (checkout / ".services" / "addresses.json").unlink()
    up(checkout)
    assert all(processes.has_ended(pid) for pid in lost["pids"].values())
    assert not Path(lost["folder"]).exists()


def test_private_servers_of_a_killed_run_are_found_and_removed(checkout: Path):
    program = (
        "import sys; from pathlib import Path; from services.postgres import PrivatePostgres\n"
        "with PrivatePostgres(checkout=Path(sys.argv[1])) as server:\n"
        "    print(server.primary.pid, server.primary.folder.parent, flush=True); input()\n"
    )
    command = [sys.executable, "-c", program, str(checkout)]
    with (
        PrivatePostgres(checkout=checkout) as still_used,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=addresses.CHECKOUT
        ) as run,
    ):
        pid, folder = run.stdout.readline().decode().split()
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        up(checkout)
        assert processes.has_ended(int(pid))
        assert not Path(folder).exists()
        assert still_used.primary.is_running
