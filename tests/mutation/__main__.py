"""`python -m tests.mutation`: see the folder's docstring. The exit code is 1 when one is missed."""

# ruff: noqa: T201  it prints a table

from __future__ import annotations

import argparse
import sys

from tests.mutation.bugs import BUGS
from tests.mutation.page import PAGE, page
from tests.mutation.running import Verdict, run_with, run_without


def main() -> int:
    """Run what was asked for, one after the other, and print how each went."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("names", nargs="*", metavar="name", help="bugs; none: all")
    parser.add_argument("--fast", action="store_true", help="only those that `make test` runs")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name} and nothing else")
    parser.add_argument("--explain", action="store_true", help="say how each test failed")
    options = parser.parse_args()
    if options.page:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if unknown := [name for name in options.names if name not in BUGS]:
        parser.error(f"there is no bug {unknown[0]}; there are {', '.join(BUGS)}")
    chosen = [BUGS[name] for name in options.names or BUGS]
    chosen = [bug for bug in chosen if bug.fast or not options.fast]
    print(f"{'bug':48} {'peer':48} {'s':>5}  caught by", flush=True)
    verdicts = [tell(run_with(bug), explain=options.explain) for bug in chosen]
    run = [verdict for verdict in verdicts if not verdict.not_run]
    caught = sum(bool(verdict.caught_by) for verdict in run)
    print(f"\nkill rate: {caught} of {len(run)} ({100 * caught / max(len(run), 1):.0f} %)")
    if len(run) < len(verdicts):
        print(f"not run: {len(verdicts) - len(run)}")
    failed = run_without(chosen)
    print(failed or "without a bug all of these tests pass")
    return 1 if failed or caught < len(run) else 0


def tell(verdict: Verdict, *, explain: bool) -> Verdict:
    """Print one line as soon as it is known."""
    bug, by = verdict.bug, verdict.not_run or f"NOT CAUGHT: {verdict.why}"
    if verdict.caught_by:
        by = verdict.caught_by[0]
    print(f"{bug.name:48} {bug.peers:48} {verdict.seconds:5.1f}  {by}", flush=True)
    if explain and verdict.said:
        print(f"    {verdict.said}", flush=True)
    return verdict


sys.exit(main())
