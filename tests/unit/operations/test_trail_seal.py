"""The chain of hashes, and the file that anchors it."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.errors import ConfigurationError, SealBroken, StoreUnavailable
from diptych.events.log import Append, EventToStore, StoredEvent, StreamAppend
from diptych.operations.trail.anchor import Anchor
from diptych.operations.trail.checking import SealCheck, check_log
from diptych.operations.trail.seal import canonical
from diptych.operations.trail.sealing import Sealed, seal_log


@pytest.fixture
async def log():
    log = MemoryEventLog()
    await log.open()
    yield log
    await log.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anchor.jsonl"


async def add(log: Any, count: int) -> None:
    event = EventToStore("Deposited", 1, b'{"n":1}', b'{"id":"e"}')
    await log.append(Append((StreamAppend("a", -1, (event,) * count),)))


async def seal(log: Any, path: Path, *, every: int = 10, to_head: bool = False) -> Sealed:
    return await seal_log(log, path, every=every, to_head=to_head)


def blocks(path: Path) -> list[tuple[int, int]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["from"], line["to"]) for line in lines]


def change(log: MemoryEventLog, position: int, **columns: Any) -> None:
    log._events[position - 1] = log._events[position - 1]._replace(**columns)


def found(check: SealCheck) -> list[tuple[int, int, str]]:
    return [(one.first, one.last, one.changed) for one in check.findings]


# -- what is hashed --------------------------------------------------------------------------------

EVENT = StoredEvent(1, "ab", 2, "cd", 3, b"ef", b"gh", 4)
OTHERS = [
    EVENT,
    *(
        EVENT._replace(**{name: value + 1})
        for name, value in EVENT._asdict().items()
        if isinstance(value, int)
    ),
    EVENT._replace(version=3, schema=2),
    EVENT._replace(stream="a", type="bcd"),
    EVENT._replace(stream="abc", type="d"),
    EVENT._replace(type="cde", data=b"f"),
    EVENT._replace(data=b"efg", meta=b"h"),
    EVENT._replace(data=b"", meta=b"efgh"),
    EVENT._replace(stream="ä"),
    EVENT._replace(recorded_us=-4),
]


def test_no_two_logs_are_encoded_alike():
    logs = [*itertools.permutations(OTHERS, 1), *itertools.permutations(OTHERS, 2), ()]
    assert len({canonical(one) for one in logs}) == len(logs)


def decoded(content: bytes) -> list[StoredEvent]:
    """What `canonical` made its bytes of: where they can be read back, no two can be alike."""
    events = []
    while content:
        position, version, schema, recorded_us, *lengths = struct.unpack(">8q", content[:64])
        content = content[64:]
        texts = []
        for length in lengths:
            texts.append(content[:length])
            content = content[length:]
        stream, name, data, meta = texts
        there = (stream.decode(), version, name.decode(), schema, data, meta, recorded_us)
        events.append(StoredEvent(position, *there))
    return events


NUMBER = st.integers(-(1 << 63), (1 << 63) - 1)
STORED = st.builds(
    StoredEvent, NUMBER, st.text(), NUMBER, st.text(), NUMBER, st.binary(), st.binary(), NUMBER
)


@given(st.lists(STORED, max_size=5))
def test_what_is_hashed_can_be_read_back(events: list[StoredEvent]):
    assert decoded(canonical(events)) == events


async def test_two_logs_with_the_same_events_have_other_hashes(log, path):
    event = EventToStore("Deposited", 1, b"{}", b'{"id":"e"}')
    other = MemoryEventLog()
    await other.open()
    anchors = []
    for number, one in enumerate((log, other)):
        await one.append(Append((StreamAppend("a", 0, (event,)),), recorded_us=7))
        anchor = path.with_name(f"anchor-{number}")
        await seal(one, anchor, to_head=True)
        anchors.append(json.loads(anchor.read_text())["hash"])
    assert anchors[0] != anchors[1]


async def test_the_same_log_has_the_same_hash_in_blocks_read_in_any_way(log, path, monkeypatch):
    await add(log, 5_000)
    await seal(log, path, every=2_500)
    small = path.with_name("small")
    read = log.read

    async def less(after: int, limit: int) -> Any:
        return await read(after, min(limit, 7))

    monkeypatch.setattr(log, "read", less)
    await seal(log, small, every=2_500)
    assert small.read_text() == path.read_text()


# -- sealing ---------------------------------------------------------------------------------------


async def test_whole_blocks_are_sealed_and_the_rest_when_asked(log, path):
    await add(log, 25)
    assert await seal(log, path) == Sealed(log.identity, 20, 2, 20, 5)
    assert blocks(path) == [(1, 10), (11, 20)]
    assert await seal(log, path) == Sealed(log.identity, 0, 0, 20, 5)
    assert await seal(log, path, to_head=True) == Sealed(log.identity, 5, 1, 25, 0)
    await add(log, 10)
    await seal(log, path)
    assert blocks(path) == [(1, 10), (11, 20), (21, 25), (26, 35)]
    check = await check_log(log, path)
    assert check == SealCheck(log.identity, events=35, blocks=4, upto=35, head=35)
    assert check.ok


async def test_sealing_in_steps_gives_the_same_file_as_at_once(log, path):
    at_once = path.with_name("at_once")
    for _ in range(5):
        await add(log, 9)
        await seal(log, path)
    await seal(log, at_once)
    assert at_once.read_text() == path.read_text()


@pytest.mark.parametrize("cut", [1, 5, 200])
async def test_a_torn_last_line_is_taken_away_and_sealed_again(log, path, cut: int):
    await add(log, 30)
    await seal(log, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    check = await check_log(log, path)
    assert check.ok
    assert check.torn
    assert check.upto == (20 if cut < 150 else 10)
    assert (await seal(log, path)).mended
    assert path.read_bytes() == whole
    assert not (await check_log(log, path)).torn


async def test_a_line_torn_at_its_very_beginning_leaves_no_line(log, path):
    await add(log, 10)
    path.write_bytes(b'{"log":"')
    assert (await seal(log, path)).mended
    assert blocks(path) == [(1, 10)]


async def test_nothing_is_sealed_on_top_of_what_was_changed(log, path):
    await add(log, 30)
    await seal(log, path)
    await add(log, 10)
    change(log, 25, data=b"{}")
    before = path.read_bytes()
    with pytest.raises(SealBroken) as broken:
        await seal(log, path)
    assert (broken.value.first, broken.value.last) == (21, 30)
    assert path.read_bytes() == before


async def test_a_log_with_a_hole_is_not_sealed(log, path):
    await add(log, 30)
    del log._events[14]
    with pytest.raises(SealBroken, match="position 15 is missing"):
        await seal(log, path)
    assert not path.read_bytes()


async def test_every_log_has_an_anchor_of_its_own(log, path):
    await add(log, 10)
    await seal(log, path)
    other = MemoryEventLog()
    await other.open()
    await add(other, 10)
    with pytest.raises(ConfigurationError, match="anchor of the log"):
        await seal(other, path)
    check = await check_log(other, path)
    assert found(check) == [(1, 10, "anchor")]
    assert log.identity in check.findings[0].why


async def test_two_do_not_seal_into_one_file_at_once(log, path):
    await add(log, 10)
    with Anchor(path), pytest.raises(StoreUnavailable, match="another process"):
        await seal(log, path)
    assert (await seal(log, path)).blocks == 1


async def test_what_is_written_is_on_disk_when_it_counts_as_sealed(log, path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda file: synced.append(path.stat().st_size))
    await add(log, 10)
    await seal(log, path)
    assert synced[-1] == path.stat().st_size > 0


async def test_a_sealing_that_is_cancelled_while_it_writes_leaves_whole_lines(
    log, path, monkeypatch
):
    begun, go_on = threading.Event(), threading.Event()
    write = os.write

    def slow(file: int, data: bytes) -> int:
        begun.set()
        assert go_on.wait(10)
        return write(file, data)

    monkeypatch.setattr("os.write", slow)
    await add(log, 30)
    sealing = asyncio.create_task(seal(log, path))
    assert await asyncio.to_thread(begun.wait, 10)
    sealing.cancel()
    threading.Timer(0.05, go_on.set).start()
    with pytest.raises(asyncio.CancelledError):
        await sealing
    assert blocks(path) == [(1, 10), (11, 20), (21, 30)]
    monkeypatch.undo()
    assert (await seal(log, path)).blocks == 0


async def test_a_disk_that_takes_half_a_line_is_told_and_goes_on_later(log, path, monkeypatch):
    write = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) < 400:
            raise OSError(errno.ENOSPC, "no space left")
        return write(file, data[: len(data) // 2])

    monkeypatch.setattr("os.write", half)
    await add(log, 60)
    with pytest.raises(StoreUnavailable, match="no space left"):
        await seal(log, path)
    monkeypatch.undo()
    assert (await check_log(log, path)).ok
    assert (await seal(log, path)).upto == 60
    assert (await check_log(log, path)).blocks == 6


async def test_files_that_cannot_be_are_refused(log, tmp_path):
    await add(log, 10)
    with pytest.raises(ConfigurationError, match="cannot write the anchor"):
        await seal(log, tmp_path / "no" / "folder")
    with pytest.raises(ConfigurationError, match="cannot read the anchor"):
        await check_log(log, tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="at least 1"):
        await seal(log, tmp_path / "a", every=0)


# -- checking --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"stream": "b"},
        {"version": 99},
        {"type": "Withdrawn"},
        {"schema": 2},
        {"data": b'{"n":2}'},
        {"meta": b'{"id":"f"}'},
        {"recorded_us": 1},
        {"stream": None},
        {"version": 1 << 70},
    ],
    ids=str,
)
async def test_f41_a_change_of_any_column_breaks_its_block_and_no_other(log, path, changed):
    await add(log, 100)
    await seal(log, path)
    change(log, 57, **changed)
    check = await check_log(log, path)
    assert found(check) == [(51, 60, "log")]
    assert (check.events, check.blocks, check.faults) == (90, 9, 1)


async def test_events_that_changed_places_break_both_blocks(log, path):
    await add(log, 50)
    await seal(log, path)
    events = log._events
    events[14], events[34] = (
        events[34]._replace(position=15, version=15),
        events[14]._replace(position=35, version=35),
    )
    assert (await check_log(log, path)).ok, "they were equal but for their places"
    change(log, 15, data=b"1")
    change(log, 35, data=b"2")
    assert found(await check_log(log, path)) == [(11, 20, "log"), (31, 40, "log")]


@pytest.mark.parametrize(("left", "first"), [(40, (41, 50)), (34, (31, 40)), (0, (1, 10))])
async def test_a_log_that_was_cut_off_is_found(log, path, left: int, first: tuple[int, int]):
    await add(log, 50)
    await seal(log, path)
    del log._events[left:]
    check = await check_log(log, path)
    assert found(check)[0] == (*first, "log")
    assert f"the log ends at position {left}" in check.findings[0].why
    assert (check.upto, check.head) == (50, left)


async def test_an_event_that_is_gone_is_named(log, path):
    await add(log, 50)
    await seal(log, path)
    del log._events[22]
    log._read = lambda after, limit, filters: [one for one in log._events if one.position > after][
        :limit
    ]
    check = await check_log(log, path)
    assert found(check) == [(21, 30, "log")]
    assert "position 23 is gone" in check.findings[0].why


@pytest.mark.parametrize("line", [1, 3, 5])
async def test_a_changed_line_of_the_anchor_is_not_blamed_on_the_log(log, path, line: int):
    await add(log, 60)
    await seal(log, path)
    lines = path.read_text().splitlines()
    seal_of_it = json.loads(lines[line - 1])
    seal_of_it["hash"] = "0" * 64
    lines[line - 1] = json.dumps(seal_of_it)
    path.write_text("\n".join(lines) + "\n")
    check = await check_log(log, path)
    assert found(check) == [(line * 10 - 9, line * 10, "anchor")]
    assert f"line {line} was changed" in check.findings[0].why


async def test_log_and_anchor_may_both_be_changed(log, path):
    await add(log, 60)
    await seal(log, path)
    change(log, 15, data=b"{}")
    lines = path.read_text().splitlines()
    lines[4] = lines[4].replace(json.loads(lines[4])["hash"], "0" * 64)
    path.write_text("\n".join(lines) + "\n")
    assert found(await check_log(log, path)) == [(11, 20, "log"), (41, 50, "anchor")]


async def test_a_line_of_the_anchor_that_cannot_be_read_costs_its_own_block_only(log, path):
    await add(log, 60)
    await seal(log, path)
    lines = path.read_text().splitlines()
    lines[2] = "{what?}"
    path.write_text("\n".join(lines) + "\n")
    check = await check_log(log, path)
    assert found(check) == [(21, 21, "anchor")]
    assert check.blocks == 5
    with pytest.raises(SealBroken, match="line 3"):
        await seal(log, path)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda lines: lines[:2] + lines[3:], "lines before it are lost"),
        (lambda lines: lines[1:], "lines before it are lost"),
        (lambda lines: lines[:2] + lines[1:], "were sealed before it"),
        (lambda lines: lines[:2] + lines[3:4] + lines[2:3] + lines[4:], "lines before it"),
        (lambda lines: [], "holds no seal"),
        (lambda lines: [one.replace('"seal":1', '"seal":2') for one in lines], "cannot be read"),
        (lambda lines: [one.replace('"to":10,', '"to":0,') for one in lines], "cannot be read"),
        (lambda lines: [one.replace('"hash":"', '"hash":"x') for one in lines], "cannot be read"),
        (lambda lines: [one.replace('"to":20,', '"to":19,') for one in lines], "lost"),
    ],
)
async def test_what_was_done_to_the_anchor_is_found(log, path, edit: Any, why: str):
    await add(log, 60)
    await seal(log, path)
    path.write_text("".join(f"{line}\n" for line in edit(path.read_text().splitlines())))
    check = await check_log(log, path)
    assert not check.ok
    assert any(why in one.why and one.changed == "anchor" for one in check.findings)


async def test_findings_are_counted_also_where_they_are_not_kept(log, path):
    await add(log, 1_200)
    await seal(log, path, every=1)
    for position in range(1, 1_201):
        change(log, position, data=b"2")
    check = await check_log(log, path)
    assert (check.faults, len(check.findings), check.events) == (1_200, 1_000, 0)


async def test_progress_is_told_to_the_end(log, path):
    await add(log, 60)
    steps: list[tuple[int, int]] = []
    await seal_log(log, path, every=10, to_head=False, progress=lambda *step: steps.append(step))
    assert steps == [(n, 60) for n in range(10, 61, 10)]
    steps.clear()
    await check_log(log, path, lambda *step: steps.append(step))
    assert steps == [(n, 60) for n in range(10, 61, 10)]
