"""The real orders replayed while processes and the server are killed, until all are played."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from tests.nemesis.replay_worker import GAVE_UP, IN_FLIGHT

from diptych_examples.shop.demo import run_demo
from diptych_examples.shop.report import Report

ROOT = Path(__file__).parents[2]
COUNTED = (
    "lines",
    "lines_accepted",
    "lines_rejected",
    "commands",
    "accepted_by_command",
    "rejected",
    "events",
    "orders_placed",
    "returns_accepted",
    "revenue_by_country",
    "refunds_by_country",
    "queries",
    "verified",
    "verified_rows",
)
"""What is the same in every replay of a file, however often it was interrupted."""


class Replayed(NamedTuple):
    """The report of the disturbed replay, where it differs from an undisturbed one, what was done
    to it, and how long it took.
    """

    report: Report
    differences: list[str]
    deeds: Counter[str]
    seconds: float


class Replaying:
    """Replays `source` into `url`, with runners beside it that share the projections.

    About every `every_s` seconds of progress something is killed: the replay, a runner, or (where
    it is given) the server, by `restart`.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        source: Path,
        seed: int,
        *,
        every_s: float = 1.0,
        runners: int = 1,
        restart: Callable[[], None] | None = None,
    ) -> None:
        self.deeds: Counter[str] = Counter()
        self._folder = folder
        self._url = url
        self._source = source
        self._chance = random.Random(seed)
        self._every_s = every_s
        self._restart = restart
        self._report = folder / "report.json"
        self._errors = folder / "replay.stderr"
        self._demo: subprocess.Popen[str] | None = None
        self._runners: list[subprocess.Popen[str] | None] = [None] * runners
        self._began_at: int | None = None
        self._began_before = -1
        self._futile = 0

    def run(self) -> Replayed:
        """Until every order is played and every read model verified."""
        began = time.monotonic()
        try:
            while not self._report.exists():
                self._look_after()
                self._wait()
                if self._runs():
                    self._harm()
        finally:
            for one in [self._demo, *self._runners]:
                if one is not None:
                    one.kill()
                    one.wait()
        report = msgspec.json.decode(self._report.read_bytes(), type=Report)
        seconds = time.monotonic() - began
        undisturbed = asyncio.run(run_demo("memory://", self._source, IN_FLIGHT))
        differences = [
            f"{name}: {getattr(report, name)}, undisturbed {getattr(undisturbed, name)}"
            for name in COUNTED
            if getattr(report, name) != getattr(undisturbed, name)
        ]
        return Replayed(report, differences, self.deeds, seconds)

    def _wait(self) -> None:
        """A while of work. Who is killed before anything is entered in its ledger begins where it
        began before, so it is given twice the time.
        """
        pause_s = self._chance.random() * 2 * self._every_s * 2 ** min(self._futile, 4)
        until = None
        while self._runs() and (until is None or time.monotonic() < until):
            if until is None and self._began_at is not None:
                until = time.monotonic() + pause_s
            time.sleep(0.01)

    def _runs(self) -> bool:
        return self._demo is not None and self._demo.poll() is None

    def _look_after(self) -> None:
        if not self._runs():
            if self._demo is not None:
                self._ended(self._demo)
            self._began_at = None
            self._demo = self._start("demo", str(self._source), str(self._report))
            threading.Thread(target=self._listen, args=(self._demo,), daemon=True).start()
        for number, one in enumerate(self._runners):
            if one is None or one.poll() is not None:
                if one is not None:
                    self._ended(one)
                self._runners[number] = self._start("runner")

    def _ended(self, process: subprocess.Popen[str]) -> None:
        code = process.wait()
        if code == GAVE_UP:
            self.deeds["gave up waiting"] += 1
        elif code != -signal.SIGKILL and not self._report.exists():
            raise AssertionError(f"a process ended with {code}: {self._errors.read_text()[-3000:]}")

    def _start(self, task: str, *more: str) -> subprocess.Popen[str]:
        with self._errors.open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.nemesis.replay_worker", task, self._url, *more],
                cwd=ROOT,
                stdout=subprocess.PIPE if task == "demo" else None,
                stderr=errors,
                text=True,
            )

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                stage, _, done = line.partition(" ")
                if stage != "reading" and self._began_at is None:
                    lines = int(done) if stage == "replaying" else sys.maxsize
                    self._futile = self._futile + 1 if lines <= self._began_before else 0
                    self._began_before = self._began_at = lines

    def _harm(self) -> None:
        deeds = ["killed the replay", "killed a runner"]
        if self._restart is not None:
            deeds += ["restarted the server"] * 2
        new = [one for one in deeds if not self.deeds[one]]  # each of them at least once
        deed = self._chance.choice(new or deeds)
        if deed == "killed the replay":
            assert self._demo is not None
            self._demo.kill()
            self._demo.wait()
        elif deed == "killed a runner":
            one = self._chance.choice(self._runners)
            if one is not None:
                one.kill()
                one.wait()
        else:
            assert self._restart is not None
            self._restart()
        self.deeds[deed] += 1
