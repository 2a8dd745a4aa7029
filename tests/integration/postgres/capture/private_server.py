"""A server with settings of its own, where PostgreSQL is installed."""

from __future__ import annotations

from services.postgres.private import PrivatePostgres
from services.problem import ServiceProblem
from services.pytest_plugin import missing


def private(**settings: str | int) -> PrivatePostgres:
    try:
        return PrivatePostgres(settings)
    except ServiceProblem as problem:
        missing("postgres", str(problem))
