"""One idea per file, and a name for every idea."""

from __future__ import annotations

import ast
from pathlib import Path

MAX_LINES = 400

# Names for a place where things are put that have no name.
NAMES_WITHOUT_AN_IDEA = {
    "base",
    "common",
    "helper",
    "helpers",
    "impl",
    "interface",
    "interfaces",
    "manager",
    "managers",
    "misc",
    "service",
    "services",
    "util",
    "utils",
}


def test_every_folder_says_what_it_is(package: Path, modules: dict[Path, ast.Module]):
    folders = {path.parent for path in modules}
    silent = [
        str(package.name / folder)
        for folder in sorted(folders)
        if not ast.get_docstring(modules.get(folder / "__init__.py", ast.Module([], [])))
    ]
    assert silent == [], "no docstring in the __init__.py of these folders"


def test_every_file_is_named_by_its_idea(modules: dict[Path, ast.Module]):
    nameless = [
        str(path)
        for path in modules
        if NAMES_WITHOUT_AN_IDEA & {part.strip("_") for part in path.with_suffix("").parts}
    ]
    assert nameless == []


def test_no_file_is_too_long_to_hold_one_idea(package: Path, modules: dict[Path, ast.Module]):
    lines = {str(path): len((package / path).read_bytes().splitlines()) for path in modules}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}
