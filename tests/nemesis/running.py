"""One run: processes are started, a nemesis has its time with them, everything ends in order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.nemesis.checking import Checked, check
from tests.nemesis.faults import Fault

from diptych.failpoints import POINTS

ROOT = Path(__file__).parents[2]
CAST = {
    "writer0": "writer",
    "writer1": "writer",
    "runner0": "runner",
    "runner1": "runner",
    "reader0": "reader",
    "operator0": "operator",
}
END_WITHIN_S = 60


class Slot:
    """A place in the cast: its processes come and go, its name and its history stay."""

    def __init__(self, name: str, role: str, folder: Path, seed: int, urls: list[str]) -> None:
        self.name = name
        self._arguments = [role, name, str(folder), str(seed), *urls]
        self._errors = folder / f"{name}.stderr"
        self._environment = os.environ | {"NEMESIS_MENDED": "1" if role == "operator" else "0"}
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at = 0.0
        self.go_on_at = 0.0
        self.crashes: list[str] = []

    def start(self, failpoint: str = "", role: str | None = None) -> None:
        arguments = [role or self._arguments[0], *self._arguments[1:]]
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", "tests.nemesis.worker", *arguments],
                cwd=ROOT,
                env=self._environment | {"DIPTYCH_FAILPOINTS": failpoint},
                stderr=errors,
            )

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def look(self) -> bool:
        """Whether it runs; notes how it ended if it did not end as it was told to."""
        if self.process is None:
            return False
        code = self.process.poll()
        if code is None:
            return True
        # SIGTERM ends one that has not even begun to listen for it.
        if code not in (0, -signal.SIGKILL, -signal.SIGTERM):
            self.crashes.append(f"{self.name} ended with {code}: {self.last_words()}")
        self.process = None
        return False

    def last_words(self) -> str:
        return self._errors.read_text(errors="replace")[-3000:]

    def wait(self, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while self.look():
            self.signal(signal.SIGCONT)  # a failpoint may stop it on its way out
            if time.monotonic() > deadline:
                self.signal(signal.SIGABRT)  # faulthandler tells where it hangs
            time.sleep(0.05)


class Run:
    """Processes on `urls` in `folder`, and a nemesis that also does `faults` to their store."""

    def __init__(self, folder: Path, seed: int, urls: list[str], faults: list[Fault]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "seed").write_text(str(seed))
        self.folder = folder
        self._urls = urls
        self._chance = random.Random(seed)
        self._faults = faults
        self._slots = [Slot(name, role, folder, seed, urls) for name, role in CAST.items()]
        self._told = (folder / "nemesis.log").open("a", buffering=1)
        self.deeds: list[str] = []

    async def run(self, seconds: float) -> Checked:
        """Everything, and what is wrong with it afterwards."""
        try:
            await self._torment(seconds)
            await asyncio.to_thread(self._end_in_order)
        finally:
            for slot in self._slots:
                slot.signal(signal.SIGKILL)
                if slot.process is not None:
                    slot.process.wait()
            self._told.close()
        crashes = [crash for slot in self._slots for crash in slot.crashes]
        if crashes:
            return Checked(crashes, Counter())
        checked = check(self.folder)
        checked.counts.update(deed.split()[0] for deed in self.deeds)
        return checked

    async def _torment(self, seconds: float) -> None:
        for slot in self._slots:
            slot.start()
        deadline = time.monotonic() + seconds
        next_deed = time.monotonic() + 2
        work: set[asyncio.Task[None]] = set()
        while (now := time.monotonic()) < deadline:
            self._look_after(now)
            if now >= next_deed:
                next_deed = now + 0.1 + self._chance.random()
                if self._faults and self._chance.random() < 0.35 and not work:
                    work.add(
                        task := asyncio.create_task(self._do(self._chance.choice(self._faults)))
                    )
                    task.add_done_callback(work.discard)
                else:
                    self._harm(self._chance.choice(self._slots), now)
            await asyncio.sleep(0.05)
        await asyncio.gather(*work)

    def _look_after(self, now: float) -> None:
        for slot in self._slots:
            if not slot.look() and slot.start_at == 0:
                slot.start_at = now + self._chance.random()
            if slot.process is None and now >= slot.start_at:
                slot.start_at = 0
                slot.start(self._some_failpoint())
            if now >= slot.go_on_at:
                slot.go_on_at = now + 1  # a failpoint may have stopped it, too
                slot.signal(signal.SIGCONT)

    def _some_failpoint(self) -> str:
        if self._chance.random() < 0.6:
            return ""
        point = self._chance.choice(list(POINTS))
        action = self._chance.choice(["kill", "stop", "sleep 0.5"])
        failpoint = f"{point}={action}:{self._chance.randint(1, 60)}"
        self._tell(f"armed {failpoint}")
        return failpoint

    def _harm(self, slot: Slot, now: float) -> None:
        if slot.process is None:
            return
        deed = self._chance.choice(["kill", "kill", "kill", "end", "end twice", "stop", "stop"])
        if deed == "kill":
            slot.signal(signal.SIGKILL)
        elif deed == "stop":
            slot.signal(signal.SIGSTOP)
            slot.go_on_at = now + self._chance.random() * 3
        else:
            slot.signal(signal.SIGTERM)
            if deed == "end twice":
                slot.signal(signal.SIGTERM)
        self._tell(f"{deed.partition(' ')[0]} {slot.name}")

    async def _do(self, fault: Fault) -> None:
        try:
            self._tell(await fault(self._chance))
        except Exception as error:  # noqa: BLE001  a fault may be in the way of another
            self._tell(f"failed {fault.__name__}: {error!r}")

    def _tell(self, deed: str) -> None:
        self.deeds.append(deed)
        self._told.write(f"{time.monotonic():.3f} {deed}\n")

    def _end_in_order(self) -> None:
        for slot in self._slots:
            slot.signal(signal.SIGCONT)
            slot.signal(signal.SIGTERM)
        for slot in self._slots:
            slot.wait(END_WITHIN_S)
        writers = [slot for slot in self._slots if CAST[slot.name] == "writer"]
        for slot in writers:
            slot.start(role="drain")
        for slot in writers:
            slot.wait(END_WITHIN_S)
        done = subprocess.run(
            [sys.executable, "-m", "tests.nemesis.ending", str(self.folder), self._urls[0]],
            cwd=ROOT,
            env=os.environ | {"NEMESIS_MENDED": "1"},
            check=False,
            capture_output=True,
            text=True,
            timeout=180,
        )
        if done.returncode:
            self._slots[0].crashes.append(f"the end: {done.stderr[-3000:]}")
