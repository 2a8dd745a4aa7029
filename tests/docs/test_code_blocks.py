"""Every code block of the documentation runs.

The `python` blocks of one page run in order, in one namespace and one empty folder; `await` is
allowed at the top level. A block marked `python no-run` only has to be valid Python. A block marked
`text printed` holds exactly what the `python` blocks before it printed (since the last such block).
A block marked `file:bank.py`, after its language, is written to that file, for the commands that
follow.
In a `console` block the lines that begin with `$ diptych` run, in the same folder, and must
succeed.

A page that names `postgresql://localhost/shop` gets a real server, and the replica of it for
`postgresql://replica/shop`: their addresses are put in place of these before anything runs.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [path for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))] if path.exists()]
MAX_NOT_RUN = 5
MARKS = {"python": frozenset({"no-run"}), "text": frozenset({"printed"})}

PRIMARY, REPLICA = "postgresql://localhost/shop", "postgresql://replica/shop"

# The installed command without the need to be on the PATH.
DIPTYCH = [sys.executable, "-m", "diptych.cli"]

FENCE = re.compile(
    r"^(?P<indent>[ ]*)(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fenced block; `line` is where its text begins."""

    kind: str
    marks: frozenset[str]
    text: str
    line: int


def blocks_of(text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        kind, *marks = match["info"].split() or [""]
        line = text.count("\n", 0, match.start("text")) + 1
        yield Block(kind, frozenset(marks), textwrap.dedent(match["text"]), line)


def commands_of(block: Block) -> list[list[str]]:
    """The arguments of each `$ diptych ...`, without the program; a backslash joins lines."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[2:] for line in lines if line.startswith("$ diptych ")]


def file_of(block: Block) -> str:
    """The file that a block is, by its mark `file:name`; ''."""
    return next((mark[5:] for mark in block.marks if mark.startswith("file:")), "")


def run_python(block: Block, page: Path, module: ModuleType, runner: asyncio.Runner) -> None:
    # Leading empty lines make a traceback point into the page.
    source = "\n" * (block.line - 1) + block.text
    code = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        runner.run(eval(code, module.__dict__))
    else:
        exec(code, module.__dict__)


def run_console(block: Block, page: Path) -> None:
    for arguments in commands_of(block):
        done = subprocess.run([*DIPTYCH, *arguments], capture_output=True, text=True, check=False)
        where = f"{page.name}:{block.line} $ diptych {shlex.join(arguments)}"
        assert done.returncode == 0, f"{where}\n{done.stdout}\n{done.stderr}"


def with_servers(text: str, request: pytest.FixtureRequest) -> str:
    """The page with the addresses of real servers where it needs them."""
    for named, fixture in ((PRIMARY, "postgres_url"), (REPLICA, "replica_url")):
        if named in text:
            text = text.replace(named, request.getfixturevalue(fixture))
    return text


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_of_a_page_runs(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    text = with_servers(page.read_text(encoding="utf-8"), request)
    monkeypatch.chdir(tmp_path)
    # A real module, because annotations and pickle look their names up in `sys.modules`.
    module = ModuleType("page_" + re.sub(r"\W", "_", page.stem))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    printed = io.StringIO()
    with asyncio.Runner() as runner, contextlib.redirect_stdout(printed):
        for block in blocks_of(text):
            if block.kind == "python" and "no-run" in block.marks:
                compile(block.text, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            elif file_of(block):
                (tmp_path / file_of(block)).write_text(block.text, encoding="utf-8")
            elif block.kind == "python":
                run_python(block, page, module, runner)
            elif block.kind == "text" and "printed" in block.marks:
                assert printed.getvalue() == block.text, f"{page.name}:{block.line}"
                printed.seek(0)
                printed.truncate()
            elif block.kind == "console":
                run_console(block, page)


def test_few_blocks_are_not_run():
    not_run = [
        f"{page.relative_to(ROOT)}:{block.line}"
        for page in PAGES
        for block in blocks_of(page.read_text(encoding="utf-8"))
        if "no-run" in block.marks
    ]
    assert len(not_run) <= MAX_NOT_RUN, not_run


def test_every_mark_is_one_we_know():
    unknown = [
        f"{page.relative_to(ROOT)}:{block.line} {mark}"
        for page in PAGES
        for block in blocks_of(page.read_text(encoding="utf-8"))
        for mark in block.marks - MARKS.get(block.kind, frozenset())
        if not mark.startswith("file:")
    ]
    assert unknown == []


def test_blocks_are_found_with_their_lines_and_marks():
    text = "# Page\n\n```python no-run\na = 1\n```\n\n- item\n  ```console\n  $ diptych\n  ```\n"
    assert list(blocks_of(text)) == [
        Block("python", frozenset({"no-run"}), "a = 1\n", 4),
        Block("console", frozenset(), "$ diptych\n", 9),
    ]


def test_a_block_may_be_a_file():
    (block,) = blocks_of("```python file:bank.py\na = 1\n```\n")
    assert file_of(block) == "bank.py"


def test_only_lines_that_call_diptych_are_commands():
    text = "$ make install\n$ diptych demo \\\n    --json  # all\n{}\n$ diptych --version\n"
    block = Block("console", frozenset(), text, 1)
    assert commands_of(block) == [["demo", "--json"], ["--version"]]
