"""What the documentation shows of an example is what the example is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def bare(source: str) -> dict[str, str]:
    """Every class and function by name, without docstrings, comments and formatting."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = ast.dump(_without_docstrings(node))
    return found


def _without_docstrings(node: ast.AST) -> ast.AST:
    for one in ast.walk(node):
        body = getattr(one, "body", None)
        if isinstance(body, list):
            one.body = [
                line
                for line in body
                if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            ]
    return node


def first_python_block(page: Path) -> str:
    found = re.search(
        r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


def test_the_bank_of_the_readme_is_the_example():
    example = (ROOT / "examples" / "bank" / "bank.py").read_text(encoding="utf-8")
    assert bare(first_python_block(ROOT / "README.md")) == bare(example)
