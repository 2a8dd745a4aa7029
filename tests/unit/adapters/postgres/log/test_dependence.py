"""Which appends may share a batch."""

from __future__ import annotations

import itertools
import random

import pytest

from diptych.adapters.postgres.dependence import part_batch
from diptych.adapters.postgres.jobs import AppendJob
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import ANY_VERSION, Append, CommandRecord, EventToStore, StreamAppend


def fact(type_="Counted", tags=()):
    return EventToStore(type_, 1, b"{}", b"{}", tags)


def to(stream, expected=ANY_VERSION, *events):
    return StreamAppend(stream, expected, events or (fact(),))


def check(stream, expected):
    return StreamAppend(stream, expected, ())


def parted(*appends):
    jobs = [AppendJob(append) for append in appends]
    now, later = part_batch(jobs)
    return [jobs.index(job) for job in now], [jobs.index(job) for job in later]


def test_appends_to_different_streams_go_together():
    assert parted(Append((to("a", 0),)), Append((to("b", 0),))) == ([0, 1], [])


def test_appends_that_expect_a_version_of_the_same_stream_go_one_after_the_other():
    assert parted(Append((to("a", 0),)), Append((to("a", 1),)), Append((to("b", 0),))) == (
        [0, 2],
        [1],
    )


def test_appends_that_take_a_stream_as_it_is_go_together():
    assert parted(Append((to("a"),)), Append((to("a"),))) == ([0, 1], [])


def test_who_takes_a_stream_as_it_is_waits_for_who_may_be_refused():
    assert parted(Append((to("a", 0),)), Append((to("a"),))) == ([0], [1])
    assert parted(Append((to("a"),)), Append((to("a", 1),))) == ([0], [1])
    with_id = Append((to("a"),), command=CommandRecord("c", b"", b""))
    assert parted(with_id, Append((to("a"),))) == ([0], [1])


def test_those_who_only_check_a_stream_go_together():
    guarded = [Append((to(name, 0), check("guard", 3))) for name in "abc"]
    assert parted(*guarded) == ([0, 1, 2], [])
    assert parted(Append((to("guard", 3),)), *guarded) == ([0], [1, 2, 3])


def test_the_same_command_id_goes_one_after_the_other():
    one = Append((to("a"),), command=CommandRecord("c-1", b"", b""))
    two = Append((to("b"),), command=CommandRecord("c-1", b"", b""))
    other = Append((to("c"),), command=CommandRecord("c-2", b"", b""))
    assert parted(one, two, other) == ([0, 2], [1])


def test_a_condition_waits_for_events_that_it_may_forbid():
    def take(user, name):
        taken = fact("NameTaken", (f"name:{name}",))
        condition = AppendCondition((EventFilter(("NameTaken",), (f"name:{name}",)),))
        return Append((to(user, 0, taken),), condition=condition)

    assert parted(take("u-1", "ann"), take("u-2", "ann"), take("u-3", "bob")) == ([0, 2], [1])


def test_nobody_overtakes_a_condition_that_waits_with_what_it_forbids():
    condition = AppendCondition((EventFilter(("B",)),))
    first = Append((to("a", 0),))
    waiting = Append((to("a", 1),), condition=condition)
    forbidden = Append((to("b", 0, fact("B")),))
    assert parted(first, waiting, forbidden) == ([0], [1, 2])


# --- batches against one append after the other, on a log of a few lines ---


class Model:
    """What an append does to a log, without a database."""

    def __init__(self):
        self.versions, self.commands, self.events = {}, set(), []

    def refusal(self, append):
        if append.command and append.command.command_id in self.commands:
            return "known"
        for stream, expected, _ in append.streams:
            if expected not in (ANY_VERSION, self.versions.get(stream, 0)):
                return "version"
        if append.condition and any(
            wanted.matches(kind, tags)
            for wanted in append.condition.filters
            for kind, tags in self.events[append.condition.after :]
        ):
            return "condition"
        return None

    def write(self, append):
        for stream, _, events in append.streams:
            self.versions[stream] = self.versions.get(stream, 0) + len(events)
            self.events += [(event.type, event.tags) for event in events]
        if append.command:
            self.commands.add(append.command.command_id)


def one_by_one(appends):
    model, outcomes = Model(), {}
    for number, append in enumerate(appends):
        outcomes[number] = model.refusal(append)
        if outcomes[number] is None:
            model.write(append)
    return outcomes, model.versions


def in_batches(appends):
    model, outcomes = Model(), {}
    jobs = [AppendJob(append) for append in appends]
    number = {id(job): at for at, job in enumerate(jobs)}
    while jobs:
        now, jobs = part_batch(jobs)
        assert now, "the first always goes"
        judged = [(job, model.refusal(job.append)) for job in now]
        for job, refusal in judged:
            outcomes[number[id(job)]] = refusal
            if refusal is None:
                model.write(job.append)
    return outcomes, model.versions


def some_append(chance):
    streams = chance.sample("abc", chance.randint(1, 2))
    filters = (EventFilter((chance.choice("XY"),), chance.choice([(), ("t",)])),)
    return Append(
        tuple(
            StreamAppend(
                stream,
                chance.choice([ANY_VERSION, 0, 1, 2]),
                tuple(
                    fact(chance.choice("XY"), chance.choice([(), ("t",)]))
                    for _ in range(chance.randint(0, 2))
                ),
            )
            for stream in streams
        ),
        condition=AppendCondition(filters, 0) if chance.random() < 0.3 else None,
        command=CommandRecord(chance.choice("12"), b"", b"") if chance.random() < 0.3 else None,
    )


@pytest.mark.parametrize("seed", range(300))
def test_batches_end_as_one_append_after_the_other(seed):
    chance = random.Random(seed)
    appends = [some_append(chance) for _ in range(chance.randint(2, 8))]
    assert in_batches(appends) == one_by_one(appends), f"seed {seed}"


def test_the_model_would_notice_appends_that_are_not_parted(monkeypatch):
    monkeypatch.setitem(globals(), "part_batch", lambda jobs: (list(jobs), []))
    differs = (
        in_batches(appends) != one_by_one(appends)
        for appends in (
            [some_append(chance) for _ in range(6)] for chance in map(random.Random, range(50))
        )
    )
    assert next(itertools.compress(itertools.count(), differs), None) is not None
