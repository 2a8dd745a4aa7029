from __future__ import annotations

import apsw
import pytest

from diptych.adapters.sqlite.errors import hits_everyone, translate, unknown
from diptych.errors import ConfigurationError, OutcomeUnknown, StoreError, StoreUnavailable


@pytest.mark.parametrize(
    ("error", "meant", "says"),
    [
        (apsw.BusyError, StoreUnavailable, "locked by another process"),
        (apsw.LockedError, StoreUnavailable, "locked by another process"),
        (apsw.FullError, StoreUnavailable, "disk of /x.db is full"),
        (apsw.ReadOnlyError, StoreUnavailable, "cannot be opened or written"),
        (apsw.CantOpenError, StoreUnavailable, "folder, which must exist"),
        (apsw.PermissionsError, StoreUnavailable, "allowed to read and write"),
        (apsw.IOError, StoreUnavailable, "Look at the disk"),
        (apsw.CorruptError, StoreError, "damaged"),
        (apsw.NotADBError, StoreError, "not an SQLite database"),
        (apsw.AuthError, ConfigurationError, "only reading"),
        (apsw.TooBigError, StoreError, "Nothing was written"),
        (apsw.ConstraintError, StoreError, "Nothing was written"),
    ],
)
def test_sqlite_errors_become_ours_and_keep_their_cause(error, meant, says):
    cause = error("why")
    ours = translate(cause, "/x.db")
    assert type(ours) is meant
    assert says in str(ours)
    assert "/x.db" in str(ours)
    assert ours.__cause__ is cause


def test_other_errors_come_back_as_they_are():
    error = ValueError("mine")
    assert translate(error, "/x.db") is error


def test_a_future_can_carry_every_translated_error():
    assert type(translate(StopIteration(1), "/x.db")) is RuntimeError


def test_an_unknown_outcome_carries_the_command_id():
    cause = apsw.IOError("fsync")
    ours = unknown(cause, "/x.db", "c-1")
    assert isinstance(ours, OutcomeUnknown)
    assert (ours.command_id, ours.__cause__) == ("c-1", cause)


def test_what_one_member_can_cause_does_not_hit_everyone():
    assert hits_everyone(apsw.BusyError())
    assert hits_everyone(apsw.IOError())
    assert not hits_everyone(apsw.ConstraintError())
    assert not hits_everyone(apsw.FullError()), "a smaller neighbour may still fit"
    assert not hits_everyone(ValueError())
