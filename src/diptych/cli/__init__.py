"""EDGE: the command line, an edge that calls the same App as everybody else.

Reading order: `command_line` (the root, and what becomes of errors), `exit_codes`, `find_app`
(`--app module:attribute`), `running` (Ctrl-C and SIGTERM), `output` (a line of JSON), `tables` and
`progress` (for people); then one file per command: `demo`, `dispatch`, `ask`, `events`,
`projections`, `parked`, `check`, `verify`, `trail`.

Exit codes: 0 ok, 1 error, 2 rejected, 3 usage or configuration, 4 conflict, 5 stale read, 6 store
unavailable or outcome unknown, 130 interrupted. See `exit_codes`.

Nothing but click is imported before a command runs, so that `diptych --help` answers at once.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """The program `diptych`."""
    from diptych.cli.command_line import command_line

    command_line(prog_name="diptych")
