"""What the annotations of a handler say."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, Optional, Union

import pytest
from banking import Deposit, Deposited, Withdraw, Withdrawn

from diptych.errors import ConfigurationError
from diptych.messages.annotations import is_message, members_of, signature_of
from diptych.messages.injection import function_spec


@pytest.mark.parametrize(
    ("annotation", "members"),
    [
        (Deposited, (Deposited,)),
        (Deposited | Withdrawn, (Deposited, Withdrawn)),
        (Union[Deposited, Withdrawn], (Deposited, Withdrawn)),  # noqa: UP007
        (Optional[Deposited], (Deposited, type(None))),  # noqa: UP045
        (list[Deposited | Withdrawn] | None, (Deposited, Withdrawn, type(None))),
        (tuple[Deposited, ...], (Deposited,)),
        (Iterator[Deposited], (Deposited,)),
        (Annotated[Deposited, "why not"], (Deposited,)),
        (None, (type(None),)),
        (Any, (Any,)),
    ],
)
def test_the_classes_an_annotation_allows_are_found_in_order(annotation, members):
    assert members_of(annotation) == members


def test_postponed_annotations_are_resolved():
    def handler(command: Deposit, extra: int) -> Deposited: ...

    signature = signature_of(handler)
    assert signature.parameters == {"command": Deposit, "extra": int}
    assert signature.returns is Deposited


def test_an_annotation_that_cannot_be_resolved_names_the_place():
    def handler(command: Missing) -> None: ...  # noqa: F821

    with pytest.raises(ConfigurationError, match=r"handler.*Missing"):
        signature_of(handler)


def test_built_in_classes_are_no_messages():
    assert is_message(Deposit)
    for cls in (str, int, dict, inspect.Parameter.empty, type(None), list[int]):
        assert not is_message(cls)


def test_any_is_no_message():
    assert not is_message(Any)


def test_a_function_takes_the_messages_of_its_first_parameter():
    async def handler(command: Deposit | Withdraw, clock: int) -> None: ...

    spec = function_spec(handler)
    assert spec.messages == (Deposit, Withdraw)
    assert spec.wants == (("clock", int),)
    assert spec.waits


def test_a_function_without_a_message_is_no_handler():
    def nothing() -> None: ...
    def text(command: str) -> None: ...
    def bare(command) -> None: ...

    for function in (nothing, text, bare):
        with pytest.raises(ConfigurationError, match="is no handler"):
            function_spec(function)


def test_a_wanted_parameter_without_annotation_is_named():
    def handler(command: Deposit, clock) -> None: ...

    with pytest.raises(ConfigurationError, match="'clock'"):
        function_spec(handler)
