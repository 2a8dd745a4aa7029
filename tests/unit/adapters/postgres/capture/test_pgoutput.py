"""The decoder of pgoutput: bytes recorded from PostgreSQL 15, and any bytes at all."""

from __future__ import annotations

import contextlib

import pgoutput_writing as writing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.adapters.postgres.capture.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    Relation,
    Skipped,
    Truncate,
    Update,
    decode,
)
from diptych.errors import StoreError

BEGIN = b"B\x00\x00\x00\x00\x01\x94\xf9\xd8\x00\x03\x03\xc3\xc6\xae\xd2\t\x00\x00\x02\xd7"
COMMIT = (
    b"C\x00\x00\x00\x00\x00\x01\x94\xf9\xd8\x00\x00\x00\x00\x01\x94\xfa\x08"
    b"\x00\x03\x03\xc3\xc6\xae\xd2\t"
)
TYPE = b"Y\x00\x00@\x01public\x00mood\x00"
MESSAGE = b"M\x01\x00\x00\x00\x00\x01\x955hdiptych\x00\x00\x00\x00\x00"
RELATION = (
    b"R\x00\x00@\x08public\x00t\x00d\x00\x0e\x01id\x00\x00\x00\x00\x17\xff\xff\xff\xff\x00n\x00"
    b"\x00\x00\x06\xa4\xff\xff\xff\xff\x00s\x00\x00\x00\x00\x19\xff\xff\xff\xff\x00b\x00\x00\x00"
    b"\x00\x10\xff\xff\xff\xff\x00ts\x00\x00\x00\x04\xa0\xff\xff\xff\xff\x00d\x00\x00\x00\x04:"
    b"\xff\xff\xff\xff\x00u\x00\x00\x00\x0b\x86\xff\xff\xff\xff\x00j\x00\x00\x00\x0e\xda\xff\xff"
    b"\xff\xff\x00by\x00\x00\x00\x00\x11\xff\xff\xff\xff\x00ia\x00\x00\x00\x03\xef\xff\xff\xff"
    b"\xff\x00ta\x00\x00\x00\x03\xf1\xff\xff\xff\xff\x00m\x00\x00\x00@\x01\xff\xff\xff\xff\x00p"
    b"\x00\x00\x00@\x06\xff\xff\xff\xff\x00nul\x00\x00\x00\x00\x19\xff\xff\xff\xff"
)
REST = (
    b"t\x00\x00\x00\x01tt\x00\x00\x00\x1a2026-01-02 03:04:05.678+00t\x00\x00\x00\n2026-01-02"
    b"t\x00\x00\x00$6f9619ff-8b86-d011-b42d-00cf4fc964fft\x00\x00\x00\x15"
    b'{"a": [1, 2.5, null]}t\x00\x00\x00\x06\\x00fft\x00\x00\x00\n{1,NULL,3}t\x00\x00\x00\x1c'
    b'{"a,b","q\\"\\\\z",NULL,"NULL"}t\x00\x00\x00\x02okt\x00\x00\x00\x013n'
)
UPDATE_WITHOUT_KEY = b"U\x00\x00@\x08N\x00\x0et\x00\x00\x00\x011t\x00\x00\x00\x012u" + REST
UPDATE_OF_KEY = (
    b"U\x00\x00@\x08K\x00\x0et\x00\x00\x00\x011nnnnnnnnnnnnn"
    b"N\x00\x0et\x00\x00\x00\x015t\x00\x00\x00\x012u" + REST
)
DELETE_WHOLE = (
    b"D\x00\x00@\x08O\x00\x0et\x00\x00\x00\x015t\x00\x00\x00\x013t\x00\x00\x00\x05small" + REST
)
INSERT = b"I\x00\x00@\x08N\x00\x0et\x00\x00\x00\x018nnnnnnnnnnnnn"
DELETE_BY_KEY = b"D\x00\x00@\x08K\x00\x0et\x00\x00\x00\x018nnnnnnnnnnnnn"
TRUNCATE = b"T\x00\x00\x00\x01\x00\x00\x00@\x08"

VALUES = [
    "t",
    "2026-01-02 03:04:05.678+00",
    "2026-01-02",
    "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
    '{"a": [1, 2.5, null]}',
    "\\x00ff",
    "{1,NULL,3}",
    '{"a,b","q\\"\\\\z",NULL,"NULL"}',
    "ok",
    "3",
    None,
]
T = 0x4008
RECORDED = [
    (BEGIN, Begin(0x194F9D8, 848564316983817, 727)),
    (COMMIT, Commit(0x194F9D8, 0x194FA08)),
    (TYPE, Skipped("Y")),
    (MESSAGE, Skipped("M")),
    (INSERT, Insert(T, ["8", *[None] * 13])),
    (UPDATE_WITHOUT_KEY, Update(T, None, whole=False, new=["1", "2", UNCHANGED, *VALUES])),
    (
        UPDATE_OF_KEY,
        Update(T, ["1", *[None] * 13], whole=False, new=["5", "2", UNCHANGED, *VALUES]),
    ),
    (DELETE_WHOLE, Delete(T, ["5", "3", "small", *VALUES], whole=True)),
    (DELETE_BY_KEY, Delete(T, ["8", *[None] * 13], whole=False)),
    (TRUNCATE, Truncate((T,))),
]


@pytest.mark.parametrize(("data", "message"), RECORDED, ids=lambda one: type(one).__name__)
def test_what_a_server_sent_is_understood(data, message):
    assert decode(data) == message


def test_a_relation_tells_its_columns_their_types_and_its_key():
    found = decode(RELATION)
    assert isinstance(found, Relation)
    assert (found.id, found.schema, found.name, found.identity) == (T, "public", "t", "d")
    assert len(found.columns) == 14
    assert found.columns[:2] == (Column("id", 23, True), Column("n", 1700, False))
    assert [column.name for column in found.columns if column.in_key] == ["id"]


@pytest.mark.parametrize("data", [data for data, _ in RECORDED if data[:1] not in b"YM"])
def test_a_message_that_is_cut_or_too_long_is_refused(data):
    for end in range(len(data)):
        with pytest.raises(StoreError):
            decode(data[:end])
    with pytest.raises(StoreError):
        decode(data + b"\0")


@given(st.binary(max_size=200))
def test_any_bytes_are_understood_or_refused(data: bytes):
    with contextlib.suppress(StoreError):
        decode(data)


ROWS = st.lists(st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=9)


@given(st.integers(0, 2**32 - 1), ROWS, ROWS, st.sampled_from("KO"))
def test_every_row_comes_out_as_it_went_in(number, old, new, kind):
    whole = kind == "O"
    assert decode(writing.insert(number, new)) == Insert(number, new)
    assert decode(writing.update(number, new)) == Update(number, None, whole=False, new=new)
    assert decode(writing.update(number, new, old, kind)) == Update(number, old, whole, new)
    assert decode(writing.delete(number, old, kind)) == Delete(number, old, whole)
