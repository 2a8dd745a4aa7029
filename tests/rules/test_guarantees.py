"""Every guarantee a port states is tested by its contract suite, and the other way round.

A port is a class whose docstring has lines that begin with `G1`, `G2`, ...; the port `EventLog` is
tested by `testing/contract/event_log.py`, in functions with `_g1_`, `_g2_`, ... in their names.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CONTRACTS = Path("testing/contract")


def stated(node: ast.ClassDef) -> list[int]:
    text = ast.get_docstring(node) or ""
    return [int(number) for number in re.findall(r"^\s*(?:[-*] )?G(\d+)\b", text, re.MULTILINE)]


def numbers_tested(module: ast.Module) -> set[int]:
    functions = (
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {
        int(number) for node in functions for number in re.findall(r"_g(\d+)(?=_|$)", node.name)
    }


@pytest.fixture(scope="module")
def ports(modules: dict[Path, ast.Module]) -> dict[str, list[int]]:
    """The numbers that each port states, under the file name of its suite."""
    classes = (
        node
        for module in modules.values()
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef) and stated(node)
    )
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", node.name).lower(): stated(node) for node in classes}


@pytest.fixture(scope="module")
def suites(modules: dict[Path, ast.Module]) -> dict[str, set[int]]:
    """The numbers that each suite tests."""
    found: dict[str, set[int]] = {}
    for path, module in modules.items():
        if CONTRACTS in path.parents and (numbers := numbers_tested(module)):
            # A suite is a file, or a folder of files, named like its port.
            found.setdefault(
                path.relative_to(CONTRACTS).parts[0].removesuffix(".py"), set()
            ).update(numbers)
    return found


def test_there_are_ports_with_guarantees(ports: dict[str, list[int]]):
    assert ports, "no docstring states a guarantee: has their form changed?"


def test_guarantees_are_numbered_from_one_without_gaps(ports: dict[str, list[int]]):
    wrong = {
        port: numbers
        for port, numbers in ports.items()
        if numbers != list(range(1, len(numbers) + 1))
    }
    assert wrong == {}


def test_every_guarantee_has_a_contract_test(
    ports: dict[str, list[int]], suites: dict[str, set[int]]
):
    untested = {
        port: missing
        for port, numbers in ports.items()
        if (missing := set(numbers) - suites.get(port, set()))
    }
    assert untested == {}


def test_every_contract_test_belongs_to_a_guarantee(
    ports: dict[str, list[int]], suites: dict[str, set[int]]
):
    unstated = {
        suite: extra
        for suite, numbers in suites.items()
        if (extra := numbers - set(ports.get(suite, ())))
    }
    assert unstated == {}
