"""Who runs a server: the caller, or an ordinary user where the caller is root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from services.problem import ServiceProblem

__all__ = ["Account"]

# `mkdtemp` makes what is made there, so nobody can be there before us.
TEMP_DIRS = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))  # noqa: S108


@dataclass(frozen=True)
class Account:
    """An operating system user for servers; `uid` is None where that is the caller."""

    uid: int | None = None
    gid: int | None = None
    name: str = ""

    @classmethod
    def ordinary(cls) -> Account:
        """The caller or, since servers refuse root, `postgres` or `nobody` for root.

        Raises:
            ServiceProblem: Root calls, and neither user exists.
        """
        if os.geteuid() != 0:
            return cls()
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, name)
        raise ServiceProblem(
            "servers refuse to run as root, and there is neither a user postgres nor nobody;"
            " make one of them, or call as an ordinary user"
        )

    def make_folder(self, prefix: str) -> Path:
        """A new, empty folder under the temp dir that belongs to this account alone.

        Raises:
            ServiceProblem: There is no temp dir that this account can enter.
        """
        for place in TEMP_DIRS:
            if place.is_dir() and self.can_enter(place):
                folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place)).resolve()
                self.give(folder)
                return folder
        raise ServiceProblem(
            f"user {self.name} may not enter {tempfile.gettempdir()}; set TMPDIR to a folder"
            " that every user may enter"
        )

    def folders(self, prefix: str) -> list[Path]:
        """The folders that `make_folder` has made with this prefix, in any process."""
        owner = os.geteuid() if self.uid is None else self.uid
        found = {path.resolve() for place in TEMP_DIRS for path in place.glob(f"{prefix}*")}
        return sorted(path for path in found if path.is_dir() and path.stat().st_uid == owner)

    def can_enter(self, folder: Path) -> bool:
        """Whether this account reaches what is in `folder`, as far as mode bits tell."""
        if self.uid is None:
            return True
        return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))

    def give(self, path: Path) -> None:
        """Make this account the owner of `path`."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def run(
        self, command: Sequence[str | Path], *, folder: Path, env: Mapping[str, str], text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` to its end as this account, `text` as its input; output is captured.

        Raises:
            ServiceProblem: This account may not run it.
        """
        try:
            return subprocess.run(
                command,
                input=text,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                cwd=folder,
                env=dict(env),
                **self._switch(),
            )
        except OSError as error:
            raise ServiceProblem(
                f"{self.name or 'this user'} cannot run {command[0]} ({error}); put the programs"
                " where every user may read them"
            ) from error

    def start(
        self, command: Sequence[str | Path], *, folder: Path, env: Mapping[str, str], log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start `command` as this account in a session of its own; it outlives the caller."""
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
            env=dict(env),
            **self._switch(),
        )

    def remove(self, folder: Path) -> None:
        """Remove a folder that `make_folder` made; one that is gone is fine."""
        shutil.rmtree(folder, ignore_errors=True)

    def _switch(self) -> dict[str, Any]:
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}
