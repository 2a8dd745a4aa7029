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

ROOT = Path(__file__).parents[3]


class Wire:
    """A proxy to a server; once `cut`, what is sent goes nowhere and nobody is told."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self._flows.clear()

    def mend(self) -> None:
        self._flows.set()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _joined(self, reader, writer) -> None:
        there, back = await asyncio.open_connection(*self._to)
        ways = [self._carry(reader, back), self._carry(there, writer)]
        self._tasks |= {asyncio.ensure_future(way) for way in ways}

    async def _carry(self, reader, writer) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()


async def test_f24_a_database_that_falls_silent_is_named_and_comes_back(postgres, postgres_url):
    host, port = _address(postgres.primary)
    wire = Wire(host, port)
    through = postgres_url.replace(_netloc(postgres.primary), f"127.0.0.1:{await wire.open()}")
    through += "&timeout_s=20"
    async with App("bank", BANK, write=through) as app:
        telemetry = instrument(app)
        await app.dispatch(Deposit("a", 5))
        assert (await health(app, within_s=10)).ready
        wire.cut()
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
    await wire.close()


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


def _netloc(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).netloc.rpartition("@")[2]


def _address(url: str) -> tuple[str, int]:
    host, _, port = _netloc(url).partition(":")
    return host, int(port or 5432)
