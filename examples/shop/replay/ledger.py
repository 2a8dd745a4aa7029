"""How far the replay has come: an aggregate in the same log as the shop.

An entry is written only after every command it covers was answered, and an answer is durable. So a
replay that was killed skips what the newest entry covers; what it had done since is dispatched
again under the same command ids, and gets its first answers.
"""

from __future__ import annotations

import msgspec

from diptych import Aggregate, Command, Event, Rejection

__all__ = ["REPLAY", "Advance", "Ledger", "NoteUnreadableLine", "StartReplay", "Tally"]

REPLAY = "replay"
"""The key of the one replay a database holds."""


class Tally(msgspec.Struct):
    """Answers counted: accepted ones by command, rejected ones by reason; and of lines the same."""

    accepted: dict[str, int] = {}
    rejected: dict[str, int] = {}
    lines_accepted: dict[str, int] = {}
    lines_rejected: dict[str, int] = {}

    def count(self, *, command: str, reason: str | None, is_line: bool) -> None:
        """One more answer; without a `reason` it was accepted."""
        kinds, name = (self.accepted, command) if reason is None else (self.rejected, reason)
        kinds[name] = kinds.get(name, 0) + 1
        if is_line:
            kinds = self.lines_accepted if reason is None else self.lines_rejected
            kinds[name] = kinds.get(name, 0) + 1

    def add(self, other: Tally) -> None:
        """All answers of another."""
        for field in self.__struct_fields__:
            mine, theirs = getattr(self, field), getattr(other, field)
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count

    @property
    def commands(self) -> int:
        """All answers."""
        return sum(self.accepted.values()) + sum(self.rejected.values())

    @property
    def lines(self) -> int:
        """All answers to lines."""
        return sum(self.lines_accepted.values()) + sum(self.lines_rejected.values())


class OtherReplay(Rejection):
    """The database holds the replay of another file."""

    code = "other_replay"


class Unreadable(Rejection):
    """A line of the file is no order line."""

    code = "unreadable"


class StartReplay(Command):
    """Begin, or continue, with this file."""

    replay_id: str
    source: str
    digest: str


class Advance(Command):
    """Every command of the first `upto` scenes, and of those `beyond`, was answered, like this."""

    replay_id: str
    upto: int
    beyond: tuple[int, ...]
    tally: Tally
    seconds: float
    finished: bool = False


class NoteUnreadableLine(Command):
    """A line that cannot be made a command of the shop."""

    replay_id: str
    invoice: str
    why: str


class ReplayStarted(Event):
    """This file is being replayed."""

    replay_id: str
    source: str
    digest: str


class ReplayAdvanced(Event):
    """So far it has come, in so many seconds of work."""

    replay_id: str
    upto: int
    beyond: tuple[int, ...]
    tally: Tally
    seconds: float
    finished: bool = False


class Ledger(Aggregate, key="replay_id"):
    """What the newest entry says."""

    source: str = ""
    digest: str = ""
    upto: int = 0
    beyond: tuple[int, ...] = ()
    tally: Tally = msgspec.field(default_factory=Tally)
    seconds: float = 0.0
    finished: bool = False

    @property
    def scenes(self) -> int:
        """How many scenes are done."""
        return self.upto + len(self.beyond)

    def start(self, command: StartReplay) -> ReplayStarted | None:
        """One file per database, because the command ids are made of its lines."""
        if not self.digest:
            return ReplayStarted(command.replay_id, command.source, command.digest)
        if command.digest != self.digest:
            raise OtherReplay(
                f"this database holds the replay of {self.source}, another file than "
                f"{command.source}: start afresh, or give another database"
            )
        return None

    def advance(self, command: Advance) -> ReplayAdvanced | None:
        """Only forward."""
        if self.finished or command.upto + len(command.beyond) < self.scenes:
            return None
        return ReplayAdvanced(
            command.replay_id,
            command.upto,
            command.beyond,
            command.tally,
            command.seconds,
            command.finished,
        )

    def note(self, command: NoteUnreadableLine) -> None:
        """There is nothing to be done with it but to say so."""
        raise Unreadable(f"a line of {command.invoice or 'no invoice'}: {command.why}")

    def started(self, event: ReplayStarted) -> None:
        """This is the file."""
        self.source, self.digest = event.source, event.digest

    def advanced(self, event: ReplayAdvanced) -> None:
        """The newest entry counts."""
        self.upto, self.beyond, self.tally = event.upto, event.beyond, event.tally
        self.seconds, self.finished = event.seconds, event.finished
