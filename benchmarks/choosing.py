"""Which benchmarks there are, and what each of them stands on: a folder, or the server."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import dispatch, importing
from benchmarks.measuring import Benchmark, Scale
from benchmarks.postgres import append as postgres_append
from benchmarks.postgres import commands as postgres_commands
from benchmarks.postgres import growth as postgres_growth
from benchmarks.postgres import projection as postgres_projection
from benchmarks.postgres import read_your_writes, wake_up
from benchmarks.postgres import verify as postgres_verify
from benchmarks.postgres.server import BenchServer
from benchmarks.sqlite import append, commands, growth, memory, projection, verify
from services.problem import ServiceProblem

ON_FILES: dict[str, Callable[[Scale, Path], Benchmark]] = {
    "dispatch": dispatch.benchmark,
    "import": importing.benchmark,
    "sqlite.append": append.benchmark,
    "sqlite.projection": projection.benchmark,
    "sqlite.verify": verify.benchmark,
    "sqlite.commands": commands.benchmark,
    "sqlite.growth": growth.benchmark,
    "sqlite.memory": memory.benchmark,
}
ON_POSTGRES: dict[str, Callable[[Scale, BenchServer], Benchmark]] = {
    "postgres.append": postgres_append.benchmark,
    "postgres.wake_up": wake_up.benchmark,
    "postgres.projection": postgres_projection.benchmark,
    "postgres.verify": postgres_verify.benchmark,
    "postgres.read_your_writes": read_your_writes.benchmark,
    "postgres.commands": postgres_commands.benchmark,
    "postgres.growth": postgres_growth.benchmark,
}
ALL: dict[str, Callable[[Scale, Any], Benchmark]] = {**ON_FILES, **ON_POSTGRES}


def matching(words: Sequence[str]) -> list[str]:
    """Give the benchmarks of these names, or all of a store, in the order of the list."""
    chosen = set()
    for word in words or ALL:
        found = [name for name in ALL if name == word or name.startswith(f"{word}.")]
        if not found:
            raise ValueError(f"there is no benchmark {word}; there are {', '.join(ALL)}")
        chosen.update(found)
    return [name for name in ALL if name in chosen]


def open_server(stack: ExitStack) -> tuple[BenchServer | None, Any]:
    """Start PostgreSQL for as long as the stack lives; beside it what to say of it.

    Where there is none, what is said is why.
    """
    try:
        server = stack.enter_context(BenchServer())
    except ServiceProblem as problem:
        return None, str(problem)
    return server, server.describe()
