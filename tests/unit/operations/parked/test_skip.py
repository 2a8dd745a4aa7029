"""Skip: the first event of a key, for a reason, for good; its followers go on."""

from __future__ import annotations

import pytest
from poison import BAD, Histories, Moved, Noted, lanes_of, note, numbers_of, record, to_store

from diptych.errors import ConfigurationError


async def test_the_first_event_is_skipped_and_its_followers_are_folded(app, fold):
    BAD.add(2)
    await note(app, ("a", 1), ("a", 2), ("a", 3), ("a", 2), ("a", 4))
    await fold()
    done = await app.parked.skip("histories", "a", 2, reason=" typed twice ", actor="ann")
    assert (done.entry.because, done.entry.reason, done.entry.actor) == (
        "skipped",
        "typed twice",
        "ann",
    )
    assert (done.followers.folded, done.followers.failed_at, done.followers.left) == (1, 4, 2)
    assert await numbers_of(app, "a") == [1, 3]
    ((projection, skipped),) = await app.parked.skipped()
    assert (projection, skipped.position) == ("histories", 2)
    assert skipped.error == "ValueError: 2 is bad"


@pytest.mark.parametrize("reason", ["", "  \n"])
async def test_a_reason_is_required(reason, app, fold):
    BAD.add(2)
    await note(app, ("a", 2))
    await fold()
    with pytest.raises(ConfigurationError, match="needs a reason"):
        await app.parked.skip("histories", "a", 1, reason=reason, actor="ann")
    assert await lanes_of(app) == {"a": [(1, "failed")]}


@pytest.mark.parametrize(("key", "position"), [("a", 2), ("a", 3), ("b", 1)])
async def test_only_the_first_event_of_a_key_can_be_skipped(key, position, app, fold):
    BAD.add(2)
    await note(app, ("a", 2), ("a", 3))
    await fold()
    with pytest.raises(ConfigurationError, match=r"first event that waits|nothing waits"):
        await app.parked.skip("histories", key, position, reason="x", actor="ann")
    assert await lanes_of(app) == {"a": [(1, "failed"), (2, "follows")]}


async def test_a_dry_run_skips_nothing(app, fold):
    BAD.add(2)
    await note(app, ("a", 2), ("a", 3))
    await fold()
    done = await app.parked.skip("histories", "a", 1, reason="x", actor="ann", dry_run=True)
    assert (done.entry.because, done.followers.left) == ("skipped", 1)
    assert await lanes_of(app) == {"a": [(1, "failed"), (2, "follows")]}


async def test_what_is_skipped_stays_so_when_everything_is_folded_again(app, fold):
    BAD.add(2)
    bad = to_store(Noted("c", 1))._replace(data=b"{}")
    await record(app, "Account-c", bad, Noted("c", 8))
    await record(app, "Transfer-1", Moved("a", "b", 2))
    await note(app, ("b", 3), ("a", 2))
    await fold()
    parked = app.parked
    for key, position in (("Account-c", 1), ("b", 3), ("a", 5)):
        await parked.skip("histories", key, position, reason="x", actor="ann")
    skipped = {"Account-c": [(1, "skipped")], "b": [(3, "skipped")], "a": [(5, "skipped")]}
    expected = {"a": [2], "b": [3], "c": [8]}
    for _ in range(2):
        assert {key: await numbers_of(app, key) for key in "abc"} == expected
        assert await lanes_of(app) == skipped
        await app.sources[Histories].store.reset(app.sources[Histories].plan.table)
        await fold()


async def test_a_skipped_event_stays_skipped_when_one_before_it_fails_in_a_rebuild(app, fold):
    BAD.add(2)
    await note(app, ("a", 1), ("a", 2), ("a", 3))
    await fold()
    await app.parked.skip("histories", "a", 2, reason="x", actor="ann")
    BAD.add(1)
    source = app.sources[Histories]
    await source.store.reset(source.plan.table)
    await fold()
    assert await lanes_of(app) == {"a": [(1, "failed"), (2, "skipped"), (3, "follows")]}
    BAD.remove(1)
    await app.parked.retry()
    assert await numbers_of(app, "a") == [1, 3]
