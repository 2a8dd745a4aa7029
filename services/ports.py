"""Ports for servers that may be killed and started again."""

from __future__ import annotations

import random
import socket

from services.problem import ServiceProblem

__all__ = ["free_port"]

# Below the ports that systems hand to outgoing connections (Linux: from 32768, macOS: from 49152).
# A port out of that range may be in use by some client when its killed server wants it back.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """A port on 127.0.0.1 on which nobody listens now.

    Raises:
        ServiceProblem: None was found.
    """
    for _ in range(100):
        port = random.SystemRandom().randint(FIRST, LAST)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServiceProblem(f"found no free port between {FIRST} and {LAST} on 127.0.0.1")
