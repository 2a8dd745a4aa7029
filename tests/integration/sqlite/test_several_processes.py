"""Several processes on one file."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import pytest

from diptych.adapters.sqlite.event_log import SqliteEventLog


async def finish(process):
    output, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    return output


@pytest.mark.timeout(120)
async def test_no_update_is_lost_in_a_conflict_storm_of_processes(log, path, start):
    processes = [start("storm", path, name, 60) for name in "abcd"]
    seen = []

    async def read_along():
        after = 0
        while len(seen) < 240:
            after = await log.wait(after)
            events = await log.read(len(seen), 1000)
            seen.extend(events)
            after = max(after, len(seen))

    reading = asyncio.create_task(read_along())
    conflicts = [int(output) for output in [await finish(process) for process in processes]]
    await asyncio.wait_for(reading, 20)
    assert sum(conflicts) > 0, "a storm without a conflict proves nothing"
    assert [event.position for event in seen] == list(range(1, 241)), "gap-free and ascending"
    for stream in ("s-0", "s-1", "s-2"):
        events = await log.read_stream(stream)
        assert [event.version for event in events] == list(range(1, 81))
        assert [json.loads(event.data)["seen"] for event in events] == list(range(80))
        assert [e.position for e in events] == sorted(e.position for e in events)


async def test_everything_acknowledged_survives_kill_9(path, start):
    for _ in range(3):
        process = start("acknowledge", path)
        acknowledged = [process.stdout.readline() for _ in range(50)]
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            acknowledged.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        acknowledged += process.communicate()[0].splitlines(keepends=True)
        complete = [line.split() for line in acknowledged if line.endswith("\n")]
        log = SqliteEventLog(path)
        await log.open()
        events = {event.position: event for event in await log.read(0, 1_000_000)}
        assert sorted(events) == list(range(1, len(events) + 1))
        for stream, version, position in complete:
            event = events[int(position)]
            assert (event.stream, event.version) == (stream, int(version))
        await log.close()
        path.unlink()


@pytest.mark.timeout(120)
async def test_f12_processes_that_write_read_and_checkpoint_at_once_see_no_error(path, start):
    log = SqliteEventLog(path)
    await log.open()
    processes = [start("bustle", path, name, 250) for name in "abcd"]
    largest = [int(output) for output in [await finish(process) for process in processes]]
    events = await log.read(0, 10_000)
    assert [event.position for event in events] == list(range(1, 4 * 4 * 250 + 1))
    for stream in {event.stream for event in events}:
        versions = [event.version for event in events if event.stream == stream]
        assert versions == list(range(1, 251))
    # It begins anew at 16 MiB; where a reader is in the way, at twice of what it has come to by
    # then (36 MiB were seen). Without beginning anew it comes to 60.
    assert 0 < max(largest) < 48 << 20, "the write-ahead log is bounded, whoever reads"
    await log.close()
    assert path.stat().st_size > 45 << 20


async def test_a_reader_is_woken_by_another_process(log, path, start):
    waiting = asyncio.create_task(log.wait(0))
    await finish(start("append", path, "elsewhere"))
    assert await asyncio.wait_for(waiting, 5) == 1
    assert [event.stream for event in await log.read(0, 10)] == ["elsewhere"]


async def test_two_processes_make_one_log(path, start):
    processes = [start("append", path, f"s-{number}") for number in range(4)]
    for process in processes:
        await finish(process)
    log = SqliteEventLog(path)
    await log.open()
    assert await log.head() == 4
    await log.close()
