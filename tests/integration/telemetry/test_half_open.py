"""A server that takes a connection and never answers: fault F24."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from banking import BANK, Deposit

from diptych import App
from diptych.telemetry.health import health
from diptych.telemetry.instrument import instrument
from services.wire import Wire

ROOT = Path(__file__).parents[3]


async def test_f24_a_database_that_falls_silent_is_named_and_comes_back(postgres_url):
    async with (
        Wire(postgres_url) as wire,
        App("bank", BANK, write=wire.url + "&timeout_s=20") as app,
    ):
        telemetry = instrument(app)
        await app.dispatch(Deposit("a", 5))
        assert (await health(app, within_s=10)).ready
        wire.silence()
        async with asyncio.timeout(15):
            found = await health(app, within_s=0.3)
        assert (found.alive, found.ready) == (True, False)
        assert [one.ok for one in found.dependencies] == [False, False]
        assert "did not answer within 0.3 s" in found.why[0]
        async with asyncio.timeout(30):
            text = await telemetry.metrics_text()
        assert b"diptych_command_seconds_count" in text
        assert b"\ndiptych_log_head_position " not in text
        wire.mend()
        async with asyncio.timeout(30):
            while not (await health(app, within_s=5)).ready:
                pass


async def test_f24_looking_again_and_again_at_one_that_hangs_piles_nothing_up(black_hole):
    app = App("bank", BANK, write=f"postgresql://postgres@127.0.0.1:{black_hole}/shop?timeout_s=2")
    before = asyncio.all_tasks()
    for _ in range(20):
        found = await health(app, within_s=0.05, opening=True)
        assert (found.alive, found.ready) == (True, False)
    async with asyncio.timeout(30):
        while hanging := asyncio.all_tasks() - before:
            await asyncio.wait(hanging, return_when="FIRST_COMPLETED")
    await app.close()


def test_f24_the_command_line_says_what_hangs_and_ends(black_hole, tmp_path):
    url = f"postgresql://postgres@127.0.0.1:{black_hole}/shop"
    (tmp_path / "bankapp.py").write_text(
        "from banking import BANK\nfrom diptych import App\n\n"
        f"app = App('bank', BANK, write={url!r})\n"
    )
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests" / "unit")])
    command = [sys.executable, "-m", "diptych.cli", "health", "--app", "bankapp:app", "--json"]
    done = subprocess.run(
        [*command, "--within", "0.5"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 6, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["alive"], answer["ready"]) == (True, False)
    assert {one["why"] for one in answer["dependencies"]} == {"it did not answer within 0.5 s"}
    assert done.stderr == ""


def test_f24_the_black_hole_takes_connections_and_says_nothing(black_hole):
    with socket.create_connection(("127.0.0.1", black_hole), timeout=5) as connection:
        connection.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
        connection.settimeout(0.2)
        try:
            said = connection.recv(1)
        except TimeoutError:
            said = None
        assert said is None
