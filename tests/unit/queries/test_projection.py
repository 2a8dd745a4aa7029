"""How a projection class is read, and how its methods fold."""

from typing import Any

import pytest
from banking import Account, Balance, Balances, Deposited, Withdrawn
from hypothesis import given
from hypothesis import strategies as st

from diptych import App, Envelope, Event, Projection, ReadModel, Sql, SqlProjection, keyed_by
from diptych.errors import ConfigurationError, ProjectionFailed
from diptych.messages.envelope import Envelope as Around
from diptych.queries.fold import Batch
from diptych.queries.projection import plan_of
from diptych.queries.read_store import Row
from diptych.testing import scenario
from diptych.testing.recording import envelopes_of


class Closed(Event):
    account_id: str


def refused(projection: type) -> str:
    with pytest.raises(ConfigurationError) as failed:
        plan_of(projection)
    return str(failed.value)


def folded(projection: type, *events: Any, rows: dict[str, Any] | None = None) -> Any:
    before = {key: Row(key, 0, value) for key, value in (rows or {}).items()}
    batch = Batch(plan_of(projection), envelopes_of(events), 0, len(events))
    return batch.change(before)


def test_a_method_that_returns_nothing_changes_the_row():
    change = folded(Balances, Deposited("a", 5), Deposited("b", 1), Withdrawn("a", 2))
    assert [(row.key, row.position, row.value) for row in change.rows] == [
        ("a", 3, Balance("a", 3)),
        ("b", 2, Balance("b", 1)),
    ]
    assert (change.projection, change.after, change.upto) == ("balances", 0, 3)


def test_a_method_that_returns_the_row_replaces_it():
    class Replacing(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> Balance:
            return Balance(event.account_id, row.balance + event.amount)

    change = folded(Replacing, Deposited("a", 5), rows={"a": Balance("a", 1)})
    assert change.rows[0].value == Balance("a", 6)


def test_a_method_that_may_return_none_deletes_the_row():
    class Deleting(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance += event.amount

        def closed(self, row: Balance, event: Closed) -> Balance | None:
            return None

    change = folded(Deleting, Deposited("a", 5), Closed("a"), Closed("b"))
    assert change.rows == []
    assert change.deleted == ["a", "b"]
    again = folded(Deleting, Closed("a"), Deposited("a", 5), rows={"a": Balance("a", 9)})
    assert again.rows[0].value == Balance("a", 5)
    assert again.deleted == []


def test_a_method_that_wants_none_is_given_none_for_a_new_row():
    class Full(ReadModel, key="account_id"):
        account_id: str
        first: int

    class Fulls(Projection[Full]):
        def deposited(self, row: Full | None, event: Deposited) -> Full:
            return row or Full(event.account_id, event.amount)

    change = folded(Fulls, Deposited("a", 5), Deposited("a", 6))
    assert change.rows[0].value == Full("a", 5)


def test_a_row_without_defaults_cannot_begin_by_itself():
    class Full(ReadModel, key="account_id"):
        account_id: str
        first: int

    class Fulls(Projection[Full]):
        def deposited(self, row: Full, event: Deposited) -> None: ...

    assert "Full.first has no default" in refused(Fulls)


def test_the_envelope_is_given_to_a_method_that_wants_it():
    class Dated(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited, envelope: Envelope) -> None:
            row.balance = envelope.position

    assert folded(Dated, Deposited("a", 1), Deposited("a", 1)).rows[0].value.balance == 2
    assert Around is Envelope


def test_one_method_may_fold_several_events():
    class Both(Projection[Balance]):
        def moved(self, row: Balance, event: Deposited | Withdrawn) -> None:
            row.balance += 1

    assert folded(Both, Deposited("a", 5), Withdrawn("a", 5)).rows[0].value.balance == 2


def test_events_that_nobody_folds_change_nothing_but_the_checkpoint():
    change = folded(Balances, Closed("a"))
    assert (change.rows, change.deleted, change.upto) == ([], [], 1)


def test_a_key_function_may_name_several_rows_or_none():
    class Spread(Projection[Balance]):
        @keyed_by(lambda event: [f"{event.account_id}{n}" for n in range(event.amount)])
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance += 1

    change = folded(Spread, Deposited("a", 2), Deposited("a", 0), Deposited("a", 1))
    assert [(row.key, row.value.balance) for row in change.rows] == [("a0", 2), ("a1", 1)]


def test_a_key_may_be_another_field_and_no_text():
    class Numbered(Event):
        number: int

    class Counts(Projection[Balance]):
        @keyed_by("number")
        def numbered(self, row: Balance, event: Numbered) -> None:
            row.balance += 1

    change = folded(Counts, Numbered(7), Numbered(7))
    assert change.rows[0].value == Balance("7", 2)


def test_a_key_that_the_event_does_not_have_is_refused():
    class Sold(Event):
        number: int

    class Lost(Projection[Balance]):
        def sold(self, row: Balance, event: Sold) -> None: ...

    text = refused(Lost)
    assert "Sold has no field 'account_id'" in text
    assert "@keyed_by" in text


def test_two_methods_that_fold_one_event_are_both_named():
    class Twice(Projection[Balance]):
        def one(self, row: Balance, event: Deposited) -> None: ...
        def two(self, row: Balance, event: Deposited) -> None: ...

    text = refused(Twice)
    assert "Deposited is folded twice in Twice" in text
    assert "Twice.one" in text
    assert "Twice.two" in text


def test_a_method_must_say_what_it_returns():
    class Vague(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited): ...

    class Wrong(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> int: ...

    for projection in (Vague, Wrong):
        assert "must be annotated to return None" in refused(projection)


def test_a_projection_must_fold_something_and_fill_something():
    class Idle(Projection[Balance]):
        def report(self, amount: int) -> None: ...

    class Nowhere(Projection):  # type: ignore[type-arg]
        def deposited(self, row: Balance, event: Deposited) -> None: ...

    class Schemaless(SqlProjection):
        def deposited(self, sql: Sql, event: Deposited) -> None: ...

    assert "folds nothing" in refused(Idle)
    assert "which read model it fills" in refused(Nowhere)
    assert "must say what it keeps" in refused(Schemaless)


def test_an_async_method_is_refused():
    class Later(Projection[Balance]):
        async def deposited(self, row: Balance, event: Deposited) -> None: ...

    assert "async" in refused(Later)


def test_two_projections_cannot_fill_one_read_model():
    class Others(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None: ...

    with pytest.raises(ConfigurationError, match=r"two projections fill 'Balance'.*Others"):
        App("bank", [Account, Balances, Others])


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (7, "returned 7 instead of a Balance"),
        (Balance("other"), "returned the row of 'other' for 'a'"),
        (None, "returned None instead of a Balance"),
    ],
)
def test_a_wrong_return_fails_on_its_event(returned, says):
    class Wrong(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> Balance:
            return returned

    with pytest.raises(ProjectionFailed, match=says) as failed:
        folded(Wrong, Deposited("a", 1))
    assert (failed.value.position, failed.value.event_type) == (1, "Deposited")
    assert "Wrong.deposited" in str(failed.value)


def test_a_failing_method_names_event_stream_and_place():
    class Failing(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            raise ZeroDivisionError("by nothing")

    with pytest.raises(ProjectionFailed, match=r"position 2 \(Deposited of scenario-1\)") as failed:
        folded(Failing, Closed("a"), Deposited("a", 1))
    assert failed.value.projection == "failing"
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "keys", [lambda event: event.gone, lambda event: 1 / 0], ids=["missing", "raising"]
)
def test_a_key_function_that_raises_fails_on_its_event(keys):
    class Keyed(Projection[Balance]):
        @keyed_by(keys)
        def deposited(self, row: Balance, event: Deposited) -> None: ...

    with pytest.raises(ProjectionFailed, match="position 1"):
        folded(Keyed, Deposited("a", 1))


@pytest.mark.parametrize(
    "keys",
    [lambda event: None, lambda event: 7, lambda event: (1 / 0 for _ in "a")],
    ids=["none", "number", "generator that raises"],
)
def test_a_key_function_that_returns_no_keys_fails_on_its_event(keys):
    class Keyed(Projection[Balance]):
        @keyed_by(keys)
        def deposited(self, row: Balance, event: Deposited) -> None: ...

    with pytest.raises(ProjectionFailed, match="position 1"):
        folded(Keyed, Deposited("a", 1))


def test_the_fingerprint_changes_with_shape_and_version_only():
    def projection(version: int = 1, **fields: Any) -> str:
        model: Any = type(ReadModel)(
            "Made",
            (ReadModel,),
            {"__annotations__": {"account_id": str, **fields}},
            key="account_id",
        )

        class Fills(Projection[model], version=version):  # type: ignore[valid-type]
            @keyed_by("account_id")
            def deposited(self, row: model | None, event: Deposited) -> model: ...

        return plan_of(Fills).table.fingerprint

    assert projection() == projection()
    assert len({projection(), projection(version=2), projection(a=int), projection(a=str)}) == 4


events = st.lists(
    st.builds(Deposited, st.sampled_from("abc"), st.integers(0, 9))
    | st.builds(Withdrawn, st.sampled_from("abc"), st.integers(0, 9)),
    max_size=12,
)


class Ending(Projection[Balance]):
    """Order matters to it: a withdrawal of nothing closes, and a deposit opens again."""

    def deposited(self, row: Balance, event: Deposited) -> None:
        row.balance = row.balance * 2 + event.amount

    def withdrawn(self, row: Balance, event: Withdrawn) -> Balance | None:
        return Balance(row.account_id, row.balance - event.amount) if event.amount else None


@given(events)
def test_any_split_into_batches_gives_what_one_by_one_gives(history):
    scenario(Ending).given(*history)
    one_by_one: dict[str, Any] = {}
    for at, envelope in enumerate(envelopes_of(history)):
        batch = Batch(plan_of(Ending), [envelope], at, at + 1)
        change = batch.change({k: Row(k, at, v) for k, v in one_by_one.items() if k in batch.keys})
        one_by_one |= {row.key: row.value for row in change.rows}
        for key in change.deleted:
            one_by_one.pop(key, None)
    scenario(Ending).given(*history).then(*one_by_one.values())
