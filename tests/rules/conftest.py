"""The source as the rules see it: parsed, not imported."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "diptych"


@pytest.fixture(scope="session")
def package() -> Path:
    """The folder `src/diptych`."""
    return PACKAGE


@pytest.fixture(scope="session")
def modules() -> dict[Path, ast.Module]:
    """Every module of diptych by its path inside the package."""
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_bytes(), filename=str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
