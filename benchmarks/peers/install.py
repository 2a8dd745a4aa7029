"""Create the peers' environment: `python -m benchmarks.peers.install`."""

import subprocess
import sys
from pathlib import Path

from benchmarks.peers import ENVIRONMENT, PYTHON


def install() -> None:
    """Make the environment with this interpreter's version, then install the pinned peers."""
    requirements = Path(__file__).with_name("requirements.txt")
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    subprocess.run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True
    )


if __name__ == "__main__":
    install()
