"""What the processes of a nemesis run work on: accounts whose rows show which events made them.

Every command carries a name of its own, so that each effect can be told from all others. A row
carries the count and a digest of what was folded into it, in order: a row is right exactly when it
is that of some beginning of its stream.
"""

from __future__ import annotations

import hashlib
import os
import random
import zlib

from diptych import (
    Aggregate,
    App,
    Command,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    Rejection,
    UnitOfWork,
    keyed_by,
)

ACCOUNTS = [f"a{number}" for number in range(6)]
SHELVES = 3
MENDED = os.environ.get("NEMESIS_MENDED") == "1"
"""Whether this process has the release that can fold what others cannot."""


class Add(Command):
    account_id: str
    name: str
    bad: bool = False
    picky: bool = False


class Move(Command):
    source: str
    target: str
    name: str


class Added(Event, tags=("account_id",)):
    """`seen` is how many events its decision had seen: a lost update would show."""

    account_id: str
    name: str
    seen: int
    bad: bool = False


class Odd(Rejection):
    code = "odd"


class Account(Aggregate, key="account_id"):
    count: int = 0

    def add(self, command: Add) -> Added:
        if command.picky and self.count % 2:
            raise Odd(f"{command.account_id} has {self.count}")
        return Added(command.account_id, command.name, self.count, command.bad)

    def added(self, event: Added) -> None:
        self.count += 1


async def move(command: Move, work: UnitOfWork) -> None:
    await work.decide(Account, command.source, Add(command.source, f"{command.name}:out"))
    await work.decide(Account, command.target, Add(command.target, f"{command.name}:in"))


def mixed(digest: str, name: str) -> str:
    return hashlib.sha1(f"{digest} {name}".encode(), usedforsecurity=False).hexdigest()[:16]


def shelf_of(name: str) -> str:
    return f"s{zlib.crc32(name.encode()) % SHELVES}"


class Line(ReadModel, key="account_id"):
    account_id: str
    count: int = 0
    digest: str = ""


class Lines(Projection[Line]):
    """Follows each stream; cannot fold bad events until it is mended."""

    def added(self, row: Line, event: Added) -> None:
        if event.bad and not MENDED:
            raise ValueError("this release cannot fold what is bad")
        row.count += 1
        row.digest = mixed(row.digest, event.name)


class Shelf(ReadModel, key="shelf"):
    shelf: str
    count: int = 0
    digest: str = ""


class Shelves(Projection[Shelf]):
    """Each row follows events of all streams: it shows the order of the log."""

    @keyed_by(lambda event: shelf_of(event.name))
    def added(self, row: Shelf, event: Added) -> None:
        row.count += 1
        row.digest = mixed(row.digest, event.name)


class Tally(ReadModel, key="account_id"):
    account_id: str
    count: int = 0
    digest: str = ""


class Tallies(Projection[Tally]):
    """Inline: commits with the event."""

    def added(self, row: Tally, event: Added) -> None:
        row.count += 1
        row.digest = mixed(row.digest, event.name)


class GetLine(Query[Line | None]):
    account_id: str


class GetShelf(Query[Shelf | None]):
    shelf: str


class GetTally(Query[Tally | None]):
    account_id: str


async def get_line(query: GetLine, lines: Reader[Line]) -> Line | None:
    return await lines.get(query.account_id)


async def get_shelf(query: GetShelf, shelves: Reader[Shelf]) -> Shelf | None:
    return await shelves.get(query.shelf)


async def get_tally(query: GetTally, tallies: Reader[Tally]) -> Tally | None:
    return await tallies.get(query.account_id)


PARTS = [Account, move, Lines, Shelves, Tallies, get_line, get_shelf, get_tally]


def application(url: str, *replicas: str) -> App:
    return App("nemesis", PARTS, write=url, inline=[Tallies], replicas=replicas)


def command_of(seed: int, command_id: str) -> Add | Move:
    """The command of an id: a process that was killed knows it again."""
    chance = random.Random(f"{seed} {command_id}")
    account, other = chance.sample(ACCOUNTS, 2)
    kind = chance.random()
    if kind < 0.15:
        return Move(account, other, command_id)
    return Add(account, command_id, bad=kind > 0.995, picky=kind < 0.3)
