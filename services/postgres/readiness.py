"""Whether a PostgreSQL server takes connections: one start-up message, one answer."""

from __future__ import annotations

import socket
import struct

__all__ = ["accepts_connections"]

PROTOCOL = 3 << 16
AUTHENTICATION = b"R"


def accepts_connections(port: int, *, user: str = "diptych", within_s: float = 1) -> bool:
    """Whether the server on 127.0.0.1:`port` would let somebody in.

    It asks to log in and goes away when the server asks for the password. A server that is
    starting, recovering or ending answers with an error instead: the same test as `pg_isready`,
    for which not every distribution of PostgreSQL has a program.
    """
    fields = f"user\0{user}\0database\0diptych\0\0".encode()
    message = struct.pack("!ii", 8 + len(fields), PROTOCOL) + fields
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=within_s) as connection:
            connection.sendall(message)
            return connection.recv(1) == AUTHENTICATION
    except OSError:
        return False
