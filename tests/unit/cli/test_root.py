"""The root: help, exit codes, and what becomes of errors."""

from __future__ import annotations

import pytest

from diptych.cli.exit_codes import exit_code_of
from diptych.errors import (
    AppendConditionFailed,
    CommandIdReused,
    ConfigurationError,
    DiptychError,
    ForeignToken,
    InvalidMessage,
    LogRestored,
    NoHandler,
    OutcomeUnknown,
    ProjectionFailed,
    Rejection,
    SchemaTooNew,
    StaleRead,
    StoreUnavailable,
    UnknownMessageType,
    UpcastFailed,
    VersionConflict,
)


class OutOfStock(Rejection):
    code = "out_of_stock"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DiptychError, 1),
        (UpcastFailed, 1),
        (ProjectionFailed, 1),
        (LogRestored, 1),
        (SchemaTooNew, 1),
        (ZeroDivisionError, 1),
        (Rejection, 2),
        (OutOfStock, 2),
        (ConfigurationError, 3),
        (InvalidMessage, 3),
        (UnknownMessageType, 3),
        (NoHandler, 3),
        (ForeignToken, 3),
        (VersionConflict, 4),
        (AppendConditionFailed, 4),
        (CommandIdReused, 4),
        (StaleRead, 5),
        (StoreUnavailable, 6),
        (OutcomeUnknown, 6),
    ],
)
def test_the_code_of_an_error_decides_the_exit_code(error: type[BaseException], code: int):
    assert exit_code_of(error) == code


def test_help_lists_the_commands_and_the_exit_codes(cli):
    result = cli("--help")
    assert result.exit_code == 0
    for word in ("ask", "check", "demo", "dispatch", "events", "projections", "verify"):
        assert f"  {word} " in result.stdout
    assert "130  interrupted" in result.stdout


def test_without_arguments_there_is_help(cli):
    assert cli().stdout == cli("--help").stdout


@pytest.mark.parametrize("group", ["events", "projections"])
def test_a_group_alone_is_a_usage_error(cli, group: str):
    result = cli(group)
    assert result.exit_code == 3
    assert result.stderr == f"error: Missing command.\nSee: diptych {group} --help\n"


def test_usage_errors_are_objects_too(ask_json):
    code, answer = ask_json("ask", "--no-such-option")
    assert code == 3
    assert answer["error"]["code"] == "usage"
    assert "--no-such-option" in answer["error"]["message"]


def test_no_application_is_a_configuration_error(cli, folder):
    result = cli("projections", "status")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: which application?")
    assert result.stdout == ""


def test_an_error_is_one_line_and_no_traceback(cli, bank):
    result = cli("ask", "Fail")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: ZeroDivisionError: one by none\nAdd --debug to see where that comes from.\n"
    )


def test_debug_shows_the_traceback(cli, bank):
    result = cli("ask", "Fail", "--debug")
    assert result.exit_code == 1
    assert "in fail" in result.stderr
    assert result.stderr.endswith("error: ZeroDivisionError: one by none\n")


def test_an_unexpected_error_is_an_object_too(ask_json, bank):
    code, answer = ask_json("ask", "Fail")
    assert (code, answer["error"]["code"]) == (1, "unexpected")


def test_control_characters_in_an_error_do_nothing_to_the_terminal(cli, bank):
    result = cli("ask", "\x1b[2Jx")
    assert result.exit_code == 3
    assert "\x1b" not in result.stderr
