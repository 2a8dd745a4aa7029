"""Given events, then statements and tables: a SqlProjection on trial, in a database of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import apsw

from diptych.queries.fold import Batch
from diptych.queries.projection import Plan
from diptych.queries.read_store import Statement
from diptych.testing.difference import differences, indented
from diptych.testing.other_process import unsteady_elsewhere
from diptych.testing.recording import bare, check_stored, envelopes_of
from diptych.testing.steadiness import unsteady_statements

__all__ = ["Stated", "StatementScenario"]


class StatementScenario:
    """A SqlProjection that has seen nothing. Next: `given`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def given(self, *events: Any) -> Stated:
        """Events in the order of the log; `recorded(event, at=...)` fills their envelopes."""
        return Stated(self._plan, events)


class Stated:
    """What a SqlProjection made of events. Next: `then` (statements), `then_rows` (what they
    leave in its tables), `then_steady`, or `when` more events have happened.

    Taking the events has checked that they give the same statements a second time and one by one,
    and that the statements run, in an SQLite database in memory with the projection's schema.
    """

    def __init__(self, plan: Plan, events: Sequence[Any]) -> None:
        self._plan = plan
        self._events = events
        before = [check_stored(event) for event in bare(events)]
        self._statements = self._make()
        again = differences(_plain(self._statements), _plain(self._make(one_by_one=True)))
        if again:
            self._complain("gives other statements the second time", again)
        if before != [check_stored(event) for event in bare(events)]:
            self._complain("changes an event", [])
        self._database = apsw.Connection(":memory:")
        self._run()

    def when(self, *events: Any) -> Stated:
        """More events happen."""
        return Stated(self._plan, [*self._events, *events])

    def then(self, *statements: str | tuple[Any, ...]) -> Stated:
        """Exactly these statements: texts, or texts with parameters; spaces do not count."""
        expected = [(one,) if isinstance(one, str) else (one[0], *one[1:]) for one in statements]
        wrong = differences(
            [[_squeezed(one[0]), *one[1:]] for one in expected], _plain(self._statements)
        )
        if wrong:
            self._fail([" ".join(map(repr, one)) for one in expected], wrong)
        return self

    def then_rows(self, sql: str, *rows: dict[str, Any]) -> Stated:
        """Afterwards this SELECT, or this table, gives exactly these rows."""
        select = sql if " " in sql else f'SELECT * FROM "{sql}"'  # noqa: S608  the test's own
        cursor = self._database.execute(select)
        found: list[dict[str, Any]] = []
        for values in cursor:
            names = [column[0] for column in cursor.get_description()]
            found.append(dict(zip(names, values, strict=True)))
        wrong = differences(list(rows), found, at="row")
        if wrong:
            self._fail([repr(row) for row in rows], wrong)
        return self

    def then_steady(self) -> Stated:
        """The tables stay what they are whatever happens to those who run the statements.

        That is: after restarts at each checkpoint, having run statements that were never committed;
        whenever and wherever they run (no statement asks the database for the time or for chance),
        and (where the projection can be loaded there) in another process. What other orders of the
        events give is not looked at: own SQL may add up over all of them.
        """
        wrong = unsteady_statements(self._plan, self._events)
        wrong = wrong or unsteady_elsewhere(self._plan, self._events)
        if wrong:
            self._complain(*wrong)
        return self

    def _make(self, *, one_by_one: bool = False) -> list[Statement]:
        envelopes = envelopes_of(self._events)
        if not one_by_one:
            return list(Batch(self._plan, envelopes, 0, len(envelopes)).change({}).statements)
        return [
            statement
            for at, envelope in enumerate(envelopes)
            for statement in Batch(self._plan, [envelope], at, at + 1).change({}).statements
        ]

    def _run(self) -> None:
        for sql in self._plan.table.schema:
            self._execute(Statement(sql))
        for statement in self._statements:
            self._execute(statement)

    def _execute(self, statement: Statement) -> None:
        try:
            self._database.execute(statement.sql, statement.parameters)
        except (apsw.Error, TypeError) as error:
            self._complain(f"makes a statement that does not run ({error})", [repr(statement)])

    def _complain(self, what: str, lines: Sequence[str]) -> NoReturn:
        shown = [f"  {line}" for line in lines]
        story = indented("given", self._events)
        raise AssertionError("\n".join([f"{self._plan.name} {what}.", "", *story, "", *shown]))

    def _fail(self, expected: Sequence[Any], lines: Sequence[str]) -> NoReturn:
        raise AssertionError(
            "\n".join(
                [
                    f"{self._plan.name} did not write as expected.",
                    "",
                    *indented("given", self._events),
                    *indented("then", expected),
                    *indented(
                        "but", [" ".join(map(repr, one)) for one in _plain(self._statements)]
                    ),
                    "",
                    *(f"  {line}" for line in lines),
                ]
            )
        )


def _plain(statements: Sequence[Statement]) -> list[list[Any]]:
    return [[_squeezed(one.sql), *one.parameters] for one in statements]


def _squeezed(sql: str) -> str:
    return " ".join(sql.split())
