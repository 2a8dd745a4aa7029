"""Each bug of others that is put back into diptych is caught by a test that says what is broken."""

from __future__ import annotations

import pytest
from tests.mutation.bug import links
from tests.mutation.bugs import BUGS
from tests.mutation.page import PAGE, page
from tests.mutation.patching import all_of, replaced, rewritten, sql_rewritten
from tests.mutation.plugin import says_broken
from tests.mutation.running import ROOT, run_with, run_without

from diptych.errors import VersionConflict
from diptych.sync.lease import Leases

pytestmark = pytest.mark.timeout(900)

ALL = [
    pytest.param(bug, id=bug.name, marks=() if bug.fast else pytest.mark.soak)
    for bug in BUGS.values()
]


@pytest.mark.parametrize("bug", ALL)
def test_a_bug_that_is_put_back_is_caught(bug):
    verdict = run_with(bug)
    if verdict.not_run:
        pytest.skip(verdict.not_run)
    assert verdict.caught_by, f"{bug.name} ({bug.peers}) is not caught: {verdict.why}"


@pytest.mark.soak
def test_without_a_bug_the_same_tests_pass():
    """In `make test` the rest of the suite is that run."""
    assert run_without(BUGS.values()) == ""


@pytest.mark.parametrize("bug", ALL)
def test_a_bug_says_what_it_was_and_who_had_it(bug):
    assert bug.peers
    assert bug.was
    assert not bug.was.endswith(".")
    for test in bug.tests:
        path, _, name = test.partition("::")
        assert name, "few tests, by name: nobody waits for a whole file"
        assert (ROOT / path).is_file()


@pytest.mark.parametrize("bug", [pytest.param(bug, id=bug.name) for bug in BUGS.values()])
def test_a_patch_still_fits_the_code(bug):
    """Also those of bugs that only `make soak` puts back."""
    with bug.apply():
        pass


def test_a_patch_leaves_nothing_behind():
    before = Leases._taken.__code__
    with BUGS["epoch_not_raised_on_take_over"].apply():
        assert Leases._taken.__code__ is not before
    assert Leases._taken.__code__ is before


def test_a_patch_that_no_longer_fits_is_an_error():
    with pytest.raises(LookupError, match=r"Leases\._taken has 0 times"):
        rewritten(Leases._taken, ("no such line", "")).__enter__()
    with pytest.raises(LookupError, match="select_events has 0 times"):
        sql_rewritten("postgres", select_events=[("no such line", "")]).__enter__()
    two = all_of(replaced(Leases, "_taken", None), rewritten(Leases.tend, ("no such line", "")))
    with pytest.raises(LookupError):
        two.__enter__()
    assert Leases._taken is not None, "the first one was not taken back"


def test_only_a_promise_that_was_said_to_be_broken_counts():
    broken = [
        AssertionError("1 == 2"),
        VersionConflict("somebody else was first", stream="a", expected=1, actual=2),
        pytest.fail.Exception("DID NOT RAISE StaleRead"),
        ExceptionGroup("all", [AssertionError("1 == 2")]),
    ]
    crashed = [
        ImportError("no module"),
        TypeError("'NoneType' is not callable"),
        pytest.fail.Exception("Timeout (>60.0s) from pytest-timeout."),
        ExceptionGroup("one of them", [AssertionError("1 == 2"), KeyError("a")]),
    ]
    assert [says_broken(error) for error in broken] == [True] * 4
    assert [says_broken(error) for error in crashed] == [False] * 4


def test_issues_are_linked():
    linked = links("Marten #4953, #5091; eventsource-py 0.15.1; Marten, as told in a/b #25")
    assert "[#5091](https://github.com/JasperFx/marten/issues/5091); eventsource-py 0.15" in linked
    assert linked.endswith("Marten, as told in a/b [#25](https://github.com/a/b/issues/25)")


def test_the_page_about_these_bugs_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "call: python -m tests.mutation --page"
