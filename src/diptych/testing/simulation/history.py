"""What happened in a run, in order: what was asked of the system, and what became of it.

Who has only clients (a test with real processes and servers) records what they asked and were
answered; who stands before the stores, as a simulation does, also records their effects. Checkers
look at what there is. A history is lines of JSON, to be kept and checked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from diptych.messages.envelope import StoredEvent
from diptych.queries.parked import Parked

__all__ = [
    "Answered",
    "Appended",
    "Asked",
    "Attempted",
    "Dropped",
    "Ended",
    "Fetched",
    "History",
    "Leased",
    "Looked",
    "Noticed",
    "Record",
    "Reset",
    "Switched",
    "Told",
    "Written",
]

R = TypeVar("R", bound=msgspec.Struct)


class Record(msgspec.Struct, frozen=True, tag=True, omit_defaults=True, gc=False):
    """One thing that happened; `process` names who did it."""

    process: str = ""


# ------------------------------------------------------------------------------- seen by clients


class Attempted(Record, frozen=True, gc=False):
    """A command was dispatched: attempt number `attempt` of the whole run."""

    attempt: int = 0
    command_id: str = ""
    command: str = ""


class Answered(Record, frozen=True, gc=False):
    """What an attempt came to.

    `outcome` is `done`, `rejected` (both with the answer in `text`), or the code of the error. A
    client that died, or gave up waiting, is told nothing: then there is no such record.
    """

    attempt: int = 0
    command_id: str = ""
    outcome: str = ""
    text: str = ""
    position: int = 0
    stream: str = ""
    version: int = 0


class Asked(Record, frozen=True, gc=False):
    """A query was asked, after a token of `position` (0: none) and `stream` ('': of several)."""

    ask: int = 0
    query: str = ""
    position: int = 0
    stream: str = ""
    on_stale: str = "error"


class Told(Record, frozen=True, gc=False):
    """What a query was answered: `outcome` is `told`, or the code of the error."""

    ask: int = 0
    outcome: str = ""
    text: str = ""


class Ended(Record, frozen=True, gc=False):
    """Something done by hand has ended: `what`, and `done` or the code of the error."""

    what: str = ""
    outcome: str = ""
    text: str = ""


class Noticed(Record, frozen=True, gc=False):
    """Something that must not happen was seen while it happened."""

    promise: str = ""
    text: str = ""


# ------------------------------------------------------------------------- effects on the stores


class Appended(Record, frozen=True, gc=False):
    """An append took effect. `streams`: name, expected version, number of events of each."""

    attempt: int = 0
    command_id: str = ""
    first: int = 0
    events: int = 0
    repeated: bool = False
    streams: tuple[tuple[str, int, int], ...] = ()
    inline: dict[str, int] = {}


class Fetched(Record, frozen=True, gc=False):
    """A process got the events after `after`, up to `upto`."""

    after: int = 0
    upto: int = 0


class Written(Record, frozen=True, gc=False):
    """A change was written. `rows` are JSON, None for one that was deleted; `holder` is the epoch
    that the lease of the projection had. `inline`: it committed with an append, or moved an inline
    projection that no append had moved; then the checkpoint alone is its fence.
    """

    projection: str = ""
    after: int = 0
    upto: int = 0
    rows: dict[str, str | None] = {}
    epoch: int | None = None
    holder: int = 0
    parked: tuple[Parked, ...] = ()
    unparked: tuple[Parked, ...] = ()
    inline: bool = False


class Leased(Record, frozen=True, gc=False):
    """A lease was replaced, or was not because it was another one by then."""

    projection: str = ""
    before: int = 0
    after: int = 0
    terms: str = ""
    done: bool = True


class Switched(Record, frozen=True, gc=False):
    """Generations got other roles. `roles` and `stands` are of all generations afterwards."""

    after: dict[str, str] = {}
    roles: dict[str, str] = {}
    stands: dict[str, int] = {}


class Reset(Record, frozen=True, gc=False):
    """The rows of a generation were forgotten."""

    projection: str = ""


class Dropped(Record, frozen=True, gc=False):
    """A generation was removed. `role` is what it was for."""

    projection: str = ""
    role: str = ""


class Looked(Record, frozen=True, gc=False):
    """A query read rows of a generation, which stood at `checkpoint`; no `keys`: it searched."""

    ask: int = 0
    projection: str = ""
    checkpoint: int = 0
    keys: tuple[str, ...] = ()


_Any = (
    Attempted
    | Answered
    | Asked
    | Told
    | Ended
    | Noticed
    | Appended
    | Fetched
    | Written
    | Leased
    | Switched
    | Reset
    | Dropped
    | Looked
)


class History:
    """The records of one run, and at its end the log and what is still parked.

    `parked_at` is how many records there were when that was looked at: runners may go on.

    >>> history = History()
    >>> history.add(Attempted("p1", 1, "c-1", "Add"))
    >>> [one.command_id for one in history.of(Attempted)]
    ['c-1']
    """

    def __init__(self, records: Iterable[Record] = (), log: Iterable[StoredEvent] = ()) -> None:
        self.records: list[Record] = list(records)
        self.log: list[StoredEvent] = list(log)
        self.parked: dict[str, list[Parked]] = {}
        self.parked_at: int | None = None
        self.add = self.records.append

    def of(self, kind: type[R]) -> Iterator[R]:
        """The records of one kind, in order."""
        return (one for one in self.records if type(one) is kind)

    def save(self, path: Path) -> None:
        """Write it down as lines of JSON: the events of the log first."""
        with path.open("wb") as file:
            for event in self.log:
                file.write(msgspec.json.encode(["event", *event._replace(data=b"", meta=b"")]))
                file.write(b"\n" + event.data + b"\n" + event.meta + b"\n")
            for record in self.records:
                file.write(msgspec.json.encode(record) + b"\n")

    @staticmethod
    def load(path: Path) -> History:
        """Read one that was saved."""
        decode = msgspec.json.Decoder(_Any).decode
        history = History()
        lines = iter(path.read_bytes().splitlines())
        for line in lines:
            if line.startswith(b'["event"'):
                _, *facts = msgspec.json.decode(line)
                event = StoredEvent(*facts)
                history.log.append(event._replace(data=next(lines), meta=next(lines)))
            else:
                history.add(decode(line))
        return history
