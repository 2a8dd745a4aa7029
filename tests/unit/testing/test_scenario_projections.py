"""Given events, then rows or statements."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from banking import Account, Balance, Balances, Deposited, Withdrawn

from diptych import Envelope, Event, Projection, ReadModel, Sql, SqlProjection, keyed_by
from diptych.testing import recorded, scenario


def explanation(step, *arguments, **facts) -> str:
    with pytest.raises(AssertionError) as failed:
        step(*arguments, **facts)
    return str(failed.value)


def test_rows_are_what_the_events_make_of_them():
    folded = scenario(Balances).given(Deposited("a", 100), Withdrawn("a", 30), Deposited("b", 1))
    folded.then(Balance("a", 70), Balance("b", 1)).then_no_row("c")


def test_more_events_may_happen():
    folded = scenario(Balances).given(Deposited("a", 100))
    folded.when(Withdrawn("a", 100)).then(Balance("a", 0))


def test_no_events_make_no_rows():
    scenario(Balances).given().then_nothing()


def test_then_wants_all_rows_and_then_includes_some():
    folded = scenario(Balances).given(Deposited("a", 1), Deposited("b", 2))
    folded.then_includes(Balance("b", 2))
    text = explanation(folded.then, Balance("b", 2))
    assert "not expected: Balance(account_id='a', balance=1)" in text


def test_a_wrong_row_is_explained_by_field():
    folded = scenario(Balances).given(Deposited("a", 1))
    assert "'a'.balance: expected 2, was 1" in explanation(folded.then, Balance("a", 2))


def test_a_missing_row_and_a_row_too_many_are_named():
    folded = scenario(Balances).given(Deposited("a", 1))
    assert "was missing" in explanation(folded.then_includes, Balance("b", 1))
    assert "expected no row" in explanation(folded.then_no_row, "a")


class Noted(Event):
    account_id: str
    words: list[str] = []


class Notes(ReadModel, key="account_id"):
    account_id: str
    words: list[str] = []
    at: datetime | None = None
    by: str | None = None


def test_the_envelope_says_what_was_recorded():
    class Dated(Projection[Notes]):
        def noted(self, row: Notes, event: Noted, envelope: Envelope) -> None:
            row.at, row.by = envelope.recorded_at, envelope.actor

    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    scenario(Dated).given(recorded(Noted("a"), at=noon, actor="ann")).then(
        Notes("a", at=noon, by="ann")
    )
    scenario(Dated).given(Noted("a")).then(Notes("a", at=datetime(2026, 1, 1, tzinfo=UTC)))


def test_a_fold_that_counts_batches_is_found():
    class Counting(Projection[Balance]):
        def __init__(self):
            self.seen = 0

        def deposited(self, row: Balance, event: Deposited) -> None:
            self.seen += 1
            row.balance = self.seen

    text = explanation(scenario(Counting).given, Deposited("a", 1), Deposited("a", 1))
    assert "gives other rows" in text
    assert "'a'" in text or "a.balance" in text


def test_a_fold_that_shares_a_list_with_its_event_is_found():
    class Sharing(Projection[Notes]):
        def noted(self, row: Notes, event: Noted) -> None:
            row.words = event.words
            row.words.append("seen")

    text = explanation(scenario(Sharing).given, Noted("a", ["x"]), Noted("a", ["y"]))
    assert "gives other rows" in text or "changes an event" in text


def test_a_row_under_another_key_than_its_own_is_found():
    class Renaming(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.account_id = "other"

    text = explanation(scenario(Renaming).given, Deposited("a", 1))
    assert "under the key 'a'" in text


def test_a_row_that_cannot_be_stored_is_found():
    class Wrong(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance = "much"  # type: ignore[assignment]

    assert "does not survive being stored" in explanation(scenario(Wrong).given, Deposited("a", 1))


def test_deleted_rows_are_gone_and_may_come_back():
    class Brief(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance += event.amount

        def withdrawn(self, row: Balance, event: Withdrawn) -> Balance | None:
            return None

    folded = scenario(Brief).given(Deposited("a", 1), Withdrawn("a", 1))
    folded.then_nothing()
    folded.when(Deposited("a", 5)).then(Balance("a", 5))


class Sums(SqlProjection):
    schema = ("CREATE TABLE sums(account TEXT PRIMARY KEY, total INT)",)
    tables = ("sums",)

    def deposited(self, sql: Sql, event: Deposited) -> None:
        sql(
            "INSERT INTO sums VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET total = total + excluded.total",
            event.account_id,
            event.amount,
        )

    def withdrawn(self, sql: Sql, event: Withdrawn) -> None:
        sql("DELETE FROM sums WHERE account = ?", event.account_id)


def test_a_sql_projection_is_told_by_its_statements():
    scenario(Sums).given(Withdrawn("a", 1)).then(("DELETE FROM sums  WHERE account = ?", "a"))


def test_a_sql_projection_is_told_by_what_is_in_its_tables():
    stated = scenario(Sums).given(Deposited("a", 1), Deposited("a", 2), Deposited("b", 3))
    stated.then_rows("sums", {"account": "a", "total": 3}, {"account": "b", "total": 3})
    stated.when(Withdrawn("b", 3)).then_rows("SELECT account FROM sums", {"account": "a"})
    text = explanation(stated.then_rows, "sums", {"account": "a", "total": 4})
    assert "row[0].total: expected 4, was 3" in text
    assert "row[1]: not expected" in text


def test_a_statement_that_does_not_run_is_found():
    class Broken(SqlProjection):
        schema = ("CREATE TABLE sums(account TEXT)",)
        tables = ("sums",)

        def deposited(self, sql: Sql, event: Deposited) -> None:
            sql("INSERT INTO summs VALUES (?)", event.account_id)

    assert "no such table: summs" in explanation(scenario(Broken).given, Deposited("a", 1))


def test_statements_that_change_from_run_to_run_are_found():
    numbers = itertools.count()

    class Numbered(SqlProjection):
        schema = ("CREATE TABLE sums(number INT)",)
        tables = ("sums",)

        def deposited(self, sql: Sql, event: Deposited) -> None:
            sql("INSERT INTO sums VALUES (?)", next(numbers))

    assert "other statements the second time" in explanation(
        scenario(Numbered).given, Deposited("a", 1)
    )


def test_one_event_may_touch_several_rows():
    class Both(Projection[Balance]):
        @keyed_by(lambda event: [event.account_id, "all"])
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance += event.amount

    scenario(Both).given(Deposited("a", 1), Deposited("b", 2)).then(
        Balance("a", 1), Balance("all", 3), Balance("b", 2)
    )


def test_a_projection_has_no_commands():
    assert not hasattr(scenario(Balances), "when")
    assert not hasattr(scenario(Account).given(), "then_no_row")
