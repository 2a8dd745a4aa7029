"""One process of a disturbed replay: `demo <url> <source> <report>` plays the orders and verifies,
`runner <url>` shares the projections until SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from diptych.errors import DiptychError
from diptych_examples.shop.app import shop
from diptych_examples.shop.demo import run_demo
from diptych_examples.shop.replay.ledger import Ledger
from diptych_examples.shop.report import Tick

IN_FLIGHT = 64
GAVE_UP = 3
"""Exit code: the store stayed away for longer than the replay waits. It is started again."""


async def demo(url: str, source: str, report: str) -> None:
    def tell(tick: Tick) -> None:
        os.write(1, f"{tick.stage} {tick.done}\n".encode())

    done = await run_demo(url, source, IN_FLIGHT, tell)
    keep(Path(report), done.to_json())


def keep(path: Path, text: str) -> None:
    """Whole or not at all: who waits for the file finds all of it."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)


async def runner(url: str) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with shop(url, more=[Ledger]):
        await stopping.wait()


if __name__ == "__main__":
    try:
        asyncio.run({"demo": demo, "runner": runner}[sys.argv[1]](*sys.argv[2:]))
    except DiptychError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(GAVE_UP if error.retryable else 1)
