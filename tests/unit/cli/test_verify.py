"""`diptych verify`, as far as one process can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from banking import Balance

from diptych.queries.read_store import Change, Row
from diptych.queries.table_spec import TableSpec


@pytest.fixture
def wrong(cli, deposit, folder) -> Callable[[], None]:
    """Three rows of five events are not what the log says."""
    for account in "abcd":
        deposit(account, 5)
    deposit("b", 1)
    cli("projections", "run", "--until-settled")
    import bankapp

    store = bankapp.app.sources[Balance].store

    async def spoil() -> None:
        at = (await store.checkpoint("balances")).position
        rows = [Row("b", 5, Balance("b", 7)), Row("x", 1, Balance("x", 1))]
        await store.apply([Change("balances", at, at, rows, ["c"])])

    def make() -> None:
        asyncio.run(spoil())

    make()
    return make


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_differences_are_shown_field_by_field(cli, wrong):
    result = cli("verify")
    assert result.exit_code == 1
    lines = words(result.stdout)
    assert lines[0] == ["projection", "key", "field", "kept", "expected"]
    assert lines[2:5] == [
        ["balances", "b", "balance", "7", "6"],
        ["balances", "c", "(row)", "-", '{"account_id":"c","balance":5}'],
        ["balances", "x", "(row)", '{"account_id":"x","balance":1}', "-"],
    ]
    assert result.stdout.endswith("\n3 differences, 4 rows compared with 5 events\n")
    shown = cli("verify", "--limit", "1").stdout
    assert "(2 not shown: --limit)" in shown


def test_json_has_every_field_that_differs(ask_json, wrong):
    code, answer = ask_json("verify", "balances")
    assert (code, answer["ok"], answer["rows"], answer["events"]) == (1, False, 4, 5)
    assert [one["key"] for one in answer["differences"]] == ["b", "c", "x"]
    assert answer["differences"][0] == {
        "projection": "balances",
        "key": "b",
        "kept": {"account_id": "b", "balance": 7},
        "expected": {"account_id": "b", "balance": 6},
        "kept_at": 5,
        "expected_at": 5,
        "fields": [
            {"field": "balance", "kept": 7, "expected": 6, "missing": False, "extra": False}
        ],
    }
    assert answer["compared"] == [
        {"projection": "balances", "rows": 4, "position": 5, "differences": 3}
    ]
    assert "repaired" not in answer


def test_what_is_repaired_is_right_afterwards(cli, ask_json, wrong):
    result = cli("verify", "--repair")
    assert result.exit_code == 0
    assert result.stdout.endswith("balances: wrote 2 rows, deleted 1, at position 5\n")
    assert cli("verify").stdout == "ok: 4 rows compared with 5 events, no difference\n"
    wrong()
    code, answer = ask_json("verify", "--repair")
    assert (code, answer["ok"], len(answer["differences"])) == (0, True, 3)
    (repaired,) = answer["repaired"]
    assert (repaired["written"], repaired["deleted"], repaired["ok"]) == (["b", "c"], ["x"], True)


def test_a_dry_run_changes_nothing(cli, ask_json, wrong):
    result = cli("verify", "--repair", "--dry-run")
    assert result.exit_code == 1
    assert result.stdout.endswith("balances: would write 2 rows, delete 1, at position 5\n")
    assert ask_json("verify", "--dry-run")[1]["repaired"][0]["dry_run"]
    assert cli("verify").exit_code == 1


def test_only_some_keys(cli, ask_json, wrong):
    code, answer = ask_json("verify", "--key", "a", "--key", "b")
    assert (code, [one["key"] for one in answer["differences"]]) == (1, ["b"])
    assert ask_json("verify", "Balances", "--key", "a")[0] == 0
    assert cli("verify", "--key", "b", "--repair").exit_code == 0
    assert [one["key"] for one in ask_json("verify")[1]["differences"]] == ["c", "x"]


def test_a_sample_says_its_seed(cli, ask_json, wrong):
    _, answer = ask_json("verify", "--sample", "2")
    again = ask_json("verify", "--sample", "2", "--seed", str(answer["seed"]))[1]
    assert again == answer
    assert cli("verify", "--repair").exit_code == 0
    shown = cli("verify", "--sample", "2", "--seed", "7").stdout
    assert shown == "ok: 2 rows compared with 5 events (a sample, --seed 7), no difference\n"


def test_only_a_tenant(ask_json, wrong):
    assert ask_json("verify", "--tenant", "nobody")[1]["rows"] == 0


@pytest.mark.parametrize(
    "args",
    [
        ["--key", "a", "--sample", "2"],
        ["--seed", "7"],
        ["--watch", "--repair"],
        ["--watch", "balances"],
        ["nothing"],
    ],
    ids=" ".join,
)
def test_what_does_not_go_together_is_refused(cli, bank, args: list[str]):
    assert cli("verify", *args).exit_code == 3


def test_watching_says_what_it_found_round_by_round(cli, wrong, monkeypatch):
    from diptych.cli import verify_work

    seen: list[Any] = []
    say = verify_work._say_round

    def stop(before: Any, now: Any, seconds: float, **options: Any) -> None:
        say(before, now, seconds, **options)
        seen.append(now)
        raise KeyboardInterrupt

    monkeypatch.setattr(verify_work, "_say_round", stop)
    result = cli("verify", "--watch")
    assert result.exit_code == 0
    lines = words(result.stdout)
    assert lines[2] == ["balances", "b", "balance", "7", "6"]
    assert lines[-1][:5] == ["round", "1:", "4", "rows", "compared"]
    assert lines[-1][-2:] == ["3", "differences"]
    assert seen[0].differences == {"balances": 3}


@pytest.mark.parametrize("how", [[], ["--repair"], ["--repair", "--dry-run"]])
def test_rows_of_another_version_are_named_and_not_repaired(
    cli, ask_json, wrong, monkeypatch, how: list[str]
):
    _, before = ask_json("verify")
    monkeypatch.setattr(TableSpec, "made_otherwise", lambda self, fingerprint: True)
    result = cli("verify", *how)
    said = "the rows of balances were made by another version of it. Rebuild it: "
    assert (result.exit_code, said in result.stdout) == (1, True)
    assert ask_json("verify", *how)[1]["changed"] == ["balances"]
    assert ask_json("verify")[1]["differences"] == before["differences"]
