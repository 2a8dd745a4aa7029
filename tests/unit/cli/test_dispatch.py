"""`diptych dispatch`."""

from __future__ import annotations

import json

import pytest

A5 = '{"account_id": "a", "amount": 5}'


def lines(*commands: tuple[str, dict]) -> str:
    return "".join(json.dumps({"type": name, "data": data}) + "\n" for name, data in commands)


def test_an_accepted_command(ask_json, bank):
    code, answer = ask_json("dispatch", "Deposit", A5)
    assert code == 0
    assert answer.pop("token")
    assert answer == {
        "stream": "Account-a",
        "version": 1,
        "repeated": False,
        "events": [{"type": "Deposited", "data": {"account_id": "a", "amount": 5}}],
    }


def test_an_accepted_command_for_people(cli, bank):
    result = cli("dispatch", "Deposit", A5)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        'stream  Account-a, version 1\nevents  Deposited {"account_id":"a","amount":5}\ntoken   '
    )
    assert "keeps its log in memory" in result.stderr


def test_a_command_that_changes_nothing(cli, bank):
    result = cli("dispatch", "Deposit", '{"account_id": "a", "amount": 0}')
    assert "none: nothing changed" in result.stdout


def test_a_rejection_has_its_reason_and_its_exit_code(cli, ask_json, bank):
    result = cli("dispatch", "Withdraw", A5)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "rejected: insufficient funds\n"
    code, answer = ask_json("dispatch", "Withdraw", A5)
    assert code == 2
    assert answer["error"] == {
        "code": "insufficient_funds",
        "message": "insufficient funds",
        "retryable": False,
        "missing": 5,
    }


def test_the_same_id_gets_the_first_answer(cli, ask_json, bank):
    _, first = ask_json("dispatch", "Deposit", A5, "--id", "x")
    code, again = ask_json("dispatch", "Deposit", A5, "--id", "x")
    assert code == 0
    assert again == first | {"repeated": True}
    assert "the first answer to this id again" in cli("dispatch", "Deposit", A5, "--id", "x").stdout


def test_the_same_id_with_another_command_is_a_conflict(ask_json, bank):
    ask_json("dispatch", "Deposit", A5, "--id", "x")
    code, answer = ask_json("dispatch", "Withdraw", A5, "--id", "x")
    assert (code, answer["error"]["code"]) == (4, "command_id_reused")


def test_an_expected_version_that_does_not_hold_is_a_conflict(ask_json, bank):
    code, answer = ask_json("dispatch", "Deposit", A5, "--expected-version", "7")
    assert (code, answer["error"]["code"]) == (4, "version_conflict")
    assert (answer["error"]["expected"], answer["error"]["actual"]) == (7, 0)


def test_who_and_why_are_recorded(cli, bank):
    said = ["--actor", "anna", "--tenant", "t1", "--correlation-id", "c1"]
    cli("dispatch", "Deposit", A5, *said)
    event = json.loads(cli("events", "tail", "--json").stdout)
    assert (event["actor"], event["tenant"], event["correlation_id"]) == ("anna", "t1", "c1")


def test_data_from_stdin_and_from_a_file(ask_json, bank, folder):
    (folder / "command.json").write_text(A5)
    assert ask_json("dispatch", "Deposit", "-", stdin=A5)[1]["version"] == 1
    assert ask_json("dispatch", "Deposit", "@command.json")[1]["version"] == 2


@pytest.mark.parametrize("name", ["@nowhere.json", "@.", "@", "@\0"])
def test_a_file_that_cannot_be_read(ask_json, bank, name: str):
    code, answer = ask_json("dispatch", "Deposit", name)
    assert (code, answer["error"]["code"]) == (3, "configuration")
    assert "cannot read" in answer["error"]["message"]


BAD = {
    "no field": "{}",
    "no data": None,
    "an unknown field": '{"account_id": "a", "amount": 5, "x": 1}',
    "a wrong type": '{"account_id": "a", "amount": "5"}',
    "a float": '{"account_id": "a", "amount": 5.5}',
    "null": "null",
    "a list": "[]",
    "NaN": '{"account_id": "a", "amount": NaN}',
    "infinity": '{"account_id": "a", "amount": 1e999}',
    "no JSON": "account_id=a",
    "nothing": "",
    "half": '{"account_id": "a"',
    "two": A5 + A5,
    "an empty key": '{"account_id": "", "amount": 5}',
    "deep": '{"account_id": ' + "[" * 10_000 + "]" * 10_000 + ', "amount": 5}',
    "deep and unknown": '{"x": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "half a surrogate pair": '{"account_id": "\\ud800", "amount": 5}',
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_data_that_does_not_fit_is_an_invalid_message_and_writes_nothing(ask_json, cli, bank, data):
    code, answer = ask_json("dispatch", "Deposit", *([] if data is None else [data]))
    assert (code, answer["error"]["code"]) == (3, "invalid_message")
    assert cli("events", "tail").stdout == ""


@pytest.mark.parametrize(
    "data",
    [
        b'{"account_id": "' + b"x" * 10_000_000 + b'", "amount": 5}',
        b"x" * ((64 << 20) + 1),
        b'{"account_id": "\xff\xfe", "amount": 5}',
        b"\0",
    ],
    ids=["10 MB", "more than is read", "not UTF-8", "a zero byte"],
)
def test_bytes_that_are_no_command(ask_json, bank, data: bytes):
    code, answer = ask_json("dispatch", "Deposit", "-", stdin=data)
    assert (code, answer["error"]["code"]) == (3, "invalid_message")
    assert len(answer["error"]["message"]) < 500


@pytest.mark.parametrize(
    "name", ["Nothing", "", "Deposited", "GetBalance", "x" * 100_000, "\ud800"]
)
def test_an_unknown_type_is_named_with_those_there_are(ask_json, bank, name: str):
    code, answer = ask_json("dispatch", name, A5)
    assert (code, answer["error"]["code"]) == (3, "unknown_message_type")
    assert "it has Deposit, Transfer, Withdraw" in answer["error"]["message"]
    assert len(answer["error"]["message"]) < 500


def test_a_file_of_commands(cli, bank):
    text = lines(
        ("Deposit", {"account_id": "a", "amount": 5}),
        ("Withdraw", {"account_id": "a", "amount": 50}),
        ("Withdraw", {"account_id": "a", "amount": 5}),
    )
    result = cli("dispatch", "-", stdin=text + "\n\n")
    assert result.exit_code == 2
    assert result.stdout == "2 accepted, 1 rejected\n"
    assert result.stderr.startswith("line 2: rejected: insufficient funds\n")


def test_a_file_of_commands_without_rejections_is_ok(cli, bank):
    result = cli("dispatch", "-", stdin=lines(("Deposit", {"account_id": "a", "amount": 5})) * 3)
    assert (result.exit_code, result.stdout) == (0, "3 accepted, 0 rejected\n")


def test_what_stands_beside_a_command_in_its_line(cli, bank):
    line = {"type": "Deposit", "data": json.loads(A5), "id": "x", "actor": "ben"}
    result = cli("dispatch", "-", "--actor", "anna", "--json", stdin=(json.dumps(line) + "\n") * 2)
    answers = [json.loads(one) for one in result.stdout.splitlines()]
    assert [one["repeated"] for one in answers] == [False, True]
    assert json.loads(cli("events", "tail", "--json").stdout)["actor"] == "ben"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "invalid_message"),
        ("[]", "invalid_message"),
        ('{"data": {}}', "invalid_message"),
        ('{"type": "Deposit", "dta": {}}', "invalid_message"),
        ('{"type": "Deposit"}', "invalid_message"),
        ('{"type": "Nothing"}', "unknown_message_type"),
        ('{"type": ' + "[" * 10_000 + "}", "invalid_message"),
    ],
)
def test_a_line_that_is_no_command_stops_there_and_is_named(cli, bank, line: str, code: str):
    good = lines(("Deposit", {"account_id": "a", "amount": 5}))
    result = cli("dispatch", "-", "--json", stdin=good + line + "\n" + good)
    assert result.exit_code == 3
    first, last = map(json.loads, result.stdout.splitlines())
    assert first["line"] == 1
    assert last["error"]["code"] == code
    assert last["error"]["line"] == 2
    assert last["error"]["message"].startswith("line 2: ")


def test_a_file_of_commands_takes_no_id(cli, bank):
    assert cli("dispatch", "-", "--id", "x", stdin="").exit_code == 3
