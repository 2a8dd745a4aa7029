"""Checks what the processes of a run saw against what the stores hold. It reads files only, so a
history that failed once can be checked again: `python -m tests.nemesis check <folder>`.

Each complaint begins with the number of the promise that was broken.
"""

from __future__ import annotations

import bisect
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.nemesis.domain import command_of, mixed, shelf_of
from tests.nemesis.history import Entry, entries

KEYS = {"GetLine": "Lines", "GetShelf": "Shelves", "GetTally": "Tallies"}


class Checked(NamedTuple):
    """What is wrong, and how much was looked at: a run in which nothing happened proves nothing."""

    complaints: list[str]
    counts: Counter[str]


class Story:
    """One run: its events, and what each process wrote down."""

    def __init__(self, folder: Path) -> None:
        self.seed = int((folder / "seed").read_text())
        self.stores = json.loads((folder / "stores.json").read_text())
        self.events: list[Entry] = self.stores["events"]
        self.histories = {path.stem: list(entries(path)) for path in folder.glob("*.jsonl")}
        self.last_words = {path.stem: path.read_text() for path in folder.glob("*.stderr")}
        self.by_name = {one["name"]: one for one in self.events}
        # The digest of each beginning of what a row follows, and the positions it is made of.
        self.digests: dict[tuple[str, str], list[str]] = defaultdict(lambda: [""])
        self.positions: dict[tuple[str, str], list[int]] = defaultdict(list)
        for one in self.events:
            for lane in lanes_of(one):
                self.digests[lane].append(mixed(self.digests[lane][-1], one["name"]))
                self.positions[lane].append(one["position"])

    def all(self, *kinds: str) -> Iterator[Entry]:
        for history in self.histories.values():
            yield from (one for one in history if one["what"] in kinds)


def lanes_of(event: Entry) -> list[tuple[str, str]]:
    account = event["account_id"]
    return [("Lines", account), ("Tallies", account), ("Shelves", shelf_of(event["name"]))]


def check(folder: Path) -> Checked:
    story = Story(folder)
    complaints = [complaint for checker in CHECKERS for complaint in checker(story)]
    counts = Counter(one["what"] for history in story.histories.values() for one in history)
    return Checked(complaints, counts)


def order(story: Story) -> Iterator[str]:
    """Positions are dense, each stream ascends without a gap, no decision overlooked another."""
    versions: Counter[str] = Counter()
    for number, one in enumerate(story.events, start=1):
        versions[one["stream"]] += 1
        if one["position"] != number:
            yield f"R5 position {one['position']} where {number} was to come"
        if one["version"] != versions[one["stream"]]:
            yield f"R5 {one['stream']} has version {one['version']} at {number}"
        if one["seen"] != one["version"] - 1:
            yield f"R4 {one['name']} was decided on {one['seen']}, stored as {one['version']}"


def commands(story: Story) -> Iterator[str]:
    """What was accepted is there once and whole, what was rejected is not; an id has one answer."""
    twice = [name for name, count in Counter(e["name"] for e in story.events).items() if count > 1]
    if twice:
        yield f"R3 happened twice: {twice[:5]}"
    given: dict[str, Any] = {}
    for one in story.all("accept", "reject"):
        told = (one["what"], one.get("position"), one.get("version"), one.get("stream"))
        if given.setdefault(one["id"], told) != told:
            yield f"R3 {one['id']} was answered {given[one['id']]} and {told}"
    for command_id, (what, position, *_) in given.items():
        parts = names_of(story, command_id)
        there = [story.by_name[name] for name in parts if name in story.by_name]
        if what == "reject" and there:
            yield f"R3 {command_id} was rejected and has happened"
        elif what == "accept" and len(there) < len(parts):
            missing = "half of it" if there else "it"
            yield f"R{2 if there else 1} {command_id} was accepted, and {missing} is not there"
        elif what == "accept" and max(one["position"] for one in there) != position:
            yield f"R10 the token of {command_id} says {position}: {there}"


def outcomes(story: Story) -> Iterator[str]:
    """Everything was answered in the end, and nothing has happened that nobody asked for."""
    invoked = {one["id"] for one in story.all("invoke")}
    answered = {one["id"] for one in story.all("accept", "reject")}
    if open_ := invoked - answered:
        yield f"R13 never answered, though asked until the end: {sorted(open_)[:5]}"
    of_nobody = set(story.by_name) - {name for one in invoked for name in names_of(story, one)}
    if of_nobody:
        yield f"R14 nobody has asked for this: {sorted(of_nobody)[:5]}"
    for one in story.all("unknown"):
        if one["told"] != one["id"]:
            yield f"R13 the unknown outcome of {one['id']} names {one['told']}"


def names_of(story: Story, command_id: str) -> list[str]:
    moved = hasattr(command_of(story.seed, command_id), "source")
    return [f"{command_id}:out", f"{command_id}:in"] if moved else [command_id]


def answers_in_time(story: Story) -> Iterator[str]:
    """What was asked for after another answer was given comes after it in the log."""
    first_asked: dict[str, int] = {}
    for one in sorted(story.all("invoke"), key=lambda one: one["at"]):
        first_asked.setdefault(one["id"], one["at"])
    given = sorted((one["at"], one["position"]) for one in story.all("accept"))
    times = [at for at, _ in given]
    highest: list[int] = []
    for _, position in given:
        highest.append(max(position, highest[-1] if highest else 0))
    for one in story.all("accept"):
        before = bisect.bisect_left(times, first_asked[one["id"]])
        if before and highest[before - 1] >= one["position"]:
            yield f"R5 {one['id']} at {one['position']} was asked for after {highest[before - 1]}"


def reads(story: Story) -> Iterator[str]:
    """Every row is the fold of a beginning of what it follows, and as new as its token says."""
    for one in story.all("row"):
        lane = KEYS[one["kind"]], one["key"]
        count, digests = one["count"], story.digests[lane]
        if count >= len(digests) or digests[count] != one["digest"]:
            yield f"R7 {lane} showed {count} {one['digest']!r}, which it never was"
        elif one.get("how", "stale") != "stale":
            wanted = bisect.bisect_right(story.positions[lane], one["after"])
            if count < wanted:
                yield f"R10 {lane} after {one['after']} showed {count} of {wanted} ({one['how']})"
    for one in story.all("no row"):
        if (
            "kind" in one
            and one["error"].startswith("ProjectionFailed")
            and "bad" not in one["error"]
        ):
            yield f"R11 {one['kind']} {one['key']}: {one['error']}"


def sessions(story: Story) -> Iterator[str]:
    """Nobody who reads one row again and again sees time go back."""
    if story.stores.get("replicas"):
        return
    for name, history in story.histories.items():
        newest: dict[tuple[str, str], int] = {}
        for one in history:
            if one["what"] == "open":
                newest.clear()  # another process by the same name
            if one["what"] != "row" or one.get("how") == "write_model":
                continue
            lane = one["kind"], one["key"]
            if one["count"] < newest.get(lane, 0):
                yield f"R11 {name} saw {lane} go back from {newest[lane]} to {one['count']}"
            newest[lane] = one["count"]


def operators(story: Story) -> Iterator[str]:
    for one in story.all("verified"):
        if not one["ok"]:
            yield f"R15 verified while everything went on: {one['differences']}"


def ends(story: Story) -> Iterator[str]:
    """Nothing is left behind, parked or wrong; a row tampered with is named, and no other."""
    for model in ("Lines", "Shelves", "Tallies"):
        rows = story.stores["rows"][model]
        key_of = "shelf" if model == "Shelves" else "account_id"
        wanted = {
            key: {key_of: key, "count": len(digests) - 1, "digest": digests[-1]}
            for (of, key), digests in story.digests.items()
            if of == model and len(digests) > 1
        }
        for key in sorted(wanted.keys() | rows.keys()):
            if wanted.get(key) != rows.get(key):
                yield f"R7 at the end {model} {key} is {rows.get(key)}, not {wanted.get(key)}"
    if not story.stores["verified"]:
        yield f"R15 at the end verify says {story.stores['differences']}"
    touched, *named = story.stores["tampered"]
    if named != [touched, "ok True"]:
        yield f"R15 {touched} was tampered with; verify and repair said {named}"


def runners(story: Story) -> Iterator[str]:
    """No runner ends by itself, whatever happens around it."""
    for name, text in story.last_words.items():
        if "runner had ended with an error" in text:
            last = [line for line in text.splitlines() if line.startswith("diptych.")]
            yield f"R12 a projection runner of {name} had ended: {last[:1]}"


CHECKERS = (
    order,
    commands,
    outcomes,
    answers_in_time,
    reads,
    sessions,
    operators,
    ends,
    runners,
)
