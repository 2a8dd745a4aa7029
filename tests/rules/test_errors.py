"""Every error has a code of its own, survives pickle, and stands in the drawing of the tree."""

from __future__ import annotations

import inspect
import pickle
import re
from collections import Counter

import pytest

from diptych import errors

CLASSES = [
    thing
    for _, thing in inspect.getmembers(errors, inspect.isclass)
    if thing.__module__ == errors.__name__ and issubclass(thing, BaseException)
]


def test_no_two_errors_share_a_code():
    codes = Counter(cls.__dict__.get("code") for cls in CLASSES)
    assert {code: count for code, count in codes.items() if code is None or count > 1} == {}


def test_every_error_is_public_and_derives_from_the_root():
    assert {cls.__name__ for cls in CLASSES} == set(errors.__all__)
    assert all(issubclass(cls, errors.DiptychError) for cls in CLASSES)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    drawn = re.findall(r"^[│├└─ ]*(\w+)", errors.__doc__.split("```")[1], re.MULTILINE)
    assert sorted(drawn) == sorted(cls.__name__ for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_comes_back_whole_from_pickle(cls: type[errors.DiptychError]):
    error = cls("what happened", stream="cart-1", expected=3)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error)
    assert vars(again) == vars(error)
