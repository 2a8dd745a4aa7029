"""What all tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings

pytest_plugins = ["services.pytest_plugin", "tests.processes", "tests.rules.fault_table"]

# A slow machine is no bug, and a failure must be repeatable from what it prints.
settings.register_profile("diptych", deadline=None, print_blob=True)
settings.load_profile("diptych")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the event loop our users run on."""
    return "asyncio"
