"""What unit tests share: the bank they are told about (banking.py), and one log for two apps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def on_one_log(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes an App like `App(...)`; all of one test's share the log of the first."""
    from diptych.application import App
    from diptych.stores import Stores

    logs: list[Any] = []
    own = Stores._open_log

    def shared(self: Stores, url: str) -> Any:
        if not logs:
            logs.append(own(self, url))
        return logs[0]

    monkeypatch.setattr(Stores, "_open_log", shared)
    return App
