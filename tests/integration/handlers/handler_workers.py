"""A process that runs an event handler: `python handler_workers.py <url> <file>`, until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from banking import BANK, Deposited

from diptych import App, Envelope, EventHandler


class Gateway:
    """Writes down what it is asked to do, so that it is known after a kill -9, too."""

    def __init__(self, file: str) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def send(self, event_id: str) -> None:
        os.write(self._file, f"{event_id}\n".encode())
        await asyncio.sleep(0.0005)


class Mails(EventHandler):
    async def deposited(self, event: Deposited, envelope: Envelope, gateway: Gateway) -> None:
        await gateway.send(envelope.event_id)


def bank(url: str, file: str) -> App:
    return App("bank", [*BANK, Mails], write=url, resources=[Gateway(file)])


async def main(url: str, file: str) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with bank(url, file):
        os.write(1, b"ready\n")
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
