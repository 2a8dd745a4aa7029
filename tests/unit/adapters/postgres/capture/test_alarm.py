"""The alarm for what a slot keeps."""

from __future__ import annotations

import logging

from diptych.adapters.postgres.capture.status import Alarm, Kept


def kept(percent: int, status: str = "extended") -> Kept:
    return Kept(status, percent << 20, 100 << 20)


def test_it_warns_at_half_and_is_an_error_at_four_fifths(caplog):
    alarm = Alarm("shop")
    for percent in (10, 49, 50, 60, 80, 90):
        alarm.look(kept(percent))
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert "50 MB" in caplog.records[0].getMessage()
    assert "80 %" in caplog.records[1].getMessage()


def test_it_says_it_again_when_it_was_well_meanwhile(caplog):
    alarm = Alarm("shop")
    for percent in (60, 10, 60):
        alarm.look(kept(percent))
    assert len(caplog.records) == 2


def test_a_slot_that_the_next_checkpoint_takes_is_an_error_at_any_size(caplog):
    Alarm("shop").look(kept(1, "unreserved"))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_without_a_limit_there_is_no_share():
    assert Kept("reserved", 5, None).share == 0.0
