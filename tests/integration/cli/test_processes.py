"""`diptych` as a process: exit codes, pipes and signals."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

A5 = '{"account_id": "a", "amount": 5}'


def test_what_one_process_dispatches_another_sees(diptych):
    assert diptych("dispatch", "Deposit", A5).returncode == 0
    answer = json.loads(diptych("ask", "GetBalance", '{"account_id": "a"}', "--json").stdout)
    assert answer["answer"] == {"account_id": "a", "balance": 5}


def test_a_token_makes_the_next_process_wait(diptych):
    token = json.loads(diptych("dispatch", "Deposit", A5, "--json").stdout)["token"]
    done = diptych("ask", "GetBalance", '{"account_id": "a"}', "--after", token, "--json")
    assert json.loads(done.stdout)["answer"]["balance"] == 5


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--version"], 0),
        (["dispatch", "Withdraw", A5], 2),
        (["dispatch", "Nothing"], 3),
        (["nothing"], 3),
        (["dispatch", "Deposit", A5, "--expected-version", "3"], 4),
        (["ask", "Richest", "--app", "nowhere"], 3),
    ],
)
def test_exit_codes(diptych, args: list[str], code: int):
    done = diptych(*args)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code)


def test_a_store_that_cannot_be_opened_has_its_exit_code(diptych, folder):
    (folder / "bank.db").mkdir()
    done = diptych("dispatch", "Deposit", A5, "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["error"]["code"] == "store_unavailable"


def test_help_needs_neither_rich_nor_an_application(environment, folder):
    heavy = ("rich", "msgspec", "asyncio", "apsw", "diptych.application", "uvicorn")
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "before = set(sys.modules)\n"
        "from diptych.cli.command_line import command_line\n"
        "assert CliRunner().invoke(command_line, ['--help']).exit_code == 0\n"
        f"print([name for name in {heavy} if name in set(sys.modules) - before])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_whoever_stops_reading_gets_no_traceback(start, deposits):
    deposits(3_000)
    process = start("events", "tail", "--after", "0", "--json")
    assert json.loads(process.stdout.readline())["position"] == 1
    process.stdout.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == ""


def test_whoever_stops_reading_while_nothing_happens_is_noticed_later(start, deposits):
    deposits(1)
    process = start("events", "tail", "--follow")
    process.stdout.readline()
    process.stdout.close()
    deposits(2)
    assert process.wait(30) == 141
    assert process.stderr.read() == ""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_following_shows_what_comes_and_ends_when_told(start, deposits, stop: signal.Signals):
    deposits(2)
    process = start("events", "tail", "--follow", "--json", "--limit", "1")
    assert json.loads(process.stdout.readline())["position"] == 2
    deposits(2)
    assert json.loads(process.stdout.readline())["position"] == 3
    assert json.loads(process.stdout.readline())["position"] == 4
    process.send_signal(stop)
    assert process.wait(30) == 0
    assert (process.stdout.read(), process.stderr.read()) == ("", "")


def test_following_one_stream_shows_that_stream(start, diptych, deposits):
    deposits(1)
    process = start("events", "tail", "--follow", "--stream", "Account-b", "--json")
    diptych("dispatch", "Deposit", '{"account_id": "b", "amount": 1}')
    deposits(1)
    diptych("dispatch", "Deposit", '{"account_id": "b", "amount": 2}')
    found = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [(one["stream"], one["version"]) for one in found] == [
        ("Account-b", 1),
        ("Account-b", 2),
    ]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_running_projections_end_when_told(start, deposits, diptych, stop: signal.Signals):
    deposits(3)
    process = start("projections", "run", "--json")
    while json.loads(process.stdout.readline())["projections"][0]["state"] != "live":
        pass
    process.send_signal(stop)
    assert process.wait(30) == 0
    assert process.stderr.read() == ""


def test_watching_ends_when_told(start, deposits):
    deposits(1)
    process = start("projections", "status", "--watch", "--every", "0.1", "--json")
    looks = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [one["head"] for one in looks] == [1, 1]
    process.terminate()
    assert process.wait(30) == 0


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_file_of_commands_that_is_interrupted(start, stop: signal.Signals):
    process = start("dispatch", "-", "--json", stdin=subprocess.PIPE)
    process.stdin.write(json.dumps({"type": "Deposit", "data": json.loads(A5)}) + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["version"] == 1
    process.send_signal(stop)
    assert process.wait(30) == 130
    assert json.loads(process.stdout.read())["error"]["code"] == "interrupted"
    assert process.stderr.read() == ""


def test_a_projection_that_fails_is_named_and_has_its_exit_code(diptych, deposits, folder):
    deposits(60)
    (folder / "badapp.py").write_text(
        "import itertools\n"
        "from banking import *\n"
        "from diptych import App, Projection, keyed_by\n"
        "keys = map(str, itertools.count())\n"
        "class Bad(Projection[Balance]):\n"  # each event for a key of its own
        "    @keyed_by(lambda event: next(keys))\n"
        "    def deposited(self, row: Balance, event: Deposited) -> None:\n"
        "        raise ValueError('kaputt')\n"
        "app = App('bank', [Account, Bad], write='sqlite:///bank.db', read='memory://')\n"
    )
    for args in (["run"], ["run", "--until-settled"], ["rebuild", "bad"]):
        done = diptych("projections", *args, "--app", "badapp", "--json")
        assert done.returncode == 1
        error = json.loads(done.stdout.splitlines()[-1])["error"]
        assert error["code"] == "projection_failed"
        assert "kaputt" in error["message"]


def test_check_finds_events_that_nobody_knows(diptych, deposits, folder):
    deposits(2)
    (folder / "otherapp.py").write_text(
        "from diptych import *\n"
        "class Open(Command):\n    account_id: str\n"
        "class Opened(Event):\n    account_id: str\n"
        "class Account(Aggregate, key='account_id'):\n"
        "    def open(self, command: Open) -> Opened:\n"
        "        return Opened(command.account_id)\n"
        "app = App('other', [Account], write='sqlite:///bank.db')\n"
    )
    done = diptych("check", "--app", "otherapp", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["never_stored"] == ["Opened"]
    assert "2 of 2 Deposited (version 1) cannot be read, first at position 1" in str(
        found["problems"]
    )
    shown = diptych("events", "show", "Account-a", "--app", "otherapp")
    assert shown.returncode == 0
    assert "no state: no message type is called 'Deposited'" in shown.stdout


def test_the_demo_replays_verifies_and_continues(diptych, folder):
    done = diptych("demo", "--sample", "--database", "demo.db", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["verified"]
    assert report["lines"] > 1_000
    again = json.loads(diptych("demo", "--sample", "--database", "demo.db", "--json").stdout)
    assert again["finished_before"]
    assert again["commands"] == report["commands"]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x1f\x8b\x08broken", b"\xff\xfe\x00"])
@pytest.mark.parametrize("name", ["lines.csv", "lines.csv.gz"])
def test_a_demo_of_what_holds_no_order_lines_is_our_users_mistake(diptych, folder, content, name):
    (folder / name).write_bytes(content)
    done = diptych("demo", "--data", name, "--database", "demo.db", "--json")
    assert done.returncode == 3
    assert "cannot be replayed" in json.loads(done.stdout)["error"]["message"]


def test_a_projection_whose_code_has_changed_says_so_until_it_is_rebuilt(diptych, deposits, folder):
    deposits(2)
    diptych("projections", "run", "--until-settled")
    (folder / "newapp.py").write_text(
        "from banking import *\n"
        "from diptych import App, Projection\n"
        "class Balances(Projection[Balance], version=2):\n"
        "    def deposited(self, row: Balance, event: Deposited) -> None:\n"
        "        row.balance += event.amount * 100\n"
        "app = App('bank', [Account, Balances, get_balance], write='sqlite:///bank.db')\n"
    )
    new = ("--app", "newapp", "--json")
    status = json.loads(diptych("projections", "status", *new).stdout)
    assert status["projections"][0]["state"] == "changed"
    for args in (["check"], ["projections", "run"], ["projections", "run", "--until-settled"]):
        done = diptych(*args, *new)
        assert done.returncode == 1
        assert "diptych projections rebuild balances" in done.stdout
    differs = diptych("verify", *new)
    assert differs.returncode == 1
    (difference,) = json.loads(differs.stdout)["differences"]
    assert (difference["kept"]["balance"], difference["expected"]["balance"]) == (2, 200)
    assert "1 difference" in diptych("verify", "--app", "newapp").stdout

    assert diptych("projections", "rebuild", "balances", *new).returncode == 0
    assert diptych("check", *new).returncode == 0
    assert diptych("verify", *new).returncode == 0


def test_f33_a_build_says_how_far_it_is_how_fast_and_how_long_it_will_take(diptych, deposits):
    deposits(100)
    done = diptych("projections", "build", "balances", "--throttle", "20", "--json")
    assert json.loads(done.stdout)["events"] == 100
    [line, *_] = done.stderr.splitlines()
    assert re.fullmatch(
        r"Building balances: \d+ of 100 events \(\d+%\), \d+/s, [\d.]+ m?s left", line
    ), line
    assert diptych("projections", "switch", "balances", "--if-same").returncode == 0
    assert diptych("ask", "Richest", "--json").returncode == 0
    listed = json.loads(diptych("projections", "generations", "balances", "--json").stdout)
    assert [one["role"] for one in listed["generations"]] == ["kept", "served"]
