"""`diptych projections`, `check` and `verify`, as far as one process can tell."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from banking import Balance, Balances

from diptych import App
from diptych.cli.progress import Progress, duration
from diptych.queries.read_store import Change, Row


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


@pytest.mark.parametrize(("state", "shown"), [("live", "7@host"), ("stopped", "-")])
def test_the_owner_is_a_process_that_moves_it_now(cli, bank, monkeypatch, state: str, shown: str):
    status = App.status

    async def owned(self):
        made = [*await status(self)]
        return [msgspec.structs.replace(one, state=state, owner="7@host:b1:99/aa") for one in made]

    monkeypatch.setattr(App, "status", owned)
    assert cli("projections", "status").stdout.splitlines()[2].split()[-1] == shown


def test_run_until_settled(ask_json, cli, deposit):
    deposit("a", 5)
    code, answer = ask_json("projections", "run", "--until-settled")
    assert code == 0
    assert answer["projections"][0]["position"] == 1
    result = cli("projections", "run", "--until-settled")
    assert result.stdout == "settled: 1 projection at position 1\n"


def test_the_status_says_that_nobody_moves_it_and_how_much_is_parked(ask_json, cli, deposit):
    deposit("a", 5)
    shown = cli("projections", "status").stdout
    assert shown.splitlines()[0].split()[-4:] == ["rate", "left", "parked", "owner"]
    assert "no process moves it: start one with diptych projections run" in shown
    (status,) = ask_json("projections", "status")[1]["projections"]
    assert (status["owner"], status["parked_keys"], status["eta_s"]) == ("", 0, None)


@pytest.mark.parametrize("how", [[], ["--in-place"], ["--throttle", "1000"]])
@pytest.mark.parametrize("name", ["balances", "Balances"])
def test_rebuild(ask_json, cli, deposit, name: str, how: list[str]):
    deposit("a", 5)
    code, answer = ask_json("projections", "rebuild", name, *how)
    assert code == 0
    assert (answer["projection"], answer["events"]) == ("balances", 1)
    assert (answer["generation"] == "balances") is (how == ["--in-place"])
    said = cli("projections", "rebuild", name, *how).stdout
    assert said.startswith("rebuilt balances from 1 event in")
    assert cli("ask", "Richest").stdout.splitlines()[-1].split() == ["a", "5"]
    assert len(ask_json("projections", "generations", name)[1]["generations"]) == 1


async def spoil(account: str, balance: int) -> None:
    """Change a row behind the projection's back."""
    from bankapp import app

    await app.open(projections=False)
    source = app.sources[Balances]
    stands = (await source.store.checkpoint(source.plan.name)).position
    row = Row(account, stands, Balance(account_id=account, balance=balance))
    await source.store.apply([Change(source.plan.name, stands, stands, [row])])
    await app.close()


def test_rebuild_of_some_keys_makes_these_anew(ask_json, cli, deposit):
    deposit("a", 5)
    deposit("b", 6)
    assert cli("projections", "run", "--until-settled").exit_code == 0
    for account in ("a", "b"):
        asyncio.run(spoil(account, 99))
    code, answer = ask_json("projections", "rebuild", "balances", "--key", "a")
    assert (code, answer["written"], answer["deleted"]) == (0, ["a"], [])
    differing = ask_json("verify")[1]["differences"]
    assert [one["key"] for one in differing] == ["b"]
    said = cli("projections", "rebuild", "balances", "--key", "a", "--key", "b").stdout
    assert said == "rebuilt rows of balances: 1 row written, 0 deleted; the others were right\n"


@pytest.mark.parametrize("other", [["--in-place"], ["--throttle", "5"], ["--tenant", "t"]])
def test_some_keys_stand_alone(cli, bank, other: list[str]):
    assert cli("projections", "rebuild", "balances", "--key", "a", *other).exit_code == 3


@pytest.mark.parametrize("throttle", ["nan", "inf", "0", "-1", "many"])
def test_a_throttle_that_is_no_rate_is_refused_before_anything_is_begun(
    ask_json, cli, deposit, throttle: str
):
    deposit("a", 5)
    for command in ("rebuild", "build"):
        code, answer = ask_json("projections", command, "balances", f"--throttle={throttle}")
        assert (code, "throttle" in answer["error"]["message"]) == (3, True)
    assert len(ask_json("projections", "generations", "balances")[1]["generations"]) == 1


def test_f33_build_compare_switch_and_back(ask_json, cli, deposit):
    deposit("a", 5)
    assert cli("projections", "run", "--until-settled").exit_code == 0
    code, built = ask_json("projections", "build", "balances", "--throttle", "500")
    assert (code, built["generation"], built["events"]) == (0, "balances__1", 1)
    asyncio.run(spoil("a", 99))
    ask = ["--ask", 'GetBalance {"account_id": "a"}', "--ask", "Richest"]
    code, found = ask_json("projections", "compare", "balances", *ask)
    assert (code, found["same"], found["differing"]) == (1, False, ["a"])
    assert [one["query"] for one in found["answers"]] == ["GetBalance", "Richest"]
    shown = cli("projections", "compare", "balances", *ask).stdout.splitlines()
    assert shown[0].endswith("1 of 1 rows and 2 of 2 answers differ")
    assert shown[1] == "  a"
    code, refused = ask_json("projections", "switch", "balances", "--if-same", *ask)
    assert (code, "the gate refused it" in refused["error"]["message"]) == (3, True)
    shown = cli("projections", "switch", "balances").stdout.splitlines()
    assert shown[0] == "balances__1 is read now"
    assert shown[1].startswith("next: diptych projections drop balances")
    assert cli("ask", "Richest").stdout.splitlines()[-1].split() == ["a", "5"]
    code, listed = ask_json("projections", "generations", "balances")
    assert [one["role"] for one in listed["generations"]] == ["kept", "served"]
    assert ask_json("projections", "switch-back", "balances")[1]["generation"] == "balances"
    assert cli("projections", "drop", "balances").stdout == "dropped balances__1\n"
    shown = cli("projections", "generations", "balances").stdout.splitlines()
    assert [line.split() for line in shown[2:] if line] == [["balances", "served", "1"]]


@pytest.mark.parametrize("what", ["switch", "switch-back", "compare"])
def test_f33_what_was_not_built_cannot_be_switched_to(ask_json, deposit, what: str):
    deposit("a", 5)
    code, answer = ask_json("projections", what, "balances")
    assert code == 3
    assert "diptych projections build balances" in answer["error"]["message"]


def test_ask_is_for_a_comparison(cli, bank):
    result = cli("projections", "switch", "balances", "--ask", "Richest")
    assert (result.exit_code, "--if-same" in result.stderr) == (3, True)


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


def test_progress_tells_no_rate_before_there_is_one(capsys, monkeypatch):
    monkeypatch.setattr("diptych.cli.progress._LINE_EVERY_S", 0.0)
    with Progress("Verifying") as progress:
        progress(7, 7)
        progress(8, 9)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "Verifying: 7 of 7 events (100%)"
    assert "/s, " in second
