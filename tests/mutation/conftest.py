"""Bugs that take long are tried by whoever asks for them: `pytest tests/mutation -m soak`."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: takes long; runs with `-m soak`, not in `make test`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "soak" in config.option.markexpr:
        return
    soaking = [item for item in items if item.get_closest_marker("soak")]
    if soaking:
        items[:] = [item for item in items if item not in soaking]
        config.hook.pytest_deselected(items=soaking)
