"""The sample of the real orders, while processes and the server are killed until it is done.

All 240,007 lines: `python -m tests.nemesis replay --full --store sqlite` (or `postgres`).
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.nemesis.replaying import Replaying

from diptych_examples.shop.demo import DATA

SAMPLE = DATA / "sample.csv.gz"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_the_real_orders_are_played_once_whatever_is_killed_meanwhile(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  pytest shows it when it fails
    # On SQLite all of it takes a second; a server needs that long to come back.
    url, restart, every_s = f"sqlite:///{tmp_path}/shop.db", None, 0.15
    if store == "postgres":
        server = request.getfixturevalue("private_postgres")()
        url, restart, every_s = f"{server.url}?timeout_s=10", server.restart_immediately, 0.4
    done = Replaying(tmp_path, url, SAMPLE, seed, every_s=every_s, restart=restart).run()
    print(f"{dict(done.deeds)} in {done.seconds:.1f} s")  # noqa: T201  likewise
    assert done.differences == []
    assert done.report.verified
    assert done.deeds, "nothing was killed"
