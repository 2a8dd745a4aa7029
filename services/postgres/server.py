"""One PostgreSQL server in a folder of its own: made, copied, started, ended, killed."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from services import processes
from services.account import Account
from services.ports import free_port
from services.postgres.binaries import Binaries
from services.postgres.readiness import accepts_connections
from services.postgres.settings import as_lines, defaults
from services.problem import ServiceProblem

__all__ = ["DATABASE", "USER", "PostgresServer", "is_server"]

USER = DATABASE = "diptych"
START_WITHIN_S = 60.0
PORTS_TO_TRY = 5
PAUSE_S = 0.01
LINES_OF_LOG = 20
# Longest path of a socket on macOS, less the name of the socket.
LONGEST_SOCKET_FOLDER = 103 - len("/.s.PGSQL.65535")


def is_server(pid: int, data: Path) -> bool:
    """Whether the process `pid` is a running PostgreSQL server on exactly this data folder."""
    command = processes.command_line(pid)
    # Children of the server show a title of their own ("postgres: checkpointer").
    return (
        len(command) == 3
        and Path(command[0]).name == "postgres"
        and command[1:] == ["-D", str(data)]
        and not processes.has_ended(pid)
    )


class PostgresServer:
    """A server in `folder`: `data/`, its socket and `server.log`, all owned by `account`.

    The password is random and asked for on loopback, too: the user is a superuser, and a superuser
    runs programs as the account of the server. Nobody else on the machine should.
    """

    def __init__(self, folder: Path, binaries: Binaries, account: Account, password: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.binaries = binaries
        self.account = account
        self.password = password
        self.port = 0
        self.pid: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(
        cls,
        folder: Path,
        binaries: Binaries,
        account: Account,
        settings: Mapping[str, str | int] | None = None,
    ) -> PostgresServer:
        """A new, empty server with the database `diptych`, not started yet.

        Raises:
            ServiceProblem: `initdb` failed; the message shows its words.
        """
        server = cls(folder, binaries, account, secrets.token_urlsafe(18))
        server._make_folder()
        password_file = folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(server.password)
        account.give(password_file)
        # Not synced: nobody needs an empty data folder after a power cut.
        server._call(
            *("initdb", "--pgdata", server.data, "--username", USER, "--pwfile", password_file),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
        )
        password_file.unlink()
        server.configure({**defaults(), **(settings or {})})
        server._call(
            *("postgres", "--single", "-D", server.data, "postgres"),
            text=f"CREATE DATABASE {DATABASE}\n",
        )
        return server

    @classmethod
    def copy_of(
        cls,
        primary: PostgresServer,
        folder: Path,
        slot: str,
        settings: Mapping[str, str | int] | None = None,
    ) -> PostgresServer:
        """A streaming replica of the running `primary`, not started yet.

        Raises:
            ServiceProblem: `pg_basebackup` failed; the message shows its words.
        """
        replica = cls(folder, primary.binaries, primary.account, primary.password)
        replica._make_folder()
        replica._call(
            *("pg_basebackup", "--pgdata", replica.data, "--host", "127.0.0.1"),
            *("--port", str(primary.port), "--username", USER, "--no-password", "--no-sync"),
            *("--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast"),
            *("--create-slot", "--slot", slot),
        )
        replica.configure(settings or {})
        return replica

    @property
    def url(self) -> str:
        """Where clients connect, password included."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def is_running(self) -> bool:
        """Whether the server's process lives; it need not take connections yet."""
        return self.pid is not None and is_server(self.pid, self.data)

    def configure(self, settings: Mapping[str, str | int]) -> None:
        """Add settings; the last word on each wins, from the next start on."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(as_lines(settings))

    def start(self, within_s: float = START_WITHIN_S) -> None:
        """Start and wait until clients are let in; the first start chooses the port.

        Raises:
            ServiceProblem: It did not come up; the message shows the end of its log.
        """
        if self.port:
            self._start(within_s)
            return
        for attempt in range(1, PORTS_TO_TRY + 1):
            self.port = free_port()
            self.configure({"port": self.port, "unix_socket_directories": self._socket_folder()})
            try:
                self._start(within_s)
            except ServiceProblem as problem:
                # Somebody may have taken the port since we looked.
                if attempt < PORTS_TO_TRY and "Address already in use" in str(problem):
                    continue
                raise
            return

    def stop(self, how: signal.Signals = signal.SIGINT, within_s: float = 30) -> None:
        """End the server; SIGINT rolls back what is open, SIGQUIT leaves it to crash recovery.

        Raises:
            ServiceProblem: It did not end in time.
        """
        if self.pid is not None and self.is_running and not processes.end(self.pid, how, within_s):
            raise ServiceProblem(self._with_log(f"the server {self.pid} did not end"))
        self._forget()

    def kill(self) -> None:
        """SIGKILL to the server and all its processes at once.

        Raises:
            ServiceProblem: A process lives on.
        """
        if self.pid is not None and self.is_running and not processes.kill_tree(self.pid):
            raise ServiceProblem(f"the server {self.pid} or a process of it survived SIGKILL")
        self._forget()

    def promote(self) -> None:
        """Make this running replica a primary; it takes writes afterwards.

        Raises:
            ServiceProblem: `pg_ctl` failed; the message shows its words.
        """
        self._call("pg_ctl", "promote", "--wait", "--pgdata", self.data)

    def release(self) -> None:
        """Let the server outlive this process; from here on it is known by its id only."""
        if self._process is not None:
            self._process.returncode = 0  # else Python complains about a child that still runs
            self._process = None

    def wait_for_log(self, words: str, within_s: float = START_WITHIN_S) -> None:
        """Wait until `words` are in the log of the server.

        Raises:
            ServiceProblem: The server ended, or they did not come; shows the end of the log.
        """
        deadline = time.monotonic() + within_s
        while words not in self.log.read_text(encoding="utf-8", errors="replace"):
            if not self.is_running or time.monotonic() > deadline:
                raise ServiceProblem(self._with_log(f"the server never logged {words!r}"))
            time.sleep(PAUSE_S)

    def _start(self, within_s: float) -> None:
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = self.account.start(
                [self.binaries.program("postgres"), "-D", self.data],
                folder=self.folder,
                env=self._environment(),
                log=log,
            )
        self.pid = self._process.pid
        deadline = time.monotonic() + within_s
        while not accepts_connections(self.port):
            if self._process.poll() is not None:
                self._forget()
                raise ServiceProblem(self._with_log("PostgreSQL did not start", begin))
            if time.monotonic() > deadline:
                self.kill()
                raise ServiceProblem(
                    self._with_log(f"PostgreSQL took no connections for {within_s:g} s", begin)
                )
            time.sleep(PAUSE_S)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
        self.pid = self._process = None

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700)
        self.account.give(self.folder)

    def _socket_folder(self) -> str:
        return str(self.folder) if len(str(self.folder)) <= LONGEST_SOCKET_FOLDER else ""

    def _environment(self) -> dict[str, str]:
        # Nothing of the caller's: no PGDATA, no PGOPTIONS, no ~/.pgpass.
        return {
            "HOME": str(self.folder),
            "LC_ALL": "C",
            "PATH": f"{self.binaries.folder}:{os.defpath}",
            "PGPASSWORD": self.password,
        }

    def _call(self, name: str, *arguments: str | Path, text: str = "") -> None:
        command = [self.binaries.program(name), *arguments]
        done = self.account.run(command, folder=self.folder, env=self._environment(), text=text)
        if done.returncode != 0:
            raise ServiceProblem(f"{name} failed ({done.returncode}):\n{done.stdout.strip()}")

    def _with_log(self, what: str, begin: int = 0) -> str:
        lines = self.log.read_bytes()[begin:].decode(errors="replace").splitlines()[-LINES_OF_LOG:]
        return "\n".join([f"{what}; the end of {self.log}:", *lines])
