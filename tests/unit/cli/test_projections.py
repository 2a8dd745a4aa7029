"""`diptych projections`, `check` and `verify`, as far as one process can tell."""

from __future__ import annotations

import pytest

from diptych.cli.progress import duration


def test_the_status_of_one_that_is_behind(ask_json, cli, deposit):
    deposit("a", 5)
    code, answer = ask_json("projections", "status")
    assert code == 0
    assert (answer["application"], answer["head"]) == ("bank", 1)
    (status,) = answer["projections"]
    assert (status["name"], status["mode"], status["lag_events"]) == ("balances", "async", 1)
    shown = cli("projections", "status").stdout
    assert shown.splitlines()[2].split()[:5] == [
        "balances",
        "async",
        "behind",
        "0",
        "1",
    ]


def test_run_until_settled(ask_json, cli, deposit):
    deposit("a", 5)
    code, answer = ask_json("projections", "run", "--until-settled")
    assert code == 0
    assert answer["projections"][0]["position"] == 1
    result = cli("projections", "run", "--until-settled")
    assert result.stdout == "settled: 1 projection at position 1\n"


@pytest.mark.parametrize("name", ["balances", "Balances"])
def test_rebuild(ask_json, cli, deposit, name: str):
    deposit("a", 5)
    code, answer = ask_json("projections", "rebuild", name)
    assert code == 0
    assert (answer["projection"], answer["events"]) == ("balances", 1)
    assert cli("projections", "rebuild", name).stdout.startswith("rebuilt balances from 1 event in")
    assert cli("ask", "Richest").stdout.splitlines()[-1].split() == ["a", "5"]


def test_an_unknown_projection_is_named_with_those_there_are(ask_json, bank):
    code, answer = ask_json("projections", "rebuild", "nothing")
    assert code == 3
    assert "it has balances" in answer["error"]["message"]


def test_verify(ask_json, cli, deposit):
    deposit("a", 5)
    cli("projections", "run", "--until-settled")
    assert ask_json("verify")[1]["ok"]
    result = cli("verify")
    assert (result.exit_code, result.stdout) == (
        0,
        "ok: 1 row compared with 1 event, no difference\n",
    )


def test_check(ask_json, cli, deposit):
    deposit("a", 5)
    code, answer = ask_json("check")
    assert (code, answer["ok"], answer["problems"]) == (0, True, [])
    assert (answer["head"], answer["never_stored"]) == (1, ["Withdrawn"])
    assert answer["stored_types"][0]["type"] == "Deposited"
    assert cli("check").stdout.endswith("\nok\n")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.04, "40 ms"),
        (1.5, "1.5 s"),
        (9.96, "10.0 s"),
        (45.4, "45 s"),
        (59.4, "59 s"),
        (59.9, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_how_long_something_takes(seconds: float, said: str):
    assert duration(seconds) == said
