"""What is known of a bug: who had it, what it was, how it is put back, and which tests notice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

__all__ = ["BUGS", "Bug", "Patch", "bug", "links"]

Patch = AbstractContextManager[object]

# Where a name is no `owner/repository`.
REPOSITORIES = {
    "Emmett": "event-driven-io/emmett",
    "Eventuous": "Eventuous/eventuous",
    "KurrentDB": "kurrent-io/KurrentDB",
    "Marten": "JasperFx/marten",
    "Axon": "AxonFramework/AxonFramework",
    "Occurrent": "johanhaleby/occurrent",
    "Wolverine": "JasperFx/wolverine",
    "akka-persistence-r2dbc": "akka/akka-persistence-r2dbc",
    "cqrs-es": "serverlesstechnology/cqrs",
    "protean": "proteanhq/protean",
    "RailsEventStore": "RailsEventStore/rails_event_store",
    "SQLAlchemy": "sqlalchemy/sqlalchemy",
    "Zitadel": "zitadel/zitadel",
    "psycopg": "psycopg/psycopg",
}


class Bug(NamedTuple):
    """One bug. `tests` are the node ids of the fewest tests that must fail while `apply` holds;
    those that are not `fast` run with the long ones only.
    """

    name: str
    peers: str
    was: str
    apply: Callable[[], Patch]
    tests: tuple[str, ...]
    fast: bool = True


BUGS: dict[str, Bug] = {}


def bug(
    peers: str, was: str, tests: Sequence[str], *, fast: bool = True
) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    """Register a patch, a function without parameters that gives a context manager."""

    def register(apply: Callable[[], Patch]) -> Callable[[], Patch]:
        name = apply.__name__
        assert name not in BUGS, f"two bugs are called {name}"
        BUGS[name] = Bug(name, peers, was, apply, tuple(tests), fast)
        return apply

    return register


def links(peers: str) -> str:
    """`Marten #4730, #4953; Emmett #239` with a link at each number."""
    return "; ".join(" ".join(_linked(peer.strip())) for peer in peers.split(";"))


def _linked(peer: str) -> Iterator[str]:
    words = peer.split(" ")
    repository = next((word for word in words if "/" in word), REPOSITORIES.get(words[0]))
    for word in words:
        found = re.fullmatch(r"#(\d+)(\W*)", word)
        if found is None or repository is None:
            yield word
        else:
            yield f"[#{found[1]}](https://github.com/{repository}/issues/{found[1]}){found[2]}"
