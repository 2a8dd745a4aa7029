"""Which transactions a snapshot saw."""

from __future__ import annotations

import pytest

from diptych.adapters.postgres.capture.seen import Seen

EPOCH = 1 << 32


@pytest.mark.parametrize(
    ("text", "transaction", "seen"),
    [
        ("10:14:12", 9, True),
        ("10:14:12", 11, True),
        ("10:14:12", 12, False),
        ("10:14:12", 14, False),
        ("10:10:", 9, True),
        # Numbers come with 32 bits: just after the count began again, and just before.
        (f"{EPOCH - 5}:{EPOCH + 5}:{EPOCH - 4}", EPOCH - 4, False),
        (f"{EPOCH - 5}:{EPOCH + 5}:{EPOCH - 4}", EPOCH - 3, True),
        (f"{EPOCH - 5}:{EPOCH + 5}:{EPOCH - 4}", 3, True),
        (f"{EPOCH - 5}:{EPOCH + 5}:{EPOCH - 4}", 6, False),
        (f"{EPOCH + 3}:{EPOCH + 3}:", EPOCH - 1, True),
        (f"{EPOCH - 3}:{EPOCH - 2}:{EPOCH - 3}", 1, False),
    ],
)
def test_a_snapshot_saw_what_had_ended_then(text, transaction, seen):
    assert Seen(text, upto=500).includes(transaction, lsn=499) is seen


def test_nothing_behind_the_moment_was_seen():
    assert not Seen("10:14:", upto=500).includes(9, lsn=500)
