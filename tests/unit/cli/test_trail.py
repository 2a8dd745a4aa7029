"""`diptych trail`."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def told(cli, bank) -> None:
    """Two deposits by two people, and a withdrawal that the first led to."""
    lines = [
        {"type": "Deposit", "data": {"account_id": "a", "amount": 10}, "id": "form-7"},
        {"type": "Deposit", "data": {"account_id": "b", "amount": 5}},
        {"type": "Withdraw", "data": {"account_id": "a", "amount": 3}},
    ]
    lines[0] |= {"actor": "ann", "tenant": "north"}
    lines[1] |= {"actor": "bob"}
    lines[2] |= {"actor": "bob", "correlation_id": "form-7", "causation_id": "form-7"}
    assert cli("dispatch", "-", stdin="\n".join(map(json.dumps, lines))).exit_code == 0


def printed(result) -> list[dict]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("args", "positions"),
    [
        ([], [1, 2, 3]),
        (["--actor", "bob"], [2, 3]),
        (["--tenant", "north"], [1]),
        (["--stream", "Account-a"], [1, 3]),
        (["--type", "Withdrawn"], [3]),
        (["--correlation-id", "form-7"], [1, 3]),
        (["--causation-id", "form-7", "--actor", "ann"], [1]),
        (["--after", "1", "--upto", "2"], [2]),
        (["--limit", "2"], [1, 2]),
        (["--since", "2020-01-01"], [1, 2, 3]),
        (["--until", "2020-01-01T00:00:00Z"], []),
    ],
)
def test_the_log_shows_what_meets_all_options(cli, told, args: list[str], positions: list[int]):
    assert [one["position"] for one in printed(cli("trail", "log", "--json", *args))] == positions


def test_a_line_of_the_log_says_who_what_when_and_why(cli, told):
    result = cli("trail", "log", "--limit", "1")
    position, recorded_at, *rest = result.stdout.rstrip("\n").split("\t")
    assert position == "1"
    assert recorded_at.endswith("Z")
    assert rest == [
        "Account-a", "1", "Deposited", "ann", "north", "form-7", "form-7",
        '{"account_id":"a","amount":10}',
    ]  # fmt: skip


def test_a_record_as_json(cli, told):
    first = printed(cli("trail", "log", "--json"))[0]
    assert first["data"] == {"account_id": "a", "amount": 10}
    assert first["unreadable"] is None
    assert "event" not in first


def test_a_time_that_is_none_is_a_usage_error(cli, told):
    result = cli("trail", "log", "--since", "yesterday")
    assert result.exit_code == 3
    assert "2026-01-31T12:00:00Z" in result.stderr


@pytest.mark.parametrize("by", ["--correlation-id=form-7", "--position=3"])
def test_a_tree_is_indented_by_cause(cli, told, by: str):
    result = cli("trail", "tree", by)
    lines = result.stdout.splitlines()
    assert lines[0] == "form-7  (command, not stored itself)"
    assert lines[1].startswith("   └─ 1  ")
    assert lines[2].startswith("   └─ 3  ")
    assert lines[-1] == "2 events"
    assert "by ann  for north" in lines[1]
    [tree] = printed(cli("trail", "tree", by, "--json"))
    assert [one["depth"] for one in tree["nodes"]] == [0, 1, 1]
    assert tree["nodes"][2]["record"]["position"] == 3


def test_a_tree_grows_from_one_thing_that_is_there(cli, told):
    assert cli("trail", "tree").exit_code == 3
    assert cli("trail", "tree", "--position", "1", "--event-id", "e").exit_code == 3
    result = cli("trail", "tree", "--correlation-id", "nobody")
    assert result.exit_code == 3
    assert "nothing in the log of bank belongs to nobody" in result.stderr


def test_a_state_is_shown_as_it_was(cli, told, ask_json):
    result = cli("trail", "state", "Account-a", "--version", "1")
    assert "state of Account-a at version 1\n" in result.stdout
    assert "balance  10\n" in result.stdout
    assert "\tann\tnorth\t" in result.stdout
    code, newest = ask_json("trail", "state", "Account", "a")
    assert (code, newest["version"], newest["state"]["balance"]) == (0, 2, 7)
    assert newest["last"]["actor"] == "bob"
    code, before = ask_json("trail", "state", "Account-a", "--at", "2020-01-01")
    assert (code, before["version"], before["last"]) == (0, 0, None)


def test_a_state_without_events_says_so(cli, told):
    shown = cli("trail", "state", "Account-nobody").stdout
    assert "state of Account-nobody at version 0, before its first event, if it has any\n" in shown


@pytest.mark.parametrize(
    "args",
    [
        ["Account-a", "--version", "9"],
        ["Nobody-a"],
        ["Account", "a", "b"],
        ["Account-a", "--version", "1", "--at", "2020-01-01"],
        [],
    ],
)
def test_a_state_that_never_was_is_refused(cli, told, args: list[str]):
    assert cli("trail", "state", *args).exit_code == 3


def test_rows_are_shown_as_they_were(cli, told):
    assert printed(cli("trail", "rows", "balances", "--position", "2", "--json")) == [
        {"key": "a", "position": 1, "row": {"account_id": "a", "balance": 10}},
        {"key": "b", "position": 2, "row": {"account_id": "b", "balance": 5}},
    ]
    [row] = printed(cli("trail", "rows", "Balances", "a", "nobody", "--json"))
    assert row["row"]["balance"] == 7
    lines = [one.split() for one in cli("trail", "rows", "balances").stdout.splitlines()]
    assert ["a", "7"] in lines
    assert ["b", "5"] in lines
    assert "1 more row not shown" in cli("trail", "rows", "balances", "--limit", "1").stdout
    assert cli("trail", "rows", "balances", "--position", "0").stdout == "nothing found\n"
    assert cli("trail", "rows", "balances", "--position", "9").exit_code == 3


def test_a_log_is_sealed_and_checked(cli, told, folder, ask_json):
    result = cli("trail", "seal", "anchor", "--every", "2")
    assert result.stdout == "sealed 2 events in 1 block, up to position 2; 1 event not sealed yet\n"
    result = cli("trail", "check", "anchor")
    assert (result.exit_code, result.stdout) == (
        0,
        "ok: 2 events in 1 block as sealed; 1 event after position 2 not sealed yet\n",
    )
    code, done = ask_json("trail", "seal", "anchor", "--every", "2", "--to-head")
    assert (code, done["events"], done["upto"]) == (0, 1, 3)
    assert cli("trail", "check", "anchor").stdout == "ok: 3 events in 2 blocks as sealed\n"


def test_f41_what_was_tampered_with_is_told_by_the_exit_code(cli, told, folder, ask_json):
    import bankapp

    cli("trail", "seal", "anchor", "--every", "1")
    events = bankapp.app.log._events
    events[1] = events[1]._replace(data=b"{}")
    code, check = ask_json("trail", "check", "anchor")
    assert (code, check["ok"], check["faults"]) == (1, False, 1)
    assert [(one["first"], one["last"]) for one in check["findings"]] == [(2, 2)]
    result = cli("trail", "check", "anchor")
    assert result.exit_code == 1
    assert "1 finding; 2 events in 2 blocks as sealed" in result.stdout
    assert "it is not what was sealed" in result.stdout


def test_a_torn_line_is_told(cli, told, folder):
    cli("trail", "seal", "anchor", "--every", "1")
    content = (folder / "anchor").read_bytes()
    (folder / "anchor").write_bytes(content[:-4])
    result = cli("trail", "check", "anchor")
    assert result.exit_code == 0
    assert "the last line is torn" in result.stdout
    assert "a torn last line was taken away" in cli("trail", "seal", "anchor").stdout


def test_an_anchor_that_is_not_there_is_refused(cli, told, folder):
    assert cli("trail", "check", "nothing").exit_code == 3
