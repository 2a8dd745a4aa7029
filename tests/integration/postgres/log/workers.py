"""What other processes do in these tests: `python workers.py <task> <url> ...`."""

from __future__ import annotations

import asyncio
import json
import random
import sys

import asyncpg

from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.errors import AppendConditionFailed, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend


def fact(name: str, type_: str = "Counted", tags: tuple[str, ...] = ()) -> EventToStore:
    return EventToStore(type_, 1, json.dumps(name).encode(), b"{}", tags)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


async def fire(url: str, name: str, seed: str) -> None:
    """Four writers that append in every way there is; prints the names of what was acknowledged.

    Each of them also writes to a naive table, whose positions come from a sequence.
    """
    log = PostgresEventLog(url)
    await log.open()
    acknowledged: list[str] = []
    counter = iter(range(1_000_000))

    def names(count: int) -> list[str]:
        return [f"{name}-{next(counter)}" for _ in range(count)]

    async def write(chance: random.Random) -> None:
        own = await asyncpg.connect(url.partition("?")[0])
        schema = url.rpartition("=")[2]
        for turn in range(40):
            await naive(own, schema, chance)
            new = names(chance.choice([1, 1, 1, 2, 5]))
            append = some_append(chance, name, turn, new)
            try:
                if chance.random() < 0.25:
                    if await within(own, append, chance):
                        acknowledged.extend(new)
                else:
                    await log.append(append)
                    acknowledged.extend(new)
            except VersionConflict:
                pass
        await own.close()

    async def within(own: asyncpg.Connection, append: Append, chance: random.Random) -> bool:
        transaction = own.transaction()
        await transaction.start()
        try:
            await log.append_within(own, append)
            await asyncio.sleep(chance.random() * 0.003)
        except BaseException:
            await transaction.rollback()
            raise
        if chance.random() < 0.3:
            await transaction.rollback()
            return False
        await transaction.commit()
        return True

    await asyncio.gather(*(write(random.Random(f"{seed}-{n}")) for n in range(4)))
    await log.close()
    say(json.dumps(acknowledged))


def some_append(chance: random.Random, name: str, turn: int, new: list[str]) -> Append:
    stream = f"shared-{chance.randrange(5)}"
    events = tuple(map(fact, new))
    expected = chance.choice([ANY_VERSION, ANY_VERSION, turn])
    if len(events) == 1 or chance.random() < 0.5:
        return Append((StreamAppend(stream, expected, events),))
    return Append(
        (
            StreamAppend(stream, expected, events[:1]),
            StreamAppend(f"own-{name}", ANY_VERSION, events[1:]),
        )
    )


async def naive(own: asyncpg.Connection, schema: str, chance: random.Random) -> None:
    async with own.transaction():
        await own.execute(f'INSERT INTO "{schema}".naive (name) VALUES ($1)', "x")
        await asyncio.sleep(chance.random() * 0.005)


async def claim(url: str, name: str, names: str) -> None:
    """Take names that nobody has taken; prints those that it got."""
    log = PostgresEventLog(url)
    await log.open()
    got = []

    async def take(wanted: str) -> None:
        free = AppendCondition((EventFilter(("NameTaken",), (f"name:{wanted}",)),))
        taken = fact(wanted, "NameTaken", (f"name:{wanted}",))
        stream = StreamAppend(f"user-{name}-{wanted}", ANY_VERSION, (taken,))
        try:
            await log.append(Append((stream,), condition=free))
        except AppendConditionFailed:
            return
        got.append(wanted)

    sys.stdin.readline()
    await asyncio.gather(*(take(wanted) for wanted in names.split(",") for _ in range(3)))
    await log.close()
    say(json.dumps(got))


async def add(url: str, stream: str, count: str) -> None:
    """Append some events, one after the other."""
    log = PostgresEventLog(url)
    await log.open()
    for number in range(int(count)):
        await log.append(Append((StreamAppend(stream, ANY_VERSION, (fact(str(number)),)),)))
    await log.close()


async def open_only(url: str) -> None:
    """Open the log and print its name."""
    log = PostgresEventLog(url)
    await log.open()
    say(log.identity)
    await log.close()


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
