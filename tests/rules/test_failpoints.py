"""The list of failpoints is the list of those in the code, each with its look at `armed` first."""

from __future__ import annotations

import ast
from pathlib import Path

from diptych.failpoints import POINTS

REACHED = {"failpoint", "failpoint_here"}


def calls(module: ast.AST) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in REACHED
    ]


def product(modules: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    return {path: module for path, module in modules.items() if path.name != "failpoints.py"}


def test_every_failpoint_in_the_code_is_in_the_list_and_the_other_way_round(
    modules: dict[Path, ast.Module],
):
    named = [ast.unparse(call.args[0]) for one in product(modules).values() for call in calls(one)]
    assert {name.strip("'") for name in named} == set(POINTS)


def test_nothing_is_called_at_a_failpoint_that_is_not_armed(modules: dict[Path, ast.Module]):
    bare = []
    for path, module in product(modules).items():
        guarded = {
            call
            for node in ast.walk(module)
            if isinstance(node, ast.If) and "armed" in ast.unparse(node.test)
            for call in calls(node)
        }
        bare += [f"{path}:{call.lineno}" for call in calls(module) if call not in guarded]
    assert [one for one in bare if not one.startswith("sync/step.py")] == []
