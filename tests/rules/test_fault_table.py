"""docs/reference/faults.md says which tests show which faults, and every fault has its tests."""

from __future__ import annotations

from tests.rules.fault_table import DEMANDED, FAULTS, noted, numbers_of, there_are


def test_the_table_of_faults_lists_the_tests_there_are():
    written = {name: one.file for name, one in noted().items()}
    assert written == there_are(), "run: pytest --fault-table -k <their names>"


def test_every_fault_has_a_test():
    shown = {number for name in there_are() for number in numbers_of(name)}
    missing = [f"F{number:02} {FAULTS[number]}" for number in sorted(DEMANDED - shown)]
    assert missing == []


def test_every_number_in_the_name_of_a_test_is_that_of_a_fault():
    unknown = {name for name in there_are() if not set(numbers_of(name)) <= set(FAULTS)}
    assert unknown == set()
