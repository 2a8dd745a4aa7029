"""The anchor: a file of seals, one line of JSON each, that is only ever added to.

It proves something only as long as whoever can change the log cannot change the anchor: keep it, or
a copy of it, where the database's owner cannot write.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import msgspec

from diptych.errors import ConfigurationError, StoreUnavailable
from diptych.operations.trail.seal import Seal

__all__ = ["Anchor", "AnchorLine", "read_anchor"]

_LONGEST_LINE = 1 << 16
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Seal).decode


class AnchorLine(NamedTuple):
    """One line of an anchor, with its number from 1; no seal: it cannot be read.

    A torn line is a last one without its end: whoever wrote it was stopped.
    """

    number: int
    seal: Seal | None
    torn: bool = False


def read_anchor(path: Path) -> Iterator[AnchorLine]:
    """The lines of an anchor. Raises ConfigurationError when there is no such file."""
    try:
        with path.open("rb") as file:
            yield from _lines(file)
    except OSError as error:
        raise ConfigurationError(f"cannot read the anchor {path}: {error.strerror}.") from error


def _lines(file: BinaryIO) -> Iterator[AnchorLine]:
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        whole = line.endswith(b"\n")
        yield AnchorLine(number, _seal(line) if whole else None, torn=not whole)


def _seal(line: bytes) -> Seal | None:
    try:
        seal = _decode(line)
        known = seal.version == 1 and 1 <= seal.first <= seal.last
        return seal if known and len(bytes.fromhex(seal.hash)) == 32 else None
    except (msgspec.MsgspecError, ValueError):
        return None


class Anchor:
    """An anchor opened to be added to, by one process at a time; use as a context manager.

    Raises ConfigurationError when the file cannot be made, StoreUnavailable when another process
    adds to it just now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._writes = Lock()

    def __enter__(self) -> Self:
        new = not self._path.exists()
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write the anchor {self._path}: {error.strerror}."
            ) from error
        try:
            self._lock()
            if new:
                self._sync_folder()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whoever was cancelled may have left a thread that is still writing; its number must not
        # become that of another file under it.
        with self._writes:
            os.close(self._file)
            self._file = -1

    def lines(self) -> Iterator[AnchorLine]:
        """What is in it."""
        return read_anchor(self._path)

    def mend(self) -> bool:
        """Take away a torn last line; say whether there was one."""
        size = os.fstat(self._file).st_size
        at = size
        while at:
            begin = max(0, at - _LONGEST_LINE)
            os.lseek(self._file, begin, os.SEEK_SET)
            end = os.read(self._file, at - begin).rfind(b"\n")
            if end >= 0:
                at = begin + end + 1
                break
            at = begin
        if at == size:
            return False
        with self._writing():
            os.ftruncate(self._file, at)
            os.fsync(self._file)
        return True

    def add(self, seals: Sequence[Seal]) -> None:
        """Add lines; durable when this returns. Raises StoreUnavailable. From any thread."""
        left = b"".join(_encode(one) + b"\n" for one in seals)
        with self._writes, self._writing():
            if self._file < 0:
                return  # closed before it came to that: nobody waits for it
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write the anchor {self._path}: {error.strerror}. What was sealed "
                "before is safe; mend that and seal again, it goes on where it stopped."
            ) from error

    def _lock(self) -> None:
        if sys.platform == "win32":  # its files cannot be locked as a whole
            return
        import fcntl  # noqa: PLC0415  not on every platform

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreUnavailable(
                f"another process is sealing into {self._path}. Seal again when it has finished."
            ) from error

    def _sync_folder(self) -> None:
        if sys.platform == "win32":
            return
        folder = os.open(self._path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
