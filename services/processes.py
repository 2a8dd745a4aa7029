"""Processes that are known by their id: what they are, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

__all__ = ["children", "command_line", "end", "has_ended", "kill_tree"]

PROC = Path("/proc/self/stat")
PAUSE_S = 0.01


def has_ended(pid: int) -> bool:
    """Whether there is no such process any more; one that waits for its parent has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _state(pid).startswith("Z")


def command_line(pid: int) -> list[str]:
    """The command and arguments that `pid` was started with; empty where there is no such one."""
    if PROC.exists():
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return []
        return [part.decode(errors="replace") for part in raw.split(b"\0") if part]
    return _ps("command=", pid).split()


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    if not PROC.exists():
        rows = (line.split() for line in _ps("pid=,ppid=").splitlines())
        return [int(child) for child, parent in rows if int(parent) == pid]
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # The name in parentheses may hold anything; state and parent come after the last.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(folder.name))
    return found


def end(pid: int, how: signal.Signals, within_s: float) -> bool:
    """Send `how` to `pid` and wait until it has ended; False if it has not within `within_s`."""
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return True
    return _wait_for_end([pid], within_s)


def kill_tree(pid: int, within_s: float = 10) -> bool:
    """SIGKILL `pid` and all its children at once, as a power cut would; False if some live on."""
    try:
        os.kill(pid, signal.SIGSTOP)  # so that it neither starts nor warns another child
    except ProcessLookupError:
        return True
    doomed = [pid, *children(pid)]
    for each in doomed:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return _wait_for_end(doomed, within_s)


def _wait_for_end(pids: list[int], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not all(has_ended(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_S)
    return True


def _state(pid: int) -> str:
    if PROC.exists():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "Z"
    return _ps("stat=", pid).strip() or "Z"


def _ps(columns: str, pid: int | None = None) -> str:
    which = ["-A"] if pid is None else ["-p", str(pid)]
    command = ["ps", "-ww", *which, "-o", columns]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
