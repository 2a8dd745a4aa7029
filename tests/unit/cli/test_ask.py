"""`diptych ask`."""

from __future__ import annotations

import json

import pytest

from diptych import Token


def test_an_answer_shows_everything_recorded_until_now(ask_json, deposit):
    deposit("a", 5)
    code, answer = ask_json("ask", "GetBalance", '{"account_id": "a"}')
    assert code == 0
    assert answer["answer"] == {"account_id": "a", "balance": 5}
    assert Token.parse(answer["token"]).position == 1


def test_a_row_for_people_is_its_fields(cli, deposit):
    deposit("a", 5)
    result = cli("ask", "GetBalance", '{"account_id": "a"}')
    assert result.stdout == "account_id  a\nbalance     5\n"


def test_rows_for_people_are_a_table(cli, deposit):
    deposit("a", 5)
    deposit("b", 12_000)
    result = cli("ask", "Richest")
    assert [line.split() for line in result.stdout.splitlines() if "─" not in line] == [
        ["account_id", "balance"],
        ["b", "12000"],
        ["a", "5"],
    ]


def test_nothing_is_said_to_be_nothing(cli, ask_json, bank):
    assert cli("ask", "GetBalance", '{"account_id": "a"}').stdout == "nothing found\n"
    assert cli("ask", "Richest").stdout == "no rows\n"
    assert ask_json("ask", "GetBalance", '{"account_id": "a"}')[1]["answer"] is None


def test_text_in_an_answer_cannot_play_with_the_terminal(cli, bank):
    shown = cli("ask", "Screen").stdout
    assert "\\x1b[31mred [bold]x" in shown
    assert '{"a":[1,null]}' in shown
    assert "\x1b" not in shown


def test_the_write_model_can_be_asked(ask_json, deposit):
    deposit("a", 5)
    code, answer = ask_json(
        "ask", "GetBalance", '{"account_id": "a"}', "--consistency", "write_model"
    )
    assert (code, answer["answer"]["balance"]) == (0, 5)


def future_token(ask_json) -> str:
    _, answer = ask_json("ask", "Richest")
    return str(Token(Token.parse(answer["token"]).log, 1_000))


def test_a_read_that_would_be_stale_is_an_error_of_its_own(ask_json, bank):
    after = future_token(ask_json)
    code, answer = ask_json("ask", "Richest", "--after", after, "--within", "0.01")
    assert (code, answer["error"]["code"]) == (5, "stale_read")
    assert answer["error"]["wanted"] == 1_000


@pytest.mark.parametrize("on_stale", ["stale", "write_model"])
def test_a_stale_answer_may_be_wanted(ask_json, bank, on_stale: str):
    after = future_token(ask_json)
    said = ["--after", after, "--within", "0.01", "--on-stale", on_stale]
    assert ask_json("ask", "Richest", *said)[0] == 0


def test_a_token_of_another_log_is_refused(ask_json, bank):
    code, answer = ask_json("ask", "Richest", "--after", str(Token("another", 1)))
    assert (code, answer["error"]["code"]) == (3, "foreign_token")


@pytest.mark.parametrize("token", ["", "x", "%", "\ud800", "WzFd"])
def test_a_token_that_is_none_is_refused(ask_json, bank, token: str):
    code, answer = ask_json("ask", "Richest", "--after", token)
    assert (code, answer["error"]["code"]) == (3, "invalid_message")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["Nothing"], "unknown_message_type"),
        (["Deposit"], "unknown_message_type"),
        (["GetBalance"], "invalid_message"),
        (["GetBalance", '{"account_id": 1}'], "invalid_message"),
        (["GetBalance", '{"account_id": "a", "b": 1}'], "invalid_message"),
        (["Richest", '{"limit": NaN}'], "invalid_message"),
        (["Richest", "--within", "nan"], "usage"),
        (["Richest", "--within", "-1"], "usage"),
        (["Richest", "--on-stale", "never"], "usage"),
    ],
)
def test_what_cannot_be_asked(ask_json, bank, args: list[str], code: str):
    exit_code, answer = ask_json("ask", *args)
    assert (exit_code, answer["error"]["code"]) == (3, code)


def test_the_answer_is_one_line_of_json(cli, deposit):
    deposit("a", 5)
    assert len(cli("ask", "Richest", "--json").stdout.splitlines()) == 1
    json.loads(cli("ask", "Screen", "--json").stdout)
