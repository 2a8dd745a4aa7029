"""What is measured, and where: without it an absolute number says nothing."""

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import apsw

ROOT = Path(__file__).resolve().parent.parent


def commit() -> tuple[str, bool]:
    """Name the commit that is measured, and say whether the files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    return git("rev-parse", "--short", "HEAD") or "no-commit", bool(changed)


def machine(folder: Path) -> dict[str, Any]:
    """Describe the machine."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": cpus[0] if cpus else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlite_of_apsw": apsw.sqlite_lib_version(),
        "kernel": platform.release(),
        "fsync_us": fsync_us(folder),
    }


def fsync_us(folder: Path, count: int = 100) -> float:
    """Measure one durable write of a page: the median in microseconds."""
    path = folder / "fsync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(bytes(4_096))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    path.unlink()
    return round(statistics.median(times) * 1e6, 1)
