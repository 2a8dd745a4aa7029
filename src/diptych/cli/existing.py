"""Looking at what is there: a command that only reads must not make a new, empty database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from diptych.errors import ConfigurationError

if TYPE_CHECKING:
    from diptych.application import App

__all__ = ["check_file", "open_existing"]


async def open_existing(app: App, *, projections: bool = False) -> None:
    """Open the application. Raises ConfigurationError when the file of its log is not there."""
    check_file(app)
    await app.open(projections=projections)


def check_file(app: App) -> None:
    """Raise ConfigurationError when the file of an application's log is not there."""
    file = app.log.describe().get("file")
    if file is not None and not Path(file).exists():
        raise ConfigurationError(
            f"{app.name} keeps its log in {file}, and there is no such file. Go to the folder "
            "where the application runs, or dispatch its first command."
        )
