"""What led to what: the events of a conversation as a tree of causes and effects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from diptych.events.log import EventLog
from diptych.messages.envelope import Metadata
from diptych.messages.registry import Registry
from diptych.operations.trail.kinship import Kin
from diptych.operations.trail.record import Record, record_of

__all__ = ["CauseKind", "CauseNode", "CauseTree", "grow_tree"]

CauseKind = Literal["event", "command", "gap", "circle"]


class CauseNode(msgspec.Struct):
    """One message of a conversation, and the events that it led to, by position.

    `kind` says what is known of it:
        "event": it is in the log, and `record` holds it.
        "command": it began the conversation, or its answer is recorded under this id.
        "gap": events name it as their cause, and nothing in the log has this id. Commands without
            an id of their own are not stored, so it may be one; or a message from elsewhere.
        "circle": an event that names one of its own effects as its cause. No application that
            diptych runs records this; the tree is cut here.
    """

    id: str
    kind: CauseKind
    record: Record | None = None
    effects: list[CauseNode] = []


class CauseStep(NamedTuple):
    """One node on a walk through a tree: how deep it lies, and the node."""

    depth: int
    node: CauseNode


class CauseTree(msgspec.Struct):
    """A conversation: what began it, what followed from that, and so on.

    `events` counts the events in it; `complete` is false when it has more than were asked for.
    """

    roots: list[CauseNode]
    events: int
    complete: bool = True

    def walk(self) -> Iterator[CauseStep]:
        """Every node, each before its effects, with its depth; however deep the tree is."""
        left = [CauseStep(0, root) for root in reversed(self.roots)]
        while left:
            step = left.pop()
            yield step
            left += [CauseStep(step.depth + 1, one) for one in reversed(step.node.effects)]


async def grow_tree(log: EventLog, registry: Registry, kin: Kin) -> CauseTree:
    """The tree of some events."""
    growth = _Growth(registry, kin)
    for position in growth.beginnings:
        metadata = kin.members[position][1]
        node = growth.nodes[position]
        if position in growth.cut:
            growth.roots.append(CauseNode(metadata.causation_id or "", "circle", None, [node]))
        elif metadata.causation_id is None:
            growth.roots.append(node)
        else:
            (await _cause(log, growth, metadata, metadata.causation_id)).effects.append(node)
    return CauseTree(growth.roots, len(kin.members), kin.complete)


class _Growth:
    """Events linked to their causes; `beginnings` are those whose cause is no event here."""

    def __init__(self, registry: Registry, kin: Kin) -> None:
        self.nodes: dict[int, CauseNode] = {}
        self.beginnings: list[int] = []
        self.cut: set[int] = set()
        self.roots: list[CauseNode] = []
        self.causes: dict[str, CauseNode] = {}
        self._by_id: dict[str, int] = {}
        for position, (stored, metadata) in kin.members.items():
            record = record_of(stored, registry)
            self.nodes[position] = CauseNode(metadata.event_id, "event", record, [])
            self._by_id.setdefault(metadata.event_id, position)
        parents = {
            position: self._by_id.get(one.causation_id or "")
            for position, (_, one) in kin.members.items()
        }
        self._cut_circles(parents)
        for position, parent in parents.items():
            if parent is None:
                self.beginnings.append(position)
            else:
                self.nodes[parent].effects.append(self.nodes[position])

    def _cut_circles(self, parents: dict[int, int | None]) -> None:
        """Give every circle a beginning: its event with the lowest position."""
        sound: set[int] = set()
        for start in parents:  # ascending, and dicts keep their order
            way: dict[int, None] = {}
            at: int | None = start
            while at is not None and at not in sound and at not in way:
                way[at] = None
                at = parents[at]
            if at is not None and at in way:
                members = list(way)
                first = min(members[members.index(at) :])
                parents[first] = None
                self.cut.add(first)
            sound.update(way)


async def _cause(log: EventLog, growth: _Growth, metadata: Metadata, cause_id: str) -> CauseNode:
    """The root for a cause that is no event of the tree, made when it is first met."""
    known = growth.causes.get(cause_id)
    if known is None:
        began = cause_id == metadata.correlation_id
        kind: CauseKind = "command" if began or await log.command(cause_id) else "gap"
        known = growth.causes[cause_id] = CauseNode(cause_id, kind, None, [])
        growth.roots.append(known)
    return known
