"""Two stages that played the same orders: did they decide and answer the same?"""

from __future__ import annotations

from .playing import Played

__all__ = ["first_difference"]


def first_difference(stage: str, found: Played, wanted_of: str, wanted: Played) -> str:
    """Where two stages first differ, in words; '' when they do not."""
    for command_id in {**wanted.decisions, **found.decisions}:
        ours = found.decisions.get(command_id, "never dispatched")
        theirs = wanted.decisions.get(command_id, "never dispatched")
        if ours != theirs:
            said = [
                f"stage {one}: {reason or 'accepted'}"
                for one, reason in ((stage, ours), (wanted_of, theirs))
            ]
            return f"the command {command_id} was decided differently\n" + "\n".join(said)
    if found.questions != wanted.questions:
        return f"stage {stage} and stage {wanted_of} were asked different questions"
    for question, ours, theirs in zip(found.questions, found.answers, wanted.answers, strict=True):
        if ours != theirs:
            return (
                f"{question} was answered differently\n"
                f"stage {stage}: {ours}\nstage {wanted_of}: {theirs}"
            )
    return ""
