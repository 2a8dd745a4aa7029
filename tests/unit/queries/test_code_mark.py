"""A change of a projection's code is noticed; what changes nothing is not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from diptych.queries.code_mark import code_mark, same_code

BEFORE = """
from diptych import Event, Projection, ReadModel, keyed_by

class Moved(Event):
    thing: str
    by: int

class Row(ReadModel, key="thing"):
    thing: str
    at: int = 0

class Rows(Projection[Row]):
    @keyed_by(lambda event: event.thing)
    def moved(self, row: Row, event: Moved) -> None:
        if event.thing in {"a", "b", "c"}:
            row.at += event.by
"""

SAME = [
    BEFORE.replace("    def moved", "    # why\n\n    def moved"),
    BEFORE.replace('{"a", "b", "c"}', '{"a",  "b",\n "c"}'),
]
OTHER = [
    BEFORE.replace("+=", "-="),
    BEFORE.replace("event.by", "event.by + 1"),
    BEFORE.replace('"c"', '"d"'),
    BEFORE.replace("lambda event: event.thing", "lambda event: event.thing.lower()"),
    BEFORE + "    def also(self) -> int:\n        return 1\n",
]


def mark(source: str) -> str:
    names: dict[str, type] = {"__name__": "shop"}
    exec(compile(source, "shop.py", "exec"), names)
    return code_mark(names["Rows"])


@pytest.mark.parametrize("source", SAME)
def test_comments_and_layout_are_no_change(source: str):
    assert mark(source) == mark(BEFORE)


@pytest.mark.parametrize("source", OTHER)
def test_other_instructions_are_a_change(source: str):
    assert not same_code(mark(source), mark(BEFORE))


def test_the_mark_is_the_same_in_every_process():
    code = f"from diptych.queries.code_mark import code_mark\n{BEFORE}\nprint(code_mark(Rows))"
    marks = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(marks) == 1


def test_marks_of_two_versions_of_python_say_nothing():
    assert same_code("311-aaaaaaaa", "312-bbbbbbbb")
    assert same_code("", "311-aaaaaaaa")
    assert not same_code("311-aaaaaaaa", "311-bbbbbbbb")
