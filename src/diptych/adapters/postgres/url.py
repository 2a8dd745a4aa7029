"""Which database and schema, and how: what a `postgresql:` URL says."""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode

import msgspec

from diptych.errors import ConfigurationError
from diptych.urls import split

__all__ = ["Location", "locate"]

_FORMS = (
    "Write postgresql://user:password@host:5432/database, with ?schema=shop, &connections=8 and "
    "&timeout_s=30 if needed; other options (sslmode=require) are PostgreSQL's."
)
_LONGEST_NAME = 63


class Location(msgspec.Struct, frozen=True):
    """A schema in a database, and how to use it.

    `dsn` is for the driver and holds the password; `place` is for people. `search_path` is where
    the application's other tables are. `connections` is how many connections may read at the same
    time. `timeout_s` is how long to wait for a connection, and for a lock that somebody else holds;
    `silence_s` follows from it.
    """

    dsn: str
    place: str
    schema: str = "diptych"
    search_path: str = "public"
    connections: int = 8
    timeout_s: float = 30.0

    @property
    def silence_s(self) -> float:
        """How long the server may say nothing before a short statement is given up: longer than a
        lock is waited for, so that the server can say so itself.
        """
        return self.timeout_s * 1.5 + 1

    def describe(self) -> dict[str, str]:
        """See EventLog.describe. The server's version is known once somebody has connected."""
        return {"adapter": "PostgreSQL", "database": self.place, "schema": self.schema}

    def __repr__(self) -> str:
        return (
            f"{self.place} with schema={self.schema}&connections={self.connections}"
            f"&timeout_s={self.timeout_s:g}"
        )


def locate(url: str) -> Location:
    """The location meant. Raises ConfigurationError with the forms that are understood."""
    parts = split(url)
    place = _place(parts)
    if parts.scheme not in {"postgresql", "postgres"} or not url.startswith(f"{parts.scheme}://"):
        _refuse(place, "not a PostgreSQL URL")
    if parts.fragment:
        _refuse(place, "a fragment (#) makes no sense in it; write # in a password as %23")
    location, rest = _with_options(Location("", place), parts.query)
    dsn = parts._replace(scheme="postgresql", query=urlencode(rest)).geturl()
    if "://" not in dsn:  # no host: the driver's own default
        dsn = dsn.replace(":", "://", 1)
    return msgspec.structs.replace(location, dsn=dsn)


def _place(parts: SplitResult) -> str:
    """Host, port and database, without user and password."""
    host = parts.netloc.rpartition("@")[2] or "localhost"
    return f"{host}{unquote(parts.path)}" if parts.path.strip("/") else host


def _with_options(location: Location, query: str) -> tuple[Location, list[tuple[str, str]]]:
    """Our own options as they are meant, and all others as they are."""
    rest: list[tuple[str, str]] = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "schema" and _is_schema(value):
            location = msgspec.structs.replace(location, schema=value)
        elif name == "connections" and value.isdecimal() and int(value) > 0:
            location = msgspec.structs.replace(location, connections=int(value))
        elif name == "timeout_s" and value.replace(".", "", 1).isdecimal() and float(value) > 0:
            location = msgspec.structs.replace(location, timeout_s=float(value))
        elif name in {"schema", "connections", "timeout_s"}:
            _refuse(location.place, f"{name}={value} is not understood")
        elif name == "search_path" and value:
            location = msgspec.structs.replace(location, search_path=value)
        else:
            rest.append((name, value))
    return location, rest


def _is_schema(name: str) -> bool:
    return (
        0 < len(name.encode()) <= _LONGEST_NAME
        and name.isprintable()
        and not name.startswith("pg_")
        and name != "information_schema"
    )


def _refuse(place: str, why: str) -> NoReturn:
    raise ConfigurationError(f"{place!r}: {why}. {_FORMS}")
