"""Where PostgreSQL's programs are looked for, and what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.__main__ import main
from services.account import Account
from services.postgres import binaries
from services.problem import ServiceProblem


def install(folder: Path, version: str) -> Path:
    """Programs that know nothing but their version."""
    folder.mkdir(parents=True)
    for name in binaries.PROGRAMS:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version} (made up)'\n")
        program.chmod(0o755)
    return folder


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No PostgreSQL anywhere, and no pip."""

    def no_pip() -> list[str]:
        raise ServiceProblem("no pip here")

    monkeypatch.delenv("DIPTYCH_POSTGRES_BIN", raising=False)
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(binaries, "CHECKOUT", tmp_path)
    monkeypatch.setattr(binaries, "_pip", no_pip)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def test_without_any_the_message_says_what_to_install_and_what_was_tried(nothing: Path):
    with pytest.raises(ServiceProblem) as problem:
        binaries.find(Account())
    for words in ("no PostgreSQL 14 or newer", "apt install", "DIPTYCH_POSTGRES_BIN", "no pip"):
        assert words in str(problem.value)
    assert list(nothing.glob(".services/pixeltable*")) == []


def test_the_newest_installed_one_is_taken(nothing: Path):
    for version in ("9.6", "14", "17", "15"):
        install(nothing / "debian" / version / "bin", f"{version}.3")
    assert binaries.find(Account()).version == "17.3"


def test_the_named_folder_wins(nothing: Path, monkeypatch: pytest.MonkeyPatch):
    install(nothing / "debian" / "17" / "bin", "17.3")
    own = install(nothing / "own", "16.1")
    monkeypatch.setenv("DIPTYCH_POSTGRES_BIN", str(own))
    assert binaries.find(Account()) == binaries.Binaries(own, "16.1", "DIPTYCH_POSTGRES_BIN")


def test_a_named_folder_that_does_not_fit_is_not_passed_over(
    nothing: Path, monkeypatch: pytest.MonkeyPatch
):
    install(nothing / "debian" / "17" / "bin", "17.3")
    monkeypatch.setenv("DIPTYCH_POSTGRES_BIN", str(nothing / "empty"))
    with pytest.raises(ServiceProblem, match=r"empty .* has no initdb, pg_basebackup"):
        binaries.find(Account())


def test_pg_config_is_asked_when_debian_has_none(nothing: Path):
    elsewhere = install(nothing / "elsewhere", "18beta1")
    (nothing / "path").mkdir()
    pg_config = nothing / "path" / "pg_config"
    pg_config.write_text(f"#!/bin/sh\necho {elsewhere}\n")
    pg_config.chmod(0o755)
    assert binaries.find(Account()) == binaries.Binaries(elsewhere, "18beta1", "pg_config")


def test_one_that_is_too_old_is_named_in_the_message(nothing: Path):
    install(nothing / "debian" / "13" / "bin", "13.9")
    with pytest.raises(ServiceProblem, match=r"is PostgreSQL 13\.9; 14 or newer"):
        binaries.find(Account())


def test_the_command_line_says_it_without_a_traceback(
    nothing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DIPTYCH_POSTGRES_BIN", str(nothing / "empty"))
    monkeypatch.delenv("DIPTYCH_POSTGRES", raising=False)
    monkeypatch.setattr("services.__main__.CHECKOUT", nothing)
    monkeypatch.setattr("services.__main__.up", lambda: binaries.find(Account()))
    assert main(["up"]) == 1
    assert "has no initdb" in capsys.readouterr().err
