"""URLs that hold passwords: taken apart only where no part of one can land in a message."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from diptych.errors import ConfigurationError

__all__ = ["shown", "split"]


def split(url: str) -> SplitResult:
    """The parts of a URL. Raises ConfigurationError, which names none of them, when a password may
    stand where the host, the path or the options should.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _unclear() from None
    behind = f"{parts.path}{parts.query}{parts.fragment}"
    if "@" in behind and not url.startswith(f"{parts.scheme}:///"):
        raise _unclear()
    for host in parts.netloc.rpartition("@")[2].split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not port.isdecimal():  # it may be a password whose host was forgotten
            raise _unclear()
    return parts


def shown(url: str) -> str:
    """A URL without its user and password, for messages."""
    parts = split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _unclear() -> ConfigurationError:
    return ConfigurationError(
        "a database URL cannot be taken apart (it is not shown here, for it may hold a password). "
        "Percent-encode the user and the password, as urllib.parse.quote(password, safe='') does: "
        "# is %23, / is %2F, ? is %3F, @ is %40, [ is %5B. An @ behind the host is %40, too; a "
        "port is a number."
    )
