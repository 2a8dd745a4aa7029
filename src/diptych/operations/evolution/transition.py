"""How far a move has come: a small write model of its own, kept in the log of what it moves."""

from __future__ import annotations

from typing import Literal

from diptych.commands.aggregate import Aggregate
from diptych.errors import Rejection
from diptych.messages.kinds import Command, Event

__all__ = [
    "EVENTS",
    "BeginShadow",
    "CutOver",
    "NotYet",
    "Phase",
    "RollBack",
    "ShadowBegun",
    "Transition",
    "WentBack",
    "WentOver",
]

Phase = Literal["old", "shadow", "new"]
"""Which side does what:
old: the old one everything. shadow: both are kept in step, the old one answers. new: the new one
everything, and back is one step.
"""


class NotYet(Rejection):
    """A step that the move is not ready for."""

    code = "not_yet"


class BeginShadow(Command):
    """Keep the new side in step beside the old one."""

    name: str


class CutOver(Command):
    """Let the new side decide and answer.

    `compared` and `different` count the queries that both sides were asked just before; `because`
    says why the cut-over is right although answers differ, or were not compared.
    """

    name: str
    compared: int
    different: int
    because: str = ""


class RollBack(Command):
    """Let the old side answer again; the new one stays in step."""

    name: str
    because: str


class ShadowBegun(Event, name="diptych.ShadowBegun"):
    """Both sides are kept from now on."""

    name: str


class WentOver(Event, name="diptych.WentOver"):
    """The new side has taken over."""

    name: str
    compared: int
    different: int
    because: str


class WentBack(Event, name="diptych.WentBack"):
    """The old side has taken over again."""

    name: str
    because: str


EVENTS = (ShadowBegun, WentOver, WentBack)


class Transition(Aggregate, key="name"):
    """One application's move to its next stage."""

    phase: Phase = "old"

    def begin(self, command: BeginShadow) -> ShadowBegun:
        """The first step."""
        if self.phase != "old":
            raise NotYet(f"{command.name} is in phase {self.phase!r}: both sides are kept already")
        return ShadowBegun(command.name)

    def cut_over(self, command: CutOver) -> WentOver:
        """Only with proof, or with a reason."""
        if self.phase != "shadow":
            raise NotYet(
                f"{command.name} is in phase {self.phase!r}: only what was kept in shadow, and was "
                "compared, can be cut over"
            )
        if not command.because and (command.different or not command.compared):
            raise NotYet(
                f"{command.different} of {command.compared} answers differ: look at them, mend the "
                "new side, or say because=... why it is right all the same",
                compared=command.compared,
                different=command.different,
            )
        return WentOver(command.name, command.compared, command.different, command.because)

    def roll_back(self, command: RollBack) -> WentBack:
        """Always possible after a cut-over."""
        if self.phase != "new":
            raise NotYet(f"{command.name} is in phase {self.phase!r}: there is nothing to go back")
        if not command.because:
            raise NotYet("say why: because=...")
        return WentBack(command.name, command.because)

    def begun(self, event: ShadowBegun) -> None:
        """Both sides."""
        self.phase = "shadow"

    def went_over(self, event: WentOver) -> None:
        """The new side."""
        self.phase = "new"

    def went_back(self, event: WentBack) -> None:
        """Both sides again."""
        self.phase = "shadow"
