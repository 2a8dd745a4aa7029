"""Other libraries doing the same work, each in a process of a separate environment.

A peer script takes one argument, a JSON object of options, and prints one line of JSON. It runs at
the peer's defaults, written as the peer's documentation writes it.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.measuring import NotAvailableError

ENVIRONMENT = Path(__file__).resolve().parent.parent / ".peers"
PYTHON = ENVIRONMENT / "bin" / "python"


def run_peer(script: str, **options: Any) -> dict[str, Any]:
    """Run one peer script and give its answer."""
    if not PYTHON.exists():
        raise NotAvailableError("run python -m benchmarks.peers.install")
    path = Path(__file__).with_name(f"{script}.py")
    done = subprocess.run(
        [PYTHON, path, json.dumps(options)],
        # The peer's interpreter has none of our packages, but it shares the order lines.
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the peer script {script} failed:\n{done.stderr[-2_000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
