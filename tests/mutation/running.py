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
    """How a run went: the tests that said a promise was broken, or why that counts for nothing."""

    bug: Bug
    caught_by: list[str]
    why: str
    seconds: float
    said: str = ""


def run_with(bug: Bug) -> Verdict:
    """Run the tests of a bug with the bug, up to the first that fails."""
    began = time.monotonic()
    code, failures, text = _pytest(bug.tests, bug.name)
    caught = [one["test"] for one in failures if one["says"]]
    seconds = time.monotonic() - began
    if code == 1 and caught:
        said = next(one["error"] for one in failures if one["says"])
        return Verdict(bug, caught, "", seconds, said)
    crashed = "; ".join(f"{one['test']}: {one['error']}" for one in failures)
    why = {0: "every test passes", 1: f"no promise was said to be broken: {crashed}"}
    return Verdict(bug, [], why.get(code, f"pytest ended with {code}:\n{text[-2000:]}"), seconds)


def run_without(bugs: Iterable[Bug]) -> str:
    """Run the tests of all these bugs without any bug; '' when all pass, else what pytest said."""
    tests = dict.fromkeys(test for bug in bugs for test in bug.tests)
    code, _, text = _pytest(tests, "")
    return "" if code == 0 else text


def _pytest(tests: Iterable[str], bug: str) -> tuple[int, list[dict[str, str]], str]:
    with tempfile.TemporaryDirectory() as folder:
        failures = Path(folder) / "failures.json"
        told = {"DIPTYCH_TEST_BUG": bug, "DIPTYCH_TEST_BUG_FAILURES": str(failures)}
        unused = ("cacheprovider", "randomly", "xdist")
        command = [sys.executable, "-m", "pytest", "-p", "tests.mutation.plugin", "-q", "--tb=line"]
        command += [part for one in unused for part in ("-p", f"no:{one}")]
        done = subprocess.run(
            [*command, *(["-x"] if bug else []), *tests],
            cwd=ROOT,
            env=_outside_of_pytest() | told,
            capture_output=True,
            text=True,
            timeout=WITHIN_S * (1 if bug else 5),
            check=False,
        )
        found = json.loads(failures.read_text("utf-8")) if failures.exists() else []
        return done.returncode, found, done.stdout + done.stderr


def _outside_of_pytest() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
