"""The reference names everything that is public, and nothing that is not there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import diptych
from diptych import App
from diptych.cli.command_line import command_line

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def commands_under(name: str, group: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(group, click.Group):
        for each, command in group.commands.items():
            yield from commands_under(f"{name} {each}".strip(), command)
    else:
        yield name, group


COMMANDS = dict(commands_under("", command_line))


def test_the_api_page_names_every_public_name():
    text = page("api.md")
    assert [name for name in diptych.__all__ if f"`{name}`" not in text] == []


def test_the_api_page_names_everything_an_app_can_do():
    text = page("api.md")
    can = [name for name, _ in inspect.getmembers(App) if not name.startswith("_")]
    assert [name for name in can if not re.search(rf"`[^`]*\b{name}\b[^`]*`", text)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line_page_names_every_command_and_option(name: str):
    text = page("cli.md")
    assert f"`diptych {name}" in text
    options = [one for one in COMMANDS[name].params if isinstance(one, click.Option)]
    assert [each.opts[0] for each in options if each.opts[0] not in text] == []


def test_the_guarantees_page_names_tests_that_are_there():
    named = set(re.findall(r"`(test_\w+[a-z0-9])`", page("guarantees.md")))
    there = {
        name
        for folder in (ROOT / "tests", ROOT / "src" / "diptych" / "testing" / "contract")
        for path in folder.rglob("*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert named, "no test is named: has the form of the page changed?"
    assert sorted(named - there) == []
