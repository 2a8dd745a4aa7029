"""Running the few tests that must fail for a bug, and judging why they did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.mutation.bug import Bug

__all__ = ["ROOT", "Verdict", "run_with", "run_without"]

ROOT = Path(__file__).parents[2]
WITHIN_S = 180


class Verdict(NamedTuple):
    """How a run went: the tests that said a promise is broken, and what the first `said`; or why
    that counts for nothing; or what the tests needed that is not there.
    """

    bug: Bug
    seconds: float
    caught_by: list[str]
    said: str = ""
    why: str = ""
    not_run: str = ""


def run_with(bug: Bug) -> Verdict:
    """Run the tests of a bug with the bug, up to the first that fails."""
    began = time.monotonic()
    code, seen, text = _pytest(bug.tests, bug.name)
    seconds = time.monotonic() - began
    caught = [one for one in seen["failed"] if one["says"]]
    if code == 1 and caught:
        return Verdict(bug, seconds, [one["test"] for one in caught], caught[0]["error"])
    if code == 0 and seen["skipped"]:
        return Verdict(bug, seconds, [], not_run=seen["skipped"][0]["why"])
    crashed = "; ".join(f"{one['test']}: {one['error']}" for one in seen["failed"])
    why = {0: "every test passes", 1: f"no promise was said to be broken: {crashed}"}
    return Verdict(
        bug, seconds, [], why=why.get(code, f"pytest ended with {code}:\n{text[-2000:]}")
    )


def run_without(bugs: Iterable[Bug]) -> str:
    """Run the tests of all these bugs without any bug; '' when all pass, else what pytest said."""
    tests = dict.fromkeys(test for bug in bugs for test in bug.tests)
    code, _, text = _pytest(tests, "")
    return "" if code == 0 else text


Seen = dict[str, list[dict[str, str]]]


def _pytest(tests: Iterable[str], bug: str) -> tuple[int, Seen, str]:
    """Its exit code, what the plugin has seen, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "seen.json"
        told = {"DIPTYCH_TEST_BUG": bug, "DIPTYCH_TEST_BUG_SEEN": str(seen)}
        unused = ("cacheprovider", "randomly", "xdist")
        command = [sys.executable, "-m", "pytest", "-p", "tests.mutation.plugin", "-q", "--tb=line"]
        command += [part for one in unused for part in ("-p", f"no:{one}")]
        done = subprocess.run(
            [*command, *(["-x"] if bug else []), *tests],
            cwd=ROOT,
            env=_outside_of_pytest() | told,
            capture_output=True,
            text=True,
            timeout=WITHIN_S * (1 if bug else 4),
            check=False,
        )
        found = json.loads(seen.read_text("utf-8")) if seen.exists() else {}
        return (
            done.returncode,
            {"failed": [], "skipped": [], **found},
            done.stdout + done.stderr,
        )


def _outside_of_pytest() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
