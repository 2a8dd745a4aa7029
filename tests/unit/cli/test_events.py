"""`diptych events`."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def thirty(deposit) -> None:
    """Thirty deposits: a at odd positions, b at even ones."""
    for number in range(1, 31):
        deposit("a" if number % 2 else "b", number)


def positions(result) -> list[int]:
    return [json.loads(line)["position"] for line in result.stdout.splitlines()]


def test_the_tail_is_the_last_twenty(cli, thirty):
    assert positions(cli("events", "tail", "--json")) == list(range(11, 31))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--limit", "3"], [28, 29, 30]),
        (["--limit", "0"], []),
        (["--limit", "1000"], list(range(1, 31))),
        (["--after", "27"], [28, 29, 30]),
        (["--after", "27", "--limit", "2"], [28, 29]),
        (["--after", "30"], []),
        (["--after", "1000"], []),
        (["--after", "0", "--limit", "0"], []),
        (["--stream", "Account-b", "--limit", "2"], [28, 30]),
        (["--stream", "Account-b", "--after", "27"], [28, 30]),
        (["--stream", "Account-b", "--type", "Withdrawn"], []),
        (["--type", "Deposited", "--limit", "2"], [29, 30]),
        (["--type", "Withdrawn"], []),
        (["--type", "Withdrawn", "--type", "Deposited", "--limit", "1"], [30]),
        (["--stream", "nothing"], []),
    ],
)
def test_what_the_tail_shows(cli, thirty, args: list[str], expected: list[int]):
    result = cli("events", "tail", "--json", *args)
    assert result.exit_code == 0
    assert positions(result) == expected


def test_an_event_as_json(cli, deposit):
    deposit("a", 5)
    event = json.loads(cli("events", "tail", "--json").stdout)
    assert event.pop("event_id")
    assert event.pop("recorded_at").endswith("Z")
    assert event.pop("correlation_id") == event.pop("causation_id")
    assert event == {
        "position": 1,
        "stream": "Account-a",
        "version": 1,
        "type": "Deposited",
        "schema": 1,
        "actor": None,
        "tenant": None,
        "data": {"account_id": "a", "amount": 5},
    }


def test_an_event_in_a_pipe_is_a_line_with_tabs(cli, deposit):
    deposit("a", 5)
    columns = cli("events", "tail").stdout.rstrip("\n").split("\t")
    assert columns[0] == "1"
    assert columns[2:] == ["Account-a", "1", "Deposited", "-", '{"account_id":"a","amount":5}']


def test_an_event_type_nobody_knows_is_mentioned(cli, thirty):
    result = cli("events", "tail", "--type", "Deposted")
    assert result.exit_code == 0
    assert result.stderr == "note: bank knows no event type 'Deposted'\n"


def test_a_stream_with_its_state(ask_json, thirty):
    code, answer = ask_json("events", "show", "Account-a")
    assert code == 0
    assert answer["version"] == 15
    assert [one["version"] for one in answer["events"]] == list(range(1, 16))
    assert answer["state"] == {"balance": sum(range(1, 30, 2))}


def test_a_stream_as_it_was(ask_json, thirty):
    _, answer = ask_json("events", "show", "Account-a", "--at", "2")
    assert answer["version"] == 2
    assert [one["version"] for one in answer["events"]] == [1, 2]
    assert answer["state"] == {"balance": 1 + 3}


def test_the_last_events_of_a_long_stream(cli, ask_json, thirty):
    _, answer = ask_json("events", "show", "Account-a", "--limit", "2")
    assert [one["version"] for one in answer["events"]] == [14, 15]
    shown = cli("events", "show", "Account-a", "--limit", "2").stdout
    assert "13 earlier events not shown" in shown
    assert shown.endswith("state at version 15\nbalance  225\n")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ["Account-c"],
            "there are no events in a stream 'Account-c'. Streams of bank: Account-...",
        ),
        (["nothing"], "there are no events in a stream 'nothing'"),
        (["Account-a", "--at", "16"], "Account-a has no version 16, it stands at 15."),
    ],
)
def test_a_stream_that_is_not_there(ask_json, thirty, args: list[str], says: str):
    code, answer = ask_json("events", "show", *args)
    assert code == 3
    assert says in answer["error"]["message"]
