"""`diptych parked`."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

POISONED = """
from poison import PARTS
from diptych import App

app = App("poisoned", PARTS)
"""


@pytest.fixture
def poisoned(folder, bank, monkeypatch):
    """Two keys that are parked, one for two events, and one that is not."""
    from poison import BAD, note

    (folder / "poisonedapp.py").write_text(POISONED)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("DIPTYCH_APP", "poisonedapp:app")
    import poisonedapp

    async def fold() -> None:
        app = await poisonedapp.app.open(projections=False)
        await note(app, ("a", 1), ("a", 2), ("b", 3), ("c", 1), ("a", 4))
        from diptych.sync.runner import Runner

        source = app.sources[PARTS[0]]
        await Runner(app._hinge, source.store, [source.plan]).catch_up()
        await app.close()

    from poison import PARTS

    BAD.update({2, 3})
    asyncio.run(fold())
    yield poisonedapp.app
    BAD.clear()
    del sys.modules["poisonedapp"]


@pytest.fixture
def mend():
    from poison import BAD

    return BAD.clear


def test_what_is_parked_is_listed_by_error(cli, ask_json, poisoned):
    code, found = ask_json("parked")
    assert code == 0
    assert [(one["error"], one["keys"], one["events"]) for one in found["groups"]] == [
        ("ValueError: 2 is bad", 1, 2),
        ("ValueError: 3 is bad", 1, 1),
    ]
    lines = cli("parked").stdout.splitlines()
    assert lines[0].split() == [
        "projection", "error", "keys", "events", "first", "last", "since", "(UTC)"
    ]  # fmt: skip
    assert lines[2].split()[:9] == [
        "histories",
        "ValueError:",
        "2",
        "is",
        "bad",
        "1",
        "2",
        "2",
        "5",
    ]


def test_nothing_parked_is_said(cli, bank):
    assert cli("parked").stdout == "nothing is parked\n"
    assert cli("parked", "show", "balances").stdout == "nothing is parked\n"
    assert cli("parked", "retry", "--all").stdout == "nothing is parked there\n"


def test_a_key_is_shown_with_its_event_its_stack_and_what_follows(cli, ask_json, poisoned):
    shown = cli("parked", "show", "histories", "a").stdout
    assert "Noted of Account-a at position 2" in shown
    assert '"number":2' in shown
    assert "5 Noted" in shown
    assert "Traceback" in shown
    assert "\nValueError: 2 is bad\n" in shown
    every = cli("parked", "show", "histories").stdout
    assert "Traceback" not in every
    assert "at position 3" in every
    (one,) = ask_json("parked", "show", "histories", "b")[1]["waiting"]
    assert (one["key"], one["position"], one["followers"]) == ("b", 3, [])
    assert one["event"] == {"account_id": "b", "number": 3, "text": ""}


def test_a_retry_that_fails_again_is_exit_code_1(cli, ask_json, poisoned):
    code, found = ask_json("parked", "retry", "histories", "a")
    assert code == 1
    assert found["retried"][0]["failed_at"] == 2
    assert "failed at 2: ValueError: 2 is bad" in cli("parked", "retry", "--all").stdout


def test_a_key_a_group_and_all_are_retried(cli, ask_json, poisoned, mend):
    mend()
    dry = cli("parked", "retry", "histories", "--dry-run")
    assert (dry.exit_code, dry.stdout.splitlines()[-1]) == (
        0,
        "2 keys: 3 events would be folded, 0 left",
    )
    code, found = ask_json("parked", "retry", "histories", "--error", "ValueError: 3 is bad")
    assert (code, [one["key"] for one in found["retried"]]) == (0, ["b"])
    done = cli("parked", "retry", "--all").stdout
    assert done == "histories a: 2 folded, 0 left\n1 key: 2 events folded, 0 left\n"
    assert cli("parked").stdout == "nothing is parked\n"


@pytest.mark.parametrize("arguments", [["retry"], ["retry", "histories", "--all"]])
def test_what_to_retry_must_be_said(arguments, cli, poisoned):
    result = cli("parked", *arguments)
    assert result.exit_code == 3
    assert "--all" in result.stderr


def test_an_event_is_skipped_for_a_reason_and_that_is_shown(cli, ask_json, poisoned):
    assert cli("parked", "skip", "histories", "a", "2").exit_code == 3
    assert cli("parked", "skip", "histories", "a", "2", "--reason", " ").exit_code == 3
    wrong = cli("parked", "skip", "histories", "a", "5", "--reason", "x")
    assert wrong.exit_code == 3
    assert "the first event that waits for it is at position 2" in wrong.stderr
    done = cli("parked", "skip", "histories", "a", "2", "--reason", "twice", "--actor", "ann")
    assert done.exit_code == 0
    assert done.stdout == (
        "skipped: Noted of Account-a at position 2 for a\nbehind it: 1 folded, 0 left\n"
    )
    (one,) = ask_json("parked", "show", "histories", "a")[1]["skipped"]
    assert (one["reason"], one["actor"], one["position"]) == ("twice", "ann", 2)
    assert "twice" in cli("parked", "show", "histories", "a").stdout


def test_who_skips_is_the_user_of_the_shell(ask_json, poisoned, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "zoe")
    _, found = ask_json("parked", "skip", "histories", "b", "3", "--reason", "x", "--dry-run")
    assert (found["entry"]["actor"], found["dry_run"]) == ("zoe", True)
    assert len(ask_json("parked")[1]["groups"]) == 2


def test_options_before_the_word_hold_as_those_behind_it(cli, poisoned, monkeypatch):
    monkeypatch.delenv("DIPTYCH_APP")
    result = cli("parked", "--app", "poisonedapp:app", "--json", "show", "histories", "b")
    assert json.loads(result.stdout)["waiting"][0]["key"] == "b"


def test_an_answer_that_lacks_what_is_parked_says_so(cli, ask_json, poisoned):
    asking = ["ask", "GetHistory", '{"account_id": "a"}', "--on-stale", "stale"]
    result = cli(*asking)
    assert result.exit_code == 0
    assert "numbers     [1]" in result.stdout
    assert result.stderr == (
        "note: 2 events of a are parked, so what was read may lack them. See: diptych parked\n"
    )
    _, found = ask_json(*asking)
    assert [one["position"] for one in found["parked"]] == [2, 5]
    fine = cli("ask", "GetHistory", '{"account_id": "c"}')
    assert (fine.exit_code, fine.stderr) == (0, "")
    assert cli("ask", "GetHistory", '{"account_id": "a"}').exit_code == 5


def test_running_until_settled_is_no_success_while_something_is_parked(
    cli, ask_json, poisoned, mend
):
    result = cli("projections", "run", "--until-settled")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has parked 2 events of 1 key since position 2 (ValueError: 2 is bad)" in result.stderr
    assert "1 event of 1 key since position 3 (ValueError: 3 is bad)" in result.stderr
    code, answer = ask_json("projections", "run", "--until-settled")
    assert (code, answer["error"]["code"]) == (1, "projection_failed")
    mend()
    assert cli("parked", "retry", "--all").exit_code == 0
    assert cli("projections", "run", "--until-settled").stdout.startswith("settled: ")
