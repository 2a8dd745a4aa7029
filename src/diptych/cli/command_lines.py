"""A file of commands: JSON Lines, one `{"type": ..., "data": {...}}` per line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from diptych.application import App
from diptych.cli.reading import lines_of_stdin
from diptych.errors import DiptychError, InvalidMessage, rebuild

__all__ = ["WrittenCommand", "commands_of_stdin", "in_line"]


class WrittenCommand(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One command as it is written in a file, with what may stand beside it."""

    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    id: str | None = None
    actor: str | None = None
    tenant: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    expected_version: int | None = None

    def command(self, app: App) -> Any:
        """The command. Raises UnknownMessageType, InvalidMessage."""
        return app.decode_command(self.type, bytes(self.data))

    def said(self) -> dict[str, Any]:
        """What the line says about its command, for App.dispatch."""
        names = self.__struct_fields__[2:]
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_decode = msgspec.json.Decoder(WrittenCommand).decode


def commands_of_stdin() -> Iterator[tuple[int, WrittenCommand]]:
    """The lines of stdin with their numbers. Raises InvalidMessage naming the line."""
    for number, text in lines_of_stdin():
        try:
            line = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            no_command = InvalidMessage(
                f'no command: {why}. Write {{"type": "...", "data": {{...}}}}.',
                type="line",
                why=why,
            )
            raise in_line(number, no_command) from error
        yield number, line


def in_line(number: int, error: DiptychError) -> DiptychError:
    """The same error, saying in which line; only once."""
    if "line" in error.facts:
        return error
    return rebuild(type(error), f"line {number}: {error.message}", {**error.facts, "line": number})
