"""A PostgreSQL of one's own, for tests and benchmarks that break, restart or promote servers."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from services.account import Account
from services.addresses import CHECKOUT
from services.postgres import binaries
from services.postgres.leftovers import private_prefix
from services.postgres.pair import STREAMING
from services.postgres.server import PostgresServer
from services.problem import ServiceProblem

__all__ = ["PrivatePostgres"]


class PrivatePostgres:
    """A server with folder, port and password of its own, and a replica where one is asked for.

    ```python
    with PrivatePostgres() as server:
        server.make_replica()
        server.kill9()
        server.promote()
        ...  # server.replica_url takes writes now
    ```

    Entering starts it; leaving kills what still runs and removes everything. The port stays the
    same over restarts. Calls block until they are done: from async code, use a thread.

    Raises:
        ServiceProblem: There is no PostgreSQL, or it does not start.
    """

    def __init__(
        self, settings: Mapping[str, str | int] | None = None, *, checkout: Path = CHECKOUT
    ) -> None:
        self._account = Account.ordinary()
        self._binaries = binaries.find(self._account)
        self._folder = self._account.make_folder(private_prefix(checkout))
        # A private server is small: there may be many.
        self._settings = {"shared_buffers": "128MB", **(settings or {})}
        self._primary: PostgresServer | None = None
        self._replica: PostgresServer | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where clients connect, password included; the same over restarts."""
        return self.primary.url

    @property
    def replica_url(self) -> str:
        """Where clients of the replica connect."""
        return self.replica.url

    @property
    def log(self) -> Path:
        """The file with what the server said."""
        return self.primary.log

    @property
    def version(self) -> str:
        """The version of PostgreSQL, such as 15.18."""
        return self._binaries.version

    @property
    def primary(self) -> PostgresServer:
        """The server itself: its process id, its folder, its log."""
        if self._primary is None:
            raise ServiceProblem("this server was never started; use `with` or call start()")
        return self._primary

    @property
    def replica(self) -> PostgresServer:
        """The replica itself."""
        if self._replica is None:
            raise ServiceProblem("this server has no replica; call make_replica() first")
        return self._replica

    def start(self) -> None:
        """Make the server if there is none yet, and start it; it lets clients in afterwards."""
        if self._primary is None:
            self._primary = PostgresServer.create(
                self._folder / "primary", self._binaries, self._account, self._settings
            )
        if not self._primary.is_running:
            self._primary.start()

    def stop(self) -> None:
        """End the server in order: open transactions roll back, a last checkpoint is taken."""
        self.primary.stop()

    def kill9(self) -> None:
        """SIGKILL to the server and all its processes at once; `start` recovers from the WAL."""
        self.primary.kill()

    def restart_immediately(self) -> None:
        """Cut every connection without a checkpoint and start again, through crash recovery."""
        self.primary.stop(signal.SIGQUIT)
        self.primary.start()

    def configure(self, **settings: str | int) -> None:
        """Change settings; they count from the next start on."""
        self.primary.configure(settings)

    def make_replica(self, settings: Mapping[str, str | int] | None = None) -> str:
        """Copy the running server, start the copy, wait until WAL streams; returns its URL.

        Raises:
            ServiceProblem: There is a replica already, or it does not come up.
        """
        if self._replica is not None:
            raise ServiceProblem("this server has a replica already; make another PrivatePostgres")
        self._replica = PostgresServer.copy_of(
            self.primary, self._folder / "replica", "replica", settings
        )
        self._replica.start()
        self._replica.wait_for_log(STREAMING)
        return self._replica.url

    def promote(self) -> None:
        """Make the replica a primary of its own; it takes writes afterwards.

        The old primary is not told: stop or kill it first, or write to both on purpose.
        """
        self.replica.promote()

    def close(self) -> None:
        """Kill what still runs and remove everything."""
        for server in (self._replica, self._primary):
            if server is not None:
                server.kill()
        self._account.remove(self._folder)
