"""Bring the servers of this checkout up or down: `python -m services up|down|status [--json]`.

An engine for which DIPTYCH_<ENGINE> names a server of the user's own is not started.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Protocol

from services import addresses, postgres
from services.addresses import CHECKOUT, Record
from services.problem import ServiceProblem
from services.progress import say

__all__ = ["ENGINES", "Engine", "main"]


class Engine(Protocol):
    """What the module of an engine offers."""

    def up(self, checkout: Path) -> Record:
        """Start servers that outlive the caller; all or nothing."""

    def down(self, record: Record, checkout: Path) -> None:
        """End exactly the servers of `record` and remove their data."""

    def is_up(self, record: Record) -> bool:
        """Whether all servers of `record` live and let clients in."""


ENGINES: dict[str, Engine] = {"postgres": postgres}


def up(checkout: Path = CHECKOUT) -> dict[str, Record]:
    """Start what is not up; what is up stays as it is. Returns engine -> record.

    Raises:
        ServiceProblem: An engine could not be started. Those that could are up and recorded.
    """
    problems = []
    with addresses.exclusively(checkout):
        records = addresses.read(checkout)
        for name in _wanted():
            try:
                _bring_up(name, ENGINES[name], records, checkout)
            except ServiceProblem as problem:
                problems.append(f"{name}: {problem}")
    if problems:
        raise ServiceProblem("\n".join(problems))
    return records


def down(checkout: Path = CHECKOUT) -> None:
    """End every recorded server, remove its data, and forget it.

    Raises:
        ServiceProblem: A server does not end; it stays recorded.
    """
    with addresses.exclusively(checkout):
        records = addresses.read(checkout)
        for name in [name for name in records if name in ENGINES]:
            say(f"Stopping {name}")
            _bring_down(name, ENGINES[name], records, checkout)


def status(checkout: Path = CHECKOUT) -> dict[str, Record]:
    """Engine -> record of those that are up."""
    records = addresses.read(checkout)
    return {name: record for name, record in records.items() if _is_up(name, record)}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns 0, or 1 when servers are missing afterwards."""
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "status"))
    parser.add_argument("--json", action="store_true", help="print what is up as JSON")
    options = parser.parse_args(arguments)
    try:
        if options.action == "up":
            up()
        elif options.action == "down":
            down()
    except ServiceProblem as problem:
        say(str(problem))
        return 1
    _show(status(), as_json=options.json)
    missing = set(_wanted()) - set(status())
    return 1 if missing and options.action != "down" else 0


def _wanted() -> list[str]:
    return [name for name in ENGINES if not os.environ.get(f"DIPTYCH_{name.upper()}")]


def _bring_up(name: str, engine: Engine, records: dict[str, Record], checkout: Path) -> None:
    if name in records:
        if _is_up(name, records[name]):
            return
        say(f"What was started of {name} is not whole any more; starting it anew")
        _bring_down(name, engine, records, checkout)
    records[name] = engine.up(checkout)
    addresses.write(records, checkout)


def _bring_down(name: str, engine: Engine, records: dict[str, Record], checkout: Path) -> None:
    try:
        engine.down(records[name], checkout)
    except (KeyError, TypeError):
        say(f"The record of {name} is not one that this version wrote; forgetting it")
    del records[name]
    addresses.write(records, checkout)


def _is_up(name: str, record: Record) -> bool:
    try:
        return name in ENGINES and ENGINES[name].is_up(record)
    except (KeyError, TypeError):
        return False  # written by another version of this file


def _show(records: dict[str, Record], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(records, indent=2))
        return
    for name in ENGINES:
        if record := records.get(name):
            say(f"{name} {record['version']} is up: {record['primary']}")
        else:
            say(f"{name} is not up")


if __name__ == "__main__":
    sys.exit(main())
