"""The table of faults: which tests show what happens, on which stores. It is written by a run:

    pytest --fault-table -k "f01 or f02"        # those that ran are noted, others stay as they were

A test belongs to a fault when its name carries the number: `test_f08_...`, `test_f01_f25_...`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "reference" / "faults.md"

FAULTS = {
    1: "A process dies at any step of a command",
    2: "The database server crashes under load",
    3: "The answer to a commit is lost",
    4: "Many writers, one stream, the same expected version",
    5: "A slow or idle transaction in the way of others",
    6: "Commits in another order than begun, and rollbacks between them",
    7: "A transaction that took its id early and writes late",
    8: "The log is restored to an older state while read models have seen more",
    9: "A dump is restored into a new cluster",
    10: "The disk is full",
    11: "The end of SQLite's write-ahead log is torn or lost",
    12: "Several processes write, read and checkpoint one SQLite file",
    13: "Clocks are wrong by hours, each process's differently",
    14: "Storms of serialization failures, deadlocks and lock timeouts",
    15: "A task is cancelled, or a call fails, at any await",
    16: "The same command comes again: at once, after a crash, with another content",
    24: "A connection falls silent: no answer, no end",
    25: "A projection dies between its rows and its checkpoint",
    27: "A process that was stopped goes on after others have taken over",
    28: "The lease store cannot be reached while its holder is well",
    29: "A read store is slow",
    30: "A part of a batch fails",
    31: "An event that cannot be folded: it raises, cannot be decoded, or kills the process",
    32: "A crash at any point of a rebuild",
    33: "Rows are switched, and back, under writes and reads with tokens",
    34: "A replay has no effects outside of its rows",
    35: "Rows are changed, deleted or added by hand",
    36: "A read store is lost or set back",
    37: "A replica is behind",
    40: "SIGTERM under load, twice, then kill -9; old and new releases side by side",
    41: "A bit flips in a stored event",
    42: "Connections run out",
}
DEMANDED = {*range(1, 9), *range(10, 17), 24, 25, *range(27, 30), *range(31, 38), 40}

NUMBERS = re.compile(r"(?<=_)f(\d{2})(?=_)")
LINE = re.compile(r"- `(?P<name>\w+)` \(`(?P<file>[^`]+)`\): (?P<stores>.*); (?P<outcome>.*)")

HEAD = """\
# Faults

What goes wrong in the tests, on purpose, and where. This page is written by the tests themselves:
`pytest --fault-table` notes the outcome of every test whose name carries the number of a fault.
Those of one file may be run as often as one likes; what was not run keeps its last outcome.

Besides these, a nemesis does many of them at once, by chance, to real processes on real stores, and
what every process saw is checked afterwards:

    python -m tests.nemesis run --store all --seconds 3600    # prints its seed, keeps histories
    python -m tests.nemesis replay --full                     # 240,007 order lines under kills
"""


class Shown(NamedTuple):
    """One test that shows a fault."""

    name: str
    file: str
    stores: str = ""
    outcome: str = "not run yet"


def numbers_of(name: str) -> list[int]:
    """The faults in the name of a test."""
    return [int(one) for one in NUMBERS.findall(name)]


def there_are() -> dict[str, str]:
    """Every test of a fault that is in the source, and its file."""
    return {name: str(path.relative_to(ROOT)) for path, name in _functions() if numbers_of(name)}


def noted() -> dict[str, Shown]:
    """What the page says."""
    lines = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []
    found = (LINE.fullmatch(line) for line in lines)
    return {one["name"]: Shown(**one.groupdict()) for one in found if one}


def _functions() -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node.name


def write(seen: dict[str, Shown]) -> None:
    """Write the page: what was seen now, and what was noted before of tests that still exist."""
    before, tests = noted(), there_are()
    shown = {
        name: (seen.get(name) or before.get(name) or Shown(name, file))._replace(file=file)
        for name, file in tests.items()
    }
    text = [HEAD]
    for number, words in FAULTS.items():
        lines = [
            f"- `{one.name}` (`{one.file}`): {one.stores}; {one.outcome}"
            for name, one in sorted(shown.items())
            if number in numbers_of(name)
        ]
        if lines:
            text += [f"## F{number:02} {words}\n", "\n".join(lines) + "\n"]
    TABLE.write_text("\n".join(text), encoding="utf-8")


# -- the run ---------------------------------------------------------------------------------------


def stores_of(item: pytest.Function) -> str:
    """Which stores a test is about, by its parameters, its fixtures, and its file."""
    told = " ".join([item.nodeid, *item.fixturenames]).lower()
    names = {"PostgreSQL": "postgres", "SQLite": "sqlite", "memory": "memory"}
    found = [name for name, word in names.items() if word in told]
    if not found:
        source = item.path.read_text(encoding="utf-8").lower()
        found = [name for name, word in list(names.items())[:2] if word in source]
    return ", ".join(found or ["memory"])


class Noting:
    """Collects the outcomes of one run."""

    def __init__(self) -> None:
        self._stores: dict[str, set[str]] = {}
        self._outcomes: dict[str, set[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test has ended, here or in another worker."""
        stores = dict(report.user_properties).get("stores")
        if stores is None or (report.when != "call" and report.outcome == "passed"):
            return
        name = report.nodeid.partition("[")[0].rpartition("::")[2]
        self._stores.setdefault(name, set()).update(str(stores).split(", "))
        expected = "fails, as known" if hasattr(report, "wasxfail") else report.outcome
        self._outcomes.setdefault(name, set()).add(expected)

    def pytest_sessionfinish(self) -> None:
        """Write what was seen."""
        files = there_are()
        seen = {
            name: Shown(
                name,
                files[name],
                ", ".join(sorted(self._stores[name])),
                ", ".join(sorted(outcomes)),
            )
            for name, outcomes in self._outcomes.items()
            if name in files
        }
        write(seen)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fault-table`."""
    parser.addoption(
        "--fault-table", action="store_true", help="note outcomes in docs/reference/faults.md"
    )


def pytest_configure(config: pytest.Config) -> None:
    """With `--fault-table`, outcomes are noted where all of them arrive."""
    if config.getoption("--fault-table") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Noting())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have reports say which stores their test is about."""
    for item in items:
        if isinstance(item, pytest.Function) and numbers_of(item.originalname):
            item.user_properties.append(("stores", stores_of(item)))
