"""Which file, and how: what a `sqlite:` URL or a path says."""

from __future__ import annotations

import os
from typing import NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

import apsw
import msgspec

from diptych.errors import ConfigurationError

__all__ = ["Location", "locate"]

_FORMS = (
    "Write sqlite:///relative.db, sqlite:////absolute/path.db or a path, "
    "with ?synchronous=full|normal and &busy_timeout_s=30 if needed."
)


class Location(msgspec.Struct, frozen=True):
    """A database file and how to use it.

    `synchronous` "full": a commit is on disk when it is acknowledged. "normal": the last commits
    may be lost when the machine dies; only for read models that can be rebuilt. `busy_timeout_s` is
    how long to wait for another process that holds the file.
    """

    path: str
    synchronous: str = "full"
    busy_timeout_s: float = 30.0

    def describe(self) -> dict[str, str]:
        """See EventLog.describe."""
        version = f"SQLite {apsw.sqlite_lib_version()}"
        return {"adapter": version, "file": self.path, "synchronous": self.synchronous}


def locate(url_or_path: str | os.PathLike[str]) -> Location:
    """The location meant. Raises ConfigurationError with the forms that are understood."""
    text = os.fspath(url_or_path)
    if not text.startswith("sqlite:"):
        if "://" in text or text.startswith("file:"):
            _refuse(text, "not an SQLite URL")
        return Location(_absolute(text, text))
    parts = urlsplit(text)
    if parts.netloc or not text.startswith("sqlite://") or parts.fragment:
        _refuse(text, "a host, user or fragment makes no sense for a file")
    # sqlite:///x.db names x.db, relative; a fourth slash begins an absolute path.
    path = unquote(parts.path).removeprefix("/")
    return _with_options(text, Location(_absolute(text, path)), parts.query)


def _absolute(text: str, path: str) -> str:
    if not path:
        _refuse(text, "it names no file")
    if ":memory:" in path:
        raise ConfigurationError(
            f"{text!r}: SQLite in memory cannot be shared by several connections. "
            "Use memory:// for a log and read models in memory."
        )
    return os.path.realpath(path)


def _with_options(text: str, location: Location, query: str) -> Location:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "synchronous" and value.lower() in {"full", "normal"}:
            location = msgspec.structs.replace(location, synchronous=value.lower())
        elif name == "busy_timeout_s" and value.replace(".", "", 1).isdecimal():
            location = msgspec.structs.replace(location, busy_timeout_s=float(value))
        else:
            _refuse(text, f"{name}={value} is not understood")
    return location


def _refuse(text: str, why: str) -> NoReturn:
    raise ConfigurationError(f"{text!r}: {why}. {_FORMS}")
