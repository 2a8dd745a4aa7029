"""The page of the documentation that lists the bugs."""

from __future__ import annotations

from tests.mutation.bug import Bug, links
from tests.mutation.bugs import BUGS
from tests.mutation.running import ROOT

__all__ = ["PAGE", "page"]

PAGE = ROOT / "docs" / "reference" / "bugs-we-would-catch.md"

_HEAD = """\
# Bugs we would catch

Bugs that other systems of this kind have shipped, or that their design invites. Each is a patch
that puts the bug back into diptych while a few of our tests run; each time a test must fail, and
say which promise is broken. `python -m tests.mutation` tries all {all} and prints how many are
caught; `make test` tries the {fast} fast ones. Written by `python -m tests.mutation --page`.

| bug | who had it | the test that catches it here |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    fast = sum(bug.fast for bug in BUGS.values())
    return _HEAD.format(all=len(BUGS), fast=fast) + "".join(map(_line, BUGS.values()))


def _line(bug: Bug) -> str:
    tests = ", ".join(map(_linked, bug.tests))
    return f"| {bug.was} (`{bug.name}`) | {links(bug.peers)} | {tests} |\n"


def _linked(test: str) -> str:
    path, _, name = test.partition("::")
    name = name.rpartition("::")[2].partition("[")[0]
    return f"[{name}](../../{path})"
