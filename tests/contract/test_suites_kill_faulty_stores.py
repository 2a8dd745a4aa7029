"""A suite is worth what it finds: each faulty store must fail it, and a right one must pass."""

from __future__ import annotations

import inspect
import re
from collections import Counter

import pytest

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.errors import DiptychError
from diptych.testing.contract.event_log import EventLogContract
from diptych.testing.contract.event_log.inline import InlineContract, Pair
from diptych.testing.contract.faulty import (
    FAULTY_LOGS,
    FAULTY_STANDINGS,
    FAULTY_STORES,
    DetachedStore,
    SharedLog,
    SharedStore,
)
from diptych.testing.contract.read_store import ReadStoreContract
from diptych.testing.contract.standings import StandingsContract
from diptych.testing.contract.suite import Contract
from diptych.testing.contract.verdicts import tests_of, verdicts

SUITES = [EventLogContract, ReadStoreContract, StandingsContract, InlineContract]


def patience_with(cls) -> float:
    """What a fault keeps from happening should be noticed soon; what is right may take its time."""
    return 0.2 if cls.breaks else 20.0


def suite_of_log(cls) -> type[Contract]:
    class Suite(EventLogContract):
        patience_s = patience_with(cls)
        in_another_thread = False

        async def make_log(self):
            return cls(MemoryEventLog())

        async def reopen(self, log):
            return log.again()

    return Suite


def suite_of_store(cls, contract=ReadStoreContract) -> type[Contract]:
    class Suite(contract):
        patience_s = patience_with(cls)
        in_another_thread = False

        async def make_store(self):
            return cls(MemoryReadStore())

        async def reopen(self, store):
            return store.again()

    return Suite


def suite_of_pair(cls) -> type[Contract]:
    class Suite(InlineContract):
        patience_s = patience_with(cls)

        async def make_pair(self):
            return Pair(MemoryEventLog(), cls(MemoryReadStore()))

    return Suite


async def failures(suite: type[Contract]) -> dict[str, BaseException]:
    found = await verdicts(suite)
    assert list(found) == list(tests_of(suite)), "every test has a verdict"
    for name, failure in found.items():
        assert not isinstance(failure, pytest.skip.Exception | pytest.xfail.Exception), name
    return {name: failure for name, failure in found.items() if failure is not None}


def broken(failed: dict[str, BaseException]) -> set[str]:
    """Guarantees that the suite says are broken; an error in a faulty store says nothing."""
    return {
        f"G{number}"
        for name, failure in failed.items()
        if isinstance(failure, AssertionError | DiptychError)
        for number in re.findall(r"^test_g(\d+)_", name)
    }


@pytest.mark.parametrize("faulty", FAULTY_LOGS, ids=lambda cls: cls.__name__)
async def test_a_faulty_log_fails_at_what_it_breaks(faulty):
    failed = await failures(suite_of_log(faulty))
    assert faulty.breaks
    assert set(faulty.breaks) <= broken(failed), f"only these failed: {failed}"


@pytest.mark.parametrize("faulty", FAULTY_STORES, ids=lambda cls: cls.__name__)
async def test_a_faulty_store_fails_at_what_it_breaks(faulty):
    failed = await failures(suite_of_store(faulty))
    assert faulty.breaks
    assert set(faulty.breaks) <= broken(failed), f"only these failed: {failed}"


@pytest.mark.parametrize("faulty", FAULTY_STANDINGS, ids=lambda cls: cls.__name__)
async def test_a_store_with_faulty_standings_fails_at_what_it_breaks(faulty):
    failed = await failures(suite_of_store(faulty, StandingsContract))
    assert faulty.breaks
    assert set(faulty.breaks) <= broken(failed), f"only these failed: {failed}"


async def test_a_store_that_joins_in_name_only_fails_at_what_it_breaks():
    failed = await failures(suite_of_pair(DetachedStore))
    assert set(DetachedStore.breaks) <= broken(failed), f"only these failed: {failed}"


@pytest.mark.parametrize(
    "suite",
    [
        suite_of_log(SharedLog),
        suite_of_store(SharedStore),
        suite_of_store(SharedStore, StandingsContract),
        suite_of_pair(SharedStore),
    ],
)
async def test_what_stands_in_front_of_the_faulty_is_no_fault(suite):
    assert await failures(suite) == {}


async def test_verdicts_do_not_take_a_skip_for_a_pass():
    class Shy(EventLogContract):
        async def make_log(self):
            return MemoryEventLog()

        async def test_g3_positions_are_dense_in_commit_order(self, log):
            pytest.skip("not today")

    verdict = (await verdicts(Shy))["test_g3_positions_are_dense_in_commit_order"]
    assert isinstance(verdict, pytest.skip.Exception)


@pytest.mark.parametrize("suite", SUITES)
def test_no_test_of_a_suite_hides_another(suite):
    defined = Counter(
        name for cls in suite.__mro__ for name in vars(cls) if name.startswith("test_")
    )
    assert [name for name, count in defined.items() if count > 1] == []


@pytest.mark.parametrize("suite", SUITES)
def test_every_test_of_a_suite_runs_and_names_its_guarantee(suite):
    for name in tests_of(suite):
        test = getattr(suite, name)
        assert inspect.iscoroutinefunction(test), f"{name} would not be awaited"
        assert re.match(r"test_g\d+_[a-z0-9_]+$", name), f"{name} names no guarantee"
        marks = {mark.name for mark in getattr(test, "pytestmark", [])}
        assert not marks & {"skip", "skipif", "xfail"}, (
            f"{name} is marked {marks}: it might not run"
        )
