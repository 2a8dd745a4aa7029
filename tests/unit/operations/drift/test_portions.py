"""Portions of keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diptych.operations.drift.portions import Portion, hash_of, portions_of


def test_the_hash_of_a_key_is_the_same_everywhere_and_always():
    assert hash_of("123456789") == 0xCBF43926  # the check value of CRC-32
    assert hash_of("tea", 7) != hash_of("tea", 8)
    assert hash_of("\ud800") == hash_of("\ud800")


@given(st.text(), st.integers(1, 50))
def test_a_key_is_in_exactly_one_portion_and_in_one_half_of_it(key: str, of: int):
    (portion,) = [one for one in portions_of(of, 1) if one.holds(key)]
    assert [half.holds(key) for half in portion.halves()] in ([True, False], [False, True])


def test_there_are_as_many_portions_as_the_rows_need():
    assert portions_of(0, 10) == [Portion(0, 1)]
    assert portions_of(10, 10) == [Portion(0, 1)]
    assert portions_of(11, 10) == [Portion(0, 2), Portion(1, 2)]
