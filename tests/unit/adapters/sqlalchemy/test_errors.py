"""What the database's errors mean for a command."""

from __future__ import annotations

import apsw
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from diptych.adapters.sqlalchemy.apsw_errors import OperationalError
from diptych.adapters.sqlalchemy.errors import translate, translating
from diptych.errors import ConflictError, OutcomeUnknown, StoreUnavailable


class Wrapped(Exception):
    """What SQLAlchemy makes of an error of asyncpg."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def of_postgres(sqlstate: str, *, lost: bool = False) -> DBAPIError:
    return DBAPIError("SELECT", {}, Wrapped(sqlstate), connection_invalidated=lost)


def of_sqlite(kind: type[apsw.Error], extended: int = 0) -> DBAPIError:
    driver = kind("x")
    driver.extendedresult = extended
    wrapped = OperationalError("x")
    wrapped.__cause__ = driver
    return DBAPIError("SELECT", {}, wrapped)


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (of_postgres("40001"), ConflictError),
        (of_postgres("40P01"), ConflictError),
        (of_postgres("23505"), ConflictError),
        (of_postgres("55P03"), StoreUnavailable),
        (of_postgres("53300"), StoreUnavailable),
        (of_postgres("57P01"), StoreUnavailable),
        (of_postgres("08006"), StoreUnavailable),
        (of_postgres("", lost=True), StoreUnavailable),
        (of_postgres("42P01"), None),
        (of_postgres("23503"), None),
        (of_sqlite(apsw.BusyError), StoreUnavailable),
        (of_sqlite(apsw.BusyError, apsw.SQLITE_BUSY_SNAPSHOT), ConflictError),
        (of_sqlite(apsw.FullError), StoreUnavailable),
        (of_sqlite(apsw.IOError), StoreUnavailable),
        (of_sqlite(apsw.ConstraintError, apsw.SQLITE_CONSTRAINT_UNIQUE), ConflictError),
        (of_sqlite(apsw.ConstraintError, apsw.SQLITE_CONSTRAINT_FOREIGNKEY), None),
        (of_sqlite(apsw.SQLError), None),
        (StaleDataError("x"), ConflictError),
        (PoolTimeout("x"), StoreUnavailable),
        (ValueError("x"), None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_an_error_means_what_can_be_done_about_it(error, meant):
    assert type(translate(error)) is (meant or type(None))


@pytest.mark.parametrize("error", [of_postgres("08006"), of_sqlite(apsw.IOError)], ids=str)
def test_a_commit_without_an_answer_is_unknown(error):
    assert type(translate(error, committing=True)) is OutcomeUnknown


def test_the_cause_is_kept():
    cause = of_postgres("40001")
    with pytest.raises(ConflictError) as raised, translating():
        raise cause
    assert raised.value.__cause__ is cause


def test_what_only_the_author_can_mend_stays_as_it_is():
    broken = IntegrityError("INSERT", {}, Wrapped("23502"))
    with pytest.raises(IntegrityError) as raised, translating():
        raise broken
    assert raised.value is broken
